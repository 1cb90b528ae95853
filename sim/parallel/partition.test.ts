import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../errors.ts';
import { PHASE_MESSAGE, PHASE_UNIT } from '../time/event-queue.ts';
import { assignPartitions } from './assign.ts';
import { allocateMailbox, Mailbox, route } from './mailbox.ts';
import { PAYLOAD_WORDS_MAX } from './message-hold.ts';
import { Partition } from './partition.ts';
import { allocateStatus, Status } from './status.ts';

const KIND = 9;

/** Partitions without an engine: `exchange` is a boundary. */
function setUp(count: number, window: number, words?: number) {
  const buffers = Array.from({ length: count }, () => ({
    outbox: allocateMailbox(words),
    inbox: allocateMailbox(words),
  }));
  const partitions = buffers.map((own, id) => new Partition(id, count, window, own));
  const outboxes = buffers.map((own) => new Mailbox(own.outbox));
  const inboxes = buffers.map((own) => new Mailbox(own.inbox));
  const status = new Status(allocateStatus(count));
  const exchange = (): void => {
    outboxes.forEach((outbox, id) => {
      route(outbox, id, inboxes, status.rows);
    });
  };
  return { partitions, status, exchange };
}

test('a message of the window length is delivered at its cycle; one cycle shorter is refused', () => {
  const { partitions, exchange } = setUp(2, 50);
  const [from, to] = partitions;
  const arrivals: number[] = [];
  to.receive(KIND, (words, base) => arrivals.push(to.events.now, words[base], words[base + 1]));
  const send = from.events.register(PHASE_UNIT, 'send', () => {
    assert.throws(
      () => from.reserve(1, 49, KIND, 2),
      (error: Error) =>
        error instanceof InternalError && /shorter than the window/.test(error.message),
    );
    const base = from.reserve(1, 50, KIND, 2);
    from.out[base] = -7;
    from.out[base + 1] = 0x7fffffff;
  });
  from.events.at(49, send, 0, 0);
  from.runWindow(50);
  assert.is(to.next(), Number.POSITIVE_INFINITY);
  exchange();
  assert.is(to.next(), 99);
  to.runWindow(99);
  assert.equal(arrivals, []);
  assert.is(to.next(), 99);
  to.runWindow(100);
  assert.equal(arrivals, [99, -7, 0x7fffffff]);
});

test('a message comes before all that the partition itself does in that cycle', () => {
  const { partitions, exchange } = setUp(2, 10);
  const [from, to] = partitions;
  const order: string[] = [];
  to.receive(KIND, () => order.push('message'));
  const own = to.events.register(PHASE_MESSAGE, 'own', () => order.push('own'));
  const unit = to.events.register(PHASE_UNIT, 'unit', () => order.push('unit'));
  to.events.at(10, unit, 0, 0);
  from.reserve(1, 10, KIND, 0);
  exchange();
  to.events.at(11, own, 0, 0);
  to.runWindow(20);
  assert.equal(order, ['message', 'unit', 'own']);
});

test('messages are delivered in (cycle, sender, sequence) order with their payload', () => {
  const message = fc.record({
    sender: fc.nat(3),
    at: fc.nat(9),
    latency: fc.integer({ min: 10, max: 45 }),
    words: fc.nat(5),
  });
  fc.assert(
    fc.property(fc.array(message, { maxLength: 150 }), (messages) => {
      const { partitions, exchange } = setUp(4, 10, 4096);
      const received: string[] = [];
      partitions[2].receive(KIND, (words, base) => {
        received.push(`${partitions[2].events.now} ${words[base]} ${words[base + words[base]]}`);
      });
      const expected: { cycle: number; sender: number; text: string }[] = [];
      // Spread over three windows: several boundaries feed the same cycle.
      for (let window = 0; window < 3; window++) {
        for (const [sender, partition] of partitions.entries()) {
          const mine = messages.filter((m, i) => m.sender === sender && i % 3 === window);
          mine.sort((a, b) => a.at - b.at);
          const send = partition.events.register(PHASE_UNIT, 'send', (index) => {
            const { latency, words } = mine[index];
            const last = words + 1;
            const base = partition.reserve(2, latency, KIND, words + 2);
            partition.out[base] = last;
            partition.out[base + last] = sender * 1000 + index;
            const cycle = partition.events.now + latency;
            expected.push({ cycle, sender, text: `${cycle} ${last} ${sender * 1000 + index}` });
          });
          mine.forEach(({ at }, index) => {
            partition.events.at(window * 10 + at, send, index, 0);
          });
        }
        for (const partition of partitions) partition.runWindow(window * 10 + 10);
        exchange();
      }
      for (let end = 40; end < 100; end += 10) partitions[2].runWindow(end);
      expected.sort((a, b) => a.cycle - b.cycle || a.sender - b.sender);
      return received.join() === expected.map((e) => e.text).join();
    }),
    { numRuns: 100 },
  );
});

test('a partition may send to itself, and routing tells the receiver when it has work', () => {
  const { partitions, status, exchange } = setUp(1, 10);
  const [only] = partitions;
  let arrived = -1;
  only.receive(KIND, () => {
    arrived = only.events.now;
  });
  status.updateNext(only);
  only.reserve(0, 37, KIND, 1);
  exchange();
  assert.is(status.next(0), 37);
  only.runWindow(40);
  assert.is(arrived, 37);
});

test('messages to nobody, of unknown kind, or with too much payload are errors', () => {
  const { partitions, exchange } = setUp(2, 10);
  const [from, to] = partitions;
  assert.throws(() => from.reserve(2, 10, KIND, 0), /to partition 2/);
  assert.throws(() => from.reserve(-1, 10, KIND, 0), /to partition -1/);
  assert.throws(() => from.reserve(1, 10, 65536, 0), /kind 65536/);
  assert.throws(() => from.reserve(1, 10, KIND, PAYLOAD_WORDS_MAX + 1), /words/);
  from.reserve(1, 10, KIND, PAYLOAD_WORDS_MAX);
  exchange();
  assert.throws(() => to.runWindow(20), /nobody receives messages of kind 9/);
  to.receive(KIND, () => {});
  assert.throws(() => to.receive(KIND, () => {}), /two handlers/);
});

test('a mailbox holds exactly its words; one message more is an error', () => {
  const { partitions } = setUp(2, 10, 12);
  partitions[0].reserve(1, 10, KIND, 1);
  partitions[0].reserve(1, 10, KIND, 2);
  assert.throws(
    () => partitions[0].reserve(1, 10, KIND, 0),
    (error: Error) => error instanceof InternalError && error.message.includes('28 words'),
  );
});

test('placing: partition 0 on the main thread, the heaviest first on the idlest thread', () => {
  assert.equal(assignPartitions([1], 8), [0]);
  assert.equal(assignPartitions([5, 3, 3], 0), [0, 0, 0]);
  assert.equal(assignPartitions([5, 3, 3], 2), [0, 1, 1]);
  assert.equal(assignPartitions([1, 3, 3], 2), [0, 1, 0]);
  assert.equal(assignPartitions([1, 1, 9, 1], 3), [0, 2, 1, 2]);
  assert.equal(new Set(assignPartitions([9, 1, 1, 1], 8)).size, 4);
});

test.run();
