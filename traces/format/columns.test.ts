import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ColumnEncoder, ColumnError, type EncodedColumn } from './columns.ts';
import { decodeColumn, decodeCycles } from './decode.ts';

const encode = (values: readonly number[], unsigned = false): EncodedColumn =>
  new ColumnEncoder(Math.max(1, values.length)).column(
    Int32Array.from(values),
    0,
    values.length,
    unsigned,
  );

function widthOf(encoded: EncodedColumn, residuals: number): number {
  return typeof encoded === 'number' ? -1 : encoded[3].length / residuals;
}

test('a column that never changes is one number', () => {
  assert.is(encode([7, 7, 7]), 7);
  assert.is(encode([-1, -1]), -1);
  assert.is(encode([-1], true), 0xffffffff);
});

test('residuals take the fewest bytes on both sides of each limit', () => {
  // Differences that jump about, so that stepping never pays.
  const spread = (range: number): number[] => [5, 5 + range, 6, 5 + range, 5];
  assert.is(widthOf(encode(spread(0xff)), 5), 1);
  assert.is(widthOf(encode(spread(0x101)), 5), 2);
  assert.is(widthOf(encode(spread(0xffff)), 5), 2);
  assert.is(widthOf(encode(spread(0x10001)), 5), 3);
  assert.is(widthOf(encode(spread(0xffffff)), 5), 3);
  assert.is(widthOf(encode(spread(0x1000001)), 5), 4);
});

test('low bits that never change are not stored', () => {
  const encoded = encode([0x10003, 0x20003, 0x90003, 0x30003]);
  assert.equal(encoded, [0x10003, null, 16, new Uint8Array([0, 1, 8, 2])]);
});

test('a column of equal steps needs no residuals', () => {
  const values = Array.from({ length: 1000 }, (_, i) => 100000 + i * 300);
  const encoded = encode(values) as [number, number, number, Uint8Array];
  assert.is(encoded[0], 100000);
  assert.is(encoded[1], 300);
  assert.is(encoded[3].length, 0);
  assert.equal([...decodeColumn(encoded, 1000)], values);
});

test('an unsigned column around 2^31 is as narrow as any other', () => {
  assert.is(widthOf(encode([0x7ffffff0, 0x80000010, 0x7ffffff8], true), 3), 1);
});

test('any values come back', () => {
  const value = fc.oneof(fc.integer({ min: -300, max: 300 }), fc.integer(), fc.constant(4096));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 300 }), fc.boolean(), (values, u) => {
      assert.equal([...decodeColumn(encode(values, u), values.length)], values);
    }),
  );
});

test('any ascending cycles come back, whatever the gaps', () => {
  const gap = fc.oneof(fc.nat(3), fc.nat(100_000), fc.integer({ min: 0, max: 2 ** 40 }));
  const shift = fc.nat(4);
  fc.assert(
    fc.property(fc.array(gap, { minLength: 1, maxLength: 200 }), shift, (gaps, bits) => {
      let cycle = 2 ** 41;
      const cycles = Float64Array.from(gaps, (step) => {
        cycle += step * 2 ** bits;
        return cycle;
      });
      const encoded = new ColumnEncoder(200).cycles(cycles, cycles.length, 0);
      assert.equal([...decodeCycles(encoded, cycles.length)], [...cycles]);
    }),
  );
});

test('cycles that go back are an internal error, within a chunk and across two', () => {
  const encoder = new ColumnEncoder(4);
  assert.throws(() => encoder.cycles(Float64Array.of(5, 4), 2, 0), /not in cycle order/);
  assert.throws(() => encoder.cycles(Float64Array.of(5), 1, 6), /cycle 5 after one of cycle 6/);
  assert.is(encoder.cycles(Float64Array.of(6), 1, 6), 6);
});

test('bytes handed out survive the growth of the buffer', () => {
  const encoder = new ColumnEncoder(2);
  const wide = Int32Array.of(0, -1);
  const encoded = Array.from({ length: 40 }, () => encoder.column(wide, 0, 2, false));
  for (const column of encoded) assert.equal([...decodeColumn(column, 2)], [0, -1]);
});

test('a column that does not fit its rows is refused', () => {
  const refused: unknown[] = [
    [0, null, 0, new Uint8Array(5)],
    [0, null, 0, new Uint8Array(10)],
    [0, null, 32, new Uint8Array(2)],
    [0, 0.5, 0, new Uint8Array(2)],
    ['0', null, 0, new Uint8Array(2)],
    [0, null, 0, 'xx'],
    [0, null, 0],
    null,
    'text',
    {},
  ];
  for (const column of refused) {
    assert.throws(
      () => decodeColumn(column, 2),
      (error: unknown) => error instanceof ColumnError,
    );
    assert.throws(
      () => decodeCycles(column, 2),
      (error: unknown) => error instanceof ColumnError,
    );
  }
});

test.run();
