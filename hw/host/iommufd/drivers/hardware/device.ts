/**
 * A device behind a simulated IOMMU unit: known to the unit by its id (requester id, device id),
 * and in one domain at a time; while it is in none, the unit refuses its requests.
 */
import { InternalError } from '../../../../../sim/errors.ts';
import type { Domain as UnitDomain } from '../../../drivers/driver.ts';
import type { Domain, IommuDevice, IommuDriver, PciTraits, ReservedRegion } from '../../driver.ts';
import { IommuGroup } from '../../iommu-core/group.ts';
import type { HardwareCore } from './core.ts';
import type { HardwareUnit } from './unit.ts';

export interface HardwareDeviceOptions {
  readonly pci?: PciTraits | null;
  /** Regions besides those of its IOMMU. */
  readonly reserved?: readonly ReservedRegion[];
  /** The group that it shares with other devices; one of its own if not given. */
  readonly group?: IommuGroup;
  /** It translates by ATS and asks for pages, where the unit lets it. */
  readonly pageRequests?: boolean;
}

/** What a device can be in. */
export interface HardwareDomain extends Domain {
  /** A device of the unit is no longer in it. */
  left(unit: HardwareUnit): void;
  /** The domain as the driver of a unit that has devices in it knows it. */
  domainOf(unit: HardwareUnit): UnitDomain;
}

const PLAIN_PCI: PciTraits = {
  virtualFunction: false,
  pri: false,
  pasidExecute: false,
  pasidPrivileged: false,
};

export class HardwareDevice<U extends HardwareUnit = HardwareUnit> implements IommuDevice {
  readonly name: string;
  readonly driver: IommuDriver;
  readonly unit: U;
  readonly deviceId: number;
  readonly maxPasids = 0;
  readonly pci: PciTraits | null;
  readonly reserved: readonly ReservedRegion[];
  readonly group: IommuGroup;
  /** Translates by ATS and asks for pages. */
  readonly pageRequests: boolean;
  private current: HardwareDomain | null = null;
  private readonly core: HardwareCore;
  private left = -1;
  private moves = 0;

  /** Joins its group: from here on its requests are refused. */
  constructor(
    core: HardwareCore,
    driver: IommuDriver,
    unit: U,
    name: string,
    deviceId: number,
    options: HardwareDeviceOptions,
  ) {
    this.core = core;
    this.name = name;
    this.driver = driver;
    this.unit = unit;
    this.deviceId = deviceId;
    this.pageRequests = options.pageRequests ?? false;
    const pci = options.pci === undefined ? PLAIN_PCI : options.pci;
    this.pci = pci === null ? null : { ...pci, pri: pci.pri || this.pageRequests };
    this.reserved = options.reserved ?? [];
    this.group = options.group ?? new IommuGroup(core.memory);
    unit.devices.set(deviceId, this);
  }

  get instance(): object {
    return this.unit;
  }

  /** The domain that it is in; null: its requests are refused. */
  get domain(): HardwareDomain | null {
    return this.current;
  }

  /** Number of the domain that the unit may still have cached as the device's; -1: none. */
  get leaving(): number {
    return this.left;
  }

  /** The unit's context has changed. */
  moved(domain: HardwareDomain | null): void {
    const old = this.current;
    this.current = domain;
    if (old === null) return;
    this.left = old.domainOf(this.unit).index;
    const move = ++this.moves;
    old.left(this.unit);
    this.core.sync.settle({
      settle: () => {
        if (move === this.moves) this.left = -1;
      },
    });
  }
}

/** The device that a hook of one of these drivers was called with. */
export function hardwareDevice(device: IommuDevice): HardwareDevice {
  if (device instanceof HardwareDevice) return device;
  throw new InternalError('hardware', `${device.name} is not behind a simulated unit`);
}
