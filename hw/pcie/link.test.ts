import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { Link } from './link.ts';
import { type LinkOptions, linkOptions, linkSpec } from './spec.ts';
import {
  Transactions,
  TXN_FAULT,
  WAIT_COUNT,
  WAIT_ISSUE,
  WAIT_LINK_DOWN,
  WAIT_LINK_UP,
  WAIT_MEMORY,
} from './transactions.ts';

/** A byte takes a cycle, the flight 100, a request header 24 bytes, that of a completion 20. */
const SLOW: LinkOptions = {
  cost: { numerator: 1, denominator: 1 },
  propagation: 100,
  requestOverhead: 24,
  completionOverhead: 20,
  maxPayload: 256,
  maxReadRequest: 512,
  readTags: 4,
  postedWrites: 4,
};

type Entry = readonly [cycle: number, txn: number];

interface Bench {
  readonly events: EventQueue;
  readonly txns: Transactions;
  readonly link: Link;
  /** Arrivals at the root complex and at the masters. */
  readonly requests: Entry[];
  readonly completions: Entry[];
  /** Issues a transaction at a cycle; its id. */
  readonly send: (cycle: number, access: number, bytes: number, master?: number) => number;
  readonly run: () => void;
}

/** A link between two masters and a memory that takes `service` cycles. */
function bench(changes: Partial<LinkOptions> = {}, service = 0, status = 0): Bench {
  const events = new EventQueue();
  const txns = new Transactions(64);
  const requests: Entry[] = [];
  const completions: Entry[] = [];
  const served = events.register(PHASE_UNIT, 'memory', (txn) => {
    txns.status[txn] = status;
    txns.mark(txn, WAIT_MEMORY, events.now);
    link.down.accept(txn);
  });
  const memory = {
    accept: (txn: number): void => {
      requests.push([events.now, txn]);
      events.after(service, served, txn, 0);
    },
  };
  const masters = [0, 1].map((master) => ({
    accept: (txn: number): void => {
      assert.is(txns.master[txn], master);
      completions.push([events.now, txn]);
    },
  }));
  const link = new Link(events, txns, { ...SLOW, ...changes }, memory, masters);
  const issue = events.register(PHASE_UNIT, 'issue', (txn) => {
    txns.issued[txn] = events.now;
    txns.marked[txn] = events.now;
    link.up.accept(txn);
  });
  const send = (cycle: number, access: number, bytes: number, master = 0): number => {
    const txn = txns.allocate(cycle);
    txns.access[txn] = access;
    txns.bytes[txn] = bytes;
    txns.master[txn] = master;
    events.at(cycle, issue, txn, 0);
    return txn;
  };
  const run = (): void => events.run(Number.POSITIVE_INFINITY);
  return { events, txns, link, requests, completions, send, run };
}

test('a read takes its header up, and header and data down', () => {
  const { requests, completions, send, run } = bench();
  const txn = send(0, ACCESS_READ, 64);
  run();
  assert.equal(requests, [[24 + 100, txn]]);
  assert.equal(completions, [[124 + 84 + 100, txn]]);
});

test('nothing arrives a cycle before its time', () => {
  const { events, requests, completions, send } = bench();
  send(0, ACCESS_READ, 64);
  events.run(124);
  assert.is(requests.length, 0);
  events.run(125);
  assert.is(requests.length, 1);
  events.run(308);
  assert.is(completions.length, 0);
  events.run(309);
  assert.is(completions.length, 1);
});

test('a write takes header and data up, and nothing down', () => {
  const { requests, completions, send, run, link } = bench({}, 7);
  const txn = send(0, ACCESS_WRITE, 64);
  run();
  assert.equal(requests, [[88 + 100, txn]]);
  assert.equal(completions, [[188 + 7, txn]]);
  assert.is(link.stats().down.bytes, 0);
});

test('a write has one header per maximum payload, to the byte', () => {
  for (const [bytes, headers] of [
    [256, 1],
    [257, 2],
    [512, 2],
    [513, 3],
    [4096, 16],
  ] as const) {
    const { requests, send, run } = bench();
    const txn = send(0, ACCESS_WRITE, bytes);
    run();
    assert.equal(requests, [[bytes + headers * 24 + 100, txn]]);
  }
});

test('a read has one header per maximum read request up, one per maximum payload down', () => {
  const cases = [
    [512, 1, 2],
    [513, 2, 3],
    [4096, 8, 16],
  ] as const;
  for (const [bytes, up, down] of cases) {
    const { requests, completions, send, run } = bench();
    const txn = send(0, ACCESS_READ, bytes);
    run();
    const arrival = up * 24 + 100;
    assert.equal(requests, [[arrival, txn]]);
    assert.equal(completions, [[arrival + bytes + down * 20 + 100, txn]]);
  }
});

test('requests of all masters pass one after another, their flights overlap', () => {
  const { requests, completions, send, run } = bench();
  const first = send(0, ACCESS_WRITE, 64, 0);
  const second = send(10, ACCESS_WRITE, 64, 1);
  run();
  assert.equal(requests, [
    [188, first],
    [276, second],
  ]);
  assert.equal(completions, requests);
});

test('a request that comes when the link has just become free does not wait', () => {
  const { requests, send, run, txns } = bench();
  const first = send(0, ACCESS_WRITE, 64);
  const late = send(88, ACCESS_WRITE, 64);
  run();
  assert.equal(requests, [
    [188, first],
    [276, late],
  ]);
  assert.is(txns.waits[late * WAIT_COUNT + WAIT_LINK_UP], 188);
});

test('the two directions do not hinder each other', () => {
  const { requests, completions, send, run } = bench();
  const read = send(0, ACCESS_READ, 256);
  const write = send(124, ACCESS_WRITE, 256);
  run();
  assert.equal(requests, [
    [124, read],
    [124 + 280 + 100, write],
  ]);
  assert.equal(completions[0], [124 + 276 + 100, read]);
});

test('a read without a tag waits until a completion has arrived, in order', () => {
  const { requests, completions, send, run, txns } = bench({ readTags: 1 });
  const reads = [0, 1, 2].map((cycle) => send(cycle, ACCESS_READ, 64));
  run();
  const round = 308;
  assert.equal(completions, [
    [round, reads[0]],
    [2 * round, reads[1]],
    [3 * round, reads[2]],
  ]);
  assert.is(requests[1]?.[0], round + 124);
  assert.is(txns.waits[(reads[1] as number) * WAIT_COUNT + WAIT_ISSUE], round - 1);
});

test('as many reads are outstanding as there are tags, and not one more', () => {
  const { requests, send, events } = bench({ readTags: 3 });
  for (let i = 0; i < 5; i++) send(0, ACCESS_READ, 64);
  events.run(308);
  assert.is(requests.length, 3);
});

test('a read takes a tag for each of its requests and waits for all of them', () => {
  const { requests, send, events } = bench({ readTags: 4 }, 1000);
  const small = send(0, ACCESS_READ, 64);
  const large = send(1, ACCESS_READ, 2048);
  const behind = send(2, ACCESS_READ, 64);
  events.run(1000);
  assert.equal(requests, [[124, small]], 'the small one behind does not overtake');
  events.run(10_000);
  assert.equal(
    requests.map(([, txn]) => txn),
    [small, large, behind],
  );
});

test('a read of more requests than there are tags takes all tags and gives all back', () => {
  const { completions, send, run, link } = bench({ readTags: 2 });
  send(0, ACCESS_READ, 4096);
  send(0, ACCESS_READ, 64);
  run();
  assert.is(completions.length, 2);
  assert.is(link.stats().tags.max, 2);
});

test('a write overtakes reads that wait for tags', () => {
  const { requests, send, run } = bench({ readTags: 1 });
  const first = send(0, ACCESS_READ, 64);
  const waiting = send(1, ACCESS_READ, 64);
  const write = send(2, ACCESS_WRITE, 64);
  run();
  assert.equal(
    requests.map(([, txn]) => txn),
    [first, write, waiting],
  );
});

test('a write without room at the root complex waits until memory has taken one', () => {
  const { requests, send, run, txns } = bench({ postedWrites: 1 }, 50);
  const first = send(0, ACCESS_WRITE, 64);
  const second = send(0, ACCESS_WRITE, 64);
  run();
  assert.equal(requests, [
    [188, first],
    [188 + 50 + 188, second],
  ]);
  assert.is(txns.waits[second * WAIT_COUNT + WAIT_ISSUE], 238);
});

test('an aborted read is answered without data, an aborted write not at all', () => {
  const { completions, send, run, link } = bench({}, 0, TXN_FAULT);
  const read = send(0, ACCESS_READ, 4096);
  run();
  assert.equal(completions, [[8 * 24 + 100 + 20 + 100, read]]);
  const { bytes } = link.stats().down;
  send(1000, ACCESS_WRITE, 64);
  run();
  assert.is(completions[1]?.[0], 1000 + 188);
  assert.is(link.stats().down.bytes, bytes);
});

test('the waits of a transaction tile its life', () => {
  const { txns, completions, send, run } = bench({ readTags: 1 }, 33);
  const reads = [0, 5].map((cycle) => send(cycle, ACCESS_READ, 64));
  run();
  for (const [end, txn] of completions) {
    const waits = txns.waits.subarray(txn * WAIT_COUNT, (txn + 1) * WAIT_COUNT);
    assert.is(
      waits.reduce((sum, wait) => sum + wait, 0),
      end - (txns.issued[txn] as number),
    );
    assert.is(waits[WAIT_LINK_UP], 124);
    assert.is(waits[WAIT_MEMORY], 33);
    assert.is(waits[WAIT_LINK_DOWN], 184);
  }
  assert.is(reads.length, 2);
});

test('at full load exactly the rate passes, also when a TLP is no whole number of cycles', () => {
  const cost = new Clock(1_000_000_000).cyclesPerByte(64_000_000_000);
  const { requests, send, run } = bench({ cost, postedWrites: 64 });
  for (let i = 0; i < 50; i++) send(0, ACCESS_WRITE, 33);
  run();
  requests.forEach(([cycle], i) => {
    assert.is(cycle, 100 + Math.ceil(((i + 1) * 57) / 8));
  });
});

test('statistics count bytes with overhead and the tags held', () => {
  const { send, run, link, events } = bench();
  send(0, ACCESS_READ, 64);
  run();
  const stats = link.stats();
  assert.is(events.now, 308);
  assert.equal(stats.up, { bytes: 24, transactions: 1, busyCycles: 24, backlogMaxCycles: 0 });
  assert.equal(stats.down, { bytes: 84, transactions: 1, busyCycles: 84, backlogMaxCycles: 0 });
  assert.equal(stats.tags, { area: 308, cycles: 308, max: 1 });
});

test('the dump says what waits for what', () => {
  const { send, events, link } = bench({ readTags: 1 });
  for (let i = 0; i < 3; i++) send(0, ACCESS_READ, 64);
  events.run(1);
  assert.match(link.dump(), /1 of 1 read tags taken.*2 reads wait for a tag/);
});

test('parameters become cycles, and sizes that are no power of two are refused', () => {
  const clock = new Clock(1_000_000_000);
  const values = defaults(linkSpec);
  assert.is(linkOptions(values, clock).propagation, 200);
  assert.throws(
    () => linkOptions({ ...values, max_payload: 300 }, clock),
    (e: unknown) => e instanceof InputError && /max_payload of 300 bytes/.test(e.message),
  );
});

test.run();
