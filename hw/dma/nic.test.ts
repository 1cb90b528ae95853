import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SILENT_PROBE } from '../../sim/probe.ts';
import { RandomStream } from '../../sim/random/stream.ts';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { ACCESS_WRITE } from '../iommu/access.ts';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import { Transactions, WAIT_MEMORY } from '../pcie/transactions.ts';
import { DmaAccounting } from './accounting.ts';
import { Nic } from './nic.ts';
import { COMPLETION_OK, SIDE_RECEIVE, SIDE_TRANSMIT } from './nic-layout.ts';
import type { NicOptions } from './nic-spec.ts';

const DESCRIPTORS = 0x10;
const COMPLETIONS = 0x20;
const READ_CYCLES = 300;
const WRITE_CYCLES = 100;
/** A 1000-byte packet takes 1024 bytes of the wire, and as many cycles. */
const OPTIONS: NicOptions = {
  receive: { numerator: 1, denominator: 1 },
  transmit: { numerator: 1, denominator: 1 },
  mtu: 1000,
  packets: 'mtu',
  queues: 1,
  receiveRing: 8,
  transmitRing: 8,
  fetchBatch: 4,
  receiveBuffer: 2000,
  reads: 2,
  writes: 8,
  moderationCycles: 50,
  startCycle: 0,
  stopCycle: 2048 + 1,
};

interface Dma {
  readonly cycle: number;
  readonly write: boolean;
  readonly page: number;
  readonly offset: number;
  readonly bytes: number;
}

interface Rig {
  readonly events: EventQueue;
  readonly nic: Nic;
  readonly memory: PhysicalMemory;
  readonly dmas: Dma[];
  readonly interrupts: number[];
  /** Writes a descriptor of a 1000-byte buffer. */
  describe(place: number, page: number, offset: number): void;
  /** Words of a completion. */
  completion(place: number): number[];
}

/** A NIC on a link that answers writes and reads after a fixed time, addresses unchanged. */
function rig(changes: Partial<NicOptions> = {}): Rig {
  const events = new EventQueue();
  const memory = PhysicalMemory.create({ bytes: 2 ** 20 });
  const txns = new Transactions(64);
  const accounting = new DmaAccounting(txns, 1, SILENT_PROBE);
  const dmas: Dma[] = [];
  const interrupts: number[] = [];
  const onBack = events.register(PHASE_UNIT, 'back', (txn) => {
    txns.mark(txn, WAIT_MEMORY, events.now);
    nic.accept(txn);
  });
  const link = {
    accept: (txn: number): void => {
      const write = (txns.access[txn] & ACCESS_WRITE) !== 0;
      const { lo, offset, bytes } = txns;
      dmas.push({
        cycle: events.now,
        write,
        page: lo[txn],
        offset: offset[txn],
        bytes: bytes[txn],
      });
      txns.outLo[txn] = lo[txn];
      txns.outHi[txn] = txns.hi[txn];
      events.after(write ? WRITE_CYCLES : READ_CYCLES, onBack, txn, 0);
    },
  };
  const around = { events, txns, accounting, link, master: 0 };
  const options = { ...OPTIONS, ...changes };
  const nic = new Nic(around, memory, 0, options, new RandomStream(1, 'nic'));
  nic.connect({ interrupt: () => interrupts.push(events.now) });
  for (const side of [SIDE_RECEIVE, SIDE_TRANSMIT]) {
    nic.setRings(0, side, { descriptors: DESCRIPTORS + side, completions: COMPLETIONS + side });
  }
  const side = options.receive === null ? SIDE_TRANSMIT : SIDE_RECEIVE;
  return {
    events,
    nic,
    memory,
    dmas,
    interrupts,
    describe: (place, page, offset) => {
      memory.write32(0, DESCRIPTORS + side, place * 16, (page << 12) | offset);
      memory.write32(0, DESCRIPTORS + side, place * 16 + 4, 0);
      memory.write32(0, DESCRIPTORS + side, place * 16 + 8, 1000);
    },
    completion: (place) =>
      [0, 4, 8, 12].map((at) => memory.read32(0, COMPLETIONS + side, place * 16 + at)),
  };
}

test('a packet goes into its buffer, cut at the page, and its completion follows', () => {
  const { events, nic, dmas, describe, completion } = rig({ transmit: null });
  describe(0, 0x50, 3500);
  nic.doorbell(0, SIDE_RECEIVE, 1);
  nic.start();
  events.run(1e6);
  assert.equal(dmas, [
    { cycle: 0, write: false, page: DESCRIPTORS, offset: 0, bytes: 16 },
    { cycle: 1024, write: true, page: 0x50, offset: 3500, bytes: 596 },
    { cycle: 1024, write: true, page: 0x51, offset: 0, bytes: 404 },
    { cycle: 1024, write: true, page: COMPLETIONS, offset: 0, bytes: 16 },
  ]);
  assert.equal(completion(0), [1000, 0, COMPLETION_OK, 1]);
});

test('without a buffer packets wait on chip up to its size; what is beyond is dropped', () => {
  const { events, nic } = rig({ transmit: null, stopCycle: 3 * 1024 + 1 });
  nic.start();
  events.run(1e6);
  assert.is(nic.counters.toPlain().dropped, 1);
  assert.not(nic.running);
  assert.match(nic.describe(), /2000 bytes buffered, packets waiting by queue 2/);
});

test('packets that waited go out when descriptors come', () => {
  const { events, nic, describe, completion } = rig({ transmit: null });
  nic.start();
  events.run(5000);
  describe(0, 0x50, 0);
  describe(1, 0x51, 0);
  nic.doorbell(0, SIDE_RECEIVE, 2);
  events.run(1e6);
  assert.is(nic.counters.toPlain().received, 2);
  assert.equal(completion(1), [1000, 1, COMPLETION_OK, 1]);
  assert.match(nic.describe(), /^nic: 0 bytes buffered/);
});

test('descriptors are fetched in batches, one fetch at a time, not beyond two batches', () => {
  const { events, nic, dmas, describe } = rig({ transmit: null, receive: null });
  for (let i = 0; i < 8; i++) describe(i, 0x50 + i, 0);
  nic.doorbell(0, SIDE_RECEIVE, 8);
  events.run(1e6);
  assert.equal(
    dmas.map((dma) => [dma.cycle, dma.offset, dma.bytes]),
    [
      [0, 0, 64],
      [READ_CYCLES, 64, 64],
    ],
  );
  nic.doorbell(0, SIDE_RECEIVE, 9);
  events.run(2e6);
  assert.is(dmas.length, 2);
});

test('an interrupt comes once, its moderation after the first completion, and only if armed', () => {
  const { events, nic, interrupts, describe } = rig({ transmit: null });
  describe(0, 0x50, 0);
  describe(1, 0x51, 0);
  nic.doorbell(0, SIDE_RECEIVE, 2);
  nic.start();
  nic.arm(0, 0, 0);
  events.run(1024 + WRITE_CYCLES + 50);
  assert.equal(interrupts, []);
  events.run(1e6);
  assert.equal(interrupts, [1024 + WRITE_CYCLES + 50]);
  // One of two was seen: arming raises the interrupt at once; with both seen it does not.
  nic.arm(0, 2, 0);
  events.run(2e6);
  assert.is(interrupts.length, 1);
  nic.arm(0, 1, 0);
  events.run(3e6);
  assert.is(interrupts.length, 2);
});

test('sent packets are read, leave one after the other, and are completed in order', () => {
  const { events, nic, dmas, describe, completion } = rig({ receive: null });
  for (let i = 0; i < 3; i++) describe(i, 0x50 + i, 0);
  nic.doorbell(0, SIDE_TRANSMIT, 3);
  events.run(1e6);
  // Two reads at a time.
  const reads = dmas.filter((dma) => !dma.write && dma.bytes === 1000);
  assert.equal(
    reads.map((dma) => dma.cycle),
    [300, 300, 600],
  );
  const entries = dmas.filter((dma) => dma.write);
  assert.equal(
    entries.map((dma) => dma.cycle),
    [600 + 1024, 600 + 2048, 600 + 3072],
  );
  for (let i = 0; i < 3; i++) assert.equal(completion(i), [1000, i, COMPLETION_OK, 1]);
  assert.is(nic.counters.toPlain()['sent-bytes'], 3000);
});

test('rings go round: the pass of completions counts up', () => {
  const { events, nic, describe, completion } = rig({ receive: null });
  for (let i = 0; i < 8; i++) describe(i, 0x50, 0);
  for (let posted = 8; posted <= 24; posted += 8) {
    nic.doorbell(0, SIDE_TRANSMIT, posted);
    events.run(posted * 10_000);
  }
  assert.equal(completion(0), [1000, 16, COMPLETION_OK, 3]);
  assert.equal(completion(7), [1000, 23, COMPLETION_OK, 3]);
});

test('a stopped NIC takes no packet; idle when those that are here have gone', () => {
  const { events, nic, dmas, describe } = rig({ transmit: null, stopCycle: 1e9 });
  for (let place = 0; place < 4; place++) describe(place, 0x50 + place, 0);
  nic.start();
  nic.doorbell(0, SIDE_RECEIVE, 4);
  events.run(1030);
  assert.is(nic.counters.toPlain().received, 0);
  nic.stop();
  assert.not(nic.idle);
  events.run(1030 + READ_CYCLES);
  assert.ok(nic.idle);
  const before = dmas.length;
  events.run(10_000);
  assert.is(dmas.length, before);
  assert.is(nic.counters.toPlain().received, 1);
  // Down and up before the next arrival: packets come at the rate of the wire, not twice.
  nic.start();
  nic.stop();
  nic.start();
  // The packets of the first and of the second time are lost on the wire.
  events.run(4 * 1024 + 500);
  assert.is(nic.counters.toPlain().received, 2);
  events.run(5 * 1024 + 500);
  assert.is(nic.counters.toPlain().received, 3);
});

test('a packet that waits at a queue without buffers keeps the NIC from being idle', () => {
  const { events, nic, describe } = rig({ transmit: null });
  nic.start();
  events.run(5000);
  assert.not(nic.idle);
  describe(0, 0x50, 0);
  describe(1, 0x51, 0);
  nic.doorbell(0, SIDE_RECEIVE, 2);
  events.run(10_000);
  assert.ok(nic.idle);
});

test.run();
