/**
 * Calls on page tables that exist: dirty tracking of those that the kernel manages, invalidation
 * of caches of those that user space manages.
 */
import { Errno, fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { UserDataArray } from '../driver.ts';
import type { IommufdObject } from '../object.ts';
import {
  IOMMU_HWPT_DIRTY_TRACKING_ENABLE,
  IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR,
} from '../uapi/constants.ts';
import {
  HWPT_GET_DIRTY_BITMAP,
  HWPT_INVALIDATE,
  HWPT_SET_DIRTY_TRACKING,
} from '../uapi/structs.ts';
import { HwptNested } from './hwpt-nested.ts';
import { HwptPaging } from './hwpt-paging.ts';
import { Viommu } from './viommu.ts';

const ENTRY_BYTES_MAX = 4096;
const ENTRIES_MAX = 2 ** 19;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

function setDirtyTracking(call: IoctlCall): void {
  const { at } = HWPT_SET_DIRTY_TRACKING;
  const flags = call.u32(at.flags);
  if ((flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE) !== 0) {
    fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} has an unknown bit`);
  }
  const { objects } = call.context;
  const hwpt = objects.get(call.u32(at.hwpt_id), HwptPaging);
  try {
    checkDirtyOps(hwpt);
    const enable = (flags & IOMMU_HWPT_DIRTY_TRACKING_ENABLE) !== 0;
    hwpt.ioas.table.setDirtyTracking(hwpt.domain, enable);
  } finally {
    objects.put(hwpt);
  }
}

function checkDirtyOps(hwpt: HwptPaging): void {
  if (hwpt.domain.dirty === undefined) {
    fail('EOPNOTSUPP', `hwpt ${hwpt.id} was not made for dirty tracking`);
  }
}

function getDirtyBitmap(call: IoctlCall): void {
  const { at } = HWPT_GET_DIRTY_BITMAP;
  const flags = call.u32(at.flags);
  if ((flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) !== 0 || call.u32(at.__reserved) !== 0) {
    fail('EOPNOTSUPP', 'flags has an unknown bit, or __reserved is not zero');
  }
  const { objects } = call.context;
  const hwpt = objects.get(call.u32(at.hwpt_id), HwptPaging);
  try {
    const iova = call.u64(at.iova);
    const length = call.u64(at.length);
    const pageSize = call.u64(at.page_size);
    checkBitmapRange(iova, length, pageSize, hwpt.ioas.table.alignment);
    checkDirtyOps(hwpt);
    const clear = (flags & IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) === 0;
    const bitmap = { space: call.process.space, address: call.u64(at.data) };
    hwpt.ioas.table.readDirty(hwpt.domain, iova, length, pageSize, clear, bitmap);
  } finally {
    objects.put(hwpt);
  }
}

/** iommufd_check_iova_range. */
function checkBitmapRange(iova: bigint, length: bigint, pageSize: bigint, alignment: bigint): void {
  const last = iova + ((length - 1n) & U64_MAX);
  if (last > U64_MAX) fail('EOVERFLOW', 'iova + length - 1 is above 64 bits');
  const end = (last + 1n) & U64_MAX;
  const isAligned = (to: bigint): boolean => ((iova | end) & (to - 1n)) === 0n;
  if (!isAligned(alignment)) fail('EINVAL', `iova or end is not aligned to ${alignment}`);
  if (pageSize === 0n) fail('EINVAL', 'page_size is 0');
  if (!isAligned(pageSize)) fail('EINVAL', `iova or end is not aligned to page_size ${pageSize}`);
}

/** The count of entries carried out is reported also where the call fails. */
function invalidate(call: IoctlCall): void {
  const { at } = HWPT_INVALIDATE;
  const array: UserDataArray = {
    type: call.u32(at.data_type),
    address: call.u64(at.data_uptr),
    entryLength: call.u32(at.entry_len),
    entries: call.u32(at.entry_num),
    space: call.process.space,
    handled: 0,
  };
  let refusal: Errno | null = null;
  try {
    runInvalidation(call, array);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    refusal = error;
  }
  call.context.services.work.entries += array.handled;
  call.setU32(at.entry_num, array.handled);
  call.respond();
  if (refusal !== null) throw refusal;
}

function runInvalidation(call: IoctlCall, array: UserDataArray): void {
  const { at } = HWPT_INVALIDATE;
  if (call.u32(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  if (array.entries !== 0) checkArray(array);
  const { objects } = call.context;
  const target = objects.getAny(call.u32(at.hwpt_id));
  try {
    invalidateObject(target, array);
  } finally {
    objects.put(target);
  }
}

/** The limits are those of Linux 7.2. */
function checkArray({ address, entryLength, entries }: UserDataArray): void {
  if (address === 0n || entryLength === 0) {
    fail('EINVAL', 'there are entries, but no data_uptr or no entry_len');
  }
  if (entryLength > ENTRY_BYTES_MAX) {
    fail('EINVAL', `entries of ${entryLength} bytes, where ${ENTRY_BYTES_MAX} are the most`);
  }
  if (entries > ENTRIES_MAX) {
    fail('EINVAL', `${entries} entries, where ${ENTRIES_MAX} are the most`);
  }
}

function invalidateObject(target: IommufdObject, array: UserDataArray): void {
  if (target instanceof HwptNested) {
    if (target.domain.invalidate === undefined) {
      fail('EOPNOTSUPP', 'the driver takes no invalidations for a nested page table');
    }
    target.domain.invalidate(array);
  } else if (target instanceof Viommu) {
    if (target.driver.invalidate === undefined) {
      fail('EOPNOTSUPP', 'the driver takes no invalidations for a vIOMMU');
    }
    target.driver.invalidate(array);
  } else {
    fail('EINVAL', `object ${target.id} (${target.type}) is no nested page table and no vIOMMU`);
  }
}

export const HWPT_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_HWPT_SET_DIRTY_TRACKING',
    word: HWPT_SET_DIRTY_TRACKING.word,
    size: HWPT_SET_DIRTY_TRACKING.size,
    minSize: HWPT_SET_DIRTY_TRACKING.minSize,
    run: setDirtyTracking,
  },
  {
    name: 'IOMMU_HWPT_GET_DIRTY_BITMAP',
    word: HWPT_GET_DIRTY_BITMAP.word,
    size: HWPT_GET_DIRTY_BITMAP.size,
    minSize: HWPT_GET_DIRTY_BITMAP.minSize,
    run: getDirtyBitmap,
  },
  {
    name: 'IOMMU_HWPT_INVALIDATE',
    word: HWPT_INVALIDATE.word,
    size: HWPT_INVALIDATE.size,
    minSize: HWPT_INVALIDATE.minSize,
    run: invalidate,
  },
];
