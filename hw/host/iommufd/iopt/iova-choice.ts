/**
 * Automatic choice of an IOVA (iopt_alloc_iova): the lowest place that is free, keeps the alignment
 * that the memory has (so that large table entries fit), and lies in the allowed ranges. Zero is
 * never chosen.
 */
import { fail } from '../../kernel/errno.ts';
import type { AreaTable } from './area-table.ts';
import { firstEndingAt, type IovaRange } from './ranges.ts';
import { PAGE, PAGE_MASK, U64_MAX } from './units.ts';

/** HPAGE_SIZE: alignment beyond it brings nothing. */
const LARGEST_ALIGNMENT = 0x20_0000;
const WHOLE: readonly IovaRange[] = [{ start: PAGE, last: U64_MAX - PAGE }];

/** What is to be placed: bytes whose first is at an address (or an offset in a file). */
interface Wanted {
  readonly length: bigint;
  readonly align: bigint;
  readonly pageOffset: bigint;
}

export function chooseIova(space: AreaTable, address: bigint, length: bigint): bigint {
  if (length === 0n || length >= U64_MAX / 2n) {
    fail('EOVERFLOW', `no IOVA can be chosen for a length of ${length}`);
  }
  const align = choiceAlignment(address, length);
  if (BigInt(align) < space.alignment) {
    fail('EINVAL', `an alignment of ${align} is kept, the IOAS asks for ${space.alignment}`);
  }
  const wanted: Wanted = { length, align: BigInt(align), pageOffset: address & PAGE_MASK };
  for (const window of space.allowed.length === 0 ? WHOLE : space.allowed) {
    const start = window.start < PAGE ? PAGE : window.start;
    const last = window.last > U64_MAX - PAGE ? U64_MAX - PAGE : window.last;
    if (start > last) continue;
    const from = fit(start, last, wanted);
    if (from === null) continue;
    const chosen = inWindow(space, from, last, wanted);
    if (chosen !== null) return chosen;
  }
  return fail('ENOSPC', `no free IOVA range of ${length} bytes aligned to ${align}`);
}

/** The next power of two of the length, but not more than the address keeps. */
function choiceAlignment(address: bigint, length: bigint): number {
  let align = 1;
  if (length > LARGEST_ALIGNMENT) align = LARGEST_ALIGNMENT;
  else while (align < Number(length)) align *= 2;
  const low = Number(address & BigInt(LARGEST_ALIGNMENT - 1));
  return low === 0 ? align : Math.min(align, low & -low);
}

function inWindow(space: AreaTable, from: bigint, last: bigint, wanted: Wanted): bigint | null {
  const { areas, reserved } = space;
  let found = areas.firstGap(from, wanted.length);
  while (found) {
    let start = areas.gapStart > from ? areas.gapStart : from;
    const end = areas.gapLast < last ? areas.gapLast : last;
    if (start > last) return null;
    for (let at = firstEndingAt(reserved, start); start <= end; at++) {
      const next = at < reserved.length ? reserved[at] : null;
      const hole = next !== null && next.start <= end ? next.start - 1n : end;
      const chosen = start <= hole ? fit(start, hole, wanted) : null;
      if (chosen !== null) return chosen;
      if (next === null) break;
      start = next.last + 1n;
    }
    found = areas.nextGap();
  }
  return null;
}

/** The lowest address in [start, last] from which the bytes fit; null where they do not. */
function fit(start: bigint, last: bigint, { length, align, pageOffset }: Wanted): bigint | null {
  const up = start + align - 1n;
  if (up > U64_MAX) return null;
  const at = (up & ~(align - 1n)) | pageOffset;
  return at >= last || last - at < length - 1n ? null : at;
}
