/** Rules of the front end's tables: places, release order, misses in flight, invalidation log. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OP_INVALIDATE_TRANSLATIONS, Operation } from '../architecture.ts';
import { Admission } from './admission.ts';
import { InvalidationLog } from './invalidation-log.ts';
import { WALK_WORDS } from './messages.ts';
import { MissTable } from './miss-table.ts';
import { ReleaseOrder } from './release-order.ts';
import { WalkQueue } from './walk-queue.ts';

test('the last free place is given away, the next request is queued', () => {
  const admission = new Admission(2, 8);
  assert.ok(admission.admit(0));
  admission.hold(0);
  assert.ok(admission.admit(1));
  admission.hold(1);
  assert.not(admission.admit(2));
  assert.is(admission.next(), -1);
  admission.release(0);
  assert.is(admission.next(), 2);
  assert.is(admission.queuePeak, 1);
});

test('a request never overtakes those already queued for a place', () => {
  const admission = new Admission(1, 8);
  admission.hold(0);
  assert.not(admission.admit(1));
  admission.release(0);
  assert.not(admission.admit(2));
  assert.is(admission.next(), 1);
  admission.hold(1);
  admission.release(1);
  assert.is(admission.next(), 2);
});

test('a place is taken and given back once per request', () => {
  const admission = new Admission(4, 4);
  assert.ok(admission.hold(3));
  assert.not(admission.hold(3));
  assert.is(admission.held, 1);
  assert.ok(admission.release(3));
  assert.not(admission.release(3));
  assert.is(admission.held, 0);
});

test('a ready request waits in order until all older ones are ready', () => {
  const order = new ReleaseOrder(4);
  order.take(2);
  order.take(0);
  order.ready(0, 10);
  assert.is(order.next(), -1);
  order.ready(2, 20);
  assert.is(order.next(), 2);
  assert.is(order.next(), 0);
  assert.is(order.readyAt(0), 10);
  assert.is(order.next(), -1);
  assert.ok(order.empty);
});

test('a miss is found by tags, page and rights, and by nothing less', () => {
  const misses = new MissTable(4, 16);
  const miss = misses.open(1, 2, 3, 4, 1, 0, 7);
  assert.is(misses.find(1, 2, 3, 4, 1), miss);
  assert.is(misses.find(1, 2, 3, 4, 3), -1);
  assert.is(misses.find(0, 2, 3, 4, 1), -1);
  assert.is(misses.find(1, 0, 3, 4, 1), -1);
  assert.is(misses.find(1, 2, 0, 4, 1), -1);
  assert.is(misses.find(1, 2, 3, 5, 1), -1);
});

test('transactions that join a miss are woken in the order of joining', () => {
  const misses = new MissTable(2, 8);
  const miss = misses.open(0, 0, 0, 1, 1, 0, 5);
  misses.join(miss, 3);
  misses.join(miss, 6);
  const woken: number[] = [];
  for (let txn = misses.head[miss]; txn >= 0; txn = misses.after(txn)) woken.push(txn);
  assert.equal(woken, [5, 3, 6]);
  misses.close(miss);
  assert.is(misses.find(0, 0, 0, 1, 1), -1);
  assert.is(misses.inFlight, 0);
});

test('closing misses in any order leaves the others findable', () => {
  const misses = new MissTable(64, 64);
  const rows = Array.from({ length: 64 }, (_, i) => misses.open(i % 3, i % 5, 0, i, 1, 0, i));
  for (let i = 0; i < 64; i += 2) misses.close(rows[i]);
  for (let i = 0; i < 64; i++) {
    assert.is(misses.find(i % 3, i % 5, 0, i, 1), i % 2 === 0 ? -1 : rows[i]);
  }
});

function invalidation(fields: Partial<Operation>): Operation {
  return Object.assign(new Operation(), { kind: OP_INVALIDATE_TRANSLATIONS }, fields);
}

test('an invalidation covers exactly its pages, and the leaf around them', () => {
  const log = new InvalidationLog();
  log.add(invalidation({ tag1: 1, tag2: 2, hasAddress: 1, hi: 0, lo: 8, order: 2 }));
  assert.ok(log.covers(0, 1, 2, 0, 8, 0));
  assert.ok(log.covers(0, 1, 2, 0, 11, 0));
  assert.not(log.covers(0, 1, 2, 0, 12, 0));
  assert.not(log.covers(0, 1, 2, 0, 7, 0));
  assert.ok(log.covers(0, 1, 2, 0, 500, 9), 'same 2 MiB leaf');
  assert.not(log.covers(0, 1, 2, 0, 512, 9), 'next 2 MiB leaf');
  assert.not(log.covers(0, 1, 3, 0, 8, 0), 'other domain');
  assert.not(log.covers(1, 1, 2, 0, 8, 0), 'walk started after it');
});

test('a guest-address invalidation covers every input address of its domain', () => {
  const log = new InvalidationLog();
  log.add(invalidation({ tag2: 2, hasAddress: 1, hi: 0, lo: 8, guestAddress: 1 }));
  assert.ok(log.covers(0, 7, 2, 0, 12345, 0));
  assert.not(log.covers(0, 7, 3, 0, 12345, 0));
});

test('a log that has forgotten an invalidation answers that it covers', () => {
  const log = new InvalidationLog();
  for (let i = 0; i < 257; i++) log.add(invalidation({ tag2: 99, hasAddress: 1, lo: i }));
  assert.ok(log.covers(0, 1, 2, 0, 0, 0));
  assert.not(log.covers(1, 1, 2, 0, 0, 0));
});

test('walk requests leave the queue in the order of arrival, across growth', () => {
  const queue = new WalkQueue();
  const row = new Int32Array(WALK_WORDS);
  let next = 0;
  const pop = (): void => {
    assert.is(queue.words[queue.oldestBase], next);
    assert.is(queue.oldestArrival, next);
    queue.pop();
    next++;
  };
  for (let i = 0; i < 200; i++) {
    row[0] = i;
    queue.push(row, 0, i);
    if (i % 3 === 0) pop();
  }
  while (queue.length > 0) pop();
  assert.is(next, 200);
});

test.run();
