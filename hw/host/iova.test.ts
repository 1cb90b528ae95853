import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RandomStream } from '../../sim/random/stream.ts';
import { IovaAllocator } from './iova.ts';

function iova(cache = true, endPage = 2 ** 20, cores = 1): IovaAllocator {
  return new IovaAllocator({ firstPage: 1, endPage, cores, cache });
}

test('addresses are handed out top down, aligned to their size', () => {
  const allocator = iova();
  assert.is(allocator.alloc(0, 1), 0xfffff);
  assert.is(allocator.alloc(0, 3), 0xffff8);
  assert.is(allocator.alloc(0, 1), 0xffffe);
  assert.is(allocator.alloc(0, 2), 0xffffc);
  assert.is(allocator.pagesInUse, 1 + 4 + 1 + 2);
});

test('a freed range is the next of its size, on the same core', () => {
  const allocator = iova(true, 2 ** 20, 2);
  const first = allocator.alloc(0, 1);
  allocator.alloc(0, 1);
  allocator.release(0, first, 1);
  assert.is(allocator.alloc(1, 1), 0xffffd);
  assert.is(allocator.alloc(0, 1), first);
  assert.is(allocator.cacheHits, 1);
});

test('ranges above 32 pages are not cached but found again', () => {
  const allocator = iova();
  const page = allocator.alloc(0, 64);
  allocator.release(0, page, 64);
  assert.is(allocator.alloc(0, 33), page);
  assert.is(allocator.cacheHits, 0);
});

test('full magazines go to the depot, from which another core takes them', () => {
  const allocator = iova(true, 2 ** 20, 2);
  const pages = Array.from({ length: 3 * 127 }, () => allocator.alloc(0, 1));
  for (const page of pages.slice(0, 254)) allocator.release(0, page, 1);
  assert.is(allocator.alloc(1, 1), 0xfffff - 381);
  for (const page of pages.slice(254)) allocator.release(0, page, 1);
  // The 255th return filled both magazines of core 0: the oldest 127 are in the depot.
  assert.is(allocator.alloc(1, 1), pages[126]);
});

test('freed neighbours join, so that the whole space can be had again', () => {
  const allocator = iova(false, 1024);
  const pages = Array.from({ length: 1023 }, () => allocator.alloc(0, 1));
  assert.throws(() => allocator.alloc(0, 1), /no 1 free pages/);
  for (const page of pages.filter((page) => page % 2 === 0)) allocator.release(0, page, 1);
  assert.throws(() => allocator.alloc(0, 2), /no 2 free pages/);
  for (const page of pages.filter((page) => page % 2 === 1)) allocator.release(0, page, 1);
  assert.is(allocator.alloc(0, 512), 512);
  assert.is(allocator.pagesInUse, 512);
});

test('a reserved range is never handed out, its neighbours are', () => {
  const allocator = iova(false, 32);
  allocator.reserve(16, 4);
  const pages = new Set(Array.from({ length: 27 }, () => allocator.alloc(0, 1)));
  assert.ok(pages.has(20) && pages.has(15) && !pages.has(16) && !pages.has(19));
  assert.throws(() => allocator.alloc(0, 1), /no 1 free pages/);
});

test('cached ranges are given up before an allocation fails', () => {
  const allocator = iova(true, 64);
  const pages = Array.from({ length: 63 }, () => allocator.alloc(0, 1));
  for (const page of pages) allocator.release(0, page, 1);
  assert.is(allocator.alloc(0, 32), 32);
});

test('what is free cannot be returned', () => {
  const allocator = iova(false);
  const page = allocator.alloc(0, 1);
  allocator.release(0, page, 1);
  assert.throws(() => allocator.release(0, page, 1), /is free/);
});

test('live ranges never overlap', () => {
  const allocator = iova(true, 4096, 3);
  const random = new RandomStream(1, 'iova');
  const live: [number, number][] = [];
  const taken = new Set<number>();
  for (let step = 0; step < 20_000; step++) {
    if (live.length < 40 && random.chance(1, 2)) {
      const pages = 1 + random.below(48);
      const page = allocator.alloc(random.below(3), pages);
      for (let i = 0; i < pages; i++) {
        assert.not(taken.has(page + i));
        taken.add(page + i);
      }
      live.push([page, pages]);
    } else if (live.length > 0) {
      const [[page, pages]] = live.splice(random.below(live.length), 1) as [[number, number]];
      for (let i = 0; i < pages; i++) taken.delete(page + i);
      allocator.release(random.below(3), page, pages);
    }
  }
});

test.run();
