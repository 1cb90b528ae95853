import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { DEFAULT_RISCV_SPEC, encodeCapabilities, IGS_MSI, IGS_WSI } from './capabilities.ts';
import * as reg from './registers.ts';
import { TestBench } from './test-bench.ts';

test('capabilities read as configured and ignore writes, by doubleword and by halves', () => {
  const bench = new TestBench({ off: true });
  const value = DEFAULT_RISCV_SPEC.capabilities;
  bench.write(reg.CAPABILITIES, 8, 0n);
  assert.is(bench.read(reg.CAPABILITIES, 8), value);
  assert.is(bench.read(reg.CAPABILITIES), value & 0xffffffffn);
  assert.is(bench.read(reg.CAPABILITIES + 4), value >> 32n);
});

test('accesses that are unaligned, oversized or of other sizes read 0 and change nothing', () => {
  const bench = new TestBench({ off: true });
  bench.write(reg.CQB, 8, 0x1401n);
  assert.is(bench.read(reg.CQB + 2, 4), 0n);
  assert.is(bench.read(reg.CQH, 8), 0n);
  assert.is(bench.read(reg.CQB, 2), 0n);
  bench.write(reg.CQB + 1, 4, 0xffn);
  assert.is(bench.read(reg.CQB, 8), 0x1401n);
});

test('a PPN keeps only the bits of the physical address width', () => {
  const spec = { capabilities: encodeCapabilities(['sv39', 'msiFlat'], IGS_MSI, 34) };
  const bench = new TestBench({ spec, off: true });
  bench.write(reg.FQB, 8, ~0n & 0xffffffffffffffffn);
  assert.is(bench.read(reg.FQB, 8), (((1n << 22n) - 1n) << 10n) | 0x1fn);
});

test('the halves of a 64-bit register can be written one by one', () => {
  const bench = new TestBench({ off: true });
  bench.write(reg.CQB + 4, 4, 0x3n);
  bench.write(reg.CQB, 4, 0x405n);
  assert.is(bench.read(reg.CQB, 8), 0x300000405n);
});

test('page-request registers exist only with ATS, the debug interface only with DBG', () => {
  const spec = { capabilities: encodeCapabilities(['sv39'], IGS_WSI, 40), fctl: 2 };
  const bench = new TestBench({ spec, off: true });
  for (const offset of [reg.PQB, reg.TR_REQ_IOVA, reg.MSI_CFG_TBL]) {
    bench.write(offset, 8, 0x12345000n);
    assert.is(bench.read(offset, 8), 0n);
  }
});

test('writing a base register clears the index that software owns; while on it is ignored', () => {
  const bench = new TestBench();
  bench.write(reg.FQH, 4, 5n);
  assert.is(bench.read(reg.FQH), 5n);
  const before = bench.read(reg.FQB, 8);
  bench.write(reg.FQB, 8, 0x800n);
  assert.is(bench.read(reg.FQB, 8), before);
  bench.write(reg.FQCSR, 4, 0n);
  bench.write(reg.FQB, 8, 0x800n);
  assert.is(bench.read(reg.FQB, 8), 0x800n);
  assert.is(bench.read(reg.FQH), 0n);
});

test('only the bits that number entries of a queue are writable in its index', () => {
  const bench = new TestBench({ queueOrder: 3 });
  bench.write(reg.FQH, 4, 0xffn);
  assert.is(bench.read(reg.FQH), 7n);
});

test('ddtp keeps its value on an illegal mode and on a change between depths', () => {
  const bench = new TestBench({ off: true });
  bench.write(reg.DDTP, 8, 0x400n | 3n);
  bench.write(reg.DDTP, 8, 0x800n | 5n);
  assert.is(bench.read(reg.DDTP, 8), 0x403n);
  bench.write(reg.DDTP, 8, 0x800n | 4n);
  assert.is(bench.read(reg.DDTP, 8), 0x403n);
  bench.write(reg.DDTP, 8, 0n);
  bench.write(reg.DDTP, 8, 0x800n | 4n);
  assert.is(bench.read(reg.DDTP, 8), 0x804n);
  assert.is(bench.flushes, 3);
});

test('fctl is writable where configured, and only while everything is off', () => {
  const bench = new TestBench({ off: true });
  bench.write(reg.FCTL, 4, 7n);
  assert.is(bench.read(reg.FCTL), 6n);
  bench.write(reg.FQCSR, 4, 1n);
  bench.write(reg.FCTL, 4, 0n);
  assert.is(bench.read(reg.FCTL), 6n);
});

test('icvec fields have the configured width, and none for what is absent', () => {
  const bench = new TestBench({ spec: { vectorBits: 2 }, off: true });
  bench.write(reg.ICVEC, 8, ~0n & 0xffffffffffffffffn);
  assert.is(bench.read(reg.ICVEC, 8), 0x3033n);
});

test('msi_cfg_tbl has an entry per vector, 4-byte aligned addresses and a mask bit', () => {
  const bench = new TestBench({ spec: { vectorBits: 1 }, off: true });
  const entry = reg.MSI_CFG_TBL + reg.MSI_ENTRY_BYTES;
  bench.write(entry, 8, 0xff000000000003ffn);
  bench.write(entry + reg.MSI_VECTOR_CONTROL, 4, 0xffn);
  assert.is(bench.read(entry, 8), 0x3fcn);
  assert.is(bench.read(entry + reg.MSI_VECTOR_CONTROL), 1n);
  bench.write(entry + reg.MSI_ENTRY_BYTES, 8, 0x100n);
  assert.is(bench.read(entry + reg.MSI_ENTRY_BYTES, 8), 0n);
});

test.run();
