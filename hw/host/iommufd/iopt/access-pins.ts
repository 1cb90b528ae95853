/**
 * Pages that in-kernel users hold (iopt_area_add_access, iommufd_access_pin_pages): a range of
 * pages is recorded once however often the same range is pinned, and keeps its pages pinned though
 * every domain may leave.
 */
import { InternalError } from '../../../../sim/errors.ts';
import { fail } from '../../kernel/errno.ts';
import { PROT_READ, PROT_WRITE } from '../driver.ts';
import { type Area, nameOf } from './area.ts';
import type { AreaTable } from './area-table.ts';
import type { Pages, PinRecord } from './pages.ts';
import { PAGE_MASK, U64_MAX } from './units.ts';

const RECORD_BYTES = 64;
const ENTRY_BYTES = 8;

/** Last address of a range that an in-kernel user names. */
export function lastOf(iova: bigint, length: bigint): bigint {
  if (length === 0n) fail('EINVAL', 'length is 0');
  const last = iova + length - 1n;
  if (last > U64_MAX) fail('EOVERFLOW', `IOVA + length ${length} overflows`);
  return last;
}

/** Whether the user may do to the area what it asks for. */
export function checkAccess(area: Area, write: boolean): void {
  if (area.preventAccess) fail('EINVAL', `${nameOf(area)} is being unmapped`);
  if ((area.prot & (write ? PROT_WRITE : PROT_READ)) === 0) {
    fail('EPERM', `${nameOf(area)} is not ${write ? 'writable' : 'readable'}`);
  }
}

/** Pins [iova, last] for an in-kernel user; the frames, in order. All of it or nothing. */
export function pinRange(
  table: AreaTable,
  iova: bigint,
  last: bigint,
  write: boolean,
  lock: boolean,
): number[] {
  const frames: number[] = [];
  let from = iova;
  try {
    for (let area = table.areas.find(iova, iova); ; area = table.areas.next(area)) {
      if (area === null || area.iova > from) {
        fail('ENOENT', `nothing is mapped at IOVA 0x${from.toString(16)}`);
      }
      const end = area.last < last ? area.last : last;
      if (!area.preventAccess && !endsOnPages(area, from, last)) {
        fail('EINVAL', `${nameOf(area)} does not begin or end on a page`);
      }
      checkAccess(area, write);
      pinArea(area, area.pageAt(from), area.pageAt(end), write, lock, frames);
      if (end === last) return frames;
      from = end + 1n;
    }
  } catch (error) {
    if (from > iova) unpinRange(table, iova, from - 1n, lock);
    throw error;
  }
}

/** Undoes a pin of exactly this range. */
export function unpinRange(table: AreaTable, iova: bigint, last: bigint, lock: boolean): void {
  let from = iova;
  let area = table.areas.find(iova, iova);
  while (area !== null && area.iova <= from) {
    const end = area.last < last ? area.last : last;
    unpinArea(area, area.pageAt(from), area.pageAt(end), lock);
    if (end === last) return;
    from = end + 1n;
    area = table.areas.next(area);
  }
  throw new InternalError('iopt', `nothing is pinned at IOVA 0x${from.toString(16)}`);
}

/** Whether whole pages stand at the range's part in this area. */
function endsOnPages(area: Area, from: bigint, last: bigint): boolean {
  if ((area.byteAt(from) & PAGE_MASK) !== 0n) return false;
  return last <= area.last || (area.byteAt(area.last) & PAGE_MASK) === PAGE_MASK;
}

function pinArea(
  area: Area,
  first: number,
  last: number,
  write: boolean,
  lock: boolean,
  frames: number[],
): void {
  const { pages } = area;
  if (write && !pages.writable) fail('EPERM', 'the memory was mapped for reading only');
  if (pages.kind === 'dma-buf') fail('EINVAL', 'a dma-buf has no pages that could be pinned');
  const record = findRecord(pages, first, last);
  if (record !== null) record.users++;
  else addRecord(pages, first, last);
  area.accesses++;
  if (lock) area.locks++;
  for (let index = first; index <= last; index++) frames.push(pages.frame(index));
}

function unpinArea(area: Area, first: number, last: number, lock: boolean): void {
  const { pages } = area;
  const record = findRecord(pages, first, last);
  if (record === null) {
    throw new InternalError('iopt', `pages ${first}-${last} of ${nameOf(area)} are not pinned`);
  }
  area.accesses--;
  if (lock) area.locks--;
  record.users--;
  if (record.users > 0) return;
  const records = pages.pins?.get(first) as PinRecord[];
  records.splice(records.indexOf(record), 1);
  if (records.length === 0) pages.pins?.delete(first);
  pages.drop(first, last);
  pages.settle();
  pages.services.memory.give(ENTRY_BYTES * (last - first + 1));
  pages.services.memory.give(RECORD_BYTES);
}

function findRecord(pages: Pages, first: number, last: number): PinRecord | null {
  return pages.pins?.get(first)?.find((record) => record.last === last) ?? null;
}

function addRecord(pages: Pages, first: number, last: number): void {
  const { memory } = pages.services;
  const entries = ENTRY_BYTES * (last - first + 1);
  memory.take(RECORD_BYTES, 'record of an access');
  try {
    holdForAccess(pages, first, last, entries);
  } catch (error) {
    memory.give(RECORD_BYTES);
    throw error;
  }
  pages.pins ??= new Map();
  const records = pages.pins.get(first);
  if (records === undefined) pages.pins.set(first, [{ first, last, users: 1 }]);
  else records.push({ first, last, users: 1 });
}

function holdForAccess(pages: Pages, first: number, last: number, entries: number): void {
  const { memory } = pages.services;
  pages.hold(first, last);
  let taken = false;
  try {
    memory.take(entries, 'frames of an access');
    taken = true;
    pages.settle();
  } catch (error) {
    if (taken) memory.give(entries);
    pages.drop(first, last);
    pages.settle();
    throw error;
  }
}
