/**
 * Dirty tracking of a domain over the areas of its IOAS (iopt_set_dirty_tracking,
 * iopt_read_and_clear_dirty_data).
 */
import type { AddressSpace } from '../../kernel/api.ts';
import { Errno, fail } from '../../kernel/errno.ts';
import type { DirtyTracking, PagingDomain } from '../driver.ts';
import type { AreaTable } from './area-table.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';

/** What was written before is forgotten when tracking begins. */
export function setDirtyTracking(table: AreaTable, domain: PagingDomain, enable: boolean): void {
  const dirty = dirtyOf(domain);
  if (enable) {
    try {
      for (let area = table.areas.first; area !== null; area = table.areas.next(area)) {
        dirty.readAndClear(area.iova, area.length, true, ignore);
      }
    } finally {
      dirty.flush();
    }
  }
  dirty.setTracking(enable);
}

/** Where in user memory the bits go. */
export interface UserBitmap {
  readonly space: AddressSpace;
  readonly address: bigint;
}

export interface DirtyQuery {
  readonly iova: bigint;
  readonly last: bigint;
  readonly pageSize: bigint;
  readonly clear: boolean;
  readonly bitmap: UserBitmap;
}

/**
 * Sets the bits of pages that were written. A hole ends the walk, and neither it nor a bitmap that
 * cannot be written is told to the caller.
 */
export function readDirty(table: AreaTable, domain: PagingDomain, query: DirtyQuery): void {
  const { iova, last, clear } = query;
  const dirty = dirtyOf(domain);
  const bitmap = new DirtyBitmap(table.services, query);
  const found = (at: bigint, bytes: bigint): void => bitmap.set(at, bytes);
  try {
    let from = iova;
    let area = table.areas.find(from, from);
    while (area !== null && area.iova <= from) {
      const end = area.last < last ? area.last : last;
      dirty.readAndClear(from, end - from + 1n, clear, found);
      if (end === last) break;
      from = end + 1n;
      area = table.areas.next(area);
    }
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
  } finally {
    if (clear) dirty.flush();
    bitmap.free();
  }
}

function dirtyOf({ dirty }: PagingDomain): DirtyTracking {
  return dirty ?? fail('EOPNOTSUPP', 'the domain does not track dirty pages');
}

function ignore(): void {}
