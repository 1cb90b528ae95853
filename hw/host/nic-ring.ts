/** The driver's side of a NIC ring in memory: writes descriptors, reads completions. */

import { pnHi, pnLo } from '../address.ts';
import { COMPLETION_OK, RING_ENTRY_SHIFT, RING_PAGE_ENTRIES } from '../dma/nic-layout.ts';
import type { RingAddresses } from '../dma/nic-queue.ts';
import type { MemoryPort } from '../memory/port.ts';

export class DriverRing {
  readonly addresses: RingAddresses;
  /** Descriptors posted and completions seen, as absolute counts. */
  posted = 0;
  seen = 0;
  /** Place of the descriptor that the completion read last is of, and whether it failed. */
  finished = 0;
  failed = false;
  /** What the driver noted with each descriptor, by place. */
  readonly owner: Int32Array;
  private readonly memory: MemoryPort;
  private readonly entries: number;
  private readonly mask: number;
  private readonly descriptors: number;
  private readonly completions: number;

  constructor(
    memory: MemoryPort,
    entries: number,
    descriptors: number,
    completions: number,
    addresses: RingAddresses,
  ) {
    this.memory = memory;
    this.entries = entries;
    this.mask = entries - 1;
    this.descriptors = descriptors;
    this.completions = completions;
    this.addresses = addresses;
    this.owner = new Int32Array(entries);
  }

  /** Free places for descriptors. */
  get room(): number {
    return this.entries - (this.posted - this.seen);
  }

  /** Writes a descriptor for `bytes` bytes at `offset` bytes from input page (hi, lo). */
  post(hi: number, lo: number, offset: number, bytes: number, owner: number): void {
    const { memory } = this;
    const place = this.posted++ & this.mask;
    const page = this.descriptors + Math.floor(place / RING_PAGE_ENTRIES);
    const to = (place & (RING_PAGE_ENTRIES - 1)) << RING_ENTRY_SHIFT;
    const first = lo + (offset >>> 12);
    // Input ranges do not cross the halves' border: they are aligned to their size.
    memory.write32(pnHi(page), pnLo(page), to, (first << 12) | (offset & 0xfff));
    memory.write32(pnHi(page), pnLo(page), to + 4, (first >>> 20) | (hi << 7));
    memory.write32(pnHi(page), pnLo(page), to + 8, bytes);
    memory.write32(pnHi(page), pnLo(page), to + 12, 0);
    this.owner[place] = owner;
  }

  /** Whether a completion waits to be read. */
  pending(): boolean {
    const place = this.seen & this.mask;
    const page = this.completions + Math.floor(place / RING_PAGE_ENTRIES);
    const at = ((place & (RING_PAGE_ENTRIES - 1)) << RING_ENTRY_SHIFT) + 12;
    const pass = Math.floor(this.seen / this.entries) + 1;
    return this.memory.read32(pnHi(page), pnLo(page), at) === pass;
  }

  /** Reads the next completion, if there is one: `finished` and `failed` tell of it. */
  completed(): boolean {
    if (!this.pending()) return false;
    const { memory } = this;
    const place = this.seen++ & this.mask;
    const page = this.completions + Math.floor(place / RING_PAGE_ENTRIES);
    const at = (place & (RING_PAGE_ENTRIES - 1)) << RING_ENTRY_SHIFT;
    this.finished = memory.read32(pnHi(page), pnLo(page), at + 4) & this.mask;
    this.failed = memory.read32(pnHi(page), pnLo(page), at + 8) !== COMPLETION_OK;
    return true;
  }
}
