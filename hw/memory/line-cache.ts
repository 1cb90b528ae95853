/**
 * Tags of a set-associative cache of memory lines with true LRU. What a line holds is in simulated
 * memory; here is only whether it would have been found. Sets are indexed by the line address with
 * its upper bits folded in, so that a contiguous range fills all sets evenly.
 */

import { InputError } from '../../sim/errors.ts';
import { PAGE_SHIFT } from '../address.ts';

export interface CacheGeometry {
  readonly sets: number;
  readonly ways: number;
  /** 64 or more, a power of two. */
  readonly lineBytes: number;
}

export class LineCache {
  evictions = 0;
  private readonly geometry: CacheGeometry;
  private readonly lineShift: number;
  private readonly isPowerOfTwo: boolean;
  private readonly setShift: number;
  /** Two words per line: hi, line bit 0 and a valid bit; lo and the other line bits. */
  private readonly tags: Int32Array;
  /** Order of last use; grows with every access. */
  private readonly used: Float64Array;
  private readonly dirty: Uint8Array;
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
    this.geometry = geometry;
    this.lineShift = lineShift;
    this.setShift = 31 - Math.clz32(sets);
    this.isPowerOfTwo = sets === 1 << this.setShift;
    this.tags = new Int32Array(sets * ways * 2);
    this.used = new Float64Array(sets * ways);
    this.dirty = new Uint8Array(sets * ways);
  }

  /** First entry of the set that may hold the line at the address. */
  setOf(hi: number, lo: number, offset: number): number {
    const { sets, ways } = this.geometry;
    const line = (lo << 6) | (offset >> this.lineShift);
    const folded = line ^ (line >>> this.setShift) ^ Math.imul(hi, 0x9e3779b1);
    return (this.isPowerOfTwo ? folded & (sets - 1) : (folded >>> 1) % sets) * ways;
  }

  /** Entry that holds the line, or -1; `set` from `setOf`. */
  find(set: number, hi: number, lo: number, offset: number): number {
    const line = offset >> this.lineShift;
    const high = tagHigh(hi, line);
    const low = tagLow(lo, line);
    const tags = this.tags;
    const end = set + this.geometry.ways;
    for (let entry = set; entry < end; entry++) {
      if (tags[2 * entry + 1] === low && tags[2 * entry] === high) return entry;
    }
    return -1;
  }

  /** Makes an entry the most recently used of its set. */
  use(entry: number, isWrite: boolean): void {
    this.used[entry] = ++this.uses;
    if (isWrite) this.dirty[entry] = 1;
  }

  /** Puts the line in place of the least recently used of the first `ways` ways. */
  fill(set: number, hi: number, lo: number, offset: number, ways: number): number {
    const used = this.used;
    let victim = set;
    for (let entry = set + 1; entry < set + ways; entry++) {
      if (used[entry] < used[victim]) victim = entry;
    }
    if (this.tags[2 * victim] !== 0) this.evictions++;
    const line = offset >> this.lineShift;
    this.tags[2 * victim] = tagHigh(hi, line);
    this.tags[2 * victim + 1] = tagLow(lo, line);
    return victim;
  }

  /** Whether an entry differs from memory; it does not any more. */
  clean(entry: number): boolean {
    const wasDirty = this.dirty[entry] !== 0;
    this.dirty[entry] = 0;
    return wasDirty;
  }

  /** Forgets an entry without writing it back. */
  drop(entry: number): void {
    this.tags[2 * entry] = 0;
    this.tags[2 * entry + 1] = 0;
    this.used[entry] = 0;
    this.dirty[entry] = 0;
  }
}

/** Never 0, which marks an empty entry. */
function tagHigh(hi: number, line: number): number {
  return (hi << 2) | ((line & 1) << 1) | 1;
}

function tagLow(lo: number, line: number): number {
  return (lo << 5) | (line >> 1);
}
