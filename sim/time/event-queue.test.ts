import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../errors.ts';
import {
  EventQueue,
  PHASE_MESSAGE,
  PHASE_OBSERVE,
  PHASE_RETRY,
  PHASE_UNIT,
} from './event-queue.ts';

/** A queue that writes down (cycle, a) of every event of four handlers, one per phase. */
function recorder(): { queue: EventQueue; ids: number[]; log: [number, number][] } {
  const queue = new EventQueue();
  const log: [number, number][] = [];
  const ids = [PHASE_MESSAGE, PHASE_UNIT, PHASE_RETRY, PHASE_OBSERVE].map((phase) =>
    queue.register(phase, `handler ${phase}`, (a) => log.push([queue.now, a])),
  );
  return { queue, ids, log };
}

test('events of one cycle run by phase, then in the order of scheduling', () => {
  const { queue, ids, log } = recorder();
  queue.after(5, ids[PHASE_OBSERVE], 1, 0);
  queue.after(5, ids[PHASE_UNIT], 2, 0);
  queue.after(5, ids[PHASE_UNIT], 3, 0);
  queue.after(5, ids[PHASE_MESSAGE], 4, 0);
  queue.after(5, ids[PHASE_RETRY], 5, 0);
  queue.after(4, ids[PHASE_OBSERVE], 6, 0);
  queue.run(100);
  assert.equal(log, [
    [4, 6],
    [5, 4],
    [5, 2],
    [5, 3],
    [5, 5],
    [5, 1],
  ]);
});

test('run executes the events before its limit and not the one at it', () => {
  const { queue, ids, log } = recorder();
  queue.after(9, ids[PHASE_UNIT], 1, 0);
  queue.after(10, ids[PHASE_UNIT], 2, 0);
  queue.run(10);
  assert.equal(log, [[9, 1]]);
  assert.is(queue.now, 9);
  assert.is(queue.next(), 10);
  queue.run(11);
  assert.is(queue.now, 10);
});

test('now stays at the last executed event when nothing is due', () => {
  const { queue, ids } = recorder();
  queue.after(3, ids[PHASE_UNIT], 0, 0);
  queue.run(1_000_000);
  queue.run(2_000_000);
  assert.is(queue.now, 3);
  assert.is(queue.next(), Number.POSITIVE_INFINITY);
});

test('an event at the last cycle in reach of the wheel and one beyond it run on time', () => {
  for (const delay of [4094, 4095, 4096, 4097, 8191, 8192, 1_000_000]) {
    const { queue, ids, log } = recorder();
    queue.after(delay, ids[PHASE_UNIT], 7, 0);
    assert.is(queue.next(), delay);
    queue.run(delay);
    assert.equal(log, []);
    queue.run(delay + 1);
    assert.equal(log, [[delay, 7]]);
  }
});

test('a far event runs before a near one scheduled later for the same cycle and phase', () => {
  const { queue, ids, log } = recorder();
  queue.at(5000, ids[PHASE_UNIT], 1, 0);
  queue.at(1000, ids[PHASE_UNIT], 2, 0);
  queue.run(1001);
  queue.at(5000, ids[PHASE_UNIT], 3, 0);
  queue.run(6000);
  assert.equal(log, [
    [1000, 2],
    [5000, 1],
    [5000, 3],
  ]);
});

test('a handler may schedule for its own cycle in its own or a later phase', () => {
  const queue = new EventQueue();
  const log: string[] = [];
  const retry = queue.register(PHASE_RETRY, 'retry', () => log.push(`retry ${queue.now}`));
  const unit = queue.register(PHASE_UNIT, 'unit', (a) => {
    log.push(`unit ${a}`);
    queue.after(0, retry, 0, 0);
    if (a < 2) queue.after(0, unit, a + 1, 0);
  });
  queue.after(1, unit, 0, 0);
  queue.run(2);
  assert.equal(log, ['unit 0', 'unit 1', 'unit 2', 'retry 1', 'retry 1', 'retry 1']);
});

test('scheduling in the past, in a passed phase or at no cycle is an error', () => {
  const queue = new EventQueue();
  let thrown = 0;
  const refused = (schedule: () => void): void => {
    assert.throws(schedule, (error: unknown) => error instanceof InternalError);
    thrown++;
  };
  const message = queue.register(PHASE_MESSAGE, 'message', () => {});
  const unit = queue.register(PHASE_UNIT, 'unit', () => {
    refused(() => queue.after(-1, unit, 0, 0));
    refused(() => queue.at(queue.now - 1, unit, 0, 0));
    refused(() => queue.after(0, message, 0, 0));
    refused(() => queue.after(0.5, unit, 0, 0));
    refused(() => queue.after(5000.5, unit, 0, 0));
    refused(() => queue.after(Number.NaN, unit, 0, 0));
    refused(() => queue.after(Number.POSITIVE_INFINITY, unit, 0, 0));
    refused(() => queue.at(2 ** 53, unit, 0, 0));
    queue.after(0, unit2, 0, 0);
    queue.after(1, message, 0, 0);
  });
  const unit2 = queue.register(PHASE_UNIT, 'unit2', () => {});
  queue.after(10, unit, 0, 0);
  queue.run(Number.POSITIVE_INFINITY);
  assert.is(thrown, 8);
  assert.is(queue.pending, 0);
});

test('cycles beyond 2^32 and up to the largest safe integer keep their order', () => {
  const { queue, ids, log } = recorder();
  const last = Number.MAX_SAFE_INTEGER;
  queue.at(last, ids[PHASE_UNIT], 3, 0);
  queue.at(2 ** 32 + 1, ids[PHASE_UNIT], 1, 0);
  queue.at(2 ** 33, ids[PHASE_MESSAGE], 2, 0);
  queue.run(Number.POSITIVE_INFINITY);
  assert.equal(log, [
    [2 ** 32 + 1, 1],
    [2 ** 33, 2],
    [last, 3],
  ]);
});

test('the dump counts pending events by handler, near and far', () => {
  const { queue, ids } = recorder();
  queue.after(7, ids[PHASE_UNIT], 0, 0);
  queue.after(3, ids[PHASE_UNIT], 0, 0);
  queue.after(70_000, ids[PHASE_RETRY], 0, 0);
  assert.is(
    queue.dump(),
    'cycle 0: 3 pending events\n' +
      '  handler 1 (unit): 2, first at cycle 3\n' +
      '  handler 2 (retry): 1, first at cycle 70000',
  );
});

test('a handler that throws leaves the other events pending', () => {
  const queue = new EventQueue();
  const bad = queue.register(PHASE_UNIT, 'bad', () => {
    throw new Error('stop');
  });
  for (let i = 0; i < 3; i++) queue.after(1, bad, i, 0);
  assert.throws(() => queue.run(2), /stop/);
  assert.is(queue.pending, 2);
});

interface ModelEvent {
  cycle: number;
  phase: number;
  sender: number;
  sequence: number;
  id: number;
}

const delays = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.integer({ min: 0, max: 200 }),
  fc.integer({ min: 4090, max: 4100 }),
  fc.integer({ min: 0, max: 20_000 }),
  fc.constantFrom(4096, 8192, 1_000_000, 2 ** 31, 2 ** 40),
);
const script = fc.array(fc.tuple(delays, fc.integer({ min: 0, max: 3 })), {
  minLength: 1,
  maxLength: 400,
});

/** Cycles that an entry waits; messages are never of the cycle in which they are sent. */
function waitOf([delay, phase]: [number, number], current: number): number {
  const least = phase === PHASE_MESSAGE || phase < current ? 1 : 0;
  return Math.max(delay, least);
}

/** Senders of messages, which come in their order. */
const SENDERS = 3;

/** Runs a script: the first `initial` entries at cycle 0, two more from within each event. */
function runQueue(entries: readonly [number, number][], initial: number, step: number): number[] {
  const queue = new EventQueue();
  const log: number[] = [];
  let used = 0;
  const schedule = (): void => {
    const entry = entries[used];
    if (entry === undefined) return;
    const phase = entry[1];
    const wait = waitOf(entry, current);
    if (phase !== PHASE_MESSAGE) queue.after(wait, ids[phase], used, ~used);
    else queue.atInOrder(queue.now + wait, ids[phase], used, used % SENDERS);
    used++;
  };
  let current = 0;
  const ids = [0, 1, 2, 3].map((phase) =>
    queue.register(phase, 'model', (a, b) => {
      assert.is(b, phase === PHASE_MESSAGE ? a % SENDERS : ~a);
      current = phase;
      log.push(queue.now, a);
      schedule();
      schedule();
    }),
  );
  for (let i = 0; i < initial; i++) schedule();
  const inSteps = step > 0;
  while (queue.next() !== Number.POSITIVE_INFINITY) {
    queue.run(inSteps ? queue.next() + step : Number.POSITIVE_INFINITY);
  }
  assert.is(queue.pending, 0);
  assert.is(queue.executed, used);
  return log;
}

/** The same with a list that is searched for the smallest (cycle, phase, sequence). */
function runModel(entries: readonly [number, number][], initial: number): number[] {
  const events: ModelEvent[] = [];
  const log: number[] = [];
  let used = 0;
  let now = 0;
  let current = 0;
  const schedule = (): void => {
    const entry = entries[used];
    if (entry === undefined) return;
    const phase = entry[1];
    const sender = phase === PHASE_MESSAGE ? used % SENDERS : 0;
    events.push({ cycle: now + waitOf(entry, current), phase, sender, sequence: used, id: used });
    used++;
  };
  for (let i = 0; i < initial; i++) schedule();
  while (events.length > 0) {
    events.sort(
      (x, y) =>
        x.cycle - y.cycle || x.phase - y.phase || x.sender - y.sender || x.sequence - y.sequence,
    );
    const event = events.shift() as ModelEvent;
    now = event.cycle;
    current = event.phase;
    log.push(now, event.id);
    schedule();
    schedule();
  }
  return log;
}

test('events run in the order of a sorted list, whatever their distance', () => {
  fc.assert(
    fc.property(
      script,
      fc.integer({ min: 1, max: 300 }),
      fc.integer({ min: 0, max: 5000 }),
      (entries, initial, step) => {
        assert.equal(runQueue(entries, initial, step), runModel(entries, initial));
      },
    ),
    { numRuns: 200 },
  );
});

test('the queue grows beyond its initial size and keeps the order', () => {
  const { queue, ids, log } = recorder();
  for (let i = 0; i < 10_000; i++) queue.after((i * 7919) % 9000, ids[PHASE_UNIT], i, 0);
  assert.is(queue.pending, 10_000);
  queue.run(10_000);
  assert.is(log.length, 10_000);
  for (let i = 1; i < log.length; i++) {
    const [before, after] = [log[i - 1], log[i]];
    assert.ok(before[0] < after[0] || (before[0] === after[0] && before[1] < after[1]));
  }
});

test.run();
