import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { testKernel } from '../../kernel/testbench.ts';
import { DirtyBitmap } from './dirty-bitmap.ts';

const BASE = 0x10_0000n;
const M = 2048n;

function bitsSet(bytes: Uint8Array): number[] {
  const bits: number[] = [];
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    if ((bytes[bit >> 3] >> (bit & 7)) & 1) bits.push(bit);
  }
  return bits;
}

test('ranges set the bits of their pages, added to those that are there, at any address', () => {
  const { kernel, process, alloc, poke, peek } = testKernel();
  const address = alloc(3 * 4096) + 0xff1n;
  poke(address, [0x80]);
  const last = BASE + 64n * 1024n * 1024n - 1n;
  const bitmap = new DirtyBitmap(kernel, {
    iova: BASE,
    last,
    pageSize: M,
    bitmap: { space: process.space, address },
  });
  bitmap.set(BASE, M);
  bitmap.set(BASE + 10n * M, 3n * M);
  bitmap.set(BASE + 200n * M, 1n);
  bitmap.free();
  assert.equal(bitsSet(peek(address, 32)), [0, 7, 10, 11, 12, 200]);
  assert.is(kernel.pins.total, 0);
});

test('what lies behind a page that cannot be written is left out in silence', () => {
  const { kernel, process, alloc, calls, peek } = testKernel();
  const address = alloc(2 * 4096);
  calls.munmap(Number(address) + 4096, 4096);
  const bitmap = new DirtyBitmap(kernel, {
    iova: 0n,
    last: 2n * 4096n * 8n * M - 1n,
    pageSize: M,
    bitmap: { space: process.space, address },
  });
  bitmap.set(0n, 2n * 4096n * 8n * M);
  bitmap.set(4096n * 8n * M, M);
  bitmap.free();
  assert.is(bitsSet(peek(address, 4096)).length, 4096 * 8);
  assert.is(kernel.pins.total, 0);
});

test('windows of 512 pages follow the ranges through a long bitmap', () => {
  const { kernel, process, alloc, peek } = testKernel();
  const pages = 600;
  const address = alloc(pages * 4096);
  const bits = BigInt(pages) * 4096n * 8n;
  const bitmap = new DirtyBitmap(kernel, {
    iova: 0n,
    last: bits * M - 1n,
    pageSize: M,
    bitmap: { space: process.space, address },
  });
  const edge = 512n * 4096n * 8n;
  bitmap.set((edge - 3n) * M, 6n * M);
  bitmap.free();
  assert.equal(bitsSet(peek(address + 512n * 4096n - 1n, 2)), [5, 6, 7, 8, 9, 10]);
});

test.run();
