import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_EXECUTE, ACCESS_PRIVILEGED, ACCESS_WRITE } from '../access.ts';
import { REQUEST_ATS, REQUEST_TRANSLATED } from '../architecture.ts';
import { DDTP, FCTL, FQB, FQCSR, FQH, IPSR } from './registers.ts';
import { FAULT_PAGE, TestBench } from './test-bench.ts';

const OVERFLOW = 1n << 9n;
const MEMORY_FAULT = 1n << 8n;

/** A bench whose every request faults with cause 256. */
function offBench(...faults: ConstructorParameters<typeof TestBench>): TestBench {
  const bench = new TestBench(...faults);
  bench.write(DDTP, 8, 0n);
  return bench;
}

test('a record holds cause, process, privilege, type, device and the address', () => {
  const bench = offBench();
  const access = ACCESS_WRITE | ACCESS_PRIVILEGED;
  bench.translate(0xfedcba9876543210n, { deviceId: 0xabcdef, pasid: 0x12345, access });
  const [first, second, iotval, iotval2] = bench.fault(0);
  assert.is(first, (0xabcdefn << 40n) | (3n << 34n) | (1n << 33n) | (1n << 32n) | 0x12345100n);
  assert.is(second, 0n);
  assert.is(iotval, 0xfedcba9876543210n);
  assert.is(iotval2, 0n);
});

test('without a process id PID and PRIV are 0', () => {
  const bench = offBench();
  bench.translate(0n, { access: ACCESS_WRITE | ACCESS_PRIVILEGED });
  assert.is(bench.fault(0)[0], (1n << 40n) | (3n << 34n) | 256n);
});

test('the transaction type tells execute, read, write, translated and ATS apart', () => {
  const bench = offBench();
  const type = (): bigint => (bench.fault(bench.faultCount - 1)[0] >> 34n) & 0x3fn;
  const expected = [
    [{ access: ACCESS_EXECUTE }, 1n],
    [{}, 2n],
    [{ access: ACCESS_WRITE }, 3n],
    [{ kind: REQUEST_TRANSLATED, access: ACCESS_EXECUTE }, 5n],
    [{ kind: REQUEST_TRANSLATED }, 6n],
    [{ kind: REQUEST_TRANSLATED, access: ACCESS_WRITE }, 7n],
    [{ kind: REQUEST_ATS }, 8n],
  ] as const;
  for (const [changes, value] of expected) {
    bench.translate(0n, changes);
    assert.is(type(), value);
  }
});

test('a full queue overflows: the record is lost, and all others until the bit is cleared', () => {
  const bench = offBench({ queueOrder: 2 });
  for (let i = 0; i < 3; i++) bench.translate(0n);
  assert.is(bench.faultCount, 3);
  assert.is(bench.read(FQCSR) & OVERFLOW, 0n);
  bench.translate(0n);
  assert.is(bench.read(FQCSR) & OVERFLOW, OVERFLOW);
  bench.write(FQH, 4, 2n);
  bench.translate(0n);
  assert.is(bench.faultCount, 3);
  bench.write(FQCSR, 4, OVERFLOW | 1n);
  bench.translate(0n);
  assert.is(bench.faultCount, 0, 'the tail wraps around');
  assert.is(bench.read(FQCSR) & OVERFLOW, 0n);
});

test('a queue in memory that refuses writes sets fqmf and stops recording', () => {
  const start = FAULT_PAGE << 12n;
  const bench = offBench({ faults: [{ start, end: start + 8n, kind: 'ro' }] });
  bench.translate(0n);
  assert.is(bench.read(FQCSR) & MEMORY_FAULT, MEMORY_FAULT);
  assert.is(bench.faultCount, 0);
  bench.translate(0n);
  assert.is(bench.faultCount, 0);
});

test('switching the queue on clears the tail and the error bits', () => {
  const bench = offBench({ queueOrder: 1 });
  bench.translate(0n);
  bench.translate(0n);
  assert.is(bench.read(FQCSR), 0x10001n | OVERFLOW);
  bench.write(FQCSR, 4, 0n);
  assert.is(bench.read(FQCSR), OVERFLOW);
  bench.write(FQCSR, 4, 1n);
  assert.is(bench.read(FQCSR), 0x10001n);
  assert.is(bench.faultCount, 0);
});

test('nothing is recorded while the queue is off', () => {
  const bench = offBench();
  bench.write(FQCSR, 4, 0n);
  bench.translate(0n);
  assert.is(bench.load(FAULT_PAGE << 12n), 0n);
});

test('records are big-endian with fctl.BE', () => {
  const bench = new TestBench({ spec: { fctl: 1 }, off: true });
  assert.is(bench.read(FCTL), 1n);
  bench.write(FQB, 8, FAULT_PAGE << 10n);
  bench.write(FQCSR, 4, 1n);
  bench.translate(0x1122334455667788n);
  assert.is(bench.fault(0)[0], 0x0001000008010000n);
  assert.is(bench.fault(0)[2], 0x8877665544332211n);
});

test('records and overflow raise fip while fie is set', () => {
  const bench = offBench();
  bench.translate(0n);
  assert.is(bench.read(IPSR), 0n);
  bench.write(FQCSR, 4, 3n);
  bench.translate(0n);
  assert.is(bench.read(IPSR), 2n);
});

test.run();
