import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PageRequest } from './page-request-queue.ts';
import { DDTP, IPSR, PQCSR, PQH } from './registers.ts';
import { PAGE_REQUEST_PAGE, TC_V, TestBench } from './test-bench.ts';

const EN_PRI = 0b110n;
const PRPR = 1n << 6n;
const LAST = 4n;
const READ = 1n;
const GROUP = 0x1abn << 3n;

function send(bench: TestBench, changes: Partial<PageRequest> = {}): void {
  const message: PageRequest = {
    rid: 1,
    segment: -1,
    pasid: -1,
    privileged: false,
    execute: false,
    payload: 0xabcde000n | GROUP | LAST | READ,
    ...changes,
  };
  const lookup = bench.unit.pageRequestLookup(message);
  const found = bench.iommu.findContext(lookup);
  if (!found) bench.iommu.report(lookup);
  const { context, code } = bench.iommu.outcome;
  bench.unit.pageRequest(message, context, found ? 0 : code);
}

/** Response code and pasid of the messages sent. */
const responses = (bench: TestBench): [number, number][] =>
  bench.messages.map((message) => [Number((message.payload >> 44n) & 0xfn), message.pasid]);

function priBench(): TestBench {
  const bench = new TestBench({ queueOrder: 2 });
  bench.device(1, TC_V | EN_PRI);
  return bench;
}

test('a page request is recorded with its sender, process, attributes and payload', () => {
  const bench = priBench();
  bench.device(0x3f, TC_V | EN_PRI);
  send(bench, { rid: 0x3f, pasid: 0x12345, privileged: true, execute: true, payload: 0x7n });
  const record = PAGE_REQUEST_PAGE << 12n;
  assert.is(bench.load(record), (0x3fn << 40n) | (7n << 32n) | (0x12345n << 12n));
  assert.is(bench.load(record + 8n), 7n);
  assert.is(bench.pageRequestCount, 1);
  assert.equal(bench.messages, []);
});

test('without a PASID the record has no process, privilege or execute', () => {
  const bench = priBench();
  send(bench, { privileged: true, execute: true });
  assert.is(bench.load(PAGE_REQUEST_PAGE << 12n), 1n << 40n);
});

test('a device that may not send page requests is told "invalid request", with a record', () => {
  const bench = new TestBench();
  bench.device(1, TC_V);
  send(bench, { pasid: 3 });
  assert.equal(responses(bench), [[1, -1]]);
  assert.is(bench.fault(0)[0] & 0xfffn, 260n);
  assert.is((bench.fault(0)[0] >> 34n) & 0x3fn, 9n);
  assert.is(bench.fault(0)[2], 4n, 'iotval is the message code');
});

test('without a usable device context the answer is "response failure", with the PASID', () => {
  const bench = new TestBench();
  send(bench, { pasid: 3 });
  bench.write(DDTP, 8, 0n);
  send(bench);
  assert.equal(responses(bench), [
    [15, 3],
    [15, -1],
  ]);
});

test('in bare mode page requests are invalid', () => {
  const bench = new TestBench();
  bench.write(DDTP, 8, 1n);
  send(bench, { pasid: 3 });
  assert.equal(responses(bench), [[1, -1]]);
});

test('with PRPR the response carries the PASID of the request', () => {
  const bench = priBench();
  bench.device(1, TC_V | EN_PRI | PRPR);
  for (let i = 0; i < 4; i++) send(bench, { pasid: 9 });
  assert.equal(responses(bench), [[0, 9]]);
});

test('on overflow the IOMMU answers "success", until the bit is cleared', () => {
  const bench = priBench();
  for (let i = 0; i < 5; i++) send(bench);
  assert.is(bench.pageRequestCount, 3);
  assert.is(bench.read(PQCSR), 0x10201n);
  assert.equal(responses(bench), [
    [0, -1],
    [0, -1],
  ]);
  bench.write(PQH, 4, 1n);
  bench.write(PQCSR, 4, 0x201n);
  send(bench);
  assert.is(bench.pageRequestCount, 0);
});

test('with the queue off, or after a memory fault, the answer is "response failure"', () => {
  const start = PAGE_REQUEST_PAGE << 12n;
  const bench = new TestBench({ faults: [{ start, end: start + 16n, kind: 'access' }] });
  bench.device(1, TC_V | EN_PRI);
  send(bench);
  assert.is(bench.read(PQCSR), 0x10101n);
  bench.write(PQCSR, 4, 0n);
  send(bench);
  assert.equal(responses(bench), [
    [15, -1],
    [15, -1],
  ]);
});

test('requests that are not the last of their group and stop markers get no answer', () => {
  const bench = new TestBench();
  send(bench, { payload: READ });
  send(bench, { payload: LAST });
  assert.equal(bench.messages, []);
});

test('the response names the group and the sender', () => {
  const bench = new TestBench();
  send(bench, { rid: 0x1234, segment: 0x56 });
  const [message] = bench.messages;
  assert.is(message.payload, (0x1234n << 48n) | (1n << 44n) | (0x1abn << 32n));
  assert.is(message.deviceId, 0x561234);
});

test('records raise pip while pie is set', () => {
  const bench = priBench();
  bench.write(PQCSR, 4, 3n);
  send(bench);
  assert.is(bench.read(IPSR), 8n);
});

test.run();
