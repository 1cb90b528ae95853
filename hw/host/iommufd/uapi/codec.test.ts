import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../../../sim/errors.ts';
import { decode, encode } from './codec.ts';
import { IOCTLS } from './ioctls.ts';
import * as S from './structs.ts';
import { describe, resolve } from './symbolic.ts';

function refused(run: () => unknown, words: RegExp): void {
  assert.throws(run, (error: unknown) => error instanceof InputError && words.test(error.message));
}

test('fields are little-endian at their offsets, and fields left out are zero', () => {
  const bytes = encode(S.IOAS_MAP, { size: 40, flags: 6, ioas_id: 1, user_va: 0x1234_5678_9abcn });
  assert.is(
    Buffer.from(bytes).toString('hex'),
    `28000000060000000100000000000000bc9a785634120000${'00'.repeat(16)}`,
  );
});

test('arrays and signed integers survive the way there and back', () => {
  const ste = [0xf80f_ffff_ffff_ffffn, 5n];
  assert.equal(decode(S.HWPT_ARM_SMMUV3, encode(S.HWPT_ARM_SMMUV3, { ste })), { ste });
  const { fd } = decode(S.IOAS_MAP_FILE, encode(S.IOAS_MAP_FILE, { fd: -1 }));
  assert.is(fd, -1);
});

test('every byte of every argument belongs to a field: none is lost on the way', () => {
  for (const { layout } of Object.values(IOCTLS)) {
    if (layout === S.TEST_CMD) continue;
    const bytes = Uint8Array.from({ length: layout.size }, (_, i) => 0xff - i);
    assert.equal(encode(layout, decode(layout, bytes)), bytes, layout.name);
  }
});

test('64-bit fields decode to bigints, the others to numbers', () => {
  const { length, ioas_id } = decode(S.IOAS_UNMAP, new Uint8Array(24).fill(0xff));
  assert.is(length, 0xffff_ffff_ffff_ffffn);
  assert.is(ioas_id, 0xffff_ffff);
});

test('a structure that ends early decodes as if zeros followed', () => {
  const { dev_id, fault_id } = decode(S.HWPT_ALLOC, new Uint8Array(24).fill(1));
  assert.is(dev_id, 0x01010101);
  assert.is(fault_id, 0);
});

test('the largest value of a field is taken, the one above it is refused by name', () => {
  encode(S.OPTION, { op: 0xffff });
  refused(() => encode(S.OPTION, { op: 0x10000 }), /iommu_option\.op: 65536 .* u16, 0 to 65535/);
  encode(S.OPTION, { val64: (1n << 64n) - 1n });
  refused(() => encode(S.OPTION, { val64: 1n << 64n }), /iommu_option\.val64/);
  refused(() => encode(S.OPTION, { val64: -1 }), /outside u64/);
  encode(S.IOAS_MAP_FILE, { fd: -0x8000_0000 });
  refused(() => encode(S.IOAS_MAP_FILE, { fd: 0x8000_0000 }), /outside s32/);
});

test('a number that is not exact is refused instead of rounded', () => {
  refused(() => encode(S.IOAS_MAP, { iova: 2 ** 53 }), /iova.* give a bigint/);
  refused(() => encode(S.IOAS_MAP, { iova: 1.5 }), /not an exact integer/);
});

test('an unknown field is refused with those that there are', () => {
  const wrong: Record<string, number> = { iovaa: 1 };
  refused(() => encode(S.IOAS_MAP as never, wrong as never), /no field iovaa; it has size, flags/);
});

test('a list longer than its array is refused', () => {
  encode(S.HWPT_ARM_SMMUV3, { ste: [1n] });
  refused(() => encode(S.HWPT_ARM_SMMUV3, { ste: [1n, 2n, 3n] }), /at most 2/);
});

test('flags are given by name, by list, joined by a bar, by Linux name, or as a number', () => {
  const flags = (value: Parameters<typeof resolve>[2]) =>
    BigInt(resolve('iommu_ioas_map', 'flags', value));
  assert.is(flags('READABLE'), 4n);
  assert.is(flags(['READABLE', 'WRITEABLE']), 6n);
  assert.is(flags('readable|writeable'), 6n);
  assert.is(flags('IOMMU_IOAS_MAP_FIXED_IOVA'), 1n);
  assert.is(flags(['FIXED_IOVA', 0x80]), 0x81n);
  assert.is(flags('0x10'), 16n);
  refused(() => flags('RW'), /no value is called RW; known: FIXED_IOVA, WRITEABLE, READABLE/);
});

test('values are described by name, bits without a name stay numbers', () => {
  assert.equal(describe('iommu_ioas_map', 'flags', 0x46), ['WRITEABLE', 'READABLE', 0x40n]);
  assert.is(describe('iommu_hwpt_alloc', 'data_type', 1), 'VTD_S1');
  assert.is(describe('iommu_hwpt_alloc', 'data_type', 99), 99);
  assert.is(describe('iommu_ioas_map', 'iova', 5n), 5n);
});

test.run();
