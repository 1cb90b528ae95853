import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_REPORT, ACCESS_WRITE } from '../access.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_RESERVED,
  faultEntry,
  LEAF_DIRTY,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_R,
  LEAF_W,
} from '../walk/format.ts';
import {
  SS4,
  SS5,
  VTD_ADDRESS_BITS_SHIFT,
  VTD_SNOOP,
  VTD_SUPERPAGE_1G,
  VTD_SUPERPAGE_2M,
  VTD_TRANSIENT,
} from './formats.ts';

const BITS_48 = 48 << VTD_ADDRESS_BITS_SHIFT;
const FLAGS = BITS_48 | VTD_SUPERPAGE_2M | VTD_SUPERPAGE_1G;

function decode(entry: bigint, level: number, access: number = ACCESS_READ, flags = FLAGS): number {
  return SS4.decode(
    Number(entry & 0xffffffffn) | 0,
    Number(entry >> 32n) | 0,
    level,
    access,
    flags,
  );
}

test('an entry without R and W is not present', () => {
  assert.is(decode(0xfffn & ~3n, 0), faultEntry(FAULT_NOT_PRESENT));
});

test('R and W restrict at every level, before reserved bits are looked at', () => {
  assert.is(decode(2n, 3, ACCESS_READ), faultEntry(FAULT_PERMISSION));
  assert.is(decode(1n, 3, ACCESS_WRITE), faultEntry(FAULT_PERMISSION));
  assert.is(decode(1n | 0x800n, 3, ACCESS_WRITE), faultEntry(FAULT_PERMISSION));
  const report = ACCESS_READ | ACCESS_WRITE | ACCESS_REPORT;
  assert.is(decode(0x1001n, 3, report) & (0xf | LEAF_R | LEAF_W), ENTRY_TABLE | LEAF_R);
});

test('page size works at the levels and sizes that the unit supports', () => {
  const order = (leaf: number): number => (leaf >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
  assert.is(order(decode(0x40000083n, 2)), 18);
  assert.is(order(decode(0x200083n, 1)), 9);
  assert.is(decode(0x1083n, 0) & (0xf | LEAF_DIRTY), ENTRY_LEAF | LEAF_DIRTY);
  assert.is(decode(0x83n, 3), faultEntry(FAULT_RESERVED));
  assert.is(decode(0x83n, 2, ACCESS_READ, BITS_48 | VTD_SUPERPAGE_2M), faultEntry(FAULT_RESERVED));
  assert.is(decode(0x83n, 1, ACCESS_READ, BITS_48), faultEntry(FAULT_RESERVED));
});

test('frame bits beneath a superpage and above the address width are reserved', () => {
  assert.is(decode(0x100083n | (1n << 20n), 1), faultEntry(FAULT_RESERVED));
  assert.is(decode(0x200083n, 2), faultEntry(FAULT_RESERVED));
  assert.is(decode(3n | (1n << 47n), 0) & 0xf, ENTRY_LEAF);
  assert.is(decode(3n | (1n << 48n), 0), faultEntry(FAULT_RESERVED));
  assert.is(decode(3n | (1n << 51n), 1), faultEntry(FAULT_RESERVED));
  assert.is(decode(3n | (1n << 51n), 0, ACCESS_READ, 0) & 0xf, ENTRY_LEAF);
});

test('snoop and transient-mapping bits of leaves need their capability', () => {
  assert.is(decode(0x803n, 0), faultEntry(FAULT_RESERVED));
  assert.is(decode(0x803n, 0, ACCESS_READ, FLAGS | VTD_SNOOP) & 0xf, ENTRY_LEAF);
  assert.is(decode(3n | (1n << 62n), 0), faultEntry(FAULT_RESERVED));
  assert.is(decode(3n | (1n << 62n), 0, ACCESS_READ, FLAGS | VTD_TRANSIENT) & 0xf, ENTRY_LEAF);
  assert.is(
    decode(3n | (1n << 62n), 1, ACCESS_READ, FLAGS | VTD_TRANSIENT),
    faultEntry(FAULT_RESERVED),
  );
});

test('ignored bits are ignored', () => {
  assert.is(decode(0x77fn | (0x3ffn << 52n) | (1n << 63n), 0) & 0xf, ENTRY_LEAF);
});

test('what encode makes, decode reads back', () => {
  const out = new Int32Array(2);
  SS5.encodeLeaf(0x10, 0x40000, 1, ACCESS_READ, false, out);
  const leaf = SS5.decode(out[0], out[1], 1, ACCESS_READ, FLAGS);
  assert.is(leaf & (0xf | LEAF_R | LEAF_W), ENTRY_LEAF | LEAF_R);
  assert.is(SS5.inputBits, 57);
});

test.run();
