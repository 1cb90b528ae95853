import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../kernel/errno.ts';
import { testKernel } from '../kernel/testbench.ts';
import { copyBack, copyEntry, copyStruct, copyWhole } from './user-data.ts';

const TYPE = 5;
const MIN = 4;
const KERNEL = 8;

function code(action: () => unknown): string {
  try {
    action();
    return 'ok';
  } catch (error) {
    if (error instanceof Errno) return error.code;
    throw error;
  }
}

function bench(...bytes: number[]) {
  const { process, alloc, poke, peek } = testKernel();
  const page = alloc(4096);
  poke(page, bytes);
  const { space } = process;
  const data = (length: number, address = page) => ({ type: TYPE, address, length, space });
  const array = (entryLength: number, entries: number) => ({
    type: TYPE,
    address: page,
    entryLength,
    entries,
    space,
    handled: 0,
  });
  return { data, array, page, peek };
}

test('a structure is taken from its least length to the length that the kernel knows', () => {
  const { data } = bench(1, 2, 3, 4, 5, 6, 7, 8);
  assert.equal([...copyStruct(data(8), TYPE, MIN, KERNEL)], [1, 2, 3, 4, 5, 6, 7, 8]);
  assert.equal([...copyStruct(data(4), TYPE, MIN, KERNEL)], [1, 2, 3, 4, 0, 0, 0, 0]);
  assert.is(
    code(() => copyStruct(data(3), TYPE, MIN, KERNEL)),
    'EINVAL',
  );
  assert.is(
    code(() => copyStruct(data(9), TYPE, MIN, KERNEL)),
    'EINVAL',
    'though its tail is 0',
  );
});

test('the type is looked at before the length, the length before the address', () => {
  const { data } = bench();
  assert.is(
    code(() => copyStruct(data(8, 0n), TYPE + 1, MIN, KERNEL)),
    'EINVAL',
  );
  assert.is(
    code(() => copyStruct(data(9, 0n), TYPE, MIN, KERNEL)),
    'EINVAL',
  );
  assert.is(
    code(() => copyStruct(data(8, 0n), TYPE, MIN, KERNEL)),
    'EFAULT',
  );
});

test('element i of an array begins at i times the length that the caller gave', () => {
  const { array } = bench(1, 0, 0, 0, 2, 0, 0, 0, 3);
  assert.is(copyEntry(array(4, 3), 2, TYPE, MIN, KERNEL)[0], 3);
  assert.is(
    code(() => copyEntry(array(12, 1), 0, TYPE, MIN, KERNEL)),
    'EINVAL',
  );
});

test('a whole array extends short elements and wants the tails of long ones zero', () => {
  const { array } = bench(1, 2, 3, 4);
  const short = copyWhole(array(2, 2), TYPE, KERNEL);
  assert.equal(
    short.map((entry) => [...entry.subarray(0, 3)]),
    [
      [1, 2, 0],
      [3, 4, 0],
    ],
  );
  assert.is(copyWhole(array(12, 1), TYPE, KERNEL).length, 1);
  assert.is(
    code(() => copyWhole(array(4, 1), TYPE, 2)),
    'E2BIG',
  );
  assert.is(
    code(() => copyWhole(array(8, 0), TYPE, KERNEL)),
    'EINVAL',
  );
});

test('an answer is cut to the length that the caller has', () => {
  const { data, page, peek } = bench(9, 9, 9, 9, 9, 9, 9, 9);
  copyBack(data(4), Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  assert.equal([...peek(page, 6)], [1, 2, 3, 4, 9, 9]);
});

test.run();
