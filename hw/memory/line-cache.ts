/**
 * Tags of a set-associative cache of memory lines with true LRU. What a line holds is in simulated
 * memory; here is only whether it would have been found. Sets are indexed by the line address with
 * its upper bits added, so that a contiguous range fills all sets evenly, one after another.
 */

import { InputError } from '../../sim/errors.ts';
import { PAGE_SHIFT } from '../address.ts';

export interface CacheGeometry {
  readonly sets: number;
  readonly ways: number;
  /** 64 or more, a power of two. */
  readonly lineBytes: number;
}

/** Highest use number, and by how much all are lowered when it is reached. */
const USES_MAX = 0x7fffffff;
const AGE_STEP = 2 ** 30;
/** In a high tag: the line differs from memory. */
const DIRTY = 0x40000000;

export class LineCache {
  evictions = 0;
  /** Whether the line that the last `fill` replaced was dirty. */
  victimDirty = false;
  private readonly sets: number;
  private readonly ways: number;
  private readonly lineShift: number;
  private readonly setShift: number;
  /** Mask of the set number, 0 when the number of sets is no power of two. */
  private readonly setMask: number;
  /**
   * A set is `ways` words of low tags, `ways` words of use (the higher, the later), and `ways`
   * words of high tags. Low tags stand together because they decide nearly every comparison.
   */
  private readonly words: Int32Array;
  private uses = 0;

  constructor(geometry: CacheGeometry) {
    const { sets, ways, lineBytes } = geometry;
    const lineShift = Math.log2(lineBytes);
    if (!Number.isInteger(lineShift) || lineShift < 6 || lineShift > PAGE_SHIFT) {
      throw new InputError('cache', `cache line of ${lineBytes} bytes: expected 64, 128, ... 4096`);
    }
    if (!Number.isSafeInteger(sets) || sets < 1 || !Number.isSafeInteger(ways) || ways < 1) {
      throw new InputError(
        'cache',
        `cache of ${sets} sets and ${ways} ways: expected at least one`,
      );
    }
    this.sets = sets;
    this.ways = ways;
    this.lineShift = lineShift;
    this.setShift = 31 - Math.clz32(sets);
    this.setMask = sets === 1 << this.setShift ? sets - 1 : 0;
    this.words = new Int32Array(sets * ways * 3);
  }

  /** Index of the set that may hold the line at the address. */
  setOf(hi: number, lo: number, offset: number): number {
    const line = (lo << 6) | (offset >> this.lineShift);
    const folded = (line + (line >>> this.setShift) + Math.imul(hi, 0x9e3779b1)) | 0;
    const mask = this.setMask;
    return (mask !== 0 ? folded & mask : (folded >>> 1) % this.sets) * this.ways * 3;
  }

  /** Entry that holds the line, or -1; `set` from `setOf`. */
  find(set: number, hi: number, lo: number, offset: number): number {
    const line = offset >> this.lineShift;
    const high = tagHigh(hi, line);
    const low = tagLow(lo, line);
    const words = this.words;
    const ways = this.ways;
    const end = set + ways;
    for (let entry = set; entry < end; entry++) {
      if (words[entry] === low && (words[entry + 2 * ways] & ~DIRTY) === high) return entry;
    }
    return -1;
  }

  /** Makes an entry the most recently used of its set. */
  use(entry: number): void {
    if (this.uses === USES_MAX) this.age();
    this.words[entry + this.ways] = ++this.uses;
  }

  /** Uses an entry for a write: it differs from memory from now on. */
  useDirty(entry: number): void {
    this.use(entry);
    this.words[entry + 2 * this.ways] |= DIRTY;
  }

  /**
   * Puts the line in place of the least recently used of the first `fillWays` ways and returns its
   * entry. `victimDirty` says whether what was there has to be written to memory.
   */
  fill(set: number, hi: number, lo: number, offset: number, fillWays: number): number {
    const words = this.words;
    const ways = this.ways;
    const end = set + ways + fillWays;
    let victim = set + ways;
    let oldest = words[victim];
    for (let at = victim + 1; at < end; at++) {
      const used = words[at];
      if (used < oldest) {
        oldest = used;
        victim = at;
      }
    }
    const entry = victim - ways;
    const high = words[victim + ways];
    if (high !== 0) this.evictions++;
    this.victimDirty = (high & DIRTY) !== 0;
    const line = offset >> this.lineShift;
    words[entry] = tagLow(lo, line);
    words[victim + ways] = tagHigh(hi, line);
    return entry;
  }

  /** Forgets an entry without writing it back. */
  drop(entry: number): void {
    this.words[entry] = 0;
    this.words[entry + this.ways] = 0;
    this.words[entry + 2 * this.ways] = 0;
  }

  /** Makes room for further use numbers; lines not used for 2^30 accesses become equally old. */
  private age(): void {
    const { words, ways } = this;
    for (let set = 0; set < words.length; set += 3 * ways) {
      for (let at = set + ways; at < set + 2 * ways; at++) {
        if (words[at] !== 0) words[at] = Math.max(1, words[at] - AGE_STEP);
      }
    }
    this.uses -= AGE_STEP;
  }
}

/** Never 0, which marks an empty entry. */
function tagHigh(hi: number, line: number): number {
  return (hi << 2) | ((line & 1) << 1) | 1;
}

function tagLow(lo: number, line: number): number {
  return (lo << 5) | (line >> 1);
}
