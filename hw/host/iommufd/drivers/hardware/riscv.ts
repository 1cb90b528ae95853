/**
 * RISC-V driver for /dev/iommu. Linux's own answers no capability, so that nothing can be bound;
 * `iommufd: true` gives this simulator's: first-stage domains, second-stage ones for nesting
 * parents and dirty tracking (D bits that hardware sets), nested domains on a guest's first stage,
 * page requests.
 */
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import { type Capabilities, decodeCapabilities } from '../../../../iommu/riscv/capabilities.ts';
import { SV39, SV39X4, SV48, SV48X4, SV57, SV57X4 } from '../../../../iommu/riscv/formats.ts';
import type { PageTableFormat } from '../../../../iommu/walk/format.ts';
import type { RiscvDriver } from '../../../drivers/riscv.ts';
import type { HardwarePageRequest } from '../../../drivers/riscv-page-requests.ts';
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  type Domain,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type IommuDriver,
  type NestedDomain,
  type PageRequest,
  type PagingDomain,
  type ResponseCode,
  type UserData,
} from '../../driver.ts';
import { IOMMU_PGFAULT_FLAGS_LAST_PAGE } from '../../uapi/constants.ts';
import { readRiscvStage1, riscvHwInfo } from '../formats/riscv.ts';
import { HardwareBlocked } from './blocked.ts';
import { HardwareCore, type HardwarePorts } from './core.ts';
import { HardwareDevice, type HardwareDeviceOptions, hardwareDevice } from './device.ts';
import { HardwarePaging } from './paging.ts';
import { RiscvNested } from './riscv-nested.ts';
import { answerPageRequest, reportQueued, servicePageRequests } from './riscv-requests.ts';
import { HardwareUnit } from './unit.ts';

export type RiscvHardwareUnit = HardwareUnit<RiscvDriver>;
export type RiscvHardwareDevice = HardwareDevice<RiscvHardwareUnit>;

export interface RiscvIommufdOptions {
  /** Devices can be bound to /dev/iommu, which Linux's driver does not allow (default false). */
  readonly iommufd?: boolean;
}

interface Width {
  readonly format: PageTableFormat;
  readonly has: (capabilities: Capabilities) => boolean;
}

/** In the order of preference: four levels are what today's hosts and guests use. */
const FIRST_STAGES: readonly Width[] = [
  { format: SV48, has: ({ sv48 }) => sv48 },
  { format: SV57, has: ({ sv57 }) => sv57 },
  { format: SV39, has: ({ sv39 }) => sv39 },
];
const SECOND_STAGES: readonly Width[] = [
  { format: SV48X4, has: ({ sv48x4 }) => sv48x4 },
  { format: SV57X4, has: ({ sv57x4 }) => sv57x4 },
  { format: SV39X4, has: ({ sv39x4 }) => sv39x4 },
];
/** Entries cannot permit writing without reading; Linux lets devices execute what they read. */
const READABLE = ACCESS_READ | ACCESS_EXECUTE;
const ACCESS_OF = [0, READABLE, READABLE | ACCESS_WRITE, READABLE | ACCESS_WRITE];

export class RiscvIommufdDriver implements IommuDriver {
  readonly name = 'riscv';
  readonly userPasidTable = false;
  readonly core: HardwareCore;
  readonly blocked: Domain;
  readonly units: RiscvHardwareUnit[] = [];
  private readonly iommufd: boolean;

  constructor(ports: HardwarePorts, options: RiscvIommufdOptions = {}) {
    this.core = new HardwareCore(ports);
    this.blocked = new HardwareBlocked(this, this.core);
    this.iommufd = options.iommufd ?? false;
  }

  /** The unit's own driver has been initialised. */
  addUnit(driver: RiscvDriver, name: string = `riscv${this.units.length}`): RiscvHardwareUnit {
    const unit = new HardwareUnit(name, driver);
    this.units.push(unit);
    return unit;
  }

  /** A device by its device id; it is blocked until it is attached. */
  addDevice(
    unit: RiscvHardwareUnit,
    name: string,
    deviceId: number,
    options: HardwareDeviceOptions = {},
  ): RiscvHardwareDevice {
    const device = new HardwareDevice(this.core, this, unit, name, deviceId, options);
    if (device.pageRequests && capabilitiesOf(unit).ats) unit.driver.allowPageRequests(deviceId);
    device.group.addDevice(device);
    return device;
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    if (!this.iommufd) return false;
    const caps = capabilitiesOf(unitOf(device));
    switch (capability) {
      case 'cache-coherency':
        return true;
      case 'enforce-cache-coherency':
        return false;
      case 'dirty-tracking':
        return caps.amoHwad && SECOND_STAGES.some(({ has }) => has(caps));
      case 'pci-ats':
        return caps.ats && hardwareDevice(device).pageRequests;
    }
  }

  hwInfo(device: IommuDevice, type: number): HardwareInfo {
    const { driver } = unitOf(device);
    return riscvHwInfo(type, driver.capabilities, driver.featureControl);
  }

  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    if (data !== null) fail('EOPNOTSUPP', 'a kernel-managed domain takes no data');
    if ((flags & ~(ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING)) !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)}: NEST_PARENT 1 and DIRTY_TRACKING 2 only`);
    }
    const unit = unitOf(device);
    const caps = capabilitiesOf(unit);
    const dirty = (flags & ALLOC_DIRTY_TRACKING) !== 0;
    if (dirty && !caps.amoHwad) fail('EOPNOTSUPP', 'DIRTY_TRACKING needs AMO_HWAD');
    const widths = flags === 0 ? FIRST_STAGES : SECOND_STAGES;
    const width =
      widths.find(({ has }) => has(caps)) ??
      fail('EOPNOTSUPP', `the unit has no ${flags === 0 ? 'first' : 'second'} stage`);
    return new RiscvHardwarePaging(this, this.core, unit, width, dirty);
  }

  allocNested(
    device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): NestedDomain {
    if (flags !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)}: a nested domain takes none`);
    }
    const unit = unitOf(device);
    const stage1 = readRiscvStage1(data, unit.driver.capabilities);
    if (!(parent instanceof RiscvHardwarePaging) || parent.kindOfStage !== 'stage2') {
      fail('EINVAL', 'the parent is no second-stage domain');
    }
    return new RiscvNested(this, this.core, parent, stage1);
  }

  pageResponse(device: IommuDevice, request: PageRequest, code: ResponseCode): void {
    // A response is to a group: what is refused before its last request gets none of its own.
    if ((request.flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE) === 0) return;
    const target = hardwareDevice(device) as RiscvHardwareDevice;
    answerPageRequest(target.unit.driver, target.deviceId, request, code);
  }

  /** A request that was taken off the unit's queue: to its fault queue, or answered. */
  reportQueued(unit: RiscvHardwareUnit, request: HardwarePageRequest): void {
    reportQueued(unit, request);
  }

  /** For the unit's page-request interrupt: reports what is queued; returns how many requests. */
  servicePageRequests(unit: RiscvHardwareUnit): number {
    return servicePageRequests(unit);
  }
}

function unitOf(device: IommuDevice): RiscvHardwareUnit {
  return hardwareDevice(device).unit as RiscvHardwareUnit;
}

function capabilitiesOf(unit: RiscvHardwareUnit): Capabilities {
  return decodeCapabilities(unit.driver.capabilities);
}

class RiscvHardwarePaging extends HardwarePaging {
  private readonly width: Width;

  constructor(
    driver: IommuDriver,
    core: HardwareCore,
    unit: RiscvHardwareUnit,
    width: Width,
    dirty: boolean,
  ) {
    const { format } = width;
    super(driver, core, unit, {
      kind: format.signExtended ? 'stage1' : 'stage2',
      format,
      // Of a sign-extended address the lower half is used.
      inputBits: format.signExtended ? format.inputBits - 1 : format.inputBits,
      outputBits: capabilitiesOf(unit).pas,
      tables: {},
      dirty,
      accessOf: ACCESS_OF,
      rangesReachTables: false,
    });
    this.width = width;
  }

  get kindOfStage(): string {
    return this.shape.kind;
  }

  protected override checkFormat(unit: HardwareUnit): void {
    const caps = capabilitiesOf(unit as RiscvHardwareUnit);
    if (!this.width.has(caps)) {
      fail('EINVAL', `${unit.name} has no tables of format ${this.shape.format.name}`);
    }
    if (caps.pas < this.shape.outputBits) {
      fail('EINVAL', `physical addresses of ${unit.name} have ${caps.pas} bits only`);
    }
    if (this.dirty !== undefined && !caps.amoHwad) {
      fail('EINVAL', `${unit.name} does not set dirty bits (AMO_HWAD)`);
    }
  }
}
