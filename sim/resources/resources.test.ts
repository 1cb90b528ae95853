import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../errors.ts';
import { Clock } from '../time/clock.ts';
import { Bandwidth } from './bandwidth.ts';
import { Fifo } from './fifo.ts';
import { Pace } from './pace.ts';
import { Slots } from './slots.ts';

test('a transfer takes bytes times cost, and the next begins where it ended', () => {
  const channel = new Bandwidth({ numerator: 2, denominator: 1 });
  assert.is(channel.reserve(10, 5), 20);
  assert.is(channel.reserve(12, 5), 30);
  assert.is(channel.reserve(31, 5), 41);
  assert.is(channel.backlogMax, 8);
});

test('a transfer that arrives at the end of the last one does not wait', () => {
  const channel = new Bandwidth({ numerator: 1, denominator: 1 });
  channel.reserve(0, 10);
  assert.is(channel.backlog(9), 1);
  assert.is(channel.backlog(10), 0);
  assert.is(channel.reserve(10, 1), 11);
});

test('fractions of a cycle add up over transfers: 1000 of 8.13 cycles take 8130', () => {
  const channel = new Bandwidth({ numerator: 813, denominator: 100 });
  let end = 0;
  for (let i = 1; i <= 1000; i++) {
    end = channel.reserve(0, 1);
    assert.is(end, Math.ceil((i * 813) / 100));
  }
  assert.is(end, 8130);
  assert.is(channel.busyCycles(), 8130);
});

test('an idle channel does not keep the fraction of an earlier transfer', () => {
  const channel = new Bandwidth({ numerator: 1, denominator: 2 });
  assert.is(channel.reserve(0, 1), 1);
  assert.is(channel.reserve(1, 1), 2);
  assert.is(channel.reserve(1, 1), 2);
});

test('at full load exactly the rate passes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1000 }),
      fc.integer({ min: 100, max: 4000 }),
      fc.array(fc.integer({ min: 1, max: 4224 }), { minLength: 1, maxLength: 50 }),
      (gigabits, megahertz, sizes) => {
        const cost = new Clock(megahertz * 1_000_000).cyclesPerByte(gigabits * 1_000_000_000);
        const channel = new Bandwidth(cost);
        let total = 0n;
        for (const size of sizes) {
          total += BigInt(size);
          const exact = total * BigInt(cost.numerator);
          const denominator = BigInt(cost.denominator);
          const end = Number((exact + denominator - 1n) / denominator);
          assert.is(channel.reserve(0, size), end);
        }
      },
    ),
  );
});

test('a source that begins whenever it may keeps the exact rate', () => {
  const pace = new Pace({ numerator: 813, denominator: 100 });
  for (let i = 0; i < 1000; i++) {
    assert.is(pace.due, Math.ceil((i * 813) / 100));
    pace.begin(pace.due, 1);
  }
});

test('a source that begins late does not catch up', () => {
  const pace = new Pace({ numerator: 5, denominator: 2 });
  pace.begin(0, 1);
  assert.is(pace.due, 3);
  pace.begin(4, 1);
  assert.is(pace.due, 7);
  pace.begin(7, 1);
  assert.is(pace.due, 9);
});

test('slots refuse one more than their capacity and one back too many', () => {
  const slots = new Slots(2);
  assert.ok(slots.tryTake(0));
  assert.ok(slots.tryTake(0));
  assert.not(slots.tryTake(5));
  slots.give(10);
  assert.is(slots.free, 1);
  assert.not(slots.tryTake(10, 2));
  slots.give(10);
  assert.throws(
    () => slots.give(10),
    (e: unknown) => e instanceof InternalError,
  );
  assert.equal(slots.occupancy.plain(20), { area: 20, cycles: 20, max: 2 });
});

test('a fifo gives back in order what it took, also round its end', () => {
  const fifo = new Fifo(3);
  for (let i = 0; i < 10; i++) {
    fifo.push(i, i);
    fifo.push(i, 100 + i);
    assert.is(fifo.peek(), i);
    assert.is(fifo.at(1), 100 + i);
    assert.is(fifo.shift(i), i);
    assert.is(fifo.shift(i), 100 + i);
  }
  assert.is(fifo.length, 0);
});

test('a fifo refuses one more than its capacity and reading when empty', () => {
  const fifo = new Fifo(3);
  for (let i = 0; i < 3; i++) fifo.push(0, i);
  assert.ok(fifo.full);
  assert.throws(
    () => fifo.push(0, 9),
    (e: unknown) => e instanceof InternalError,
  );
  for (let i = 0; i < 3; i++) fifo.shift(4);
  assert.throws(
    () => fifo.shift(4),
    (e: unknown) => e instanceof InternalError,
  );
  assert.equal(fifo.occupancy.plain(8), { area: 12, cycles: 8, max: 3 });
});

test.run();
