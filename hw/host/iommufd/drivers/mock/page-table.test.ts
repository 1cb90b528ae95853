import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { isErrno } from '../../../kernel/errno.ts';
import { KernelMemory } from '../../../kernel/kernel-memory.ts';
import { PROT_READ, PROT_WRITE } from '../../driver.ts';
import { AmdV1Table } from './page-table.ts';

const RW = PROT_READ | PROT_WRITE;
const GRANULE_SHIFT = 11;
/** All powers of two from 2 KiB to 64 GiB. */
const ALL = (1n << 37n) - 2048n;

function make(pageSizes: bigint = ALL): { table: AmdV1Table; memory: KernelMemory } {
  const memory = new KernelMemory();
  return { table: new AmdV1Table(memory, GRANULE_SHIFT, pageSizes), memory };
}

/** Sizes of the leaves of a range, in granules. */
function leaves(table: AmdV1Table, first: number, count: number): number[] {
  const sizes: number[] = [];
  for (let at = first; at < first + count; ) {
    const size = table.leafGranules(at);
    sizes.push(size);
    at += size;
  }
  return sizes;
}

function dirtyRanges(
  table: AmdV1Table,
  first: number,
  count: number,
  clear = false,
): [number, number][] {
  const found: [number, number][] = [];
  table.readDirty(first, count, clear, (at, length) => found.push([at, length]));
  return found;
}

test('leaves are as large as alignment of both addresses and the rest allow', () => {
  const { table } = make();
  table.map(1, 1, 16, RW);
  assert.equal(leaves(table, 1, 16), [1, 2, 4, 8, 1]);
  table.map(64, 130, 8, RW);
  assert.equal(leaves(table, 64, 8), [2, 2, 2, 2]);
});

test('a leaf of 2^9 granules is one entry of the next level, and larger ones too', () => {
  const { table, memory } = make();
  table.map(512, 512, 512, RW);
  assert.equal(leaves(table, 512, 512), [512]);
  assert.is(table.tables, 2);
  table.map(1 << 18, 1 << 18, 1 << 18, RW);
  assert.equal(leaves(table, 1 << 18, 1 << 18), [1 << 18]);
  assert.is(table.tables, 2);
  assert.is(memory.bytes, 2 * 4096);
});

test('only permitted page sizes are used', () => {
  const { table } = make((1n << 20n) | (1n << 12n));
  table.map(510, 510, 516, RW);
  assert.equal(leaves(table, 510, 516), [2, 512, 2]);
  assert.throws(
    () => table.map(4, 5, 2, RW),
    (e: unknown) => isErrno(e, 'EINVAL'),
  );
});

test('each granule translates to its own place', () => {
  const { table } = make();
  table.map(3, 2 ** 35 + 1, 700, RW);
  for (const offset of [0, 1, 2, 255, 511, 512, 699]) {
    assert.is(table.lookup(3 + offset), 2 ** 35 + 1 + offset);
  }
  assert.is(table.lookup(2), -1);
  assert.is(table.lookup(703), -1);
});

test('what is mapped cannot be mapped again, and a failed call leaves nothing', () => {
  const { table, memory } = make();
  table.map(1000, 8, 1, RW);
  const before = memory.bytes;
  assert.throws(
    () => table.map(512, 5, 600, RW),
    (e: unknown) => isErrno(e, 'EADDRINUSE'),
  );
  assert.is(table.lookup(600), -1);
  assert.is(table.lookup(1000), 8);
  assert.is(memory.bytes, before);
});

test('a failed allocation leaves neither leaves nor tables', () => {
  const { table, memory } = make();
  const before = memory.bytes;
  for (let n = 1; ; n++) {
    memory.arm(n);
    try {
      table.map(1, 3, 1024, RW);
      memory.arm(0);
      assert.is(n, 5);
      break;
    } catch (error) {
      assert.ok(isErrno(error, 'ENOMEM'));
      assert.is(memory.bytes, before);
      assert.is(table.lookup(1), -1);
    }
  }
});

test('an unmap that ends inside a leaf takes the whole leaf', () => {
  const { table } = make();
  table.map(0, 0, 16, RW);
  table.map(16, 100, 4, RW);
  assert.is(table.unmap(0, 3), 16);
  assert.is(table.lookup(15), -1);
  assert.is(table.lookup(16), 100);
});

test('an unmap that begins inside a leaf, or at a hole, takes nothing', () => {
  const { table } = make();
  table.map(0, 0, 16, RW);
  assert.is(table.unmap(8, 8), 0);
  assert.is(table.unmap(20, 4), 0);
  assert.is(table.lookup(8), 8);
});

test('an unmap stops at the first hole', () => {
  const { table } = make();
  table.map(0, 0, 2, RW);
  table.map(4, 4, 2, RW);
  assert.is(table.unmap(0, 8), 2);
  assert.is(table.lookup(4), 4);
});

test('tables go when an unmap covers them whole, and a large leaf replaces an empty one', () => {
  const { table } = make();
  table.map(512, 1, 512, RW);
  assert.is(table.tables, 3);
  assert.is(table.unmap(512, 512), 512);
  assert.is(table.tables, 2);
  table.map(1024, 1, 2, RW);
  table.unmap(1024, 2);
  assert.is(table.tables, 3);
  table.map(1024, 1024, 512, RW);
  assert.is(table.tables, 2);
  assert.equal(leaves(table, 1024, 512), [512]);
});

test('one dirty granule dirties its leaf, and no other', () => {
  const { table } = make();
  table.map(8, 8, 25, RW);
  assert.ok(table.setDirty(13));
  assert.ok(table.setDirty(32));
  assert.not.ok(table.setDirty(40));
  const ranges = dirtyRanges(table, 0, 64);
  assert.equal(
    ranges.map(([first]) => first),
    [8, 32],
  );
  assert.equal(dirtyRanges(table, 10, 4), [[10, 4]]);
});

test('a leaf of several entries is told without its last, one of a single entry whole', () => {
  const { table } = make();
  table.map(8, 8, 8, RW);
  table.map(512, 512, 512, RW);
  table.map(2048, 2048, 2048, RW);
  for (const granule of [8, 512, 4095]) table.setDirty(granule);
  assert.equal(dirtyRanges(table, 0, 8192), [
    [8, 7],
    [512, 512],
    [2048, 3 * 512],
  ]);
});

test('reading with clear leaves the whole leaf clean', () => {
  const { table } = make();
  table.map(8, 8, 8, RW);
  table.setDirty(15);
  assert.equal(dirtyRanges(table, 8, 2, true), [[8, 2]]);
  assert.equal(dirtyRanges(table, 8, 8), []);
});

test('dirty leaves are found on both sides of holes and levels', () => {
  const { table } = make();
  table.map(2, 2, 2, RW);
  table.map(1024, 1024, 1024, RW);
  table.map(5000, 1, 1, RW);
  for (const granule of [3, 1500, 5000]) table.setDirty(granule);
  assert.equal(dirtyRanges(table, 0, 1 << 20), [
    [2, 1],
    [1024, 512],
    [5000, 1],
  ]);
});

test('a mapping without access, or too wide, is refused', () => {
  const { table } = make();
  assert.throws(
    () => table.map(0, 0, 1, 0),
    (e: unknown) => isErrno(e, 'EINVAL'),
  );
  assert.throws(
    () => table.map(0, 2 ** 40, 1, RW),
    (e: unknown) => isErrno(e, 'ERANGE'),
  );
  assert.throws(
    () => table.map(2 ** 27 - 1, 0, 2, RW),
    (e: unknown) => isErrno(e, 'ERANGE'),
  );
});

test('free gives all memory back, whatever is mapped', () => {
  const { table, memory } = make();
  table.map(1, 1, 5000, RW);
  table.map(1 << 20, 3, 7, RW);
  table.free();
  assert.is(memory.bytes, 0);
  assert.is(memory.allocations, 0);
  assert.is(table.tables, 0);
});

test.run();
