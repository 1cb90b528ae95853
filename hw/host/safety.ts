/**
 * Safety checker: knows for every page of every domain what software has mapped, cleared and been
 * assured of, and judges each translation that hardware uses. Used after the invalidation was
 * acknowledged, or to a frame that was never meant: a violation. Used between unmap and
 * acknowledgement: an exposure, which deferred flushing accepts. Pages are rows of an
 * open-addressing hash table over typed arrays.
 */
import { invariant } from '../../sim/errors.ts';
import { addressOf, PN_HI_MASK, PN_LO_MASK, pageNumber } from '../address.ts';
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import type { MappingObserver } from './observer.ts';

const STATE_EMPTY = 0;
const STATE_MAPPED = 1;
/** Cleared, not yet acknowledged. */
const STATE_PENDING = 2;
const STATE_ACKNOWLEDGED = 3;
const STATE_MASK = 3;
/** Mapped anew although the previous frame (old*) is not yet acknowledged. */
const FLAG_OLD_PENDING = 4;
const ACCESS_SHIFT = 3;
const ACCESS_BITS = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;

export const VIOLATIONS = [
  'never-mapped',
  'after-acknowledge',
  'wrong-frame',
  'no-permission',
] as const;
export type ViolationKind = (typeof VIOLATIONS)[number];

export interface Violation {
  readonly cycle: number;
  readonly kind: ViolationKind;
  readonly domain: number;
  /** Page address that the device used, and where hardware sent it. */
  readonly input: bigint;
  readonly output: bigint;
}

/** Besides the violations. */
const PERMITTED = -1;
const EXPOSED = -2;
/** As many as a report shows. */
const VIOLATIONS_KEPT = 16;
/**
 * A row of the table: lo | domain[4:0] << 27, hi | domain[11:5] << 25, state, frame and old frame.
 * Side by side, as a look-up meets a row that no cache has.
 */
const KEY_LO = 0;
const KEY_HI = 1;
const STATE = 2;
const FRAME_HI = 3;
const FRAME_LO = 4;
const OLD_HI = 5;
const OLD_LO = 6;
const ROW_SHIFT = 3;
const ROW_WORDS = 1 << ROW_SHIFT;
const DOMAIN_LOW_BITS = 5;
const DOMAINS_MAX = 4096;
const NO_WINDOW = -1;

export type FindingHandler = (
  cycle: number,
  domain: number,
  hi: number,
  lo: number,
  isViolation: boolean,
) => void;

export class SafetyChecker implements MappingObserver {
  uses = 0;
  violations = 0;
  /** Uses of cleared, unacknowledged pages. */
  exposedUses = 0;
  /** Pages cleared, and the sum over them of cycles until the acknowledgement. */
  exposedPages = 0;
  exposedPageCycles = 0;
  /** Longest single exposure in cycles. */
  exposureMax = 0;
  readonly firstViolations: Violation[] = [];
  /** Told of each use that is exposed or a violation. */
  onFinding: FindingHandler | null = null;
  private capacity = 1024;
  private rows = 0;
  private table = new Int32Array(this.capacity << ROW_SHIFT);
  private since = new Float64Array(this.capacity);
  /** Per domain a window of pages that is mapped at a constant distance for good. */
  private readonly windowFirst = new Float64Array(DOMAINS_MAX).fill(NO_WINDOW);
  private readonly windowEnd = new Float64Array(DOMAINS_MAX);
  private readonly windowDelta = new Float64Array(DOMAINS_MAX);

  /**
   * Declares pages [first, first + pages) of a domain mapped to the frames from `frame` on, with
   * every permission and for good: pass-through devices, a guest's memory.
   */
  linear(domain: number, first: number, pages: number, frame: number): void {
    invariant(domain < DOMAINS_MAX, `the safety checker knows ${DOMAINS_MAX} domains`);
    this.windowFirst[domain] = first;
    this.windowEnd[domain] = first + pages;
    this.windowDelta[domain] = frame - first;
  }

  mapped(
    domain: number,
    hi: number,
    lo: number,
    pages: number,
    frameHi: number,
    frameLo: number,
    access: number,
  ): void {
    invariant(domain < DOMAINS_MAX, `the safety checker knows ${DOMAINS_MAX} domains`);
    for (let i = 0; i < pages; i++) {
      const pageLo = lo + i;
      const row = this.insert(domain, hi + (pageLo > PN_LO_MASK ? 1 : 0), pageLo & PN_LO_MASK);
      const { table } = this;
      let flags = 0;
      if ((table[row + STATE] & STATE_MASK) === STATE_PENDING) {
        table[row + OLD_HI] = table[row + FRAME_HI];
        table[row + OLD_LO] = table[row + FRAME_LO];
        flags = FLAG_OLD_PENDING;
      }
      const outLo = frameLo + i;
      table[row + FRAME_HI] = frameHi + (outLo > PN_LO_MASK ? 1 : 0);
      table[row + FRAME_LO] = outLo & PN_LO_MASK;
      table[row + STATE] = STATE_MAPPED | flags | ((access & ACCESS_BITS) << ACCESS_SHIFT);
    }
  }

  unmapped(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    const { table } = this;
    for (let i = 0; i < pages; i++) {
      const pageLo = lo + i;
      const row = this.find(domain, hi + (pageLo > PN_LO_MASK ? 1 : 0), pageLo & PN_LO_MASK);
      if (row < 0 || (table[row + STATE] & STATE_MASK) !== STATE_MAPPED) continue;
      // An earlier exposure of the same page that is still open goes on under the new one.
      if ((table[row + STATE] & FLAG_OLD_PENDING) === 0) this.since[row >> ROW_SHIFT] = cycle;
      table[row + STATE] = STATE_PENDING;
      this.exposedPages++;
    }
  }

  acknowledged(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    const { table } = this;
    for (let i = 0; i < pages; i++) {
      const pageLo = lo + i;
      const row = this.find(domain, hi + (pageLo > PN_LO_MASK ? 1 : 0), pageLo & PN_LO_MASK);
      if (row < 0) continue;
      const state = table[row + STATE];
      if ((state & STATE_MASK) === STATE_PENDING) table[row + STATE] = STATE_ACKNOWLEDGED;
      else if ((state & FLAG_OLD_PENDING) !== 0) table[row + STATE] = state & ~FLAG_OLD_PENDING;
      else continue;
      this.close(row, cycle);
    }
  }

  /** Judges one translated DMA. */
  use(
    domain: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    access: number,
    cycle: number,
  ): void {
    this.uses++;
    const verdict = this.judge(domain, hi, lo, outHi, outLo, access);
    if (verdict === EXPOSED) this.expose(domain, hi, lo, cycle);
    else if (verdict >= 0) this.violate(verdict, domain, hi, lo, outHi, outLo, cycle);
  }

  /** Whether a use would be none of the violations. */
  permits(
    domain: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    access: number,
  ): boolean {
    return this.judge(domain, hi, lo, outHi, outLo, access) < 0;
  }

  /** At the end of a run: exposures that are still open are counted up to now. */
  finish(cycle: number): void {
    const { table } = this;
    for (let row = 0; row < table.length; row += ROW_WORDS) {
      const state = table[row + STATE];
      const open = (state & STATE_MASK) === STATE_PENDING || (state & FLAG_OLD_PENDING) !== 0;
      if (open) this.close(row, cycle);
    }
  }

  /** PERMITTED, EXPOSED, or the index of a violation. */
  private judge(
    domain: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    access: number,
  ): number {
    const first = this.windowFirst[domain];
    if (first !== NO_WINDOW) {
      const page = pageNumber(hi, lo);
      if (page >= first && page < this.windowEnd[domain]) {
        return pageNumber(outHi, outLo) - page === this.windowDelta[domain] ? PERMITTED : 2;
      }
    }
    const row = this.find(domain, hi, lo);
    if (row < 0) return 0;
    const { table } = this;
    const state = table[row + STATE];
    const right = table[row + FRAME_LO] === outLo && table[row + FRAME_HI] === outHi;
    if ((state & STATE_MASK) === STATE_MAPPED && right) {
      return (access & ACCESS_BITS & ~(state >> ACCESS_SHIFT)) === 0 ? PERMITTED : 3;
    }
    if ((state & STATE_MASK) === STATE_PENDING && right) return EXPOSED;
    const old = table[row + OLD_LO] === outLo && table[row + OLD_HI] === outHi;
    if ((state & FLAG_OLD_PENDING) !== 0 && old) return EXPOSED;
    return (state & STATE_MASK) === STATE_ACKNOWLEDGED ? 1 : 2;
  }

  private close(row: number, cycle: number): void {
    const duration = cycle - this.since[row >> ROW_SHIFT];
    this.exposedPageCycles += duration;
    if (duration > this.exposureMax) this.exposureMax = duration;
  }

  private expose(domain: number, hi: number, lo: number, cycle: number): void {
    this.exposedUses++;
    this.onFinding?.(cycle, domain, hi, lo, false);
  }

  private violate(
    kind: number,
    domain: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    cycle: number,
  ): void {
    this.violations++;
    this.onFinding?.(cycle, domain, hi, lo, true);
    if (this.firstViolations.length >= VIOLATIONS_KEPT) return;
    this.firstViolations.push({
      cycle,
      kind: VIOLATIONS[kind],
      domain,
      input: addressOf(hi, lo, 0),
      output: addressOf(outHi, outLo, 0),
    });
  }

  /** Where the row of a page is, or the complement of where it would stand. */
  private find(domain: number, hi: number, lo: number): number {
    const keyLo = lo | (domain << 27);
    const keyHi = hi | ((domain >>> DOMAIN_LOW_BITS) << 25);
    const { table } = this;
    const mask = table.length - 1;
    let hash = Math.imul(keyLo ^ Math.imul(keyHi, 0x85ebca6b), 0x9e3779b1);
    hash ^= hash >>> 15;
    for (let row = (hash << ROW_SHIFT) & mask; ; row = (row + ROW_WORDS) & mask) {
      if (table[row + STATE] === STATE_EMPTY) return ~row;
      if (table[row + KEY_LO] === keyLo && table[row + KEY_HI] === keyHi) return row;
    }
  }

  private insert(domain: number, hi: number, lo: number): number {
    const found = this.find(domain, hi, lo);
    if (found >= 0) return found;
    if (this.rows * 2 >= this.capacity) {
      this.grow();
      return this.insert(domain, hi, lo);
    }
    const row = ~found;
    const { table } = this;
    table[row + KEY_LO] = lo | (domain << 27);
    table[row + KEY_HI] = hi | ((domain >>> DOMAIN_LOW_BITS) << 25);
    this.rows++;
    return row;
  }

  private grow(): void {
    const { table, since } = this;
    this.capacity *= 2;
    this.table = new Int32Array(this.capacity << ROW_SHIFT);
    this.since = new Float64Array(this.capacity);
    for (let row = 0; row < table.length; row += ROW_WORDS) {
      if (table[row + STATE] === STATE_EMPTY) continue;
      const keyLo = table[row + KEY_LO];
      const keyHi = table[row + KEY_HI];
      const domain = (keyLo >>> 27) | ((keyHi >>> 25) << DOMAIN_LOW_BITS);
      const to = ~this.find(domain, keyHi & PN_HI_MASK, keyLo & PN_LO_MASK);
      for (let i = 0; i < ROW_WORDS; i++) this.table[to + i] = table[row + i];
      this.since[to >> ROW_SHIFT] = since[row >> ROW_SHIFT];
    }
  }
}
