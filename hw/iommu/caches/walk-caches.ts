/**
 * Caches of a page walker: pointers to lower tables, per stage and level, and a nested TLB. A
 * stage 1 pointer holds the system address of the table, so that a hit also saves the second-stage
 * walk of that table's guest address. A pointer from a level-n entry lets a walk begin at level
 * n - 1. Nothing is filled by a walk that has run through an invalidation (walk.keepCaches = 0).
 */
import type { Operation } from '../architecture.ts';
import { WC_TAG1, WC_TAG2 } from '../walk/context.ts';
import { LEAF_ORDER_MASK, LEAF_ORDER_SHIFT, LEAF_SET_A, LEAF_SET_D } from '../walk/format.ts';
import type { FormatRecord } from '../walk/format-record.ts';
import { leafPermits, upperPermits } from '../walk/permission.ts';
import {
  CACHE_NESTED,
  CACHE_STAGE1,
  CACHE_STAGE2,
  IMPLICIT_NONE,
  type Walk,
} from '../walk/walk.ts';
import { Iotlb, type IotlbArray } from './iotlb.ts';
import { PointerCache } from './pointer-cache.ts';
import { ABSENT, type Geometry } from './set-associative.ts';

export interface WalkCachesOptions {
  /** Element n: cache of pointers found in stage 1 entries of level n; missing or 0 = absent. */
  readonly stage1: readonly (Geometry | undefined)[];
  /** Likewise of stage 2. */
  readonly stage2: readonly (Geometry | undefined)[];
  /** Nested TLB: guest page to system page; empty = absent. */
  readonly nested: readonly IotlbArray[];
  /** The nested TLB also serves the final guest address, not only those of stage 1 tables. */
  readonly nestedFinal: boolean;
}

/** Lookups of caches that exist, by level of the entries that they hold. */
export interface LevelStatistics {
  readonly hits: number[];
  readonly misses: number[];
}

/** Entries of level 0 are leaves; the deepest formats have their root at level 4. */
const LEVELS = 5;

function levelStatistics(): LevelStatistics {
  return { hits: new Array<number>(LEVELS).fill(0), misses: new Array<number>(LEVELS).fill(0) };
}

function pointerCaches(geometries: readonly (Geometry | undefined)[]): readonly PointerCache[] {
  return Array.from({ length: LEVELS }, (_, level) => {
    return new PointerCache(level === 0 ? ABSENT : (geometries[level] ?? ABSENT));
  });
}

export class WalkCaches {
  readonly statistics: {
    readonly stage1: LevelStatistics;
    readonly stage2: LevelStatistics;
    nestedHits: number;
    nestedMisses: number;
    dropped: number;
  } = {
    stage1: levelStatistics(),
    stage2: levelStatistics(),
    nestedHits: 0,
    nestedMisses: 0,
    dropped: 0,
  };
  readonly nested: Iotlb;
  private readonly nestedFinal: boolean;
  private readonly stage1: readonly PointerCache[];
  private readonly stage2: readonly PointerCache[];

  constructor(options: WalkCachesOptions) {
    this.stage1 = pointerCaches(options.stage1);
    this.stage2 = pointerCaches(options.stage2);
    this.nested = new Iotlb(options.nested);
    this.nestedFinal = options.nestedFinal;
  }

  /**
   * Looks for the lowest known stage 1 table on the way to the input page. On a hit sets level1,
   * upper1, out* (system page), gpn* (guest page) and leaf2 (how the second stage maps it).
   */
  lookupStage1(walk: Walk, record: FormatRecord): boolean {
    const tag1 = walk.context[WC_TAG1];
    const tag2 = walk.context[WC_TAG2];
    for (let level = 1; level < record.levels; level++) {
      const cache = this.stage1[level];
      if (cache.tags.entries === 0) continue;
      const slot = cache.find(tag1, tag2, walk.inHi, walk.inLo, level * record.indexBits);
      // What the upper entries forbid must be found in them again, for the fault to be right.
      if (slot < 0 || !upperPermits(cache.upper(slot), walk.access)) {
        this.statistics.stage1.misses[level]++;
        continue;
      }
      this.statistics.stage1.hits[level]++;
      cache.tags.touch(slot);
      walk.level1 = level - 1;
      walk.upper1 = cache.upper(slot);
      walk.outHi = cache.nextHi(slot);
      walk.outLo = cache.nextLo(slot);
      walk.gpnHi = cache.guestHi(slot);
      walk.gpnLo = cache.guestLo(slot);
      walk.leaf2 = cache.leaf2(slot);
      walk.cacheKind = CACHE_STAGE1;
      walk.cacheLevel = level;
      return true;
    }
    return false;
  }

  /** The table of `level1` is at guest page gpn*, system page out*; `leaf2` maps it. */
  fillStage1(walk: Walk, record: FormatRecord): void {
    const level = walk.level1 + 1;
    if (walk.keepCaches === 0 || level >= record.levels) return;
    const cache = this.stage1[level];
    if (cache.tags.entries === 0) return;
    const context = walk.context;
    const shift = level * record.indexBits;
    const slot = cache.take(context[WC_TAG1], context[WC_TAG2], walk.inHi, walk.inLo, shift);
    cache.set(
      slot,
      walk.outHi,
      walk.outLo,
      walk.upper1,
      walk.gpnHi,
      walk.gpnLo,
      walk.leaf2 & ~(LEAF_SET_A | LEAF_SET_D),
    );
  }

  /** Likewise for stage 2 and guest page gpn*: sets refLevel, upper2 and out*. */
  lookupStage2(walk: Walk, record: FormatRecord): boolean {
    const tag2 = walk.context[WC_TAG2];
    for (let level = 1; level < record.levels; level++) {
      const cache = this.stage2[level];
      if (cache.tags.entries === 0) continue;
      const slot = cache.find(0, tag2, walk.gpnHi, walk.gpnLo, level * record.indexBits);
      if (slot < 0 || !upperPermits(cache.upper(slot), walk.access2)) {
        this.statistics.stage2.misses[level]++;
        continue;
      }
      this.statistics.stage2.hits[level]++;
      cache.tags.touch(slot);
      walk.refLevel = level - 1;
      walk.upper2 = cache.upper(slot);
      walk.outHi = cache.nextHi(slot);
      walk.outLo = cache.nextLo(slot);
      walk.cacheKind = CACHE_STAGE2;
      walk.cacheLevel = level;
      return true;
    }
    return false;
  }

  /** The stage 2 entry of `refLevel` on the way to gpn* points to the table at page (hi, lo). */
  fillStage2(walk: Walk, record: FormatRecord, hi: number, lo: number): void {
    const level = walk.refLevel;
    const cache = this.stage2[level];
    if (walk.keepCaches === 0 || cache.tags.entries === 0) return;
    const shift = level * record.indexBits;
    const slot = cache.take(0, walk.context[WC_TAG2], walk.gpnHi, walk.gpnLo, shift);
    cache.set(slot, hi, lo, walk.upper2, 0, 0, 0);
  }

  /** Looks for guest page gpn* in the nested TLB; on a hit sets out* and leaf2. */
  lookupNested(walk: Walk): boolean {
    const nested = this.nested;
    if (nested.entries === 0 || (walk.implicit === IMPLICIT_NONE && !this.nestedFinal)) {
      return false;
    }
    const slot = nested.lookup(-1, walk.context[WC_TAG2], walk.gpnHi, walk.gpnLo);
    if (slot < 0 || !leafPermits(nested.leaf2(slot), walk.access2)) {
      this.statistics.nestedMisses++;
      return false;
    }
    this.statistics.nestedHits++;
    nested.translate(slot, walk.gpnHi, walk.gpnLo);
    walk.outHi = nested.outHi;
    walk.outLo = nested.outLo;
    walk.leaf2 = nested.leaf2(slot);
    walk.cacheKind = CACHE_NESTED;
    walk.cacheLevel = 0;
    return true;
  }

  /** Stage 2 maps guest page gpn* to out* by `leaf2`. */
  fillNested(walk: Walk): void {
    const nested = this.nested;
    if (walk.keepCaches === 0 || nested.entries === 0) return;
    if (walk.implicit === IMPLICIT_NONE && !this.nestedFinal) return;
    const order = (walk.leaf2 >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
    nested.insert(
      -1,
      walk.context[WC_TAG2],
      walk.gpnHi,
      walk.gpnLo,
      order,
      walk.outHi,
      walk.outLo,
      0,
      walk.leaf2,
      walk.gpnHi,
      walk.gpnLo,
    );
  }

  /** Drops what an operation covers; returns how many entries that were. */
  invalidate(op: Operation): number {
    let dropped = op.stage === 1 ? 0 : this.nested.invalidate(op);
    for (let level = 1; level < LEVELS; level++) {
      dropped += this.stage1[level].invalidateStage1(op);
      dropped += this.stage2[level].invalidateStage2(op);
    }
    this.statistics.dropped += dropped;
    return dropped;
  }

  /** Figures count from now on. */
  resetStatistics(): void {
    const { statistics } = this;
    for (const { hits, misses } of [statistics.stage1, statistics.stage2]) {
      hits.fill(0);
      misses.fill(0);
    }
    statistics.nestedHits = 0;
    statistics.nestedMisses = 0;
    statistics.dropped = 0;
  }

  /** Drops everything. */
  clear(): void {
    this.nested.clear();
    for (const cache of this.stage1) cache.tags.clear();
    for (const cache of this.stage2) cache.tags.clear();
  }
}
