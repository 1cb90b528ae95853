/**
 * A guest's memory as its host lays it out: guest physical pages [base, base + pages) stand on one
 * contiguous, suitably aligned run of host frames, mapped by second-stage pages of one size.
 */
import { InputError } from '../../sim/errors.ts';
import { PN_LO_BITS, PN_LO_MASK, pnHi, pnLo } from '../address.ts';
import { MEM_ACCESS_FAULT, type MemoryPort } from '../memory/port.ts';

export interface GuestSpec {
  /** First guest physical page. */
  readonly base: number;
  readonly pages: number;
  /** First host frame; both bases are multiples of 2^pageOrder. */
  readonly hostBase: number;
  /** log2 of the 4 KiB pages of a second-stage leaf: 0, 9 or 18. */
  readonly pageOrder: number;
}

export class GuestMemory {
  readonly base: number;
  readonly pages: number;
  readonly hostBase: number;
  readonly pageOrder: number;
  private readonly deltaHi: number;
  private readonly deltaLo: number;

  constructor(spec: GuestSpec) {
    const size = 2 ** spec.pageOrder;
    if (spec.base % size !== 0 || spec.hostBase % size !== 0 || spec.pages % size !== 0) {
      throw new InputError(
        'guest-memory',
        `guest memory at page ${spec.base} on frame ${spec.hostBase}, ${spec.pages} pages, ` +
          `is not a multiple of its second-stage page of ${size} pages`,
      );
    }
    this.base = spec.base;
    this.pages = spec.pages;
    this.hostBase = spec.hostBase;
    this.pageOrder = spec.pageOrder;
    // hostBase - base modulo 2^52: an addition with carry then serves both directions of shift.
    const delta = spec.hostBase - spec.base;
    const positive = delta >= 0 ? delta : delta + 2 ** 52;
    this.deltaHi = pnHi(positive);
    this.deltaLo = pnLo(positive);
  }

  /** Whether the guest has this page. */
  contains(page: number): boolean {
    return page >= this.base && page < this.base + this.pages;
  }

  /** Low half of the host frame under a guest page. */
  hostLo(lo: number): number {
    return (lo + this.deltaLo) & PN_LO_MASK;
  }

  /** High half of the host frame under a guest page. */
  hostHi(hi: number, lo: number): number {
    return (hi + this.deltaHi + ((lo + this.deltaLo) >>> PN_LO_BITS)) & 0x1ffffff;
  }
}

/** The guest's view of memory: what the guest's kernel reads and writes. */
export class GuestMemoryPort implements MemoryPort {
  readonly guest: GuestMemory;
  private readonly host: MemoryPort;

  constructor(guest: GuestMemory, host: MemoryPort) {
    this.guest = guest;
    this.host = host;
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    const { guest } = this;
    if (!guest.contains(hi * 0x8000000 + lo)) return MEM_ACCESS_FAULT;
    return this.host.checkRead(guest.hostHi(hi, lo), guest.hostLo(lo), offset, bytes);
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    const { guest } = this;
    if (!guest.contains(hi * 0x8000000 + lo)) return MEM_ACCESS_FAULT;
    return this.host.checkWrite(guest.hostHi(hi, lo), guest.hostLo(lo), offset, bytes);
  }

  read32(hi: number, lo: number, offset: number): number {
    const { guest } = this;
    return this.host.read32(guest.hostHi(hi, lo), guest.hostLo(lo), offset);
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    const { guest } = this;
    this.host.write32(guest.hostHi(hi, lo), guest.hostLo(lo), offset, value);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    const { guest } = this;
    this.host.or64(guest.hostHi(hi, lo), guest.hostLo(lo), offset, orLo, orHi);
  }
}
