/**
 * VT-d driver for /dev/iommu on units in legacy mode (drivers/iommu/intel): second-stage domains
 * without flags, which units share where their capabilities allow it. Nesting, dirty tracking and
 * PASIDs need scalable mode.
 */
import { SS3, SS4, SS5 } from '../../../../iommu/vtd/formats.ts';
import type { PageTableFormat } from '../../../../iommu/walk/format.ts';
import type { VtdDriver } from '../../../drivers/vtd.ts';
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type Domain,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type IommuDriver,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
} from '../../driver.ts';
import { VTD_IOAPIC_RANGE } from '../../uapi/driver-constants.ts';
import { vtdHwInfo } from '../formats/vtd.ts';
import { HardwareBlocked } from './blocked.ts';
import { HardwareCore, type HardwarePorts } from './core.ts';
import { HardwareDevice, type HardwareDeviceOptions, hardwareDevice } from './device.ts';
import { HardwarePaging } from './paging.ts';
import { HardwareUnit } from './unit.ts';

export type VtdHardwareUnit = HardwareUnit<VtdDriver>;
export type VtdHardwareDevice = HardwareDevice<VtdHardwareUnit>;

/** 0xfee00000 to 0xfeefffff: writes there are interrupts. */
const INTERRUPTS: ReservedRegion = {
  start: VTD_IOAPIC_RANGE[0],
  length: VTD_IOAPIC_RANGE[1] - VTD_IOAPIC_RANGE[0] + 1n,
  kind: 'msi',
};
const ECAP_COHERENT = 1n << 0n;
const ECAP_DEVICE_TLB = 1n << 2n;
const ECAP_SNOOP_CONTROL = 1n << 7n;
/** Legacy mode takes frames of 52 bits. */
const OUTPUT_BITS = 52;
/** Formats by their number of levels, widest first: bit of CAP.SAGAW, and least CAP.MGAW. */
const WIDTHS = [
  { format: SS5, sagaw: 1 << 3, bits: 48 },
  { format: SS4, sagaw: 1 << 2, bits: 39 },
  { format: SS3, sagaw: 1 << 1, bits: 30 },
] as const;
const SNOOP = 1 << 11;
/** Entries permit what the mapping permits. */
const ACCESS_OF = [0, 1, 2, 3];

export class VtdIommufdDriver implements IommuDriver {
  readonly name = 'vtd';
  readonly userPasidTable = false;
  readonly core: HardwareCore;
  readonly blocked: Domain;
  readonly units: VtdHardwareUnit[] = [];

  constructor(ports: HardwarePorts) {
    this.core = new HardwareCore(ports);
    this.blocked = new HardwareBlocked(this, this.core);
  }

  /** The unit's own driver has been initialised. */
  addUnit(driver: VtdDriver, name: string = `dmar${this.units.length}`): VtdHardwareUnit {
    const unit = new HardwareUnit(name, driver);
    this.units.push(unit);
    return unit;
  }

  /** A device by its requester id; it is blocked until it is attached. */
  addDevice(
    unit: VtdHardwareUnit,
    name: string,
    requesterId: number,
    options: HardwareDeviceOptions = {},
  ): VtdHardwareDevice {
    const reserved = [INTERRUPTS, ...(options.reserved ?? [])];
    const given = { ...options, reserved };
    const device = new HardwareDevice(this.core, this, unit, name, requesterId, given);
    device.group.addDevice(device);
    return device;
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    switch (capability) {
      case 'cache-coherency':
        return true;
      case 'enforce-cache-coherency':
        return (extendedOf(device) & ECAP_SNOOP_CONTROL) !== 0n;
      case 'dirty-tracking':
        return false;
      case 'pci-ats':
        return (extendedOf(device) & ECAP_DEVICE_TLB) !== 0n && hardwareDevice(device).pageRequests;
    }
  }

  hwInfo(device: IommuDevice, type: number): HardwareInfo {
    const { capabilities, extended } = unitOf(device).driver;
    return vtdHwInfo(type, capabilities, extended);
  }

  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    if (data !== null) fail('EOPNOTSUPP', 'a kernel-managed domain takes no data');
    if ((flags & ALLOC_NEST_PARENT) !== 0) {
      fail('EOPNOTSUPP', 'NEST_PARENT needs scalable mode, and the unit is in legacy mode');
    }
    if ((flags & ALLOC_DIRTY_TRACKING) !== 0) {
      fail('EOPNOTSUPP', 'DIRTY_TRACKING needs scalable mode, and the unit is in legacy mode');
    }
    if ((flags & ~ALLOC_PASID) !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} are not known`);
    }
    return new VtdHardwarePaging(this, this.core, unitOf(device));
  }
}

function unitOf(device: IommuDevice): VtdHardwareUnit {
  return hardwareDevice(device).unit as VtdHardwareUnit;
}

function extendedOf(device: IommuDevice): bigint {
  return unitOf(device).driver.extended;
}

/** CAP.MGAW: bits of an input address. */
function guestBits(capability: bigint): number {
  return Number((capability >> 16n) & 0x3fn) + 1;
}

/** Widest format of a unit, and how many bits it makes use of (compute_vasz_lg2_ss). */
function widest(capability: bigint): { format: PageTableFormat; inputBits: number } {
  const sagaw = Number((capability >> 8n) & 0x1fn);
  const bits = guestBits(capability);
  for (const width of WIDTHS) {
    if ((sagaw & width.sagaw) === 0 || bits < width.bits) continue;
    return { format: width.format, inputBits: Math.min(bits, width.format.inputBits) };
  }
  return fail('EINVAL', 'the unit has no table width that Linux knows');
}

class VtdHardwarePaging extends HardwarePaging {
  private snooping = false;

  constructor(driver: IommuDriver, core: HardwareCore, unit: VtdHardwareUnit) {
    super(driver, core, unit, {
      kind: 'stage2',
      ...widest(unit.driver.capabilities),
      outputBits: OUTPUT_BITS,
      tables: {},
      dirty: false,
      accessOf: ACCESS_OF,
      rangesReachTables: true,
    });
  }

  /** paging_domain_compatible_second_stage. */
  protected override checkFormat(unit: HardwareUnit): void {
    const { capabilities, extended } = (unit as VtdHardwareUnit).driver;
    const home = (this.home as VtdHardwareUnit).driver;
    const sizes = Number((capabilities >> 34n) & 3n);
    const needed =
      Number((this.pageSizes >> 21n) & 1n) | (Number((this.pageSizes >> 30n) & 1n) * 2);
    if ((needed & ~sizes) !== 0) {
      fail('EINVAL', `${unit.name} lacks a page size of the domain (CAP.SLLPS)`);
    }
    const { format, inputBits } = this.shape;
    const width = WIDTHS.find((known) => known.format === format);
    const sagaw = Number((capabilities >> 8n) & 0x1fn);
    if (width === undefined || (sagaw & width.sagaw) === 0 || guestBits(capabilities) < inputBits) {
      fail('EINVAL', `${unit.name} does not translate ${inputBits} address bits`);
    }
    if (((extended ^ home.extended) & ECAP_COHERENT) !== 0n) {
      fail('EINVAL', `${unit.name} and ${this.home.name} differ in coherence of table walks`);
    }
    if (this.snooping && (extended & ECAP_SNOOP_CONTROL) === 0n) {
      fail('EINVAL', `${unit.name} cannot force snooping (ECAP.SC)`);
    }
  }

  /** Before anything is mapped: every leaf to come has the snoop bit. */
  enforceCoherency(): boolean {
    if (((this.home as VtdHardwareUnit).driver.extended & ECAP_SNOOP_CONTROL) === 0n) return false;
    this.snooping = true;
    this.tables.leafBits |= SNOOP;
    return true;
  }
}
