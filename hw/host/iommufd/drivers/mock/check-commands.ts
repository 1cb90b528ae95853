/**
 * Ops of IOMMU_TEST_CMD that look behind the interface: what a page table maps, how often pages are
 * pinned, what the pretended caches hold; and one that dirties pages as a device would.
 */
import { PAGE_SIZE } from '../../../kernel/api.ts';
import { fail } from '../../../kernel/errno.ts';
import type { IoctlCall } from '../../call.ts';
import { Device } from '../../objects/device.ts';
import { HwptNested } from '../../objects/hwpt-nested.ts';
import { HwptPaging } from '../../objects/hwpt-paging.ts';
import {
  TEST_CHECK_DEV_CACHE,
  TEST_CHECK_IOTLB,
  TEST_CHECK_MAP,
  TEST_CHECK_REFS,
  TEST_CMD,
  TEST_DIRTY,
} from '../../uapi/test-structs.ts';
import { namedMockDevice } from './device.ts';
import { MockNestedDomain } from './nested-domain.ts';
import { MockPagingDomain } from './paging-domain.ts';

const PAGE = BigInt(PAGE_SIZE);
const U64_MAX = 0xffffffffffffffffn;
/** Most pages that one call dirties. */
const DIRTY_BITS_MAX = 1n << 27n;

/** MD_CHECK_MAP: each page of the table must be the one that is at the user's address. */
export function checkMap(call: IoctlCall): void {
  const { at } = TEST_CHECK_MAP;
  const length = call.u64(at.length);
  withPaging(call, (domain) => {
    let iova = call.u64(at.iova);
    let user = call.u64(at.uptr);
    const step = domain.pageSizes & -domain.pageSizes;
    if ((iova | length | user) % step !== 0n || user + length > U64_MAX) {
      fail('EINVAL', `check: iova, length and address are not all multiples of ${step}`);
    }
    for (const end = user + length; user < end; user += step) {
      const offset = user % PAGE;
      const expected = BigInt(call.process.space.resolve(user - offset, false)) * PAGE + offset;
      if ((domain.iovaToPhys(iova) ?? 0n) !== expected) {
        fail('EINVAL', `check: iova 0x${iova.toString(16)} is not 0x${user.toString(16)}`);
      }
      iova += step;
    }
  });
}

/** MD_CHECK_REFS: pages of huge pages are passed over, for their head page counts for all. */
export function checkRefs(call: IoctlCall): void {
  const { at } = TEST_CHECK_REFS;
  const length = call.u64(at.length);
  const start = call.u64(at.uptr);
  if (length % PAGE !== 0n || start % PAGE !== 0n || start + length > U64_MAX) {
    fail('EINVAL', 'check: address and length are not whole pages');
  }
  const { pins } = call.context.services;
  const expected = call.u32(at.refs);
  for (let user = start; user < start + length; user += PAGE) {
    const frame = call.process.space.resolve(user, false);
    if (pins.isCompound(frame)) continue;
    const count = pins.count(frame);
    if (count !== expected) {
      fail('EIO', `check: 0x${user.toString(16)} is pinned ${count} times, not ${expected}`);
    }
  }
}

/** MD_CHECK_IOTLB: a word of a nested domain. */
export function checkIotlb(call: IoctlCall): void {
  const { at } = TEST_CHECK_IOTLB;
  const { objects } = call.context;
  const hwpt = objects.get(call.u32(at.id), HwptNested);
  try {
    const { domain } = hwpt;
    if (!(domain instanceof MockNestedDomain)) fail('EINVAL', "the domain is not the mock's");
    checkWord(domain.iotlb, call.u32(at.iotlb_id), call.u32(at.iotlb));
  } finally {
    objects.put(hwpt);
  }
}

/** DEV_CHECK_CACHE: a word of a device. */
export function checkDeviceCache(call: IoctlCall): void {
  const { at } = TEST_CHECK_DEV_CACHE;
  const { objects } = call.context;
  const device = objects.get(call.u32(at.id), Device);
  try {
    checkWord(namedMockDevice(device.iommu).cache, call.u32(at.cache_id), call.u32(at.cache));
  } finally {
    objects.put(device);
  }
}

/** DIRTY: sets the dirty bit for each page that has a bit in the user's bitmap. */
export function dirtyPages(call: IoctlCall): void {
  const { at } = TEST_DIRTY;
  const iova = call.u64(at.iova);
  const length = call.u64(at.length);
  const pageSize = call.u64(at.page_size);
  const bitmap = call.u64(at.uptr);
  if (pageSize === 0n || length === 0n || iova % pageSize !== 0n || length % pageSize !== 0n) {
    fail('EINVAL', 'iova and length must be multiples of the page size, and neither size 0');
  }
  if (bitmap === 0n) fail('EINVAL', 'no bitmap is given');
  const bits = length / pageSize;
  if (bits > DIRTY_BITS_MAX) fail('EOVERFLOW', `${bits} pages: more than ${DIRTY_BITS_MAX}`);
  withPaging(call, ({ dirty }) => {
    if (!dirty?.enabled) fail('EINVAL', 'dirty tracking is not enabled in the page table');
    const bytes = Math.ceil(Number(bits) / 64) * 8;
    const { memory } = call.context.services;
    memory.take(bytes, 'dirty bitmap');
    try {
      const words = new Uint8Array(Math.ceil(Number(bits) / 8));
      call.process.space.copyIn(bitmap, words);
      let count = 0;
      for (let bit = 0; bit < Number(bits); bit++) {
        if (((words[bit >> 3] as number) & (1 << (bit & 7))) === 0) continue;
        dirty.setDirty(BigInt.asUintN(64, iova + BigInt(bit) * pageSize));
        count++;
      }
      call.setU64(at.out_nr_dirty, BigInt(count));
      call.respond();
    } finally {
      memory.give(bytes);
    }
  });
}

function checkWord(words: Uint32Array, index: number, expected: number): void {
  if (index >= words.length) fail('EINVAL', `check: word ${index} of ${words.length}`);
  if (words[index] !== expected) {
    fail('EINVAL', `check: word ${index} is 0x${(words[index] as number).toString(16)}`);
  }
}

function withPaging(call: IoctlCall, use: (domain: MockPagingDomain) => void): void {
  const { objects } = call.context;
  const hwpt = objects.get(call.u32(TEST_CMD.at.id), HwptPaging);
  try {
    const { domain } = hwpt;
    if (!(domain instanceof MockPagingDomain)) fail('EINVAL', "the domain is not the mock's");
    use(domain);
  } finally {
    objects.put(hwpt);
  }
}
