/**
 * What stands behind a range of an IOAS, without the range (iopt_get_pages): slices of pages
 * objects, with references that keep these alive while they are mapped elsewhere.
 */
import { fail } from '../../kernel/errno.ts';
import { AREA_BYTES, type Area } from './area.ts';
import type { AreaTable } from './area-table.ts';
import { fillDomains, unfillDomains } from './fill.ts';
import type { Pages } from './pages.ts';
import { newArea, placeAreas } from './placement.ts';
import { U64_MAX } from './units.ts';

const SLICE_BYTES = 56;

export interface Slice {
  readonly pages: Pages;
  readonly startByte: bigint;
  readonly length: bigint;
}

/** Slices of a range that areas cover without a hole; ENOENT otherwise. */
export function takeSlices(table: AreaTable, iova: bigint, length: bigint): Slice[] {
  if (length === 0n) fail('EINVAL', 'length is 0');
  const last = iova + length - 1n;
  if (last > U64_MAX) fail('EOVERFLOW', `source IOVA + length ${length} overflows`);
  const slices: Slice[] = [];
  try {
    let from = iova;
    for (let area = table.areas.find(iova, iova); ; area = table.areas.next(area)) {
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

/** Maps slices of pages objects one behind the other; returns the IOVA of the first. */
export function mapSlices(
  table: AreaTable,
  slices: readonly Slice[],
  length: bigint,
  iova: bigint,
  fixed: boolean,
  prot: number,
): bigint {
  const { memory } = table.services;
  const areas: Area[] = [];
  let taken = 0;
  let filled = 0;
  try {
    for (; taken < slices.length; taken++) memory.take(AREA_BYTES, 'area');
    const { pages, startByte } = slices[0];
    const at = placeAreas(table, iova, fixed, pages, startByte, length);
    let next = at;
    for (const slice of slices) {
      areas.push(newArea(table, next, slice.length, slice.pages, slice.startByte, prot));
      next += slice.length;
    }
    for (; filled < areas.length; filled++) {
      fillDomains(areas[filled], table.domains, table.largePages);
    }
    for (const area of areas) {
      area.pages.refs++;
      table.areas.insert(area);
    }
    return at;
  } catch (error) {
    for (let at = 0; at < filled; at++) unfillDomains(areas[at], table.domains);
    for (let at = 0; at < taken; at++) memory.give(AREA_BYTES);
    throw error;
  }
}
