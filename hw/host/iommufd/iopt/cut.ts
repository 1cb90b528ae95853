/**
 * Cutting an area in two (iopt_area_split), which VFIO type 1 needs to unmap a part of a mapping.
 * Both parts stand on the same pages object; domains are not touched.
 */
import { fail } from '../../kernel/errno.ts';
import { AREA_BYTES, Area, nameOf } from './area.ts';
import type { AreaTable } from './area-table.ts';
import { DmaBufPages } from './pages.ts';

/** Makes `last` the last address of the lower part. */
export function splitArea(table: AreaTable, area: Area, last: bigint): void {
  if (last === area.iova || last === area.last) return;
  if (area.preventAccess) fail('EBUSY', `${nameOf(area)} is being unmapped`);
  const { pages, prot } = area;
  if (pages instanceof DmaBufPages) fail('EOPNOTSUPP', 'an area of a dma-buf cannot be cut');
  const start = last + 1n;
  const startByte = area.byteAt(start);
  if (((start | startByte) & (table.alignment - 1n)) !== 0n) {
    fail('EINVAL', `a cut before 0x${start.toString(16)} is not aligned to ${table.alignment}`);
  }
  takeParts(table, area);
  const low = new Area(area.iova, start - area.iova, pages, area.byteAt(area.iova), prot);
  const high = new Area(start, area.last - last, pages, startByte, prot);
  low.filled = area.filled;
  high.filled = area.filled;
  // A page with the cut inside it is held by both parts.
  if (area.filled && low.lastIndex === high.index) pages.hold(high.index, high.index);
  pages.refs++;
  table.areas.remove(area);
  table.areas.insert(low);
  table.areas.insert(high);
  table.services.memory.give(AREA_BYTES);
}

/** Takes the memory of both parts, and tests what is tested after that. */
function takeParts(table: AreaTable, area: Area): void {
  const { memory } = table.services;
  let taken = 0;
  try {
    memory.take(AREA_BYTES, 'lower part of an area');
    taken++;
    memory.take(AREA_BYTES, 'upper part of an area');
    taken++;
    if (area.accesses !== 0) fail('EINVAL', `${nameOf(area)} is pinned`);
    if (area.filled && table.largePages) {
      fail('EINVAL', `${nameOf(area)} may be mapped with large pages`);
    }
  } catch (error) {
    for (; taken > 0; taken--) memory.give(AREA_BYTES);
    throw error;
  }
}
