/**
 * The AMD driver on paper (drivers/iommu/amd): v1 tables for hosts, v2 tables for PASIDs. Its
 * vIOMMUs do nothing in the base kernel; the code for a guest's device table entries is there, and
 * can be let in by an option.
 */
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type NestedDomain,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
  type ViommuDriver,
  type ViommuHost,
} from '../../driver.ts';
import { AMD_HT_RANGE, AMD_MSI_RANGE } from '../../uapi/driver-constants.ts';
import {
  amdHwInfo,
  GuestDomains,
  type GuestDte,
  guestDomainId,
  hostDte,
  installedDte,
  readGuestDte,
} from '../formats/amd.ts';
import { PaperDevice, type PaperDeviceOptions, type PaperDomain } from './device.ts';
import { PaperDriver, type PaperOptions, TagIds, unitOf } from './driver.ts';
import { PaperPaging } from './paging.ts';

export interface AmdFeatures {
  /** Guest translation: v2 tables (EFR.GTSup). */
  readonly guestTranslation: boolean;
  /** EFR.GIOSup and EFR2.GCR3TRPMode, which nesting needs besides. */
  readonly guestIo: boolean;
  readonly guestRootByPhysical: boolean;
  /** Hardware sets dirty flags (EFR.HDSup). */
  readonly dirtyFlags: boolean;
  readonly pasid: boolean;
  readonly fiveLevels: boolean;
  /** Format of domains without flags; the other where it cannot be had. */
  readonly preferred: 'v1' | 'v2';
  /** The HyperTransport range is reserved; newer parts ignore it (EFR2.HTRangeIgnore). */
  readonly hyperTransport: boolean;
}

/** A server part (EPYC 9004 and later). */
export const AMD_FEATURES: AmdFeatures = {
  guestTranslation: true,
  guestIo: true,
  guestRootByPhysical: true,
  dirtyFlags: true,
  pasid: true,
  fiveLevels: true,
  preferred: 'v1',
  hyperTransport: false,
};

export interface AmdUnit {
  readonly name: string;
  readonly features: AmdFeatures;
  readonly efr: bigint;
  readonly efr2: bigint;
}

export interface AmdPaperOptions extends PaperOptions {
  /** Nested domains through vIOMMUs, as the kernel's code has them, though nothing calls it yet. */
  readonly nestedReachable?: boolean;
  /** Domain ids of the machine: below this. */
  readonly domainIds?: number;
}

type AmdDevice = PaperDevice<AmdUnit, GuestDte>;

const MSI: ReservedRegion = region(AMD_MSI_RANGE, 'msi');
const HYPER_TRANSPORT: ReservedRegion = region(AMD_HT_RANGE, 'reserved');
const DOMAIN_IDS = 65536;
const PAGE_SIZES = (1n << 12n) | (1n << 21n) | (1n << 30n);

function region(range: readonly [bigint, bigint], kind: 'msi' | 'reserved'): ReservedRegion {
  return { start: range[0], length: range[1] - range[0] + 1n, kind };
}

export class AmdPaperDriver extends PaperDriver<AmdUnit> {
  /** Ids of domains, host's and guests', in one space for all units. */
  readonly domainIds: TagIds;
  private readonly nestedReachable: boolean;

  constructor(options: AmdPaperOptions) {
    super('amd', options, { sharing: 'capability', pasids: true, userPasidTable: false });
    this.domainIds = new TagIds(options.domainIds ?? DOMAIN_IDS, 'domain id');
    this.nestedReachable = options.nestedReachable ?? false;
  }

  addUnit(given: Partial<AmdFeatures> = {}): AmdUnit {
    const features = { ...AMD_FEATURES, ...given };
    const unit = { name: `amd${this.units.length}`, features, ...registersOf(features) };
    this.units.push(unit);
    return unit;
  }

  addDevice(name: string, unit: AmdUnit, options: PaperDeviceOptions = {}): AmdDevice {
    const reserved = unit.features.hyperTransport ? [MSI, HYPER_TRANSPORT] : [MSI];
    const maxPasids = unit.features.pasid ? (options.maxPasids ?? 0) : 0;
    return new PaperDevice(name, this, unit, reserved, { ...options, maxPasids });
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    switch (capability) {
      case 'cache-coherency':
      case 'enforce-cache-coherency':
        return true;
      case 'dirty-tracking':
        return unitOf<AmdUnit>(device).features.dirtyFlags;
      case 'pci-ats':
        return (device as AmdDevice).ats;
    }
  }

  hwInfo(device: IommuDevice, type: number): HardwareInfo {
    const { efr, efr2 } = unitOf<AmdUnit>(device);
    return amdHwInfo(type, efr, efr2);
  }

  /** amd_iommu_domain_alloc_paging_flags. */
  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    const unit = unitOf<AmdUnit>(device);
    const known = ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING | ALLOC_PASID;
    if ((flags & ~known) !== 0) fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} are not known`);
    if (data !== null) fail('EOPNOTSUPP', 'a kernel-managed domain takes no data');
    const dirty = (flags & ALLOC_DIRTY_TRACKING) !== 0;
    return new AmdPaging(this, unit, { format: formatFor(unit.features, flags), dirty });
  }

  /** Every type is taken, since there is no constant for one yet. */
  supportsViommu(_device: IommuDevice, type: number): boolean {
    return type !== 0;
  }

  initViommu(
    device: IommuDevice,
    _type: number,
    parent: PagingDomain,
    _host: ViommuHost,
    _data: UserData | null,
  ): ViommuDriver {
    if (!this.nestedReachable) return {};
    if (!(parent instanceof AmdPaging)) fail('EINVAL', 'the parent is no domain of an AMD IOMMU');
    return new AmdViommu(this, unitOf<AmdUnit>(device), parent);
  }
}

function formatFor(features: AmdFeatures, flags: number): 'v1' | 'v2' {
  const { guestTranslation, guestIo, guestRootByPhysical, dirtyFlags, pasid } = features;
  switch (flags) {
    case 0:
      return features.preferred === 'v2' && guestTranslation ? 'v2' : 'v1';
    case ALLOC_PASID:
      if (!pasid || !guestTranslation) fail('EOPNOTSUPP', 'the unit has no PASIDs');
      return 'v2';
    case ALLOC_NEST_PARENT:
    case ALLOC_DIRTY_TRACKING:
    case ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING:
      if ((flags & ALLOC_NEST_PARENT) !== 0) {
        if (!guestTranslation || !guestIo || !guestRootByPhysical) {
          fail('EOPNOTSUPP', 'NEST_PARENT needs GTSup, GIOSup and GCR3TRPMode');
        }
      }
      if ((flags & ALLOC_DIRTY_TRACKING) !== 0 && !dirtyFlags) {
        fail('EOPNOTSUPP', 'DIRTY_TRACKING needs HDSup');
      }
      return 'v1';
    default:
      return fail('EOPNOTSUPP', `no format can do flags 0x${flags.toString(16)} together`);
  }
}

/** EFR and EFR2 (AMD I/O Virtualization Technology specification, "MMIO Offset 0030h, 01A0h"). */
function registersOf(features: AmdFeatures): { readonly efr: bigint; readonly efr2: bigint } {
  const bit = (set: boolean, at: number): bigint => (set ? 1n << BigInt(at) : 0n);
  const efr =
    bit(true, 1) |
    bit(features.guestTranslation, 4) |
    bit(true, 6) |
    bit(features.fiveLevels, 12) |
    bit(features.guestIo, 48) |
    bit(features.dirtyFlags, 52);
  const efr2 = bit(features.guestRootByPhysical, 3) | bit(!features.hyperTransport, 11);
  return { efr, efr2 };
}

interface AmdShape {
  readonly format: 'v1' | 'v2';
  readonly dirty: boolean;
}

class AmdPaging extends PaperPaging {
  readonly domainId: number;
  private readonly ids: TagIds;
  private readonly unit: AmdUnit;
  private readonly format: 'v1' | 'v2';
  private readonly sharing: 'instance' | 'capability';

  constructor(driver: AmdPaperDriver, unit: AmdUnit, { format, dirty }: AmdShape) {
    const shape = {
      inputBits: format === 'v1' ? 64 : unit.features.fiveLevels ? 56 : 47,
      outputBits: 52,
      pageSizes: PAGE_SIZES,
      dirty,
      refuseReadOnly: false,
    };
    super(driver, driver.memory, shape, driver);
    this.ids = driver.domainIds;
    this.unit = unit;
    this.format = format;
    this.sharing = driver.sharing;
    try {
      this.domainId = this.ids.take('ENOMEM');
    } catch (error) {
      super.free();
      throw error;
    }
  }

  /** amd_iommu_attach_device compares nothing but dirty tracking. */
  attach(device: IommuDevice): void {
    const target = device as AmdDevice;
    const { name, features } = target.instance;
    if (this.sharing === 'instance' && target.instance !== this.unit) {
      fail('EINVAL', `the domain is one of ${this.unit.name}, not of ${name}`);
    }
    if (this.dirty !== undefined && !features.dirtyFlags) {
      fail('EINVAL', `${name} sets no dirty flags`);
    }
    this.joined(target);
    target.install(this, hostDte(this.table, this.domainId));
  }

  enforceCoherency(): boolean {
    this.coherencyForced = true;
    return true;
  }

  override free(): void {
    this.ids.give(this.domainId);
    super.free();
  }

  get table(): { readonly root: bigint; readonly mode: number; readonly tracksDirty: boolean } {
    return { root: 0n, mode: this.format === 'v1' ? 6 : 0, tracksDirty: this.tracking };
  }
}

/** The vIOMMU of the code that the base kernel does not reach. */
class AmdViommu implements ViommuDriver {
  private readonly driver: AmdPaperDriver;
  private readonly unit: AmdUnit;
  private readonly parent: AmdPaging;
  private readonly guests: GuestDomains;

  constructor(driver: AmdPaperDriver, unit: AmdUnit, parent: AmdPaging) {
    this.driver = driver;
    this.unit = unit;
    this.parent = parent;
    this.guests = new GuestDomains(driver.domainIds);
  }

  allocNested(_device: IommuDevice, _flags: number, data: UserData): NestedDomain {
    const guest = readGuestDte(data, this.unit.features.fiveLevels);
    return new AmdNested(this.driver, this.parent, this.guests, guest);
  }
}

class AmdNested implements NestedDomain, PaperDomain {
  readonly kind = 'nested';
  readonly driver: AmdPaperDriver;
  readonly parent: AmdPaging;
  readonly guest: GuestDte;
  readonly domainId: number;
  private readonly guests: GuestDomains;

  constructor(driver: AmdPaperDriver, parent: AmdPaging, guests: GuestDomains, guest: GuestDte) {
    driver.memory.point('ENOMEM', 'nested domain');
    this.driver = driver;
    this.parent = parent;
    this.guests = guests;
    this.guest = guest;
    this.domainId = guests.take(guestDomainId(guest));
  }

  /** nested_attach_device. */
  attach(device: IommuDevice): void {
    const target = device as AmdDevice;
    if (target.pasids.size > 0) fail('EINVAL', 'PASIDs of the device are in use by the host');
    target.install(this, installedDte(this.guest, this.parent.table, this.domainId));
  }

  left(): void {}

  free(): void {
    this.guests.give(guestDomainId(this.guest));
  }
}
