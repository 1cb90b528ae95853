/**
 * The part of the last-level cache that holds data of DMAs and of the host: the lines of a page
 * stand together under one tag, with a bit per line for valid and for dirty, so that an access
 * costs one look-up whatever its size. A way of a page's sets holds the whole page: what is used of
 * it in part displaces as much as if it were used whole. The least recently used page goes first.
 */

import { PAGE_SHIFT } from '../address.ts';
import { type CacheGeometry, lineShiftOf } from './line-cache.ts';

/** An entry: page number lo, hi + 1 (0 = empty), valid (2), dirty (2), last use (a float64). */
const ENTRY_WORDS = 8;
const VALID = 2;
const DIRTY = 4;
const USED = 6;

/** Masks of the lines below line n: bits of lines 0 to 31, and of lines 32 to 63. */
const LINES_MAX = 64;
const BELOW_LOW: Int32Array = Int32Array.from({ length: LINES_MAX + 1 }, (_, n) => lowest(n));
const BELOW_HIGH: Int32Array = Int32Array.from({ length: LINES_MAX + 1 }, (_, n) => lowest(n - 32));

export class DataCache {
  /** Lines evicted so far. */
  evictions = 0;
  /** Of the last access: lines found and not found, and lines that had to be written back. */
  hits = 0;
  misses = 0;
  writeBacks = 0;
  /** Of the last write: lines not found of which the rest must be fetched. */
  fetched = 0;
  /** Of the last access: which lines were not found. */
  missLow = 0;
  missHigh = 0;
  private readonly lineBytes: number;
  private readonly lineShift: number;
  private readonly sets: number;
  private readonly setShift: number;
  private readonly setWords: number;
  private readonly words: Int32Array;
  /** The same storage; entry e was last used at `uses[e * 4 + 3]`. */
  private readonly uses: Float64Array;
  private now = 0;
  /** Of the access at hand. */
  private low = 0;
  private high = 0;
  private lines = 0;

  /** `geometry` in lines; pages take the place of as many consecutive sets as they have lines. */
  constructor(geometry: CacheGeometry) {
    const { sets, ways, lineBytes } = geometry;
    this.lineBytes = lineBytes;
    this.lineShift = lineShiftOf(lineBytes);
    this.sets = Math.max(1, sets >> (PAGE_SHIFT - this.lineShift));
    this.setShift = 31 - Math.clz32(this.sets);
    this.setWords = ways * ENTRY_WORDS;
    this.words = new Int32Array(this.sets * this.setWords);
    this.uses = new Float64Array(this.words.buffer);
  }

  /** Number of the set that may hold the page. */
  setOf(hi: number, lo: number): number {
    const folded = (lo + (lo >>> this.setShift) + Math.imul(hi, 0x9e3779b1)) | 0;
    return (folded & 0x7fffffff) % this.sets;
  }

  /** Reads [offset, end) of a page; lines not found are brought in when `allocate`. */
  read(hi: number, lo: number, offset: number, end: number, allocate: boolean): void {
    this.select(offset, end);
    const set = this.setOf(hi, lo) * this.setWords;
    let entry = this.find(set, hi, lo);
    this.writeBacks = 0;
    if (entry < 0) {
      if (!allocate) {
        this.count(this.low, this.high);
        return;
      }
      entry = this.replace(set, hi, lo);
    }
    const words = this.words;
    this.count(this.low & ~words[entry + VALID], this.high & ~words[entry + VALID + 1]);
    this.uses[(entry + USED) >> 1] = ++this.now;
    if (!allocate) return;
    words[entry + VALID] |= this.low;
    words[entry + VALID + 1] |= this.high;
  }

  /** Writes [offset, end) of a page. */
  write(hi: number, lo: number, offset: number, end: number): void {
    this.select(offset, end);
    const set = this.setOf(hi, lo) * this.setWords;
    let entry = this.find(set, hi, lo);
    this.writeBacks = 0;
    if (entry < 0) entry = this.replace(set, hi, lo);
    const { words, low, high } = this;
    this.count(low & ~words[entry + VALID], high & ~words[entry + VALID + 1]);
    this.fetched = this.misses === 0 ? 0 : this.partialMisses(offset, end);
    words[entry + VALID] |= low;
    words[entry + VALID + 1] |= high;
    words[entry + DIRTY] |= low;
    words[entry + DIRTY + 1] |= high;
    this.uses[(entry + USED) >> 1] = ++this.now;
  }

  /** Forgets the lines of [offset, end) without writing them back; `hits` says how many. */
  drop(hi: number, lo: number, offset: number, end: number): void {
    this.select(offset, end);
    const entry = this.find(this.setOf(hi, lo) * this.setWords, hi, lo);
    this.writeBacks = 0;
    if (entry < 0) {
      this.count(this.low, this.high);
      return;
    }
    const { words, low, high } = this;
    this.count(low & ~words[entry + VALID], high & ~words[entry + VALID + 1]);
    words[entry + VALID] &= ~low;
    words[entry + VALID + 1] &= ~high;
    words[entry + DIRTY] &= ~low;
    words[entry + DIRTY + 1] &= ~high;
  }

  private select(offset: number, end: number): void {
    const first = offset >> this.lineShift;
    const stop = (end + this.lineBytes - 1) >> this.lineShift;
    this.low = BELOW_LOW[stop] & ~BELOW_LOW[first];
    this.high = BELOW_HIGH[stop] & ~BELOW_HIGH[first];
    this.lines = stop - first;
  }

  private count(missLow: number, missHigh: number): void {
    this.missLow = missLow;
    this.missHigh = missHigh;
    this.misses = ones32(missLow) + ones32(missHigh);
    this.hits = this.lines - this.misses;
  }

  /** Lines at the ends of a write that it covers in part and that were not there. */
  private partialMisses(offset: number, end: number): number {
    const within = this.lineBytes - 1;
    const first = offset >> this.lineShift;
    const last = (end - 1) >> this.lineShift;
    let partial = (offset & within) === 0 ? 0 : this.missed(first);
    if ((end & within) !== 0 && (partial === 0 || last !== first)) partial += this.missed(last);
    return partial;
  }

  private missed(line: number): number {
    return ((line < 32 ? this.missLow : this.missHigh) >>> (line & 31)) & 1;
  }

  private find(set: number, hi: number, lo: number): number {
    const words = this.words;
    const end = set + this.setWords;
    for (let entry = set; entry < end; entry += ENTRY_WORDS) {
      if (words[entry] === lo && words[entry + 1] === hi + 1) return entry;
    }
    return -1;
  }

  /** Puts a page without lines in place of the least recently used one. */
  private replace(set: number, hi: number, lo: number): number {
    const { words, uses } = this;
    const end = set + this.setWords;
    let entry = set;
    for (let at = set + ENTRY_WORDS; at < end; at += ENTRY_WORDS) {
      if (uses[(at + USED) >> 1] < uses[(entry + USED) >> 1]) entry = at;
    }
    this.evictions += ones32(words[entry + VALID]) + ones32(words[entry + VALID + 1]);
    this.writeBacks = ones32(words[entry + DIRTY]) + ones32(words[entry + DIRTY + 1]);
    words[entry] = lo;
    words[entry + 1] = hi + 1;
    for (let at = entry + VALID; at < entry + USED; at++) words[at] = 0;
    return entry;
  }
}

/** The lowest n bits. */
function lowest(n: number): number {
  if (n >= 32) return -1;
  return n <= 0 ? 0 : (1 << n) - 1;
}

/** Number of bits set. */
function ones32(mask: number): number {
  let n = mask - ((mask >>> 1) & 0x55555555);
  n = (n & 0x33333333) + ((n >>> 2) & 0x33333333);
  return Math.imul((n + (n >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
