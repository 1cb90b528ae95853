/**
 * A guest's first stage on a second-stage parent: the guest writes its tables itself, the unit
 * walks both stages, and what the guest invalidates is invalidated under the parent's GSCID.
 */
import { pnHiOf, pnLoOf } from '../../../../address.ts';
import type { Domain, UserStage } from '../../../drivers/driver.ts';
import type { IommuDevice, IommuDriver, NestedDomain, UserDataArray } from '../../driver.ts';
import {
  checkRiscvStage1,
  invalidateRiscvStage1,
  iosatpOf,
  type RiscvInvalidation,
  type RiscvStage1,
} from '../formats/riscv.ts';
import type { HardwareCore } from './core.ts';
import { type HardwareDomain, hardwareDevice } from './device.ts';
import type { UnitUse } from './flush.ts';
import type { HardwarePaging } from './paging.ts';
import { createUnitDomain } from './paging.ts';
import type { HardwareUnit } from './unit.ts';

const DOMAIN_BYTES = 256;

export class RiscvNested implements NestedDomain, HardwareDomain {
  readonly kind = 'nested';
  readonly driver: IommuDriver;
  readonly parent: HardwarePaging;
  /** Number by which the observer of mappings knows the guest's address space. */
  readonly index: number;
  readonly stage1: RiscvStage1;
  private readonly core: HardwareCore;
  private readonly user: UserStage;
  private readonly uses: UnitUse[] = [];

  constructor(
    driver: IommuDriver,
    core: HardwareCore,
    parent: HardwarePaging,
    stage1: RiscvStage1,
  ) {
    core.memory.take(DOMAIN_BYTES, 'nested domain');
    this.driver = driver;
    this.core = core;
    this.parent = parent;
    this.stage1 = stage1;
    this.index = core.takeIndex();
    this.user = {
      index: this.index,
      root: iosatpOf(stage1),
      tag: stage1.pscid,
      accessedDirty: stage1.accessedDirty,
    };
  }

  attach(device: IommuDevice): void {
    const target = hardwareDevice(device);
    const { unit } = target;
    this.parent.checkUnit(unit);
    checkRiscvStage1(this.stage1, unit.driver.capabilities);
    const { domain } = this.join(unit);
    unit.driver.attach(domain, target.deviceId);
    this.core.sync.fence(unit.driver, domain);
    target.moved(this);
  }

  left(unit: HardwareUnit): void {
    const at = this.uses.findIndex((known) => known.unit === unit);
    const use = this.uses[at];
    if (--use.users > 0) return;
    this.uses.splice(at, 1);
    unit.driver.releaseDomain(use.domain);
    this.parent.left(unit);
  }

  domainOf(unit: HardwareUnit): Domain {
    return (this.uses.find((known) => known.unit === unit) as UnitUse).domain;
  }

  invalidate(array: UserDataArray): void {
    invalidateRiscvStage1(array, (entry) => {
      for (const use of this.uses) this.invalidateIn(use, entry);
    });
  }

  free(): void {
    this.core.giveIndex(this.index);
    this.core.memory.give(DOMAIN_BYTES);
  }

  private join(unit: HardwareUnit): UnitUse {
    let use = this.uses.find((known) => known.unit === unit);
    if (use === undefined) {
      const parent = this.parent.join(unit).domain;
      const { user } = this;
      try {
        const domain = createUnitDomain(unit, { kind: 'nested', parent, user });
        use = { unit, domain, users: 0 };
      } catch (error) {
        this.parent.left(unit);
        throw error;
      }
      this.uses.push(use);
    }
    use.users++;
    return use;
  }

  /** Without LEAF the pointers to tables go too, which an address alone does not reach. */
  private invalidateIn({ unit, domain }: UnitUse, entry: RiscvInvalidation): void {
    const { sync, figures } = this.core;
    const { address, pages, leaf, global } = entry;
    figures.invalidations++;
    // Without a PSCID the command is about all of the guest, global mappings included.
    const wanted = global ? { ...domain, tag1: -1 } : domain;
    if (pages < 0 || !leaf) sync.whole(unit.driver, wanted);
    else sync.range(unit.driver, wanted, pnHiOf(address), pnLoOf(address), pages);
  }
}
