/** What arrives on a NIC's wire: packets of drawn sizes, back to back at line rate. */
import type { RandomStream } from '../../sim/random/stream.ts';
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import type { CyclesPerByte } from '../../sim/time/clock.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../sim/time/event-queue.ts';
import type { NicOptions } from './nic-spec.ts';

/** Preamble, start delimiter, frame check and gap: on the wire, not in memory (IEEE 802.3). */
export const WIRE_OVERHEAD_BYTES = 24;
/** Smallest packet. */
export const PACKET_MIN = 64;
const MEDIUM_PACKET = 576;
/** A simple internet mix: of 12 packets 7 small, 4 medium and 1 full. */
const MIX_PARTS = 12;
const MIX_SMALL = 7;
const MIX_MEDIUM = 11;

export class PacketSource {
  /** Size of the packet that `next` told of. */
  bytes = 0;
  private readonly options: NicOptions;
  private readonly wire: Bandwidth;
  private readonly random: RandomStream;

  constructor(options: NicOptions, rate: CyclesPerByte, random: RandomStream) {
    this.options = options;
    this.wire = new Bandwidth(rate);
    this.random = random;
  }

  /** Cycle in which the next packet has arrived; it does not begin before `from`. */
  next(from: number): number {
    this.bytes = this.draw();
    return this.wire.reserve(from, this.bytes + WIRE_OVERHEAD_BYTES);
  }

  private draw(): number {
    const { mtu, packets } = this.options;
    if (packets === 'mtu') return mtu;
    if (packets === 'small') return PACKET_MIN;
    const draw = this.random.below(MIX_PARTS);
    if (draw < MIX_SMALL) return PACKET_MIN;
    return draw < MIX_MEDIUM ? Math.min(MEDIUM_PACKET, mtu) : mtu;
  }
}

/** The receive side of the link: delivers packets while it is up. */
export class ReceiveWire {
  /** No packet will come any more. */
  ended = false;
  private readonly events: EventQueue;
  private readonly source: PacketSource;
  private readonly options: NicOptions;
  private readonly arrived: (bytes: number) => void;
  private readonly onArrival: number;
  private up = false;
  /** How often the link came up: an arrival of before does not count. */
  private ups = 0;

  constructor(
    events: EventQueue,
    source: PacketSource,
    options: NicOptions,
    arrived: (bytes: number) => void,
  ) {
    this.events = events;
    this.source = source;
    this.options = options;
    this.arrived = arrived;
    this.onArrival = events.register(PHASE_UNIT, 'nic-arrival', (up) => this.arrive(up));
  }

  start(): void {
    if (this.up) return;
    this.up = true;
    this.ups++;
    this.awaitPacket(Math.max(this.events.now, this.options.startCycle));
  }

  stop(): void {
    this.up = false;
  }

  private arrive(up: number): void {
    if (!this.up || up !== this.ups) return;
    this.arrived(this.source.bytes);
    this.awaitPacket(0);
  }

  /** Schedules the next packet: it follows its predecessor on the wire, not before `from`. */
  private awaitPacket(from: number): void {
    const end = this.source.next(from);
    if (end < this.options.stopCycle) this.events.at(end, this.onArrival, this.ups, 0);
    else this.ended = true;
  }
}
