/**
 * Ranges of IOVA that are told apart from areas: those that nobody may map (a domain's aperture, a
 * device's windows), with whom they came from, and those that automatic choice is limited to.
 */
import { U64_MAX } from './units.ts';

export interface IovaRange {
  readonly start: bigint;
  /** Inclusive. */
  readonly last: bigint;
}

interface OwnedRange extends IovaRange {
  readonly owner: object | null;
}

/** Index of the first of ascending ranges that ends at an address or after it. */
export function firstEndingAt(ranges: readonly IovaRange[], address: bigint): number {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ranges[middle].last < address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether one of ascending ranges that do not overlap has an address in [start, last]. */
export function intersects(ranges: readonly IovaRange[], start: bigint, last: bigint): boolean {
  if (ranges.length === 0) return false;
  const found = firstEndingAt(ranges, start);
  return found < ranges.length && ranges[found].start <= last;
}

/** The union of ranges: ascending, neighbours that touch as one. */
export function union(ranges: readonly IovaRange[]): IovaRange[] {
  const sorted = [...ranges].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
  const merged: { start: bigint; last: bigint }[] = [];
  for (const { start, last } of sorted) {
    const end = merged[merged.length - 1];
    if (end === undefined || start > end.last + 1n) merged.push({ start, last });
    else if (last > end.last) end.last = last;
  }
  return merged;
}

/** Ranges that nobody may map. Those of different owners may overlap. */
export class ReservedRanges {
  private owned: OwnedRange[] = [];
  private merged: readonly IovaRange[] | null = null;

  get count(): number {
    return this.owned.length;
  }

  add(start: bigint, last: bigint, owner: object | null): void {
    this.owned.push({ start, last, owner });
    this.merged = null;
  }

  /** Removes all ranges of an owner; returns how many they were. */
  remove(owner: object | null): number {
    const before = this.owned.length;
    this.owned = this.owned.filter((range) => range.owner !== owner);
    this.merged = null;
    return before - this.owned.length;
  }

  /** What is reserved, ascending, without overlap. */
  get ranges(): readonly IovaRange[] {
    this.merged ??= union(this.owned);
    return this.merged;
  }

  /** What is not. */
  holes(): IovaRange[] {
    const holes: IovaRange[] = [];
    let start = 0n;
    for (const range of this.ranges) {
      if (range.start > start) holes.push({ start, last: range.start - 1n });
      start = range.last + 1n;
    }
    if (start <= U64_MAX) holes.push({ start, last: U64_MAX });
    return holes;
  }
}

/** Ascending ranges, read one by one, that may not overlap. */
export class AllowedRanges {
  readonly ranges: IovaRange[] = [];

  overlaps(start: bigint, last: bigint): boolean {
    return intersects(this.ranges, start, last);
  }

  add(start: bigint, last: bigint): void {
    this.ranges.splice(firstEndingAt(this.ranges, start), 0, { start, last });
  }
}
