import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../access.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  FAULT_ACCESSED_DIRTY,
  FAULT_MISALIGNED,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_RESERVED,
  faultEntry,
  LEAF_DIRTY,
  LEAF_GLOBAL,
  LEAF_MEMTYPE_SHIFT,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_R,
  LEAF_SET_A,
  LEAF_SET_D,
  LEAF_USER,
  LEAF_W,
  LEAF_X,
  STAGE_HW_AD,
  STAGE_PRIVILEGED_USER,
} from '../walk/format.ts';
import {
  RISCV_FORMATS,
  RISCV_PBMT,
  RISCV_RSW,
  type RiscvFormat,
  SV32,
  SV39,
  SV39X4,
  SV48,
  SV57X4,
} from './formats.ts';

/** An entry as a 64-bit value. */
function decode(
  format: RiscvFormat,
  entry: bigint,
  level: number,
  access: number = ACCESS_READ,
  flags = 0,
): number {
  return format.decode(
    Number(entry & 0xffffffffn) | 0,
    Number(entry >> 32n) | 0,
    level,
    access,
    flags,
  );
}

const order = (leaf: number): number => (leaf >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
const VRWXUAD = 0xdfn;

test('an entry with V=0, or W without R, ends the walk', () => {
  assert.is(decode(SV39, 0xden, 0), faultEntry(FAULT_NOT_PRESENT));
  assert.is(decode(SV39, 0xd5n, 0, ACCESS_WRITE), faultEntry(FAULT_RESERVED));
  assert.is(decode(SV39, 0xddn, 0, ACCESS_EXECUTE), faultEntry(FAULT_RESERVED));
});

test('a pointer may have G and nothing else, and none at the last level', () => {
  assert.is(decode(SV39, 0x1401n, 1) & 0xf, ENTRY_TABLE);
  assert.is(decode(SV39, 0x1421n, 1) & LEAF_GLOBAL, LEAF_GLOBAL);
  assert.is(decode(SV39X4, 0x1421n, 1) & LEAF_GLOBAL, 0);
  assert.is(decode(SV39, 0x1401n, 0), faultEntry(FAULT_RESERVED));
  for (const bit of [4n, 6n, 7n]) {
    assert.is(decode(SV39, 0x1401n | (1n << bit), 1), faultEntry(FAULT_RESERVED));
  }
});

test('bits 58:54 are reserved, 60:59 and 62:61 unless their extension is there', () => {
  for (let bit = 54n; bit <= 58n; bit++) {
    const flags = RISCV_PBMT | RISCV_RSW;
    assert.is(
      decode(SV48, VRWXUAD | (1n << bit), 0, ACCESS_READ, flags),
      faultEntry(FAULT_RESERVED),
    );
  }
  assert.is(decode(SV48, VRWXUAD | (1n << 59n), 0), faultEntry(FAULT_RESERVED));
  assert.is(decode(SV48, VRWXUAD | (1n << 59n), 0, ACCESS_READ, RISCV_RSW) & 0xf, ENTRY_LEAF);
  assert.is(decode(SV48, VRWXUAD | (1n << 61n), 0), faultEntry(FAULT_RESERVED));
  const typed = decode(SV48, VRWXUAD | (2n << 61n), 0, ACCESS_READ, RISCV_PBMT);
  assert.is((typed >>> LEAF_MEMTYPE_SHIFT) & 0xf, 2);
  assert.is(
    decode(SV48, VRWXUAD | (3n << 61n), 0, ACCESS_READ, RISCV_PBMT),
    faultEntry(FAULT_RESERVED),
  );
  assert.is(decode(SV48, 1n | (1n << 61n), 1, ACCESS_READ, RISCV_PBMT), faultEntry(FAULT_RESERVED));
});

test('Svnapot knows 16 pages, at the last level only', () => {
  const napot = 1n << 63n;
  assert.is(order(decode(SV39, napot | (0x8n << 10n) | VRWXUAD, 0)), 4);
  assert.is(decode(SV39, napot | (0x4n << 10n) | VRWXUAD, 0), faultEntry(FAULT_RESERVED));
  assert.is(decode(SV39, napot | (0x18n << 10n) | VRWXUAD, 0) & 0xf, ENTRY_LEAF);
  assert.is(decode(SV39, napot | VRWXUAD, 1), faultEntry(FAULT_RESERVED));
  assert.is(decode(SV39, napot | 1n, 1), faultEntry(FAULT_RESERVED));
});

test('a superpage must be aligned to its size at every level', () => {
  for (const format of RISCV_FORMATS as readonly RiscvFormat[]) {
    for (let level = 1; level < format.levels; level++) {
      const bits = level * format.indexBits;
      const below = (1n << BigInt(bits - 1)) << 10n;
      const leaf = decode(format, (1n << BigInt(bits + 10)) | VRWXUAD, level);
      assert.is(order(leaf), bits, `${format.name} level ${level}`);
      assert.is(decode(format, below | VRWXUAD, level), faultEntry(FAULT_MISALIGNED), format.name);
    }
  }
});

test('R, W and X are checked against the access', () => {
  assert.is(decode(SV39, 0xd9n, 0, ACCESS_READ), faultEntry(FAULT_PERMISSION));
  assert.is(decode(SV39, 0xd3n, 0, ACCESS_WRITE), faultEntry(FAULT_PERMISSION));
  assert.is(decode(SV39, 0xd7n, 0, ACCESS_EXECUTE), faultEntry(FAULT_PERMISSION));
  const all = decode(SV39, VRWXUAD, 0, ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE);
  assert.is(all, ENTRY_LEAF | LEAF_R | LEAF_W | LEAF_X | LEAF_USER | LEAF_DIRTY);
});

test('U: unprivileged needs it; privileged only with SUM, and never to execute', () => {
  const kernel = VRWXUAD & ~0x10n;
  const privileged = ACCESS_READ | ACCESS_PRIVILEGED;
  const execute = ACCESS_EXECUTE | ACCESS_PRIVILEGED;
  assert.is(decode(SV39, kernel, 0), faultEntry(FAULT_PERMISSION));
  assert.is(decode(SV39, kernel, 0, privileged) & 0xf, ENTRY_LEAF);
  assert.is(decode(SV39, VRWXUAD, 0, privileged), faultEntry(FAULT_PERMISSION));
  assert.is(decode(SV39, VRWXUAD, 0, privileged, STAGE_PRIVILEGED_USER) & 0xf, ENTRY_LEAF);
  assert.is(decode(SV39, VRWXUAD, 0, execute, STAGE_PRIVILEGED_USER), faultEntry(FAULT_PERMISSION));
  assert.is(decode(SV39, kernel, 0, execute) & 0xf, ENTRY_LEAF);
});

test('the second stage serves everything as user', () => {
  assert.is(decode(SV57X4, VRWXUAD, 0, ACCESS_READ | ACCESS_PRIVILEGED) & 0xf, ENTRY_LEAF);
  assert.is(
    decode(SV57X4, VRWXUAD & ~0x10n, 0, ACCESS_READ | ACCESS_PRIVILEGED),
    faultEntry(FAULT_PERMISSION),
  );
});

test('A, and D for a write, are set by hardware or fault', () => {
  const clean = VRWXUAD & ~0xc0n;
  assert.is(decode(SV39, clean, 0), faultEntry(FAULT_ACCESSED_DIRTY));
  assert.is(decode(SV39, VRWXUAD & ~0x80n, 0, ACCESS_WRITE), faultEntry(FAULT_ACCESSED_DIRTY));
  assert.is(decode(SV39, VRWXUAD & ~0x80n, 0, ACCESS_READ) & LEAF_DIRTY, 0);
  const read = decode(SV39, clean, 0, ACCESS_READ, STAGE_HW_AD);
  assert.is(read & (LEAF_SET_A | LEAF_SET_D | LEAF_DIRTY), LEAF_SET_A);
  const write = decode(SV39, clean, 0, ACCESS_WRITE, STAGE_HW_AD);
  assert.is(write & (LEAF_SET_A | LEAF_SET_D | LEAF_DIRTY), LEAF_SET_A | LEAF_SET_D | LEAF_DIRTY);
});

test('a report does not fail for R, W, X, but accessed and dirty are as for a write', () => {
  const report = ACCESS_READ | ACCESS_WRITE | ACCESS_REPORT;
  assert.is(decode(SV39, 0xd3n, 0, report) & (LEAF_R | LEAF_W), LEAF_R);
  assert.is(decode(SV39, 0x57n, 0, report), faultEntry(FAULT_ACCESSED_DIRTY));
  assert.is(decode(SV39, 0x17n, 0, report), faultEntry(FAULT_ACCESSED_DIRTY));
  const updated = decode(SV39, 0x57n, 0, report, STAGE_HW_AD);
  assert.is(updated & (LEAF_W | LEAF_SET_D | LEAF_SET_A), LEAF_W | LEAF_SET_D);
  assert.is(decode(SV39, 0x53n, 0, report, STAGE_HW_AD) & LEAF_SET_D, 0);
});

test('what encode makes, decode reads back', () => {
  const out = new Int32Array(2);
  SV48.encodeLeaf(0x1234, 0x5678abc, 0, ACCESS_READ | ACCESS_WRITE, true, out);
  assert.is(
    BigInt.asUintN(64, (BigInt(out[1]) << 32n) | BigInt(out[0] >>> 0)) >> 10n,
    (0x1234n << 27n) | 0x5678abcn,
  );
  assert.is(SV48.decode(out[0], out[1], 0, ACCESS_WRITE, 0) & 0xf, ENTRY_LEAF);
  SV32.encodeTable(0, 0x3fffff, out);
  assert.is(out[0] >>> 0, 0xfffffc01);
});

test('the quick paths of decode answer as the whole procedure does', () => {
  const bits = fc.oneof(fc.integer(), fc.integer({ min: 0, max: 0xff }));
  const high = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0x3fffff }), fc.integer());
  fc.assert(
    fc.property(
      fc.constantFrom(...(RISCV_FORMATS as readonly RiscvFormat[])),
      bits,
      high,
      fc.nat(4),
      fc.nat(31),
      fc.constantFrom(0, STAGE_HW_AD, STAGE_PRIVILEGED_USER, RISCV_PBMT | RISCV_RSW),
      (format, lo, hi, level, access, flags) => {
        const at = level % format.levels;
        const words = format.entryBytes === 4 ? 0 : hi;
        assert.is(
          format.decode(lo, words, at, access, flags),
          format.examine(lo, words, at, access, flags),
        );
      },
    ),
    { numRuns: 20_000 },
  );
});

test.run();
