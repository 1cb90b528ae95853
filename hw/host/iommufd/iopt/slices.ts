/**
 * What stands behind a range of an IOAS, without the range (iopt_get_pages): slices of pages
 * objects, with references that keep these alive while they are mapped elsewhere.
 */
import { fail } from '../../kernel/errno.ts';
import { U64_MAX } from './area.ts';
import type { IoPageTable } from './io-pagetable.ts';
import type { Pages } from './pages.ts';

const SLICE_BYTES = 56;

export interface Slice {
  readonly pages: Pages;
  readonly startByte: bigint;
  readonly length: bigint;
}

/** Slices of a range that areas cover without a hole; ENOENT otherwise. */
export function takeSlices(table: IoPageTable, iova: bigint, length: bigint): Slice[] {
  if (length === 0n) fail('EINVAL', 'length is 0');
  const last = iova + length - 1n;
  if (last > U64_MAX) fail('EOVERFLOW', `source IOVA + length ${length} overflows`);
  const slices: Slice[] = [];
  try {
    let from = iova;
    for (let area = table.areas.find(iova, iova); ; area = area.next) {
      if (area === null || area.iova > from) {
        fail('ENOENT', `nothing is mapped at source IOVA 0x${from.toString(16)}`);
      }
      table.services.memory.take(SLICE_BYTES, 'slice of pages');
      const end = area.last < last ? area.last : last;
      slices.push({
        pages: area.pages,
        startByte: area.byteAt(from),
        length: end - from + 1n,
      });
      area.pages.refs++;
      if (end === last) return slices;
      from = end + 1n;
    }
  } catch (error) {
    giveSlices(slices);
    throw error;
  }
}

export function giveSlices(slices: readonly Slice[]): void {
  for (const { pages } of slices) {
    pages.services.memory.give(SLICE_BYTES);
    pages.put();
  }
}
