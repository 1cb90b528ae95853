/**
 * A network adapter with several queue pairs. Receive: packets arrive at line rate, wait in on-chip
 * memory (or are dropped), go by DMA writes into the buffers of descriptors fetched in batches, and
 * are completed by an entry written behind the payload. Transmit: descriptors are fetched, payload
 * is read, the packet leaves at line rate, an entry says so. A moderated interrupt per queue pair
 * tells the driver.
 */

import type { RandomStream } from '../../sim/random/stream.ts';
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import { Fifo } from '../../sim/resources/fifo.ts';
import { CounterSet } from '../../sim/stats/counters.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import type { MemoryPort } from '../memory/port.ts';
import type { TransactionPort, Transactions } from '../pcie/transactions.ts';
import type { DmaSurroundings } from './dma-port.ts';
import {
  COUNT_DROPPED,
  COUNT_DROPPED_BYTES,
  COUNT_ERRORS,
  COUNT_FETCHES,
  COUNT_INTERRUPTS,
  COUNT_RECEIVED,
  COUNT_RECEIVED_BYTES,
  COUNT_SENT,
  COUNT_SENT_BYTES,
  NIC_COUNTERS,
} from './nic-counters.ts';
import { DmaJobs, type JobOwner } from './nic-jobs.ts';
import {
  RING_ENTRY_BYTES,
  RING_ENTRY_SHIFT,
  RING_PAGE_ENTRIES,
  SIDE_RECEIVE,
  SIDE_TRANSMIT,
} from './nic-layout.ts';
import { NicPackets } from './nic-packets.ts';
import { NicQueue, type RingAddresses } from './nic-queue.ts';
import type { NicOptions } from './nic-spec.ts';
import { PACKET_MIN, PacketSource, ReceiveWire, WIRE_OVERHEAD_BYTES } from './nic-wire.ts';

/** The host side of a NIC's interrupts. */
export interface NicHost {
  interrupt(queue: number): void;
}

// Kinds of DMA jobs.
const JOB_FETCH = 0;
const JOB_PAYLOAD = 1;
const JOB_COMPLETION = 2;

export class Nic implements TransactionPort, JobOwner {
  readonly counters: CounterSet = new CounterSet(NIC_COUNTERS);
  readonly reads: DmaJobs;
  readonly writes: DmaJobs;
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly memory: MemoryPort;
  private readonly options: NicOptions;
  private host: NicHost | null = null;
  /** Receive sides first, then transmit sides. */
  private readonly sides: readonly NicQueue[];
  /** Sizes of arrived packets that wait for a buffer, by queue. */
  private readonly arrived: readonly Fifo[];
  private readonly wireIn: ReceiveWire | null;
  private readonly wireOut: Bandwidth | null;
  private buffered = 0;
  private nextQueue = 0;
  /** Interrupt of a queue pair is wanted; or on its way. */
  private readonly armed: Uint8Array;
  private readonly raised: Uint8Array;
  private readonly onSent: number;
  private readonly onInterrupt: number;
  private readonly packets: NicPackets;

  constructor(
    around: DmaSurroundings,
    memory: MemoryPort,
    device: number,
    options: NicOptions,
    random: RandomStream,
  ) {
    const { events } = around;
    const packets = 2 * (options.reads + options.writes) + options.queues * 4;
    this.events = events;
    this.txns = around.txns;
    this.memory = memory;
    this.options = options;
    const jobs = packets * 2 + options.queues * 2;
    this.reads = new DmaJobs(around, this, device, ACCESS_READ, options.reads, jobs);
    this.writes = new DmaJobs(around, this, device, ACCESS_WRITE, options.writes, jobs);
    const { queues, receiveRing, transmitRing } = options;
    const count = { length: queues };
    this.sides = Array.from(
      { length: 2 * queues },
      (_, i) => new NicQueue(i % queues, i, i < queues ? receiveRing : transmitRing),
    );
    const waiting = Math.max(1, Math.ceil(options.receiveBuffer / PACKET_MIN));
    this.arrived = Array.from(count, () => new Fifo(waiting));
    const source =
      options.receive === null ? null : new PacketSource(options, options.receive, random);
    this.wireIn =
      source === null
        ? null
        : new ReceiveWire(events, source, options, (size) => this.arrive(size));
    this.wireOut = options.transmit === null ? null : new Bandwidth(options.transmit);
    this.armed = new Uint8Array(options.queues);
    this.raised = new Uint8Array(options.queues);
    this.packets = new NicPackets(packets);
    this.onSent = events.register(PHASE_UNIT, 'nic-sent', (slot) => this.sent(slot));
    this.onInterrupt = events.register(PHASE_UNIT, 'nic-interrupt', (queue) => this.signal(queue));
  }

  // -------------------------------------------------------------------------------------------
  // Registers, as the driver sees them.

  connect(host: NicHost): void {
    this.host = host;
  }

  setRings(queue: number, side: number, addresses: RingAddresses): void {
    const ring = this.sideOf(queue, side);
    ring.descriptorPage = addresses.descriptors;
    ring.completionPage = addresses.completions;
  }

  /** Brings the link up, if it is not: packets arrive from now or from the start cycle on. */
  start(): void {
    this.wireIn?.start();
  }

  /** Takes the link down: no packet arrives until `start`; those that are here go their way. */
  stop(): void {
    this.wireIn?.stop();
  }

  /** No packet and no fetch is under way, and no interrupt. */
  get idle(): boolean {
    const { reads, writes, packets, raised } = this;
    if (packets.inUse + reads.open + writes.open > 0 || raised.includes(1)) return false;
    // What waits at a queue that stands still goes nowhere.
    return this.arrived.every((waiting, i) => waiting.length === 0 || this.sides[i].broken);
  }

  /** Doorbell: descriptors posted so far, as an absolute count. */
  doorbell(queue: number, side: number, posted: number): void {
    const ring = this.sideOf(queue, side);
    ring.posted = posted;
    this.fetch(ring);
  }

  /** Wants an interrupt for completions beyond those of each side that the driver has seen. */
  arm(queue: number, seenReceive: number, seenTransmit: number): void {
    this.armed[queue] = 1;
    const receive = this.sideOf(queue, SIDE_RECEIVE);
    const transmit = this.sideOf(queue, SIDE_TRANSMIT);
    const received = receive.completed !== seenReceive && !receive.broken;
    const sent = transmit.completed !== seenTransmit && !transmit.broken;
    if (received || sent) this.raise(queue);
  }

  // -------------------------------------------------------------------------------------------

  accept(txn: number): void {
    const engine = (this.txns.access[txn] & ACCESS_WRITE) !== 0 ? this.writes : this.reads;
    engine.accept(txn);
  }

  jobDone(kind: number, a: number, b: number, failed: boolean, txn: number): void {
    if (kind === JOB_FETCH) {
      this.fetched(this.sides[a], b, failed, txn);
      return;
    }
    const { packets } = this;
    if (failed) packets.failed[a] = 1;
    const received = packets.side[a] < this.options.queues;
    if (kind === JOB_COMPLETION) {
      packets.outHi[a] = this.txns.outHi[txn];
      packets.outLo[a] = this.txns.outLo[txn];
      packets.outOffset[a] = this.txns.offset[txn];
    } else if (received) {
      this.buffered -= packets.bytes[a];
    } else {
      this.sendInOrder(this.sides[packets.side[a]], a);
      return;
    }
    if (--packets.parts[a] === 0) this.complete(a, kind === JOB_COMPLETION && failed);
  }

  /** Packets in on-chip memory and in progress, for a dump of a run that stands still. */
  describe(): string {
    const waiting = this.arrived.map((fifo) => fifo.length).join(' ');
    const broken = this.sides.filter((ring) => ring.broken).length;
    const buffered = `${this.buffered} bytes buffered`;
    return `nic: ${buffered}, packets waiting by queue ${waiting}, ${broken} queues broken`;
  }

  resetFigures(): void {
    this.counters.values.fill(0);
  }

  // -------------------------------------------------------------------------------------------
  // Descriptors

  private sideOf(queue: number, side: number): NicQueue {
    return this.sides[side * this.options.queues + queue];
  }

  /** Fetches when the stock is below two batches; one fetch of a queue at a time keeps order. */
  private fetch(ring: NicQueue): void {
    const { fetchBatch } = this.options;
    if (ring.fetching || ring.broken || ring.requested - ring.used >= 2 * fetchBatch) return;
    const count = ring.fetchable(fetchBatch);
    if (count === 0) return;
    const place = ring.requested & ring.mask;
    ring.fetching = true;
    ring.requested += count;
    this.counters.add(COUNT_FETCHES, 1);
    this.reads.start(
      JOB_FETCH,
      ring.side,
      count,
      NicQueue.pageHi(ring.descriptorPage, place),
      NicQueue.pageLo(ring.descriptorPage, place),
      (place & (RING_PAGE_ENTRIES - 1)) << RING_ENTRY_SHIFT,
      count << RING_ENTRY_SHIFT,
    );
  }

  private fetched(ring: NicQueue, count: number, failed: boolean, txn: number): void {
    const { txns } = this;
    ring.fetching = false;
    if (failed) {
      ring.broken = true;
      this.counters.add(COUNT_ERRORS, 1);
      return;
    }
    ring.take(this.memory, txns.outHi[txn], txns.outLo[txn], txns.offset[txn], count);
    this.advance(ring);
  }

  /** Puts descriptors that are here to use. */
  private advance(ring: NicQueue): void {
    if (ring.side < this.options.queues) this.deliver(ring);
    else this.readPackets(ring);
    this.fetch(ring);
  }

  // -------------------------------------------------------------------------------------------
  // Receive

  private arrive(bytes: number): void {
    const { now } = this.events;
    const queue = this.nextQueue;
    this.nextQueue = queue + 1 === this.options.queues ? 0 : queue + 1;
    if (this.buffered + bytes > this.options.receiveBuffer) {
      this.counters.add(COUNT_DROPPED, 1);
      this.counters.add(COUNT_DROPPED_BYTES, bytes);
    } else {
      this.buffered += bytes;
      this.arrived[queue].push(now, bytes);
      this.advance(this.sides[queue]);
    }
  }

  /** Whether packets still arrive or are offered for sending. */
  get running(): boolean {
    const offered = this.wireOut !== null && this.events.now < this.options.stopCycle;
    return offered || this.wireIn?.ended === false;
  }

  /** Writes arrived packets into buffers, as far as there are both. */
  private deliver(ring: NicQueue): void {
    const { now } = this.events;
    const arrived = this.arrived[ring.index];
    while (arrived.length > 0 && ring.used < ring.ready && this.packets.available()) {
      const place = ring.used & ring.mask;
      const bytes = arrived.shift(now);
      const slot = this.packets.take(ring.side, bytes, ring.used++, 2);
      const { hi, lo, offset } = ring;
      this.writes.start(JOB_PAYLOAD, slot, 0, hi[place], lo[place], offset[place], bytes);
      this.writeCompletion(ring, slot);
    }
  }

  // -------------------------------------------------------------------------------------------
  // Transmit

  private readPackets(ring: NicQueue): void {
    while (ring.used < ring.ready && this.packets.available()) {
      const place = ring.used & ring.mask;
      const bytes = ring.bytes[place];
      const slot = this.packets.take(ring.side, bytes, ring.used++, 1);
      const { hi, lo, offset } = ring;
      this.reads.start(JOB_PAYLOAD, slot, 0, hi[place], lo[place], offset[place], bytes);
    }
  }

  /** A payload is here: packets of a queue leave in the order of their descriptors. */
  private sendInOrder(ring: NicQueue, slot: number): void {
    const { payload, mask } = ring;
    payload[this.packets.descriptor[slot] & mask] = slot;
    for (;;) {
      const place = ring.toSend & mask;
      const next = payload[place];
      if (next < 0) return;
      payload[place] = -1;
      ring.toSend++;
      this.send(next);
    }
  }

  /** The packet leaves when the wire is free; one in error does not. */
  private send(slot: number): void {
    const { now } = this.events;
    const { failed, bytes } = this.packets;
    if (failed[slot] !== 0 || this.wireOut === null) {
      this.sent(slot);
      return;
    }
    const end = this.wireOut.reserve(now, bytes[slot] + WIRE_OVERHEAD_BYTES);
    this.events.after(end - now, this.onSent, slot, 0);
  }

  private sent(slot: number): void {
    this.writeCompletion(this.sides[this.packets.side[slot]], slot);
  }

  // -------------------------------------------------------------------------------------------
  // Completions

  private writeCompletion(ring: NicQueue, slot: number): void {
    const count = ring.completing++;
    const place = count & ring.mask;
    this.packets.pass[slot] = Math.floor(count / ring.entries) + 1;
    this.writes.start(
      JOB_COMPLETION,
      slot,
      0,
      NicQueue.pageHi(ring.completionPage, place),
      NicQueue.pageLo(ring.completionPage, place),
      (place & (RING_PAGE_ENTRIES - 1)) << RING_ENTRY_SHIFT,
      RING_ENTRY_BYTES,
    );
  }

  /** Payload and entry are where they belong: the entry becomes visible, the driver is told. */
  private complete(slot: number, entryLost: boolean): void {
    const { counters, packets } = this;
    const ring = this.sides[packets.side[slot]];
    const bytes = packets.bytes[slot];
    const received = ring.side < this.options.queues;
    if (packets.failed[slot] !== 0) counters.add(COUNT_ERRORS, 1);
    else {
      counters.add(received ? COUNT_RECEIVED : COUNT_SENT, 1);
      counters.add(received ? COUNT_RECEIVED_BYTES : COUNT_SENT_BYTES, bytes);
    }
    if (entryLost) ring.broken = true;
    else {
      packets.storeCompletion(this.memory, slot);
      ring.completed++;
      if (this.armed[ring.index] !== 0) this.raise(ring.index);
    }
    packets.give(slot);
    this.resume(ring);
  }

  /** A packet slot is free: sides that waited for one go on, in turn after this one. */
  private resume(ring: NicQueue): void {
    if (!this.packets.starved) {
      this.advance(ring);
      return;
    }
    this.packets.starved = false;
    const { sides } = this;
    for (let i = 1; i <= sides.length; i++) this.advance(sides[(ring.side + i) % sides.length]);
  }

  private raise(queue: number): void {
    if (this.raised[queue] !== 0) return;
    this.raised[queue] = 1;
    this.events.after(this.options.moderationCycles, this.onInterrupt, queue, 0);
  }

  private signal(queue: number): void {
    this.raised[queue] = 0;
    this.armed[queue] = 0;
    this.counters.add(COUNT_INTERRUPTS, 1);
    this.host?.interrupt(queue);
  }
}
