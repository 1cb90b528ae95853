import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../errors.ts';
import { Clock } from './clock.ts';

const NS = 1000;

test('at 1 GHz a nanosecond is a cycle', () => {
  const clock = new Clock(1_000_000_000);
  assert.is(clock.nearest(330 * NS), 330);
  assert.is(clock.ceil(330 * NS), 330);
});

test('latencies round to the nearest cycle, limits round up', () => {
  const clock = new Clock(1_000_000_000);
  assert.is(clock.nearest(499), 0);
  assert.is(clock.nearest(500), 1);
  assert.is(clock.ceil(1), 1);
  assert.is(clock.ceil(0), 0);
  assert.is(clock.ceil(1001), 2);
});

test('cycles become picoseconds again within half a cycle', () => {
  const clock = new Clock(1_300_000_000);
  for (const ps of [1, 769, 770, 123_456_789, 10 ** 15]) {
    assert.ok(Math.abs(clock.ps(clock.nearest(ps)) - ps) <= 385);
  }
});

test('26 days at 4 GHz are still exact', () => {
  const clock = new Clock(4_000_000_000);
  assert.is(clock.nearest(2_246_400 * 10 ** 9), 2_246_400 * 4 * 10 ** 6);
});

test('a time of more cycles than a safe integer is bad input', () => {
  const clock = new Clock(4_000_000_000_000);
  assert.throws(
    () => clock.ceil(Number.MAX_SAFE_INTEGER),
    (e: unknown) => e instanceof InputError,
  );
});

test('a clock without a whole frequency above zero is bad input', () => {
  for (const hertz of [0, -1, 1.5, Number.NaN]) {
    assert.throws(
      () => new Clock(hertz),
      (e: unknown) => e instanceof InputError,
    );
  }
});

test('the cost of a byte is the exact fraction of cycles', () => {
  assert.equal(new Clock(1_000_000_000).cyclesPerByte(200_000_000_000), {
    numerator: 1,
    denominator: 25,
  });
  assert.equal(new Clock(1_200_000_000).cyclesPerByte(62_960_000_000), {
    numerator: 120,
    denominator: 787,
  });
});

test('bytes in a number of cycles become a rate', () => {
  assert.is(new Clock(1_000_000_000).bitsPerSecond(25, 1), 200_000_000_000);
  assert.is(new Clock(1_000_000_000).bitsPerSecond(25, 0), 0);
});

test('text of cycles is time', () => {
  assert.is(new Clock(1_000_000_000).text(1500), '1.500us');
});

test.run();
