/** Where a new area goes, and whether it may (iopt_check_iova, iopt_insert_area). */
import { fail } from '../../kernel/errno.ts';
import { PROT_WRITE } from '../driver.ts';
import { Area } from './area.ts';
import type { AreaTable } from './area-table.ts';
import { chooseIova } from './iova-choice.ts';
import type { Pages } from './pages.ts';
import { intersects } from './ranges.ts';
import { U64_MAX } from './units.ts';

/** Chooses the IOVA of new areas, or tests the one that is given. */
export function placeAreas(
  table: AreaTable,
  iova: bigint,
  fixed: boolean,
  pages: Pages,
  startByte: bigint,
  length: bigint,
): bigint {
  const mask = table.alignment - 1n;
  if ((length & mask) !== 0n) {
    fail('EINVAL', `length ${length} is not a multiple of the alignment ${table.alignment}`);
  }
  if (!fixed) return chooseIova(table, pages.addressOf(startByte), length);
  if ((iova & mask) !== 0n) {
    fail('EINVAL', `IOVA 0x${iova.toString(16)} is not aligned to ${table.alignment}`);
  }
  const last = iova + length - 1n;
  if (last > U64_MAX) fail('EOVERFLOW', `IOVA + length ${length} overflows`);
  if (intersects(table.reserved, iova, last)) {
    fail('EINVAL', `0x${iova.toString(16)}-0x${last.toString(16)} has reserved addresses`);
  }
  const there = table.areas.find(iova, last);
  if (there !== null) fail('EEXIST', `an area is at 0x${there.iova.toString(16)} already`);
  return iova;
}

/** An area that may stand in the table; it is not in it yet. */
export function newArea(
  table: AreaTable,
  iova: bigint,
  length: bigint,
  pages: Pages,
  startByte: bigint,
  prot: number,
): Area {
  if ((prot & PROT_WRITE) !== 0 && !pages.writable) {
    fail('EPERM', 'the memory was mapped for reading only');
  }
  const area = new Area(iova, length, pages, startByte, prot);
  const { pageOffset } = area;
  if (pageOffset !== 0 && (BigInt(pageOffset) & (table.alignment - 1n)) !== 0n) {
    fail('EINVAL', `offset ${pageOffset} in the page is not aligned to ${table.alignment}`);
  }
  return area;
}
