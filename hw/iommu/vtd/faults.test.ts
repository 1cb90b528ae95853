/** VT-d primary fault logging and event interrupts. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { type DeviceRequest, REQUEST_ATS } from '../architecture.ts';
import { Bench, request } from './fixture.ts';
import * as R from './layout.ts';

const IOVA = 0x1234_5678_9abcn;

function report(bench: Bench, code: number, changes: Partial<DeviceRequest> = {}): void {
  const fault = { request: request(IOVA, changes), context: null, code, address2: 0n };
  bench.unit.reportFault(fault);
}

function record(bench: Bench, index: number): readonly [bigint, bigint] {
  const base = bench.unit.state.features.faultOffset + 16 * index;
  return [bench.read(base, 8), bench.read(base + 8, 8)];
}

/** Clears a record as software does. */
function clear(bench: Bench, index: number): void {
  bench.write(bench.unit.state.features.faultOffset + 16 * index + 12, R.FRCD_F);
}

test('a record holds page, requester, reason, type and F', () => {
  const bench = new Bench();
  report(bench, R.REASON_READ);
  assert.equal(record(bench, 0), [0x1234_5678_9000n, 0xc000_0006_0000_0010n]);
  report(bench, R.REASON_WRITE, { access: ACCESS_WRITE, deviceId: 0xb100 });
  assert.equal(record(bench, 1), [0x1234_5678_9000n, 0x8000_0005_0000_b100n]);
});

test('an atomic operation is recorded as a read', () => {
  const bench = new Bench();
  report(bench, R.REASON_WRITE, { access: ACCESS_READ | ACCESS_WRITE });
  assert.is(record(bench, 0)[1] >> 62n, 3n);
});

test('the address type is recorded where device TLBs are supported', () => {
  const ats = { kind: REQUEST_ATS };
  const bench = new Bench();
  report(bench, R.REASON_TYPE_BLOCKED, ats);
  assert.is((record(bench, 0)[1] >> 60n) & 3n, 1n);
  const plain = new Bench({ device_tlb: false });
  report(plain, R.REASON_TYPE_BLOCKED, ats);
  assert.is((record(plain, 0)[1] >> 60n) & 3n, 0n);
});

test('a missing permission is the answer of a translation request, not a fault', () => {
  const bench = new Bench();
  for (const code of [R.REASON_READ, R.REASON_WRITE]) report(bench, code, { kind: REQUEST_ATS });
  assert.is(bench.read(R.FSTS), 0n);
});

test('silenced faults leave no trace', () => {
  const bench = new Bench();
  report(bench, R.REASON_READ | R.UNRECORDED);
  assert.is(bench.read(R.FSTS), 0n);
});

test('FRI names the first pending record, PPF lasts until all are cleared', () => {
  const bench = new Bench({ fault_records: 4 });
  report(bench, R.REASON_READ, { deviceId: 1 });
  clear(bench, 0);
  report(bench, R.REASON_READ, { deviceId: 2 });
  report(bench, R.REASON_READ, { deviceId: 3 });
  assert.is(bench.read(R.FSTS), 0x102n);
  clear(bench, 1);
  assert.is(bench.read(R.FSTS) & 3n, 2n);
  clear(bench, 2);
  assert.is(bench.read(R.FSTS), 0n);
});

test('records are used in turn and wrap', () => {
  const bench = new Bench({ fault_records: 2 });
  for (let i = 0; i < 3; i++) {
    report(bench, R.REASON_READ, { deviceId: i });
    assert.is(record(bench, i % 2)[1] & 0xffffn, BigInt(i));
    clear(bench, i % 2);
  }
});

test('a fault that finds its record in use sets overflow, and then none is recorded', () => {
  const bench = new Bench({ fault_records: 2 });
  for (let i = 0; i < 3; i++) report(bench, R.REASON_READ, { deviceId: i });
  assert.is(bench.read(R.FSTS), 3n);
  clear(bench, 0);
  clear(bench, 1);
  report(bench, R.REASON_READ, { deviceId: 9 });
  assert.is(record(bench, 0)[1] & (1n << 63n), 0n);
  assert.is(bench.read(R.FSTS), 1n);
  bench.write(R.FSTS, R.FSTS_PFO);
  report(bench, R.REASON_READ, { deviceId: 9 });
  assert.is(record(bench, 0)[1] & 0xffffn, 9n);
});

test('a pending fault of the same requester absorbs further ones, if so configured', () => {
  const merging = new Bench({ fault_records: 4 });
  for (let i = 0; i < 2; i++) report(merging, R.REASON_READ);
  assert.is(record(merging, 1)[1], 0n);
  const plain = new Bench({ fault_records: 4, merge_faults: false });
  for (let i = 0; i < 2; i++) report(plain, R.REASON_READ);
  assert.is(record(plain, 1)[1] & 0xffffn, 0x10n);
});

test('a fault event is sent for the first condition only', () => {
  const bench = new Bench({ fault_records: 4 });
  bench.write(R.FEDATA, 0x21);
  bench.write(R.FEADDR, 0xfee0_0000n);
  bench.write(R.FEUADDR, 0x80);
  bench.write(R.FECTL, 0);
  report(bench, R.REASON_READ, { deviceId: 1 });
  report(bench, R.REASON_READ, { deviceId: 2 });
  assert.equal(bench.interrupts, ['1:fee00:0=33']);
  assert.is(bench.read(R.FECTL), 0n);
});

test('a masked fault event stays pending and is sent when unmasked', () => {
  const bench = new Bench();
  report(bench, R.REASON_READ);
  assert.is(bench.read(R.FECTL), 0xc0000000n);
  assert.is(bench.interrupts.length, 0);
  bench.write(R.FECTL, 0);
  assert.is(bench.interrupts.length, 1);
});

test('servicing every condition withdraws a masked event', () => {
  const bench = new Bench();
  report(bench, R.REASON_READ);
  clear(bench, 0);
  assert.is(bench.read(R.FECTL), 0x80000000n);
});

test('an invalidation queue error raises the fault event too', () => {
  const bench = new Bench().enable();
  bench.write(R.FECTL, 0);
  bench.submit([0xfn, 0n]);
  assert.is(bench.interrupts.length, 1);
});

test.run();
