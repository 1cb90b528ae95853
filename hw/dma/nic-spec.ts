/** Parameters of the NIC and of its driver. */
import { InputError } from '../../sim/errors.ts';
import {
  bytes,
  choice,
  count,
  duration,
  flag,
  type Param,
  rate,
  type Values,
} from '../../sim/spec.ts';
import type { Clock, CyclesPerByte } from '../../sim/time/clock.ts';

export const PACKET_MIXES = ['mtu', 'small', 'imix'] as const;
export type PacketMix = (typeof PACKET_MIXES)[number];

type NumberName =
  | 'receive'
  | 'transmit'
  | 'mtu'
  | 'queues'
  | 'receive_ring'
  | 'transmit_ring'
  | 'fetch_batch'
  | 'receive_buffer'
  | 'reads'
  | 'writes'
  | 'moderation'
  | 'start'
  | 'stop'
  | 'fragments'
  | 'spare_buffers'
  | 'budget'
  | 'interrupt'
  | 'packet';

export type NicSpec = {
  readonly packets: Param<PacketMix>;
  readonly page_aligned: Param<boolean>;
} & Readonly<Record<NumberName, Param<number>>>;

export const nicSpec: NicSpec = {
  receive: rate('200Gb/s', 'Rate of arriving packets on the wire; 0b/s for none.', { min: 0 }),
  transmit: rate('0b/s', 'Rate of sent packets on the wire; 0b/s for none.', { min: 0 }),
  mtu: bytes('1500B', 'Largest packet.', { min: 64, max: 9216 }),
  packets: choice(
    'mtu',
    PACKET_MIXES,
    'Sizes: all of the MTU, all of 64 bytes, or 7:4:1 of 64, 576 and the MTU.',
  ),
  queues: count(8, 'Receive and transmit queue pairs; queue i is served by core i.', {
    min: 1,
    max: 256,
  }),
  receive_ring: count(1024, 'Descriptors of a receive ring; a power of two.', {
    min: 2,
    max: 65_536,
  }),
  transmit_ring: count(1024, 'Descriptors of a transmit ring; a power of two.', {
    min: 2,
    max: 65_536,
  }),
  fetch_batch: count(32, 'Most descriptors that one DMA fetches.', { min: 1, max: 256 }),
  receive_buffer: bytes('512KiB', 'On-chip memory for packets that wait for a buffer.'),
  reads: count(64, 'Most reads in flight.', { min: 1, max: 65_536 }),
  writes: count(128, 'Most writes in flight.', { min: 1, max: 65_536 }),
  moderation: duration('5us', 'From the first completion to the interrupt.'),
  start: duration('0ns', 'When the first packet arrives.'),
  stop: duration('0ns', 'When packets stop arriving and being offered; 0ns means never.'),
  page_aligned: flag(true, 'Buffers begin at a page; else they are packed into their pages.'),
  fragments: count(1, 'Buffers that share one mapping (page fragments).', { min: 1, max: 64 }),
  spare_buffers: count(64, 'Mappings a queue has in stock beyond its ring.', { min: 1 }),
  budget: count(64, 'Most packets of one poll of the driver.', { min: 1 }),
  interrupt: duration('600ns', 'Taking an interrupt and starting the poll.'),
  packet: duration('150ns', 'Handling one packet, mapping not included.'),
};

/** A NIC's parameters in cycles. */
export interface NicOptions {
  /** Cycles per byte on the wire, null for no packets in this direction. */
  readonly receive: CyclesPerByte | null;
  readonly transmit: CyclesPerByte | null;
  readonly mtu: number;
  readonly packets: PacketMix;
  readonly queues: number;
  readonly receiveRing: number;
  readonly transmitRing: number;
  readonly fetchBatch: number;
  readonly receiveBuffer: number;
  readonly reads: number;
  readonly writes: number;
  readonly moderationCycles: number;
  readonly startCycle: number;
  readonly stopCycle: number;
}

/** Its driver's parameters in cycles. */
export interface NicDriverOptions {
  readonly pageAligned: boolean;
  readonly fragments: number;
  readonly spareBuffers: number;
  readonly budget: number;
  readonly interruptCycles: number;
  readonly packetCycles: number;
  /** The doorbell's register write, as the core sees it. */
  readonly doorbellCycles: number;
}

export function nicOptions(values: Values<NicSpec>, clock: Clock): NicOptions {
  for (const name of ['receive_ring', 'transmit_ring'] as const) {
    const entries = values[name];
    if ((entries & (entries - 1)) !== 0) {
      throw new InputError('nic', `${name} of ${entries}: expected a power of two`);
    }
  }
  return {
    receive: values.receive === 0 ? null : clock.cyclesPerByte(values.receive),
    transmit: values.transmit === 0 ? null : clock.cyclesPerByte(values.transmit),
    mtu: values.mtu,
    packets: values.packets,
    queues: values.queues,
    receiveRing: values.receive_ring,
    transmitRing: values.transmit_ring,
    fetchBatch: values.fetch_batch,
    receiveBuffer: values.receive_buffer,
    reads: values.reads,
    writes: values.writes,
    moderationCycles: clock.nearest(values.moderation),
    startCycle: clock.ceil(values.start),
    stopCycle: values.stop === 0 ? Number.POSITIVE_INFINITY : clock.ceil(values.stop),
  };
}

export function nicDriverOptions(
  values: Values<NicSpec>,
  clock: Clock,
  doorbellCycles: number,
): NicDriverOptions {
  return {
    pageAligned: values.page_aligned,
    fragments: values.fragments,
    spareBuffers: values.spare_buffers,
    budget: values.budget,
    interruptCycles: clock.nearest(values.interrupt),
    packetCycles: clock.nearest(values.packet),
    doorbellCycles,
  };
}
