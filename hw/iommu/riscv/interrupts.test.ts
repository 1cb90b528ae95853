import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  DDTP,
  FQCSR,
  ICVEC,
  IPSR,
  MSI_CFG_TBL,
  MSI_DATA,
  MSI_ENTRY_BYTES,
  MSI_VECTOR_CONTROL,
} from './registers.ts';
import { type BenchOptions, TestBench } from './test-bench.ts';

const VECTOR = 5;
const ENTRY = MSI_CFG_TBL + VECTOR * MSI_ENTRY_BYTES;
const FAULTS = 2n;

/** Fault queue interrupts to vector 5 at 0x8000 with data 0x77; every request faults. */
function faultBench(options: BenchOptions = {}): TestBench {
  const bench = new TestBench(options);
  bench.write(ICVEC, 8, BigInt(VECTOR) << 4n);
  bench.write(ENTRY, 8, 0x8000n);
  bench.write(ENTRY + MSI_DATA, 4, 0x77n);
  bench.write(FQCSR, 4, 3n);
  bench.write(DDTP, 8, 0n);
  return bench;
}

test('a message is sent when the pending bit becomes 1, not while it stays 1', () => {
  const bench = faultBench();
  bench.translate(0n);
  bench.translate(0n);
  assert.is(bench.read(IPSR), FAULTS);
  assert.equal(bench.interrupts, [{ address: 0x8000n, data: 0x77 }]);
  bench.write(IPSR, 4, FAULTS);
  assert.is(bench.read(IPSR), 0n);
  bench.translate(0n);
  assert.is(bench.interrupts.length, 2);
});

test('a masked vector keeps its message until it is unmasked', () => {
  const bench = faultBench();
  bench.write(ENTRY + MSI_VECTOR_CONTROL, 4, 1n);
  bench.translate(0n);
  assert.is(bench.read(IPSR), FAULTS);
  assert.equal(bench.interrupts, []);
  bench.write(ENTRY + MSI_VECTOR_CONTROL, 4, 0n);
  assert.is(bench.interrupts.length, 1);
  bench.write(ENTRY + MSI_VECTOR_CONTROL, 4, 1n);
  bench.write(ENTRY + MSI_VECTOR_CONTROL, 4, 0n);
  assert.is(bench.interrupts.length, 1);
});

test('clearing a pending bit while its condition lasts sets it again', () => {
  const bench = faultBench({ queueOrder: 1 });
  bench.translate(0n);
  bench.translate(0n);
  assert.is(bench.read(FQCSR) & 0x200n, 0x200n);
  bench.write(IPSR, 4, FAULTS);
  assert.is(bench.read(IPSR), FAULTS);
  assert.is(bench.interrupts.length, 2);
  bench.write(FQCSR, 4, 0x203n);
  bench.write(IPSR, 4, FAULTS);
  assert.is(bench.read(IPSR), 0n);
});

test('a message to memory that refuses it is recorded as cause 273 with its address', () => {
  const bench = faultBench({ faults: [{ start: 0x8000n, end: 0x8004n, kind: 'access' }] });
  bench.translate(0n);
  assert.equal(bench.interrupts, []);
  assert.is(bench.faultCount, 2);
  assert.equal(bench.fault(1), [273n, 0n, 0x8000n, 0n]);
});

test('with wired interrupts a wire is high while a source of its vector is pending', () => {
  const bench = faultBench({ fctl: 2 });
  bench.translate(0n);
  assert.equal(bench.wires, ['5+']);
  bench.write(ICVEC, 8, 3n << 4n);
  assert.equal(bench.wires, ['5+', '3+', '5-']);
  bench.write(IPSR, 4, FAULTS);
  assert.equal(bench.wires, ['5+', '3+', '5-', '3-']);
  assert.equal(bench.interrupts, []);
});

test('message data is big-endian with fctl.BE', () => {
  const bench = faultBench({ spec: { fctl: 1 } });
  bench.write(FQCSR, 4, 3n);
  bench.translate(0n);
  assert.is(bench.interrupts[0].data, 0x77000000);
});

test.run();
