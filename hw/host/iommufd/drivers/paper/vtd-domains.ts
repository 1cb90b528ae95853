/**
 * Domains of VT-d on paper: kernel-managed tables of either stage with the comparison of
 * capabilities that decides which units may use them, and nested domains on a guest's first stage.
 */
import { fail } from '../../../kernel/errno.ts';
import type { Domain, IommuDevice, NestedDomain, UserDataArray } from '../../driver.ts';
import {
  checkVtdStage1,
  invalidateVtdStage1,
  type VtdNestedEntry,
  type VtdStage1,
  vtdNestedEntry,
} from '../formats/vtd.ts';
import type { PaperDevice, PaperDomain } from './device.ts';
import type { PaperDriver } from './driver.ts';
import { PaperPaging } from './paging.ts';
import type { VtdUnit } from './vtd-unit.ts';

interface Needs {
  readonly stage: 1 | 2;
  readonly nestParent: boolean;
  readonly dirty: boolean;
}

const SIZE_4K = 1n << 12n;
const SIZE_2M = 1n << 21n;
const SIZE_1G = 1n << 30n;
const OUTPUT_BITS = 52;
const NESTED_BYTES = 256;

/** Ids of a domain in the units that have devices in it. */
class UnitIds {
  private readonly ids: Map<VtdUnit, { readonly id: number; users: number }> = new Map();

  /** domain_attach_iommu: ENOSPC where the unit has no id left. */
  join(unit: VtdUnit): number {
    const known = this.ids.get(unit);
    if (known !== undefined) {
      known.users++;
      return known.id;
    }
    const id = unit.domainIds.take();
    this.ids.set(unit, { id, users: 1 });
    return id;
  }

  leave(unit: VtdUnit): void {
    const known = this.ids.get(unit);
    if (known === undefined) return;
    known.users--;
    if (known.users > 0) return;
    this.ids.delete(unit);
    unit.domainIds.give(known.id);
  }

  get units(): VtdUnit[] {
    return [...this.ids.keys()];
  }
}

type Device = PaperDevice<VtdUnit>;

export class VtdPaging extends PaperPaging {
  readonly stage: 1 | 2;
  readonly nestParent: boolean;
  /** Nested domains that stand on it. */
  readonly children: Set<VtdNested> = new Set();
  private readonly unit: VtdUnit;
  private readonly sharing: 'instance' | 'capability';
  private readonly tracksDirty: boolean;
  private readonly syncsMaps: boolean;
  private readonly ids: UnitIds = new UnitIds();

  constructor(driver: PaperDriver<VtdUnit>, unit: VtdUnit, needs: Needs) {
    const { features } = unit;
    const first = needs.stage === 1;
    const large = first
      ? SIZE_2M | (features.firstStage1G ? SIZE_1G : 0n)
      : (features.secondStage2M ? SIZE_2M : 0n) | (features.secondStage1G ? SIZE_1G : 0n);
    const width = features.fiveLevels || !first ? features.addressBits : 48;
    const shape = {
      inputBits: first ? width - 1 : width,
      outputBits: OUTPUT_BITS,
      pageSizes: SIZE_4K | large,
      dirty: needs.dirty,
      refuseReadOnly: needs.nestParent,
    };
    super(driver, driver.memory, shape, driver);
    this.stage = needs.stage;
    this.nestParent = needs.nestParent;
    this.unit = unit;
    this.sharing = driver.sharing;
    this.tracksDirty = needs.dirty;
    this.syncsMaps = features.writeBuffers || (needs.stage === 2 && features.cachingMode);
  }

  /** intel_iommu_attach_device: DMA is blocked before anything is tested, and stays so. */
  attach(device: IommuDevice): void {
    const target = device as Device;
    target.install(target.driver.blocked, null);
    this.checkUnit(target.instance);
    const domainId = this.ids.join(target.instance);
    this.joined(target);
    target.install(this, { translation: this.translation, domainId });
  }

  setPasid(device: IommuDevice, pasid: number): void {
    const target = device as Device;
    if (!target.instance.pasids) fail('EOPNOTSUPP', 'the unit has no PASIDs');
    this.checkUnit(target.instance);
    const domainId = this.ids.join(target.instance);
    this.joined(target);
    target.installPasid(pasid, this, { translation: this.translation, domainId });
  }

  enforceCoherency(): boolean {
    const units = [this.unit, ...this.ids.units];
    if (units.some(({ features }) => !features.snoopControl)) return false;
    this.coherencyForced = true;
    return true;
  }

  override left(device: PaperDevice): void {
    super.left(device);
    this.ids.leave((device as Device).instance);
  }

  /** paging_domain_compatible: EINVAL is the sign to try another domain. */
  checkUnit(unit: VtdUnit): void {
    if (this.sharing === 'instance' && unit !== this.unit) {
      fail('EINVAL', `the domain is one of ${this.unit.name}, not of ${unit.name}`);
    }
    if (this.stage === 1) this.checkFirstStage(unit);
    else this.checkSecondStage(unit);
    if (this.syncsMapsOn(unit) && !this.syncsMaps) {
      fail('EINVAL', `${unit.name} must be told of each new mapping, which the domain does not do`);
    }
    if (this.unit.features.coherentWalks && !unit.features.coherentWalks) {
      fail('EINVAL', `${unit.name} does not snoop when it walks tables`);
    }
    if (this.coherencyForced && !unit.features.snoopControl) {
      fail('EINVAL', `the domain forces snooping, which ${unit.name} cannot (ECAP.SC)`);
    }
  }

  protected override trackingSet(): void {
    for (const child of this.children) child.refresh();
  }

  private get translation(): 'first' | 'second' {
    return this.stage === 1 ? 'first' : 'second';
  }

  private syncsMapsOn(unit: VtdUnit): boolean {
    const { writeBuffers, cachingMode } = unit.features;
    return writeBuffers || (this.stage === 2 && cachingMode);
  }

  private checkFirstStage(unit: VtdUnit): void {
    if (!unit.hasFirstStage) fail('EINVAL', `${unit.name} has no first stage`);
    if (!unit.features.firstStage1G && (this.pageSizes & SIZE_1G) !== 0n) {
      fail('EINVAL', `the first stage of ${unit.name} has no 1 GiB pages`);
    }
    const levels = unit.features.fiveLevels;
    if (!levels && this.apertureEnd >= 1n << 47n) {
      fail('EINVAL', `the first stage of ${unit.name} has four levels only`);
    }
  }

  private checkSecondStage(unit: VtdUnit): void {
    if (this.tracksDirty && !unit.tracksDirty) {
      fail('EINVAL', `${unit.name} has no dirty flags in the second stage`);
    }
    if (this.nestParent && !unit.nests) fail('EINVAL', `${unit.name} does not nest`);
    if (!unit.hasSecondStage) fail('EINVAL', `${unit.name} has no second stage`);
    if (!unit.features.secondStage2M && (this.pageSizes & SIZE_2M) !== 0n) {
      fail('EINVAL', `the second stage of ${unit.name} has no 2 MiB pages`);
    }
    if (!unit.features.secondStage1G && (this.pageSizes & SIZE_1G) !== 0n) {
      fail('EINVAL', `the second stage of ${unit.name} has no 1 GiB pages`);
    }
    if (this.apertureEnd >> BigInt(unit.features.addressBits) !== 0n) {
      fail('EINVAL', `${unit.name} translates ${unit.features.addressBits} address bits only`);
    }
  }
}

type NestedEntry = VtdNestedEntry & {
  readonly translation: 'nested';
  readonly domainId: number;
};

/** A guest's first-stage table on a second-stage parent. */
export class VtdNested implements NestedDomain, PaperDomain {
  readonly kind = 'nested';
  readonly driver: PaperDriver<VtdUnit>;
  readonly parent: VtdPaging;
  readonly stage1: VtdStage1;
  private readonly ids: UnitIds = new UnitIds();
  private readonly users: Set<Device> = new Set();

  constructor(driver: PaperDriver<VtdUnit>, parent: VtdPaging, stage1: VtdStage1) {
    driver.memory.take(NESTED_BYTES, 'nested domain');
    this.driver = driver;
    this.parent = parent;
    this.stage1 = stage1;
    parent.children.add(this);
  }

  /** intel_nested_attach_dev: a failure leaves the device blocked. */
  attach(device: IommuDevice): void {
    const target = device as Device;
    target.install(this.driver.blocked, null);
    this.parent.checkUnit(target.instance);
    const domainId = this.ids.join(target.instance);
    try {
      checkVtdStage1(this.stage1, target.instance.features);
    } catch (error) {
      this.ids.leave(target.instance);
      throw error;
    }
    this.users.add(target);
    target.install(this, this.entry(domainId));
  }

  setPasid(device: IommuDevice, pasid: number, _old: Domain | null): void {
    const target = device as Device;
    if (!target.instance.pasids) fail('EOPNOTSUPP', 'the unit has no PASIDs');
    this.parent.checkUnit(target.instance);
    const domainId = this.ids.join(target.instance);
    try {
      checkVtdStage1(this.stage1, target.instance.features);
    } catch (error) {
      this.ids.leave(target.instance);
      throw error;
    }
    this.users.add(target);
    target.installPasid(pasid, this, this.entry(domainId));
  }

  invalidate(array: UserDataArray): void {
    invalidateVtdStage1(array, (first, last, leaf) => {
      for (const unit of this.ids.units) {
        this.driver.record({ kind: 'range', unit, domain: this, first, last, leaf });
      }
    });
  }

  left(device: PaperDevice): void {
    this.ids.leave((device as Device).instance);
    const { domain, pasids } = device;
    const used = domain === this || [...pasids.values()].some((entry) => entry.domain === this);
    if (!used) this.users.delete(device as Device);
  }

  /** The parent's dirty tracking is switched: entries of attached devices follow. */
  refresh(): void {
    for (const device of this.users) {
      if (device.domain === this) device.entry = this.refreshed(device.entry as NestedEntry);
      for (const slot of device.pasids.values()) {
        if (slot.domain === this) slot.entry = this.refreshed(slot.entry as NestedEntry);
      }
    }
  }

  free(): void {
    this.parent.children.delete(this);
    this.driver.memory.give(NESTED_BYTES);
  }

  private entry(domainId: number): NestedEntry {
    const { coherencyForced, tracking } = this.parent;
    const entry = vtdNestedEntry(this.stage1, { snoops: coherencyForced, tracksDirty: tracking });
    return { ...entry, translation: 'nested', domainId };
  }

  private refreshed(entry: NestedEntry): NestedEntry {
    return { ...entry, stage2Dirty: this.parent.tracking };
  }
}
