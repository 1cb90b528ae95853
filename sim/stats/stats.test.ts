import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, InternalError } from '../errors.ts';
import { CounterSet } from './counters.ts';
import { Gauge, gaugeMean, mergeGauges } from './gauge.ts';
import { Histogram } from './histogram.ts';

test('counters add by index and merge by name', () => {
  const a = new CounterSet(['hit', 'miss']);
  const b = new CounterSet(['hit', 'miss']);
  a.add(0, 2);
  b.add(0, 3);
  b.add(1, 1);
  a.merge(b);
  assert.equal(a.toPlain(), { hit: 5, miss: 1 });
  assert.throws(
    () => a.merge(new CounterSet(['other'])),
    (e: unknown) => e instanceof InternalError,
  );
});

test('a gauge weighs each level with the cycles it lasted', () => {
  const gauge = new Gauge();
  gauge.set(10, 4);
  gauge.add(20, -3);
  assert.equal(gauge.plain(40), { area: 4 * 10 + 20, cycles: 40, max: 4 });
  assert.is(gaugeMean(gauge.plain(40)), 1.5);
  assert.is(gaugeMean(new Gauge().plain(0)), 0);
});

test('merged gauges are the mean over all of them', () => {
  const merged = mergeGauges({ area: 10, cycles: 10, max: 1 }, { area: 90, cycles: 30, max: 3 });
  assert.equal(merged, { area: 100, cycles: 40, max: 3 });
});

/** Sums of so many values stay below 2^53, the bound of an exact sum. */
const shrink = (value: number): number => Math.floor(value / 128);
const values = fc.array(
  fc.oneof(fc.nat({ max: 600 }), fc.nat({ max: 1_000_000 }), fc.maxSafeNat().map(shrink)),
  { maxLength: 60 },
);

function recorded(items: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const item of items) histogram.record(item);
  return histogram;
}

test('an empty histogram has zeros', () => {
  const histogram = new Histogram();
  assert.is(histogram.percentile(99, 100), 0);
  assert.is(histogram.mean(), 0);
  assert.is(histogram.min, 0);
});

test('values below 256 are exact, larger ones within 1 in 128', () => {
  for (const value of [
    0,
    1,
    255,
    256,
    257,
    511,
    512,
    1000,
    2 ** 31 - 1,
    2 ** 31,
    2 ** 40 + 12345,
  ]) {
    const histogram = recorded([value, Number.MAX_SAFE_INTEGER]);
    const found = histogram.percentile(1, 2);
    assert.ok(found >= value && found - value <= value / 128, `${value}: ${found}`);
    if (value < 256) assert.is(found, value);
  }
});

test('percentiles are those of the sorted values, to the precision of a bucket', () => {
  const small = fc.array(fc.nat({ max: 1_000_000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(small, fc.nat({ max: 100 }), (items, percent) => {
      const sorted = [...items].sort((a, b) => a - b);
      const rank = Math.max(1, Math.ceil((items.length * percent) / 100));
      const exact = sorted[rank - 1] as number;
      const found = recorded(items).percentile(percent, 100);
      assert.ok(found >= exact && found - exact <= exact / 128);
    }),
  );
});

test('count, sum, min and max are exact', () => {
  const histogram = recorded([5, 1000, 70_000, 3]);
  assert.is(histogram.count, 4);
  assert.is(histogram.sum, 71_008);
  assert.is(histogram.min, 3);
  assert.is(histogram.max, 70_000);
  assert.is(histogram.percentile(1, 1), 70_000);
  assert.is(histogram.mean(), 17_752);
});

test('merging two histograms equals recording all values in one', () => {
  fc.assert(
    fc.property(values, values, (left, right) => {
      const merged = recorded(left);
      merged.merge(recorded(right));
      assert.equal(merged.toPlain(), recorded([...left, ...right]).toPlain());
    }),
  );
});

test('a histogram survives JSON', () => {
  fc.assert(
    fc.property(values, (items) => {
      const histogram = recorded(items);
      const plain = JSON.parse(JSON.stringify(histogram.toPlain()));
      const back = Histogram.fromPlain(plain);
      assert.equal(back.toPlain(), histogram.toPlain());
      assert.is(back.percentile(99, 100), histogram.percentile(99, 100));
    }),
  );
});

test('a plain histogram whose buckets do not add up is bad input', () => {
  assert.throws(
    () => Histogram.fromPlain({ count: 2, sum: 1, min: 1, max: 1, buckets: [[1, 1]] }),
    (e: unknown) => e instanceof InputError,
  );
});

test.run();
