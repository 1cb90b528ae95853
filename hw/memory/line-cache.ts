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

export class LineCache {
  evictions = 0;
  private readonly sets: number;
  private readonly setWords: number;
  private readonly lineShift: number;
  private readonly setShift: number;
  /** Mask of the set number, 0 when the number of sets is no power of two. */
  private readonly setMask: number;
  /** A set is its tags, a low and a high word each, in the order of their last use. */
  private readonly words: Int32Array;

  constructor(geometry: CacheGeometry) {
    const { sets, ways, lineBytes } = geometry;
    if (!Number.isSafeInteger(sets) || sets < 1 || !Number.isSafeInteger(ways) || ways < 1) {
      throw new InputError(
        'cache',
        `cache of ${sets} sets and ${ways} ways: expected at least one`,
      );
    }
    this.sets = sets;
    this.setWords = 2 * ways;
    this.lineShift = lineShiftOf(lineBytes);
    this.setShift = 31 - Math.clz32(sets);
    this.setMask = sets === 1 << this.setShift ? sets - 1 : 0;
    this.words = new Int32Array(sets * ways * 2);
  }

  /** Number of the set that may hold the line at the address. */
  setOf(hi: number, lo: number, offset: number): number {
    const line = (lo << 6) | (offset >> this.lineShift);
    const folded = (line + (line >>> this.setShift) + Math.imul(hi, 0x9e3779b1)) | 0;
    const mask = this.setMask;
    return mask !== 0 ? folded & mask : (folded >>> 1) % this.sets;
  }

  /** Looks a line up and makes it the most recently used; says whether it was there. */
  find(hi: number, lo: number, offset: number): boolean {
    const line = offset >> this.lineShift;
    const high = tagHigh(hi, line);
    const low = tagLow(lo, line);
    const words = this.words;
    const set = this.setOf(hi, lo, offset) * this.setWords;
    if (words[set] === low && words[set + 1] === high) return true;
    const end = set + this.setWords;
    for (let entry = set + 2; entry < end; entry += 2) {
      if (words[entry] !== low || words[entry + 1] !== high) continue;
      this.putFirst(set, entry, low, high);
      return true;
    }
    return false;
  }

  /** Puts a line that is not there in place of the least recently used of its set. */
  fill(hi: number, lo: number, offset: number): void {
    const line = offset >> this.lineShift;
    const set = this.setOf(hi, lo, offset) * this.setWords;
    const last = set + this.setWords - 2;
    if (this.words[last + 1] !== 0) this.evictions++;
    this.putFirst(set, last, tagLow(lo, line), tagHigh(hi, line));
  }

  /** Moves the entries used after `entry` back by one and puts a tag before them. */
  private putFirst(set: number, entry: number, low: number, high: number): void {
    const words = this.words;
    for (let at = entry; at > set; at -= 2) {
      words[at] = words[at - 2];
      words[at + 1] = words[at - 1];
    }
    words[set] = low;
    words[set + 1] = high;
  }
}

/** log2 of a line, which lies within a page. */
export function lineShiftOf(lineBytes: number): number {
  const shift = Math.log2(lineBytes);
  if (!Number.isInteger(shift) || shift < 6 || shift > PAGE_SHIFT) {
    throw new InputError('cache', `cache line of ${lineBytes} bytes: expected 64, 128, ... 4096`);
  }
  return shift;
}

/** Never 0, which marks an empty entry. */
function tagHigh(hi: number, line: number): number {
  return (hi << 2) | ((line & 1) << 1) | 1;
}

function tagLow(lo: number, line: number): number {
  return (lo << 5) | (line >> 1);
}
