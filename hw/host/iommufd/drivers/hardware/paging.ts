/**
 * Kernel-managed domain on real tables: map and unmap write entries in simulated memory, sync
 * invalidates in every unit that has devices in the domain, and the answer for an address is what
 * the tables say. A driver adds the format and which units fit.
 */
import { SimError } from '../../../../../sim/errors.ts';
import { pageNumber, pnHi, pnLo } from '../../../../address.ts';
import type { PageTableFormat } from '../../../../iommu/walk/format.ts';
import type { Domain, DomainKind, DomainOptions } from '../../../drivers/driver.ts';
import { fail } from '../../../kernel/errno.ts';
import { TableLeaves } from '../../../table-leaves.ts';
import type { PageTables, TableOptions } from '../../../tables.ts';
import type { DirtyTracking, IommuDevice, IommuDriver, PagingDomain } from '../../driver.ts';
import type { HardwareCore } from './core.ts';
import { type HardwareDomain, hardwareDevice } from './device.ts';
import { Flush, type UnitUse } from './flush.ts';
import type { HardwareUnit } from './unit.ts';

export interface PagingShape {
  readonly kind: DomainKind;
  readonly format: PageTableFormat;
  /** Width of input and output addresses in bits. */
  readonly inputBits: number;
  readonly outputBits: number;
  readonly tables: TableOptions;
  /** Hardware marks leaves that are written. */
  readonly dirty: boolean;
  /** Access bits of an entry for IOMMU_READ and IOMMU_WRITE, by their sum. */
  readonly accessOf: readonly number[];
  /** An invalidation by address also drops cached pointers to tables that were removed. */
  readonly rangesReachTables: boolean;
}

const PAGE = 4096;
const PAGE_BITS = 12;
const DOMAIN_BYTES = 512;
/** IOMMU_READ and IOMMU_WRITE. */
const PROT_MASK = 3;

export abstract class HardwarePaging implements PagingDomain, HardwareDomain {
  readonly kind = 'paging';
  readonly driver: IommuDriver;
  readonly pageSizes: bigint;
  readonly apertureStart = 0n;
  readonly apertureEnd: bigint;
  declare readonly dirty?: DirtyTracking;
  /** Number by which the observer of mappings knows it. */
  readonly index: number;
  readonly tables: PageTables;
  /** Units with devices in it, or in a nested domain on it. */
  readonly uses: readonly UnitUse[];
  /** Unit of the device that it was made for. */
  readonly home: HardwareUnit;
  protected readonly core: HardwareCore;
  protected readonly shape: PagingShape;
  private readonly flush: Flush;
  private readonly leaves: TableLeaves;
  private readonly pageLimit: number;
  private readonly frameLimit: number;
  /** Pages of the smallest range whose unmapping can empty a table. */
  private readonly tableSpan: number;

  constructor(driver: IommuDriver, core: HardwareCore, home: HardwareUnit, shape: PagingShape) {
    const { format, inputBits, outputBits } = shape;
    this.driver = driver;
    this.core = core;
    this.home = home;
    this.shape = shape;
    this.uses = [];
    core.memory.take(DOMAIN_BYTES, 'paging domain');
    try {
      this.tables = home.driver.createTables(format, core.frames, {
        ...shape.tables,
        clean: shape.dirty,
      });
    } catch (error) {
      core.memory.give(DOMAIN_BYTES);
      throw error;
    }
    this.index = core.takeIndex();
    core.figures.domains++;
    this.leaves = new TableLeaves(this.tables, core.ports.memory);
    this.flush = new Flush(core, this.index, this.tables, this.uses, shape.rangesReachTables);
    this.apertureEnd = (1n << BigInt(inputBits)) - 1n;
    this.pageLimit = 2 ** (inputBits - PAGE_BITS);
    this.frameLimit = 2 ** (outputBits - PAGE_BITS);
    this.tableSpan = 2 ** format.indexBits;
    this.pageSizes = pageSizes(format, this.tables.maxLeafLevel);
    if (shape.dirty) this.dirty = this.makeDirty();
  }

  /** EINVAL: the unit cannot use the domain. */
  protected abstract checkFormat(unit: HardwareUnit): void;

  checkUnit(unit: HardwareUnit): void {
    if (unit === this.home) return;
    if (!this.core.shareAcrossInstances) {
      fail('EINVAL', `the domain is one of ${this.home.name}, not of ${unit.name}`);
    }
    this.checkFormat(unit);
  }

  attach(device: IommuDevice): void {
    const target = hardwareDevice(device);
    const { unit } = target;
    this.checkUnit(unit);
    const { domain } = this.join(unit);
    unit.driver.attach(domain, target.deviceId);
    this.core.sync.fence(unit.driver, domain);
    target.moved(this);
  }

  /** One user more of a unit; the first gives the domain a hardware id there. */
  join(unit: HardwareUnit): UnitUse {
    const { core } = this;
    let use = this.uses.find((known) => known.unit === unit);
    if (use === undefined) {
      const { index, tables } = this;
      const { kind } = this.shape;
      const domain = createUnitDomain(unit, { kind, shared: { index, tables } });
      use = { unit, domain, users: 0 };
      (this.uses as UnitUse[]).push(use);
    }
    use.users++;
    if (this.uses.length > 1) core.figures.sharedAttachments++;
    return use;
  }

  left(unit: HardwareUnit): void {
    const at = this.uses.findIndex((known) => known.unit === unit);
    const use = this.uses[at];
    if (--use.users > 0) return;
    (this.uses as UnitUse[]).splice(at, 1);
    unit.driver.releaseDomain(use.domain);
  }

  domainOf(unit: HardwareUnit): Domain {
    return (this.uses.find((known) => known.unit === unit) as UnitUse).domain;
  }

  map(iova: bigint, physical: bigint, bytes: bigint, prot: number): void {
    const page = Number(iova) / PAGE;
    const frame = Number(physical) / PAGE;
    const pages = Number(bytes) / PAGE;
    if (page + pages > this.pageLimit) this.outside('input', this.shape.inputBits);
    if (frame + pages > this.frameLimit) this.outside('output', this.shape.outputBits);
    const { tables, core } = this;
    const access = this.shape.accessOf[prot & PROT_MASK];
    core.figures.mapCalls++;
    const before = tables.entriesWritten;
    const hi = pnHi(page);
    const lo = pnLo(page);
    try {
      tables.map(hi, lo, pnHi(frame), pnLo(frame), pages, access);
    } catch (error) {
      // Nobody has seen the entries, but a unit may have cached them.
      if (tables.mappedPages > 0) {
        this.flush.cleared(page, tables.unmap(hi, lo, tables.mappedPages));
        this.flush.run();
      }
      throw error;
    }
    const { figures, observer } = core;
    figures.entriesWritten += tables.entriesWritten - before;
    if (observer === null) return;
    observer.mapped(this.index, hi, lo, pages, pnHi(frame), pnLo(frame), access, core.now());
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    const page = Number(iova) / PAGE;
    const pages = Number(bytes) / PAGE;
    const { tables, core } = this;
    core.figures.unmapCalls++;
    const before = tables.entriesWritten;
    const hi = pnHi(page);
    const lo = pnLo(page);
    const unmapped = tables.unmap(hi, lo, pages, pages >= this.tableSpan);
    core.figures.entriesWritten += tables.entriesWritten - before;
    if (unmapped === 0) return 0n;
    this.flush.cleared(page, pages);
    core.observer?.unmapped(this.index, hi, lo, pages, core.now());
    return unmapped === pages ? bytes : BigInt(unmapped * PAGE);
  }

  sync(): void {
    this.flush.run();
  }

  iovaToPhys(iova: bigint): bigint | null {
    if (iova > this.apertureEnd) return null;
    const page = Number(iova >> 12n);
    const { tables } = this;
    if (!tables.lookup(pnHi(page), pnLo(page))) return null;
    const frame = pageNumber(tables.foundHi, tables.foundLo);
    return (BigInt(frame) << 12n) | (iova & 0xfffn);
  }

  free(): void {
    const { core } = this;
    this.flush.run();
    this.leaves.free(core.frames);
    core.giveIndex(this.index);
    core.memory.give(DOMAIN_BYTES);
  }

  private outside(side: string, bits: number): never {
    fail('ERANGE', `the ${side} address has more than ${bits} bits`);
  }

  /** Without tracking nothing is told: hardware marks leaves all the time. */
  private makeDirty(): DirtyTracking {
    let tracking = false;
    const { leaves, flush } = this;
    return {
      setTracking: (enable) => {
        tracking = enable;
      },
      readAndClear: (iova, bytes, clear, found) => {
        const first = Number(iova >> 12n);
        const end = Number((iova + bytes + 4095n) >> 12n);
        leaves.dirty(first, end, clear, (page, pages) => {
          if (clear) flush.marked(page, pages);
          if (tracking) found(BigInt(page) << 12n, BigInt(pages) << 12n);
        });
      },
      flush: () => flush.runMarked(),
    };
  }
}

/** A domain as one unit knows it; ENOSPC: the unit has no hardware id left. */
export function createUnitDomain(unit: HardwareUnit, options: DomainOptions): Domain {
  try {
    return unit.driver.createDomain(options);
  } catch (error) {
    if (!(error instanceof SimError) || error.code !== 'out-of-tags') throw error;
    return fail('ENOSPC', `${unit.name} has no hardware id left for a domain`);
  }
}

/** Bit n: leaves of 2^n bytes, up to those of a level. */
function pageSizes(format: PageTableFormat, maxLeafLevel: number): bigint {
  let sizes = 0n;
  for (let level = 0; level <= maxLeafLevel; level++) {
    sizes |= 1n << BigInt(PAGE_BITS + format.indexBits * level);
  }
  return sizes;
}
