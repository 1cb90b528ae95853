import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { CQB, CQCSR, CQH, CQT, FCTL, IPSR } from './registers.ts';
import { COMMAND_PAGE, TestBench } from './test-bench.ts';

const bit = (position: number): bigint => 1n << BigInt(position);

const FENCE: readonly [bigint, bigint] = [2n, 0n];
const ILLEGAL: readonly [bigint, bigint] = [0n, 0n];
const MEMORY_FAULT = bit(8);
const TIMEOUT = bit(9);
const ILLEGAL_BIT = bit(10);
const FENCE_WIRED = bit(11);
const ON = 0x10001n;
const BUSY = bit(17);

/** ATS.INVAL to a device. */
const inval = (rid: bigint): readonly [bigint, bigint] => [4n | (rid << 40n), 0x1000n];
/** IOFENCE.C that stores `data` at a 4-byte aligned address. */
const fence = (address: bigint, data: bigint, ...bits: number[]): readonly [bigint, bigint] => {
  const flags = bits.reduce((sum, position) => sum | bit(position), 0n);
  return [2n | bit(10) | flags | (data << 32n), address >> 2n];
};

test('commands are taken in order until head meets tail, around the end of the queue', () => {
  const bench = new TestBench({ queueOrder: 2 });
  for (let i = 1; i <= 6; i++) {
    bench.command(FENCE);
    assert.is(bench.read(CQH), BigInt(i % 4));
  }
});

test('an illegal command stops the queue at it until cmd_ill is cleared', () => {
  const bench = new TestBench();
  bench.command(FENCE, ILLEGAL, FENCE);
  assert.is(bench.read(CQH), 1n);
  assert.is(bench.read(CQCSR), ON | ILLEGAL_BIT);
  bench.store((COMMAND_PAGE << 12n) + 16n, ...FENCE);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 1n);
  bench.write(CQCSR, 4, ILLEGAL_BIT | 1n);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 3n);
  assert.is(bench.read(CQCSR), ON);
});

test('a queue in memory that refuses reads sets cqmf', () => {
  const start = (COMMAND_PAGE << 12n) + 16n;
  const bench = new TestBench({ faults: [{ start, end: start + 1n, kind: 'access' }] });
  bench.command(FENCE, FENCE);
  assert.is(bench.read(CQH), 1n);
  assert.is(bench.read(CQCSR), ON | MEMORY_FAULT);
});

test('a fence stores its data, and the head passes it', () => {
  const bench = new TestBench();
  bench.store(0x5000n, 0x1111111111111111n);
  bench.command(fence(0x5004n, 0xabcdef01n));
  assert.is(bench.load(0x5000n), 0xabcdef0111111111n);
  assert.is(bench.read(CQH), 1n);
});

test('a fence whose store is refused sets cqmf and keeps the head', () => {
  const bench = new TestBench({ faults: [{ start: 0x5000n, end: 0x5008n, kind: 'ro' }] });
  bench.command(fence(0x5000n, 1n));
  assert.is(bench.read(CQH), 0n);
  assert.is(bench.read(CQCSR), ON | MEMORY_FAULT);
});

test('PR and PW of a fence ask for earlier reads and writes to be visible', () => {
  const bench = new TestBench();
  bench.command(FENCE, [2n | bit(12), 0n], [2n | bit(13), 0n], [2n | bit(12) | bit(13), 0n]);
  assert.equal(bench.drains, ['r', 'w', 'rw']);
});

test('WSI of a fence sets fence_w_ip, which interrupts', () => {
  const bench = new TestBench({ fctl: 2 });
  bench.write(CQCSR, 4, 3n);
  bench.command([2n | bit(11), 0n]);
  assert.is(bench.read(CQCSR), ON | 2n | FENCE_WIRED);
  assert.is(bench.read(IPSR), 1n);
  assert.equal(bench.wires, ['0+']);
});

test('a fence waits for invalidations of devices; the head moves on over those', () => {
  const bench = new TestBench();
  bench.command(inval(0x10n), inval(0x20n), fence(0x5000n, 7n, 13));
  assert.is(bench.read(CQH), 2n);
  assert.equal(bench.drains, []);
  assert.equal(
    bench.messages.map((message) => [message.kind, message.deviceId, message.tag]),
    [
      ['ats-invalidate', 0x10, 0],
      ['ats-invalidate', 0x20, 1],
    ],
  );
  assert.is(bench.unit.invalidationCompleted(0x10, -1, 1, 1), true);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 2n);
  assert.is(bench.unit.invalidationCompleted(0x20, -1, 2, 1), true);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 3n);
  assert.is(bench.load(0x5000n), 7n);
  assert.equal(bench.drains, ['w'], 'ordered only after the devices have answered');
});

test('a time-out of an invalidation is told by the next fence, without its effects', () => {
  const bench = new TestBench();
  bench.command(inval(0x10n), fence(0x5000n, 7n, 13));
  bench.unit.invalidationTimedOut(1);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 1n);
  assert.is(bench.read(CQCSR), ON | TIMEOUT);
  assert.is(bench.load(0x5000n), 0n);
  assert.equal(bench.drains, []);
  bench.write(CQCSR, 4, TIMEOUT | 1n);
  bench.iommu.processCommands();
  assert.is(bench.read(CQH), 2n);
  assert.is(bench.load(0x5000n), 7n);
});

test('a queue switched off during a wait stays busy until the fence is done', () => {
  const bench = new TestBench();
  bench.command(inval(0x10n), fence(0x5000n, 7n));
  bench.write(CQCSR, 4, 0n);
  assert.is(bench.read(CQCSR), bit(16) | BUSY);
  bench.unit.invalidationCompleted(0x10, -1, 1, 1);
  bench.iommu.processCommands();
  assert.is(bench.load(0x5000n), 7n);
  assert.is(bench.read(CQCSR), 0n);
  assert.is(bench.read(CQH), 2n);
});

test('switching the queue on clears the head and the error bits', () => {
  const bench = new TestBench();
  bench.command(FENCE, ILLEGAL);
  bench.write(CQCSR, 4, 0n);
  assert.is(bench.read(CQCSR), ILLEGAL_BIT);
  bench.write(CQT, 4, 0n);
  bench.write(CQCSR, 4, 1n);
  assert.is(bench.read(CQCSR), ON);
  assert.is(bench.read(CQH), 0n);
});

test('a page group response is sent as the command says', () => {
  const bench = new TestBench();
  bench.command([0x84n | (0x12345n << 12n) | bit(32) | bit(33) | (0x7ebeefn << 40n), 0x99n]);
  const [message] = bench.messages;
  assert.is(message.kind, 'page-response');
  assert.is(message.pasid, 0x12345);
  assert.is(message.payload, 0x99n);
  assert.equal(message.arch, { rid: 0xbeef, segment: 0x7e });
});

test('commands are big-endian with fctl.BE, and so is what a fence stores', () => {
  const bench = new TestBench({ spec: { fctl: 1 }, off: true });
  assert.is(bench.read(FCTL), 1n);
  bench.write(CQB, 8, COMMAND_PAGE << 10n);
  bench.write(CQCSR, 4, 1n);
  const swap = (value: bigint): bigint =>
    Buffer.from(new BigUint64Array([value]).buffer).readBigUInt64BE();
  const [low, high] = fence(0x5000n, 0x11223344n);
  bench.store(COMMAND_PAGE << 12n, swap(low), swap(high));
  bench.write(CQT, 4, 1n);
  bench.iommu.processCommands();
  assert.is(bench.load(0x5000n), 0x44332211n);
});

test.run();
