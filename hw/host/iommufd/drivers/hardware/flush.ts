/**
 * From entries that were cleared to the invalidation in every unit that may have cached them, and
 * to what may only happen once that is complete: frames of tables are used again, the observer of
 * mappings is told.
 */
import { pnHi, pnLo } from '../../../../address.ts';
import type { Domain } from '../../../drivers/driver.ts';
import type { PageTables } from '../../../tables.ts';
import type { Settled } from '../../hardware-sync.ts';
import type { HardwareCore } from './core.ts';
import { PageRanges } from './page-ranges.ts';
import type { HardwareUnit } from './unit.ts';

/** More ranges than this are one invalidation of all the domain. */
const RANGES_MAX = 16;

/** A unit that has devices in a domain. */
export interface UnitUse {
  readonly unit: HardwareUnit;
  /** The domain as the unit's driver knows it. */
  readonly domain: Domain;
  users: number;
}

export class Flush {
  private readonly core: HardwareCore;
  private readonly index: number;
  private readonly tables: PageTables;
  private readonly uses: readonly UnitUse[];
  /** Ranges reach pointers to tables too, where a unit's driver says so itself. */
  private readonly rangesReachTables: boolean;
  /** Cleared entries, and entries that were only marked clean. */
  private gathered: Batch;
  private readonly cleaned: PageRanges = new PageRanges();
  /** Batches handed out that are not settled. */
  private unsettled = 0;

  constructor(
    core: HardwareCore,
    index: number,
    tables: PageTables,
    uses: readonly UnitUse[],
    rangesReachTables: boolean,
  ) {
    this.core = core;
    this.index = index;
    this.tables = tables;
    this.uses = uses;
    this.rangesReachTables = rangesReachTables;
    this.gathered = new Batch(this);
  }

  cleared(first: number, pages: number): void {
    this.gathered.ranges.add(first, pages);
  }

  marked(first: number, pages: number): void {
    this.cleaned.add(first, pages);
  }

  /** Asks for what is due; it may be complete only later. */
  run(): void {
    const { ranges } = this.gathered;
    if (ranges.count === 0) return;
    this.ask(ranges, this.tables.removed.length > 0 && !this.rangesReachTables);
    this.unsettled++;
    if (this.core.sync.settle(this.gathered)) ranges.clear();
    else this.gathered = new Batch(this);
  }

  /** As `run`, for entries whose translation stays. */
  runMarked(): void {
    if (this.cleaned.count === 0) return;
    this.ask(this.cleaned, false);
    this.cleaned.clear();
  }

  /** The invalidation of some ranges is complete. */
  settled(ranges: PageRanges): void {
    const { core, index, tables } = this;
    if (--this.unsettled === 0 && tables.removed.length > 0) tables.freeRemoved();
    const { observer } = core;
    if (observer === null) return;
    for (let i = 0; i < ranges.count; i++) {
      const first = ranges.first[i];
      observer.acknowledged(index, pnHi(first), pnLo(first), ranges.pages[i], core.now());
    }
  }

  private ask(ranges: PageRanges, tablesToo: boolean): void {
    const { core, uses } = this;
    const { sync, figures } = core;
    const whole = tablesToo || ranges.count > RANGES_MAX;
    for (let u = 0; u < uses.length; u++) {
      const { unit, domain } = uses[u];
      const { driver } = unit;
      if (whole) sync.whole(driver, domain);
      for (let i = 0; i < ranges.count && !whole; i++) {
        const first = ranges.first[i];
        sync.range(driver, domain, pnHi(first), pnLo(first), ranges.pages[i]);
      }
      const asked = whole ? 1 : ranges.count;
      figures.invalidations += asked;
      if (u > 0) figures.broadcasts += asked;
    }
  }
}

/** Ranges whose invalidation was asked for together. */
class Batch implements Settled {
  readonly ranges: PageRanges = new PageRanges();
  private readonly flush: Flush;

  constructor(flush: Flush) {
    this.flush = flush;
  }

  settle(): void {
    this.flush.settled(this.ranges);
  }
}
