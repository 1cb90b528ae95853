/**
 * Driver of the NIC, in the manner of Linux network drivers with NAPI: an interrupt starts a poll
 * on the queue's core, which takes received packets off (unmap the buffer, map another one, post
 * it), cleans up sent ones (unmap), posts new ones (map), rings the doorbells and waits for
 * interrupts again. Between two packets the core does nothing else.
 */
import { CounterSet } from '../../sim/stats/counters.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { pnHi, pnLo } from '../address.ts';
import type { Nic, NicHost } from '../dma/nic.ts';
import { ringPages, SIDE_RECEIVE, SIDE_TRANSMIT } from '../dma/nic-layout.ts';
import type { NicDriverOptions, NicOptions } from '../dma/nic-spec.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import type { MemoryPort } from '../memory/port.ts';
import type { Core, Host } from './core.ts';
import type { DmaApi, DmaDevice } from './dma-api.ts';
import type { FrameAllocator } from './frames.ts';
import { BufferStock } from './nic-buffers.ts';
import { DriverRing } from './nic-ring.ts';

export interface NicDriverPorts {
  readonly events: EventQueue;
  readonly host: Host;
  readonly api: DmaApi;
  readonly nic: Nic;
  readonly device: DmaDevice;
  /** Memory and frames of the kernel that runs the driver: the host's, or the guest's. */
  readonly memory: MemoryPort;
  readonly frames: FrameAllocator;
}

export const NIC_DRIVER_COUNTERS = ['polls', 'received', 'sent', 'errors', 'doorbells'] as const;
const COUNT_POLLS = 0;
const COUNT_RECEIVED = 1;
const COUNT_SENT = 2;
const COUNT_ERRORS = 3;
const COUNT_DOORBELLS = 4;

/** A queue pair and where its poll stands. */
interface QueueState {
  readonly core: Core;
  readonly receive: DriverRing;
  readonly transmit: DriverRing;
  readonly receiveStock: BufferStock;
  readonly transmitStock: BufferStock;
  /** A poll is queued or under way. */
  polling: boolean;
  /** Packets that this poll may still take. */
  budget: number;
  /** Chunk being unmapped. */
  chunk: number;
  /** Descriptors that the NIC was told of. */
  rungReceive: number;
  rungTransmit: number;
}

export class NicDriver implements NicHost {
  readonly counters: CounterSet = new CounterSet(NIC_DRIVER_COUNTERS);
  private readonly ports: NicDriverPorts;
  private readonly options: NicDriverOptions;
  private readonly nicOptions: NicOptions;
  private readonly queues: readonly QueueState[];
  /** Senders have data. */
  private offering = false;
  private readonly onPoll: number;
  private readonly onPacket: number;
  private readonly onReceiveUnmapped: number;
  private readonly onReceiveMapped: number;
  private readonly onTransmitUnmapped: number;
  private readonly onTransmitMapped: number;
  private readonly onDoorbellReceive: number;
  private readonly onDoorbellTransmit: number;

  constructor(ports: NicDriverPorts, nicOptions: NicOptions, options: NicDriverOptions) {
    const { host } = ports;
    this.ports = ports;
    this.options = options;
    this.nicOptions = nicOptions;
    this.onPoll = host.register((queue) => this.poll(queue));
    this.onPacket = host.register((queue) => this.refill(queue));
    this.onReceiveUnmapped = host.register((queue) => this.receiveUnmapped(queue));
    this.onReceiveMapped = host.register((queue) => this.receiveMapped(queue));
    this.onTransmitUnmapped = host.register((queue) => this.transmitUnmapped(queue));
    this.onTransmitMapped = host.register((queue) => this.transmitMapped(queue));
    this.onDoorbellReceive = host.register((queue) => this.rungReceive(queue));
    this.onDoorbellTransmit = host.register((queue) => this.rungTransmit(queue));
    this.queues = Array.from({ length: nicOptions.queues }, (_, i) => this.setUp(i));
    if (nicOptions.receive !== null) {
      for (const state of this.queues) while (state.receive.room > 0) this.fillNow(state);
    }
    ports.nic.connect(this);
  }

  /** Hands the rings, which are full since set-up, to the NIC and brings the link up. */
  start(): void {
    const { nic } = this.ports;
    this.offering = true;
    for (let queue = 0; queue < this.queues.length; queue++) {
      const state = this.queues[queue];
      if (this.nicOptions.receive !== null) {
        state.rungReceive = state.receive.posted;
        nic.doorbell(queue, SIDE_RECEIVE, state.receive.posted);
      }
      nic.arm(queue, state.receive.seen, state.transmit.seen);
      if (this.nicOptions.transmit !== null) this.interrupt(queue);
    }
    nic.start();
  }

  /** Takes the link down and sends nothing more; buffers stay mapped and posted. */
  stop(): void {
    this.offering = false;
    this.ports.nic.stop();
  }

  /** No poll is under way. */
  get idle(): boolean {
    return this.queues.every(({ polling }) => !polling);
  }

  resetFigures(): void {
    this.counters.values.fill(0);
  }

  interrupt(queue: number): void {
    const state = this.queues[queue];
    if (state.polling) return;
    state.polling = true;
    state.core.run(this.options.interruptCycles, this.onPoll, queue, 0);
  }

  // -------------------------------------------------------------------------------------------
  // Set-up

  private setUp(queue: number): QueueState {
    const { host, frames, nic } = this.ports;
    const { nicOptions, options } = this;
    const receive = this.makeRing(nicOptions.receiveRing);
    const transmit = this.makeRing(nicOptions.transmitRing);
    const { mtu } = nicOptions;
    const { fragments, pageAligned, spareBuffers } = options;
    const stock = (entries: number, parts: number): BufferStock => {
      const chunks = Math.ceil(entries / parts) + spareBuffers;
      return new BufferStock({ bytes: mtu, fragments: parts, pageAligned, chunks }, frames);
    };
    nic.setRings(queue, SIDE_RECEIVE, receive.addresses);
    nic.setRings(queue, SIDE_TRANSMIT, transmit.addresses);
    return {
      core: host.cores[queue % host.cores.length],
      receive,
      transmit,
      receiveStock: stock(nicOptions.receive === null ? 0 : nicOptions.receiveRing, fragments),
      transmitStock: stock(nicOptions.transmit === null ? 0 : nicOptions.transmitRing, 1),
      polling: false,
      budget: 0,
      chunk: -1,
      rungReceive: 0,
      rungTransmit: 0,
    };
  }

  /** Rings are coherent memory: mapped for good. */
  private makeRing(entries: number): DriverRing {
    const { api, device, frames, memory } = this.ports;
    const pages = ringPages(entries);
    const descriptors = frames.allocRun(pages);
    const completions = frames.allocRun(pages);
    return new DriverRing(memory, entries, descriptors, completions, {
      descriptors: api.mapNow(device, descriptors, pages, ACCESS_READ | ACCESS_WRITE),
      completions: api.mapNow(device, completions, pages, ACCESS_READ | ACCESS_WRITE),
    });
  }

  private fillNow(state: QueueState): void {
    const { api, device } = this.ports;
    const stock = state.receiveStock;
    if (!stock.open) {
      stock.nextChunk();
      const page = api.mapNow(device, stock.currentFrame, stock.pages, ACCESS_WRITE);
      stock.mapped(pnHi(page), pnLo(page));
    }
    this.postBuffer(state);
  }

  // -------------------------------------------------------------------------------------------
  // Poll

  private poll(queue: number): void {
    this.counters.add(COUNT_POLLS, 1);
    this.queues[queue].budget = this.options.budget;
    this.nextReceived(queue);
  }

  private nextReceived(queue: number): void {
    const { options, counters, queues } = this;
    const state = queues[queue];
    const { receive, receiveStock, core } = state;
    if (state.budget === 0 || !receive.completed()) {
      this.nextSent(queue);
      return;
    }
    state.budget--;
    counters.add(receive.failed ? COUNT_ERRORS : COUNT_RECEIVED, 1);
    const chunk = receive.owner[receive.finished];
    if (!receiveStock.giveFragment(chunk)) {
      core.proceed(options.packetCycles, this.onPacket, queue, 0);
      return;
    }
    state.chunk = chunk;
    const { api, device } = this.ports;
    const hi = receiveStock.inputHi[chunk];
    const lo = receiveStock.inputLo[chunk];
    const { pages } = receiveStock;
    api.unmap(core, device, hi, lo, pages, this.onReceiveUnmapped, queue, options.packetCycles);
  }

  private receiveUnmapped(queue: number): void {
    const state = this.queues[queue];
    state.receiveStock.giveChunk(state.chunk);
    this.refill(queue);
  }

  /** Posts a buffer in place of the one that was used. */
  private refill(queue: number): void {
    const state = this.queues[queue];
    const stock = state.receiveStock;
    if (stock.open) {
      this.postBuffer(state);
      this.nextReceived(queue);
      return;
    }
    stock.nextChunk();
    const { api, device } = this.ports;
    const frame = stock.currentFrame;
    const { core } = state;
    const { pages } = stock;
    const done = this.onReceiveMapped;
    api.map(core, device, pnHi(frame), pnLo(frame), pages, ACCESS_WRITE, done, queue);
  }

  private receiveMapped(queue: number): void {
    const state = this.queues[queue];
    const { api } = this.ports;
    state.receiveStock.mapped(api.resultHi, api.resultLo);
    this.postBuffer(state);
    this.nextReceived(queue);
  }

  private postBuffer(state: QueueState): void {
    const stock = state.receiveStock;
    const chunk = stock.current;
    const offset = stock.takeFragment();
    state.receive.post(
      stock.inputHi[chunk],
      stock.inputLo[chunk],
      offset,
      this.nicOptions.mtu,
      chunk,
    );
  }

  private nextSent(queue: number): void {
    const { options, counters, queues } = this;
    const state = queues[queue];
    const { transmit, transmitStock } = state;
    if (state.budget === 0 || !transmit.completed()) {
      this.nextToSend(queue);
      return;
    }
    state.budget--;
    counters.add(transmit.failed ? COUNT_ERRORS : COUNT_SENT, 1);
    const chunk = transmit.owner[transmit.finished];
    state.chunk = chunk;
    const { api, device } = this.ports;
    const hi = transmitStock.inputHi[chunk];
    const lo = transmitStock.inputLo[chunk];
    const { pages } = transmitStock;
    const done = this.onTransmitUnmapped;
    api.unmap(state.core, device, hi, lo, pages, done, queue, options.packetCycles);
  }

  private transmitUnmapped(queue: number): void {
    const state = this.queues[queue];
    state.transmitStock.giveChunk(state.chunk);
    this.nextSent(queue);
  }

  /** Senders always have data: the transmit ring is kept full. */
  private nextToSend(queue: number): void {
    const { options, nicOptions, offering } = this;
    const state = this.queues[queue];
    const { events, api, device } = this.ports;
    const sends = offering && nicOptions.transmit !== null;
    const offered = sends && events.now < nicOptions.stopCycle;
    const begun = state.transmit.posted - state.rungTransmit;
    if (!offered || state.transmit.room === 0 || begun >= options.budget) {
      this.ringReceive(queue);
      return;
    }
    const stock = state.transmitStock;
    stock.nextChunk();
    const frame = stock.currentFrame;
    const { core } = state;
    const { pages } = stock;
    const done = this.onTransmitMapped;
    const lead = options.packetCycles;
    api.map(core, device, pnHi(frame), pnLo(frame), pages, ACCESS_READ, done, queue, lead);
  }

  private transmitMapped(queue: number): void {
    const state = this.queues[queue];
    const { api } = this.ports;
    const stock = state.transmitStock;
    stock.mapped(api.resultHi, api.resultLo);
    const chunk = stock.current;
    const offset = stock.takeFragment();
    state.transmit.post(api.resultHi, api.resultLo, offset, this.nicOptions.mtu, chunk);
    this.nextToSend(queue);
  }

  private ringReceive(queue: number): void {
    const state = this.queues[queue];
    if (state.receive.posted === state.rungReceive) {
      this.ringTransmit(queue);
      return;
    }
    state.core.proceed(this.options.doorbellCycles, this.onDoorbellReceive, queue, 0);
  }

  private rungReceive(queue: number): void {
    const state = this.queues[queue];
    state.rungReceive = state.receive.posted;
    this.counters.add(COUNT_DOORBELLS, 1);
    this.ports.nic.doorbell(queue, SIDE_RECEIVE, state.receive.posted);
    this.ringTransmit(queue);
  }

  private ringTransmit(queue: number): void {
    const state = this.queues[queue];
    if (state.transmit.posted === state.rungTransmit) {
      this.finishPoll(queue);
      return;
    }
    state.core.proceed(this.options.doorbellCycles, this.onDoorbellTransmit, queue, 0);
  }

  private rungTransmit(queue: number): void {
    const state = this.queues[queue];
    state.rungTransmit = state.transmit.posted;
    this.counters.add(COUNT_DOORBELLS, 1);
    this.ports.nic.doorbell(queue, SIDE_TRANSMIT, state.transmit.posted);
    this.finishPoll(queue);
  }

  /** Polls again behind other work of the core while there is work; else wants interrupts. */
  private finishPoll(queue: number): void {
    const state = this.queues[queue];
    const { receive, transmit, core } = state;
    if (receive.pending() || transmit.pending()) {
      core.run(0, this.onPoll, queue, 0);
      return;
    }
    state.polling = false;
    this.ports.nic.arm(queue, receive.seen, transmit.seen);
  }
}
