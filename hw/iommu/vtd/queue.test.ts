/** The VT-d invalidation queue: every descriptor, its reserved bits, errors and recovery. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  OP_FENCE,
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  OP_NONE,
  type Operation,
} from '../architecture.ts';
import { Bench, MEMORY_END, QUEUE, STATUS } from './fixture.ts';
import * as R from './layout.ts';

const WAIT: readonly bigint[] = [0x45n, 0n];

function one(words: readonly bigint[]): Operation {
  const [operation] = new Bench().enable().submit(words);
  return operation!;
}

/** IQEI code that a descriptor stops the queue with, 0 when it is fine. */
function errorOf(words: readonly bigint[], bench: Bench = new Bench()): number {
  bench.enable().submit(words);
  const stopped = (bench.read(R.FSTS) & BigInt(R.FSTS_IQE)) !== 0n;
  assert.is(bench.read(R.IQH, 8), stopped ? 0n : 0x10n);
  return stopped ? Number(bench.read(R.IQERCD, 8)) : 0;
}

test('context-cache invalidation: global, by domain, by device with function mask', () => {
  const all = one([0x11n, 0n]);
  assert.is(all.kind, OP_INVALIDATE_CONTEXT);
  assert.equal([all.deviceId, all.domain], [-1, -1]);
  assert.equal(one([0x21n | (0xabcdn << 16n), 0n]).domain, 0xabcd);
  for (const [fm, mask] of [
    [0n, 0],
    [1n, 4],
    [2n, 6],
    [3n, 7],
  ] as const) {
    const device = one([0x31n | (5n << 16n) | (0x1234n << 32n) | (fm << 48n), 0n]);
    assert.equal([device.deviceId, device.deviceMask], [0x1234, mask]);
  }
});

test('IOTLB invalidation: global, by domain, by pages', () => {
  const all = one([0x12n, 0n]);
  assert.is(all.kind, OP_INVALIDATE_TRANSLATIONS);
  assert.equal([all.tag2, all.hasAddress], [-1, 0]);
  const domain = one([0x22n | (7n << 16n), 0n]);
  assert.equal([domain.tag2, domain.hasAddress], [7, 0]);
  const page = one([0xf2n | (7n << 16n), 0x1234_5678_9000n | 0x40n]);
  assert.equal([page.tag2, page.hasAddress, page.order, page.leafOnly], [7, 1, 0, 1]);
  assert.equal([page.hi, page.lo], [(0x1234_5678_9000 / 2 ** 39) | 0, 0x345_6789 & 0x7ffffff]);
  assert.equal([page.drainReads, page.drainWrites], [1, 1]);
});

test('the address mask clears low bits of the page and is limited by MAMV', () => {
  const op = one([0x32n, 0xffff_f000n | 9n]);
  assert.equal([op.order, op.lo], [9, 0xffe00]);
  assert.is(errorOf([0x32n, 18n]), 0);
  assert.is(errorOf([0x32n, 19n]), R.IQEI_RESERVED);
});

test('an address mask above the low half of the page number clears the high half too', () => {
  const bench = new Bench({ max_address_mask: 30 });
  const [op] = bench.enable().submit([0x32n, 0xffff_ffff_ffff_f000n | 30n]);
  assert.equal([op!.hi, op!.lo], [0x1fffff8, 0]);
});

test('without page-selective support a page invalidation covers the domain', () => {
  const cap = new Bench().read(R.CAP, 8) & ~(1n << 39n);
  const [op] = new Bench({}, { cap }).enable().submit([0x32n | (7n << 16n), 0x1000n]);
  assert.equal([op!.tag2, op!.hasAddress], [7, 0]);
});

test('reserved granularities and reserved bits are errors', () => {
  assert.is(errorOf([0x01n, 0n]), R.IQEI_RESERVED);
  assert.is(errorOf([0x02n, 0n]), R.IQEI_RESERVED);
  for (const bit of [6n, 7n, 8n, 12n, 15n, 50n, 63n]) {
    assert.is(errorOf([0x11n | (1n << bit), 0n]), R.IQEI_RESERVED);
  }
  assert.is(errorOf([0x11n, 1n]), R.IQEI_RESERVED);
  for (const bit of [8n, 12n, 15n, 32n, 63n]) {
    assert.is(errorOf([0x12n | (1n << bit), 0n]), R.IQEI_RESERVED);
  }
  for (const bit of [7n, 11n]) assert.is(errorOf([0x12n, 1n << bit]), R.IQEI_RESERVED);
  for (const bit of [7n, 8n, 12n, 31n]) {
    assert.is(errorOf([0x45n | (1n << bit), 0n]), R.IQEI_RESERVED);
  }
  for (const bit of [0n, 1n]) assert.is(errorOf([0x25n, STATUS | (1n << bit)]), R.IQEI_RESERVED);
});

test('types that do not exist or are not supported are errors', () => {
  for (const type of [0n, 6n, 7n, 8n, 9n, 15n, 0x205n]) {
    assert.is(errorOf([type, 0n]), R.IQEI_TYPE);
  }
  assert.is(errorOf([3n, 0n], new Bench({ device_tlb: false })), R.IQEI_TYPE);
  const ecap = new Bench().read(R.ECAP, 8) & ~8n;
  assert.is(errorOf([4n, 0n], new Bench({}, { ecap })), R.IQEI_TYPE);
});

test('a device-TLB invalidation goes to the device with its address', () => {
  const bench = new Bench().enable();
  bench.submit([3n | (0x1234n << 32n), 0xabcd_0001n]);
  assert.is(bench.messages.length, 1);
  const { kind, deviceId, payload } = bench.messages[0]!;
  assert.equal([kind, deviceId, payload], ['ats-invalidate', 0x1234, 0xabcd_0001n]);
});

test('an interrupt entry cache invalidation is accepted', () => {
  assert.is(one([0x8_0000_0014n, 0n]).kind, OP_NONE);
});

test('a wait descriptor writes its status, raises its interrupt, or only fences', () => {
  const bench = new Bench().enable();
  const [op] = bench.submit([0x25n | (0xcafe_f00dn << 32n), STATUS + 4n]);
  assert.is(op!.kind, OP_FENCE);
  assert.is(bench.load32(STATUS + 4n), 0xcafe_f00d);
  assert.is(bench.read(R.ICS), 0n);
  bench.submit([0x15n, 0n]);
  assert.is(bench.read(R.ICS), 1n);
  assert.is(bench.read(R.IECTL), 0xc0000000n);
  bench.submit(WAIT);
  assert.is(bench.read(R.IQH, 8), 0x30n);
});

test('a status write outside memory is lost and the queue goes on', () => {
  const bench = new Bench().enable();
  bench.submit([0x25n, MEMORY_END]);
  assert.is(bench.read(R.IQH, 8), 0x10n);
});

test('a completion interrupt is sent once until software clears IWC', () => {
  const bench = new Bench().enable();
  bench.write(R.IEDATA, 0x31);
  bench.write(R.IEADDR, 0xfee0_100cn);
  bench.write(R.IECTL, 0);
  bench.submit([0x15n, 0n], [0x15n, 0n]);
  assert.equal(bench.interrupts, ['0:fee01:c=49']);
  bench.write(R.ICS, 1);
  bench.submit([0x15n, 0n]);
  assert.is(bench.interrupts.length, 2);
});

test('a masked completion interrupt is sent when unmasked, not after IWC was cleared', () => {
  const bench = new Bench().enable();
  bench.submit([0x15n, 0n]);
  bench.write(R.IECTL, 0);
  assert.is(bench.interrupts.length, 1);
  bench.write(R.ICS, 1);
  bench.write(R.IECTL, R.EVENT_IM);
  bench.submit([0x15n, 0n]);
  bench.write(R.ICS, 1);
  assert.is(bench.read(R.IECTL), 0x80000000n);
  bench.write(R.IECTL, 0);
  assert.is(bench.interrupts.length, 1);
});

test('a bad descriptor stops the queue with the head on it, earlier ones stay done', () => {
  const bench = new Bench().enable();
  bench.submit([0x25n | (1n << 32n), STATUS], [0xfn, 0n], [0x25n | (2n << 32n), STATUS]);
  assert.is(bench.read(R.FSTS), 0x10n);
  assert.is(bench.read(R.IQH, 8), 0x10n);
  assert.is(bench.load32(STATUS), 1);
});

test('after an error nothing is fetched until IQE is cleared and the tail written', () => {
  const bench = new Bench().enable();
  bench.submit([0xfn, 0n]);
  bench.submit(WAIT);
  assert.is(bench.read(R.IQH, 8), 0n);
  bench.store64(QUEUE, WAIT[0]!);
  bench.write(R.FSTS, R.FSTS_IQE);
  assert.is(bench.read(R.FSTS), 0n);
  assert.is(bench.unit.commands.pending(), false);
  bench.submit();
  assert.is(bench.read(R.IQH, 8), 0x20n);
});

test('a tail outside the ring and an unreadable queue are errors', () => {
  const bench = new Bench().enable();
  bench.write(R.IQT, 0x1000n, 8);
  bench.run();
  assert.is(bench.read(R.FSTS), 0x10n);
  assert.is(bench.read(R.IQERCD, 8), BigInt(R.IQEI_TAIL));
  const far = new Bench().enable();
  far.write(R.IQA, MEMORY_END, 8);
  far.write(R.IQT, 0x10n, 8);
  far.run();
  assert.is(far.read(R.IQERCD, 8), BigInt(R.IQEI_FETCH));
});

test('the head wraps at the size of the ring', () => {
  const bench = new Bench().enable();
  for (let i = 0; i < 255; i++) bench.store64(QUEUE + 16n * BigInt(i), WAIT[0]!);
  bench.write(R.IQT, 0xff0n, 8);
  bench.run();
  bench.store64(QUEUE + 0xff0n, WAIT[0]!);
  bench.write(R.IQT, 0n, 8);
  bench.run();
  assert.is(bench.read(R.IQH, 8), 0n);
  assert.is(bench.read(R.FSTS), 0n);
});

test('256-bit descriptors are taken with IQA.DW, and their upper half is reserved', () => {
  const wide = (): Bench => {
    const bench = new Bench({}, { ecap: new Bench().read(R.ECAP, 8) | (1n << 43n) });
    bench.enable().write(R.IQA, QUEUE | 0x800n, 8);
    return bench;
  };
  const bench = wide();
  bench.submit([0x45n, 0n, 0n, 0n], [0x45n, 0n, 0n, 0n]);
  assert.is(bench.read(R.IQH, 8), 0x40n);
  const bad = wide();
  bad.submit([0x45n, 0n, 0n, 1n]);
  assert.is(bad.read(R.IQERCD, 8), BigInt(R.IQEI_RESERVED));
});

test.run();
