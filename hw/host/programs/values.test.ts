import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { mismatch } from './comparison.ts';
import { callFields, evaluate, expressionProblem, namesIn } from './values.ts';

const names = new Map([
  ['ram', 0x1000n],
  ['nic-0.fd', 7n],
]);
const around = { names, written: () => [3, 5] };

test('values are integers, sizes, names, and sums of them, modulo 2^64', () => {
  assert.is(evaluate(5, names), 5n);
  assert.is(evaluate('0xffffffffffffffff', names), 2n ** 64n - 1n);
  assert.is(evaluate('64MiB', names), 2n ** 26n);
  assert.is(evaluate('$ram + 4KiB - 1', names), 0x1fffn);
  assert.is(evaluate('$nic-0.fd', names), 7n);
  assert.is(evaluate('$ram - 0x1001', names), 2n ** 64n - 1n);
  assert.equal(namesIn('$ram + $nic-0.fd - 1'), ['ram', 'nic-0.fd']);
});

test('what is no value is said, and a name without value too', () => {
  assert.is(expressionProblem('$ram + 4KiB'), null);
  assert.match(String(expressionProblem('$ram + four')), 'got "four"');
  assert.match(String(expressionProblem('12 apples')), 'got "12 apples"');
  assert.throws(() => evaluate('$rom', names), /\$rom has no value yet/);
});

test('fields keep the names of flags, and bytes become memory', () => {
  const given = { flags: ['READABLE'], iova: '$ram', data: { bytes: [1, 2] }, other: { zeros: 3 } };
  assert.equal(callFields(given, names), {
    flags: ['READABLE'],
    iova: 0x1000n,
    data: Uint8Array.of(1, 2),
    other: new Uint8Array(3),
  });
});

test('numbers are compared as numbers, flags as sets, bounds as bounds', () => {
  assert.is(mismatch('x', '$ram', 4096, around), '');
  assert.is(mismatch('x', '4KiB', 4096n, around), '');
  assert.is(mismatch('x', ['B', 'A'], ['A', 'B'], around), '');
  assert.is(mismatch('x', 'A|B', ['B', 'A'], around), '');
  assert.is(mismatch('x', 0, [], around), '', 'no flags');
  assert.is(mismatch('x', 5, 6, around), 'x: expected 5, got 6');
  assert.is(mismatch('x', { min: 5, max: 6 }, 6, around), '');
  assert.is(mismatch('x', { max: 5 }, 6, around), 'x: expected at most 5, got 6');
  assert.is(mismatch('x', { not: '$ram' }, 4096, around), 'x: expected anything but 4096');
  assert.is(mismatch('x', 5, undefined, around), 'x: expected 5, got nothing');
});

test('structures and lists are compared part by part', () => {
  const ranges = [
    { start: 0n, last: 9n },
    { start: 20n, last: 29n },
  ];
  assert.is(mismatch('data', [{ start: 0 }, { last: 29 }], ranges, around), '');
  assert.is(
    mismatch('data', [{ start: 0 }, { last: 28 }], ranges, around),
    'data[1].last: expected 28, got 29',
  );
  assert.match(mismatch('data', [{ start: 0 }], ranges, around), 'expected 1 entries, got 2');
  assert.is(mismatch('data', { count: 2 }, ranges, around), '');
});

test('pages that a device wrote must be told, and no others', () => {
  assert.is(mismatch('data', { written_by: 'nic0' }, [5, 3], around), '');
  assert.match(
    mismatch('data', { written_by: 'nic0' }, [3, 4], around),
    '2 pages were written, 2 are told: 1 missing, 1 too many',
  );
});

test('while a device works its log covers what it wrote', () => {
  assert.is(mismatch('data', { covers_written_by: 'nic0' }, [3, 4, 5], around), '');
  assert.match(mismatch('data', { covers_written_by: 'nic0' }, [3, 4], around), '1 missing');
});

test.run();
