/**
 * One side (receive or transmit) of a NIC queue: the descriptor ring as far as it has been fetched,
 * and the completion ring. Counts are absolute; a place in a ring is the count modulo its entries.
 */
import { invariant } from '../../sim/errors.ts';
import { PAGE_SHIFT, PN_LO_BITS, PN_LO_MASK } from '../address.ts';
import type { MemoryPort } from '../memory/port.ts';
import { RING_ENTRY_SHIFT, RING_PAGE_ENTRIES } from './nic-layout.ts';

/** Where the driver put the rings: input pages. */
export interface RingAddresses {
  readonly descriptors: number;
  readonly completions: number;
}

export class NicQueue {
  /** Queue pair, and place among all sides of the NIC. */
  readonly index: number;
  readonly side: number;
  readonly entries: number;
  readonly mask: number;
  /** Descriptors that the driver has posted, of which fetches were begun, that are here, used. */
  posted = 0;
  requested = 0;
  ready = 0;
  used = 0;
  /** Next descriptor whose packet goes to the wire (transmit). */
  toSend = 0;
  /** Completions given out, and those written to memory. */
  completing = 0;
  completed = 0;
  fetching = false;
  /** A fetch was refused: the queue stands still. */
  broken = false;
  descriptorPage = 0;
  completionPage = 0;
  /** Descriptors here, by place. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly offset: Int32Array;
  readonly bytes: Int32Array;
  /** Packet slot whose payload is here, by place; -1 for none (transmit). */
  readonly payload: Int32Array;

  constructor(index: number, side: number, entries: number) {
    invariant((entries & (entries - 1)) === 0, 'a ring has a power of two of entries');
    this.index = index;
    this.side = side;
    this.entries = entries;
    this.mask = entries - 1;
    this.hi = new Int32Array(entries);
    this.lo = new Int32Array(entries);
    this.offset = new Int32Array(entries);
    this.bytes = new Int32Array(entries);
    this.payload = new Int32Array(entries).fill(-1);
  }

  /** Descriptors of the next fetch: up to `batch`, not beyond the ring's end or a page of it. */
  fetchable(batch: number): number {
    const place = this.requested & this.mask;
    const inPage = RING_PAGE_ENTRIES - (place & (RING_PAGE_ENTRIES - 1));
    return Math.min(this.posted - this.requested, batch, this.entries - place, inPage);
  }

  /** Reads `count` descriptors that a fetch brought, from where it went in memory. */
  take(memory: MemoryPort, hi: number, lo: number, offset: number, count: number): void {
    for (let i = 0; i < count; i++) {
      const from = offset + (i << RING_ENTRY_SHIFT);
      const place = (this.ready + i) & this.mask;
      const low = memory.read32(hi, lo, from);
      const high = memory.read32(hi, lo, from + 4);
      this.offset[place] = low & 0xfff;
      this.lo[place] = (low >>> PAGE_SHIFT) | ((high & 0x7f) << 20);
      this.hi[place] = high >>> (PN_LO_BITS - 20);
      this.bytes[place] = memory.read32(hi, lo, from + 8);
    }
    this.ready += count;
  }

  /** Halves of the input page of a ring's place. */
  static pageHi(page: number, place: number): number {
    return Math.floor((page + Math.floor(place / RING_PAGE_ENTRIES)) / (PN_LO_MASK + 1));
  }

  static pageLo(page: number, place: number): number {
    return (page + Math.floor(place / RING_PAGE_ENTRIES)) % (PN_LO_MASK + 1);
  }
}
