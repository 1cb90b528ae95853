/**
 * A small world for tests of the walker and its caches: memory, tables of two stages, one walk.
 * Guest page g lies at system page GUEST_BASE + g.
 */
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import type { GuardSpec } from '../../memory/guard.ts';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { ACCESS_READ } from '../access.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import {
  WC_S1_FLAGS,
  WC_S1_FORMAT,
  WC_S1_ROOT_HI,
  WC_S1_ROOT_LO,
  WC_S2_FLAGS,
  WC_S2_FORMAT,
  WC_S2_ROOT_HI,
  WC_S2_ROOT_LO,
  WC_TAG1,
  WC_TAG2,
} from './context.ts';
import { type PageTableFormat, STAGE_BIG_ENDIAN } from './format.ts';
import { type WalkObserver, walkFunctional } from './functional.ts';
import { formatNumber } from './registry.ts';
import { TableBuilder } from './table-builder.ts';
import { Walk } from './walk.ts';
import { Walker } from './walker.ts';

/** System page of guest page 0, unless the second stage is bare. */
export const GUEST_BASE = 0x10000;
/** Guest pages that hold the tables of stage 1. */
const GUEST_TABLES = 0x100;
const GUEST_TABLE_PAGES = 0x80;
const HOST_TABLES = 0x4000;
const MEMORY_BYTES = 16 << 20;

export interface SceneOptions {
  readonly first: PageTableFormat | null;
  readonly second: PageTableFormat | null;
  readonly flags1?: number;
  readonly flags2?: number;
  readonly bigEndian?: boolean;
  readonly faults?: GuardSpec['faults'];
  readonly caches?: WalkCaches | null;
}

export class Scene {
  readonly memory: PhysicalMemory;
  readonly first: TableBuilder | null = null;
  readonly second: TableBuilder | null = null;
  readonly result: Walk = new Walk();
  readonly walker: Walker;

  constructor(options: SceneOptions) {
    const { first, second, bigEndian = false, faults = [] } = options;
    this.memory = PhysicalMemory.create({ bytes: MEMORY_BYTES, faults });
    const memory = this.memory;
    const order = bigEndian ? STAGE_BIG_ENDIAN : 0;
    const { context } = this.result;
    if (second !== null) {
      let next = HOST_TABLES;
      const allocate = (pages: number): number => {
        const page = Math.ceil(next / pages) * pages;
        next = page + pages;
        return page;
      };
      this.second = new TableBuilder({ memory, format: second, bigEndian, allocate });
      context[WC_S2_FORMAT] = formatNumber(second);
      context[WC_S2_FLAGS] = (options.flags2 ?? 0) | order;
      context[WC_S2_ROOT_HI] = pnHi(this.second.root);
      context[WC_S2_ROOT_LO] = pnLo(this.second.root);
      context[WC_TAG2] = 7;
    }
    if (first !== null) {
      let next = GUEST_TABLES;
      const base = second === null ? 0 : GUEST_BASE;
      const allocate = (): number => next++;
      const locate = (page: number): number => base + page;
      this.first = new TableBuilder({ memory, format: first, bigEndian, allocate, locate });
      context[WC_S1_FORMAT] = formatNumber(first);
      context[WC_S1_FLAGS] = (options.flags1 ?? 0) | order;
      context[WC_S1_ROOT_HI] = pnHi(this.first.root);
      context[WC_S1_ROOT_LO] = pnLo(this.first.root);
      context[WC_TAG1] = 3;
      for (let g = 0; g < GUEST_TABLE_PAGES; g++) {
        this.second?.map(GUEST_TABLES + g, GUEST_BASE + GUEST_TABLES + g);
      }
    }
    this.walker = new Walker({ caches: options.caches ?? null, redirect: null });
  }

  get context(): Int32Array {
    return this.result.context;
  }

  /** Translated page of the last walk. */
  get out(): number {
    return pageNumber(this.result.outHi, this.result.outLo);
  }

  prepare(page: number, access: number): void {
    this.result.inHi = pnHi(page);
    this.result.inLo = pnLo(page);
    this.result.access = access;
  }

  /** Walks input page `page`; returns STEP_DONE or STEP_FAULT. */
  walk(page: number, access: number = ACCESS_READ, observer: WalkObserver | null = null): number {
    this.prepare(page, access);
    return walkFunctional(this.walker, this.result, this.memory, observer);
  }

  /** Clears bits in the low word of the last-level entry for `page`. */
  clear(stage: 'first' | 'second', page: number, bits: number): void {
    const builder = this[stage] as TableBuilder;
    const entry = builder.entryAddress(page, 0);
    const [lo, hi] = builder.load(entry);
    builder.store(entry, lo & ~bits, hi);
  }

  /** Low word of the last-level entry for `page`. */
  bits(stage: 'first' | 'second', page: number): number {
    const builder = this[stage] as TableBuilder;
    return builder.load(builder.entryAddress(page, 0))[0];
  }
}
