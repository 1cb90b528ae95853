/**
 * Domains of SMMUv3 on paper: kernel-managed tables of stage 1 or 2, which belong to one unit, and
 * nested domains made from a guest's stream table entry.
 */
import { fail } from '../../../kernel/errno.ts';
import type { Domain, IommuDevice, NestedDomain, ViommuHost } from '../../driver.ts';
import {
  abortSte,
  type GuestSte,
  installedSte,
  type Stage2,
  type Ste,
  stage2Ste,
  translates,
} from '../formats/smmuv3-ste.ts';
import type { PaperDevice, PaperDomain } from './device.ts';
import type { PaperDriver } from './driver.ts';
import { PaperPaging } from './paging.ts';
import type { SmmuUnit } from './smmuv3-unit.ts';

/** A stage-1 table's context descriptor, by its fields; or a whole stream table entry. */
export type SmmuEntry = { readonly asid: number } | { readonly ste: Ste };

export type SmmuDevice = PaperDevice<SmmuUnit, SmmuEntry>;

export interface SmmuShape {
  readonly stage: 1 | 2;
  readonly nestParent: boolean;
  readonly dirty: boolean;
}

const ADDRESS_BITS = 48;
const LARGE_BITS = 52;
const PAGE_SIZES = (1n << 12n) | (1n << 21n) | (1n << 30n);
const NESTED_BYTES = 128;

export class SmmuPaging extends PaperPaging {
  readonly unit: SmmuUnit;
  readonly stage: 1 | 2;
  readonly nestParent: boolean;
  /** ASID of a stage 1, VMID of a stage 2. */
  readonly tag: number;
  private readonly sharing: 'instance' | 'capability';

  constructor(driver: PaperDriver<SmmuUnit>, unit: SmmuUnit, shape: SmmuShape) {
    const bits = unit.features.largeAddresses ? LARGE_BITS : ADDRESS_BITS;
    const paging = {
      inputBits: bits,
      outputBits: bits,
      pageSizes: PAGE_SIZES,
      dirty: shape.dirty,
      refuseReadOnly: false,
    };
    super(driver, driver.memory, paging, driver);
    this.unit = unit;
    this.stage = shape.stage;
    this.nestParent = shape.nestParent;
    this.sharing = driver.sharing;
    try {
      this.tag = shape.stage === 1 ? unit.asids.take('EBUSY') : unit.vmids.take();
    } catch (error) {
      super.free();
      throw error;
    }
  }

  /** arm_smmu_attach_dev. */
  attach(device: IommuDevice, _old: Domain | null): void {
    const target = device as SmmuDevice;
    this.checkUnit(target.instance);
    if (this.stage === 2 && target.pasids.size > 0) {
      fail(
        'EBUSY',
        'PASIDs of the device are attached, and a stage-2 domain has no place for them',
      );
    }
    this.checkCoherency(target);
    this.joined(target);
    target.install(this, this.entry(target));
  }

  /** PASIDs need the context descriptors that only stage 1 leads to. */
  setPasid(device: IommuDevice, pasid: number, _old: Domain | null): void {
    const target = device as SmmuDevice;
    this.checkUnit(target.instance);
    if (this.stage !== 1) fail('EINVAL', 'a stage-2 domain cannot be attached to a PASID');
    const { domain } = target;
    const descriptors =
      domain.kind === 'blocked' || (domain instanceof SmmuPaging && domain.stage === 1);
    if (!descriptors) {
      fail('EINVAL', 'the device itself is in a domain without context descriptors of the host');
    }
    this.checkCoherency(target);
    this.joined(target);
    target.installPasid(pasid, this, { asid: this.tag });
  }

  enforceCoherency(): boolean {
    this.coherencyForced = [...this.users.keys()].every((device) => device.alwaysCoherent);
    return this.coherencyForced;
  }

  override free(): void {
    if (this.stage === 1) this.unit.asids.give(this.tag);
    else this.unit.vmids.give(this.tag);
    super.free();
  }

  /** What a stream table entry tells of a stage-2 table. */
  get stage2(): Stage2 {
    const { stage2Writeback } = this.unit.features;
    return { vmid: this.tag, table: 0n, forceWriteback: this.nestParent && stage2Writeback };
  }

  /** Domains are of one unit, in Linux as it is; else the unit must have what the table needs. */
  checkUnit(unit: SmmuUnit): void {
    if (unit === this.unit) return;
    if (this.sharing === 'instance') {
      fail('EINVAL', `the domain is one of ${this.unit.name}, not of ${unit.name}`);
    }
    const { features } = unit;
    if (this.stage === 1 ? !features.stage1 : !features.stage2) {
      fail('EINVAL', `${unit.name} has no stage ${this.stage}`);
    }
    if (this.nestParent && !unit.nests) fail('EINVAL', `${unit.name} does not nest`);
    if (this.dirty !== undefined && !unit.tracksDirty) {
      fail('EINVAL', `${unit.name} sets no dirty flags`);
    }
    if (this.unit.features.coherentWalks && !features.coherentWalks) {
      fail('EINVAL', `the walks of ${unit.name} are not coherent`);
    }
    if (this.unit.features.largeAddresses && !features.largeAddresses) {
      fail('EINVAL', `${unit.name} has 48 address bits only`);
    }
  }

  private checkCoherency(device: SmmuDevice): void {
    if (this.coherencyForced && !device.alwaysCoherent) {
      fail('EINVAL', `accesses of ${device.name} cannot be made coherent, as the domain demands`);
    }
  }

  private entry(device: SmmuDevice): SmmuEntry {
    if (this.stage === 1) return { asid: this.tag };
    return { ste: stage2Ste(this.stage2, device.ats && device.instance.features.ats) };
  }
}

export class SmmuNested implements NestedDomain, PaperDomain {
  readonly kind = 'nested';
  readonly driver: PaperDriver<SmmuUnit>;
  readonly parent: SmmuPaging;
  readonly guest: GuestSte;
  readonly host: ViommuHost;
  private readonly unit: SmmuUnit;

  constructor(
    driver: PaperDriver<SmmuUnit>,
    unit: SmmuUnit,
    parent: SmmuPaging,
    host: ViommuHost,
    guest: GuestSte,
  ) {
    driver.memory.take(NESTED_BYTES, 'nested domain');
    this.driver = driver;
    this.unit = unit;
    this.parent = parent;
    this.host = host;
    this.guest = guest;
  }

  /** arm_smmu_attach_dev_nested. */
  attach(device: IommuDevice): void {
    const target = device as SmmuDevice;
    if (target.instance !== this.unit) {
      fail('EINVAL', `the vIOMMU is a part of ${this.unit.name}, not of ${target.instance.name}`);
    }
    if (target.pasids.size > 0) fail('EBUSY', 'PASIDs of the device are in use by the host');
    if (translates(this.guest) && this.host.virtualIdOf(device) === null) {
      fail('ENOENT', 'the device has no vDEVICE: its events and invalidations need a stream id');
    }
    target.install(this, { ste: this.entry(target) });
  }

  left(): void {}

  free(): void {
    this.driver.memory.give(NESTED_BYTES);
  }

  /** ATS follows the guest: who does not think it is on does not invalidate device TLBs. */
  private entry(device: SmmuDevice): Ste {
    const possible = device.ats && this.unit.features.ats;
    const ats = possible && (!translates(this.guest) || this.guest.ats);
    return installedSte(this.guest, this.parent.stage2, ats);
  }
}

/** The entry of a device that is blocked. */
export const BLOCKED_STE: Ste = abortSte();
