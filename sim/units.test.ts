import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from './errors.ts';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatFrequency,
  formatRate,
  parseBytes,
  parseDuration,
  parseFrequency,
  parseRate,
} from './units.ts';

function refused(parse: () => number, expected: RegExp): void {
  assert.throws(parse, (e: unknown) => e instanceof InputError && expected.test(e.message));
}

test('durations become picoseconds exactly', () => {
  assert.is(parseDuration('330ns'), 330_000);
  assert.is(parseDuration('1.5us'), 1_500_000);
  assert.is(parseDuration('0.001 ns'), 1);
  assert.is(parseDuration(' 2 ms '), 2_000_000_000);
  assert.is(parseDuration('0.1s'), 100_000_000_000);
  assert.is(parseDuration('0ps'), 0);
});

test('rates count bits, and bytes eightfold', () => {
  assert.is(parseRate('200Gb/s'), 200_000_000_000);
  assert.is(parseRate('62.96Gb/s'), 62_960_000_000);
  assert.is(parseRate('25GB/s'), 200_000_000_000);
  assert.is(parseRate('1b/s'), 1);
});

test('sizes are powers of 1024', () => {
  assert.is(parseBytes('2MiB'), 2 * 1024 * 1024);
  assert.is(parseBytes('1.5KiB'), 1536);
  assert.is(parseBytes('64B'), 64);
});

test('frequencies become hertz', () => {
  assert.is(parseFrequency('1.2GHz'), 1_200_000_000);
});

test('a missing or unknown unit is refused, with the units there are', () => {
  refused(() => parseDuration('330'), /no unit.*such as 330ns.*ps, ns, us, ms, s/);
  refused(() => parseDuration('3 weeks'), /unknown unit "weeks"/);
  refused(() => parseBytes('4kb'), /unknown unit "kb".*units: B, KiB/);
});

test('a unit in the wrong case or spelling brings a suggestion', () => {
  refused(() => parseRate('200gb/s'), /did you mean Gb\/s or GB\/s\?/);
  refused(() => parseRate('200Gbs'), /did you mean Gb\/s or GB\/s\?/);
  refused(() => parseDuration('3NS'), /did you mean ns\?/);
});

test('text that is no quantity, a negative one, a fraction or a giant is refused', () => {
  refused(() => parseDuration('fast'), /expected a duration such as 330ns/);
  refused(() => parseDuration(''), /expected a duration/);
  refused(() => parseDuration('-3ns'), /expected a duration/);
  refused(() => parseDuration('1e3ns'), /unknown unit/);
  refused(() => parseDuration('.5ns'), /expected a duration/);
  refused(() => parseDuration('0.5ps'), /no whole number of ps/);
  refused(() => parseBytes('0.3KiB'), /no whole number of B/);
  refused(() => parseDuration('9008s'), /too large/);
});

test('formatting picks the largest unit with at most three decimals', () => {
  assert.is(formatDuration(1_500_000), '1.5us');
  assert.is(formatDuration(1_234_567), '1234.567ns');
  assert.is(formatDuration(0), '0ps');
  assert.is(formatBytes(1536), '1.5KiB');
  assert.is(formatBytes(1025), '1025B');
  assert.is(formatRate(62_960_000_000), '62.96Gb/s');
  assert.is(formatFrequency(1_200_000_000), '1.2GHz');
});

test('with digits, formatting rounds to so many significant digits', () => {
  assert.is(formatDuration(1_234_567, 3), '1.23us');
  assert.is(formatDuration(1_235_000, 3), '1.24us');
  assert.is(formatDuration(123_456_789, 3), '123us');
  assert.is(formatDuration(-1_500, 3), '-1.50ns');
  assert.is(formatRate(96_100_000_000, 4), '96.10Gb/s');
});

test('counts have their thousands set apart', () => {
  assert.is(formatCount(1_234_567), '1,234,567');
  assert.is(formatCount(999), '999');
  assert.is(formatCount(-1000), '-1,000');
});

test('what is formatted exactly is parsed to the same value', () => {
  const value = fc.oneof(fc.maxSafeNat(), fc.nat({ max: 5000 }));
  fc.assert(
    fc.property(value, (n) => {
      assert.is(parseDuration(formatDuration(n)), n);
      assert.is(parseRate(formatRate(n)), n);
      assert.is(parseBytes(formatBytes(n)), n);
      assert.is(parseFrequency(formatFrequency(n)), n);
    }),
  );
});

test.run();
