/**
 * Memory behind areas (struct iopt_pages): a range of a process's memory, of a file, or of a
 * dma-buf, shared by all areas that were copied or cut from one mapping. A page is pinned once,
 * however many areas in domains and in-kernel users hold it, when the first of them does; and it is
 * charged once to the process that mapped it.
 */
import type { DmaBuf, KernelServices, OpenFile, PinnableFile, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import { type ChargeMode, charge, uncharge } from './accounting.ts';
import { PageStore } from './page-store.ts';
import { PAGE, PAGE_MASK, PAGE_SHIFT, U64_MAX } from './units.ts';

const PAGES_BYTES = 256;
/** Pages that one entry of a batch counts, less one. */
const MAX_DMA_BUF_PAGES = 0xffff_fffen;
const MAX_LENGTH = U64_MAX - PAGE;

export type PagesKind = 'user' | 'file' | 'dma-buf';

/** An in-kernel pin of pages [first, last]; users with the same range share it. */
export interface PinRecord {
  readonly first: number;
  readonly last: number;
  users: number;
}

export abstract class Pages {
  abstract readonly kind: PagesKind;
  readonly services: KernelServices;
  readonly writable: boolean;
  readonly count: number;
  refs = 1;
  /** Who is charged. */
  owner: Process;
  mode: ChargeMode;
  /** Pages pinned now, and how many of them are charged. */
  pinned = 0;
  charged = 0;
  private readonly store: PageStore;
  /** Where pinning stopped with an error. */
  private faultedAt = 0;
  /** In-kernel pins by their first page; null: never any. */
  pins: Map<number, PinRecord[]> | null = null;

  constructor(
    services: KernelServices,
    owner: Process,
    mode: ChargeMode,
    bytes: bigint,
    writable: boolean,
  ) {
    this.services = services;
    this.owner = owner;
    this.mode = mode;
    this.writable = writable;
    this.count = bytes <= PAGE ? 1 : Number((bytes + PAGE_MASK) >> PAGE_SHIFT);
    this.store = new PageStore(this.count);
  }

  put(): void {
    this.refs--;
    if (this.refs === 0) {
      this.released();
      this.services.memory.give(PAGES_BYTES);
    }
  }

  /** Whether it is all of an area, of one page that no in-kernel user holds. */
  get isSinglePage(): boolean {
    return this.count === 1 && this.refs === 1 && this.pins === null;
  }

  /** Makes a page that is pinned and charged already the only one of this object. */
  holdSinglePage(frame: number): void {
    this.store.put(0, frame);
    this.pinned = 1;
    this.charged = 1;
  }

  /** Where the byte at an offset was: the hint of automatic IOVA choice. */
  abstract addressOf(byte: bigint): bigint;

  /** Frame of a page that is held. */
  frame(index: number): number {
    return this.store.frame(index);
  }

  /** One holder more for pages [first, last]: all of them, or on an error none. */
  hold(first: number, last: number): void {
    let index = first;
    try {
      while (index <= last) {
        if (this.store.frame(index) < 0) {
          index = this.pinHole(index, last);
        } else {
          this.store.share(index);
          index++;
        }
      }
    } catch (error) {
      if (this.faultedAt > index) index = this.faultedAt;
      this.drop(first, index - 1);
      throw error;
    }
  }

  /** One holder less; what nobody holds is unpinned. */
  drop(first: number, last: number): void {
    for (let index = first; index <= last; index++) {
      const frame = this.store.drop(index);
      if (frame < 0) continue;
      this.services.pins.unpin(frame);
      this.pinned--;
    }
  }

  /** Pages may be pinned before they are charged, but not longer than one call. */
  settle(): void {
    if (this.pinned === this.charged) return;
    if (this.pinned > this.charged) {
      this.services.memory.point('ENOMEM', 'charge of pinned pages');
      charge(this.mode, this.owner, this.pinned - this.charged);
    } else {
      uncharge(this.mode, this.owner, this.charged - this.pinned);
    }
    this.charged = this.pinned;
  }

  /** Pins pages from `first` on until one is held already; returns the page after the last. */
  private pinHole(first: number, last: number): number {
    const { memory } = this.services;
    this.faultedAt = first;
    memory.point('ENOMEM', 'array of pinned pages');
    memory.point('EFAULT', 'pinning of pages');
    this.beginPinning(first);
    let index = first;
    do {
      this.store.put(index, this.pinPage(index));
      this.pinned++;
      index++;
      this.faultedAt = index;
    } while (index <= last && this.store.frame(index) < 0);
    return index;
  }

  protected beginPinning(_first: number): void {}

  /** Called for ascending pages after `beginPinning`. */
  protected abstract pinPage(index: number): number;

  protected released(): void {}
}

/** Memory of a process. */
export class UserPages extends Pages {
  readonly kind: PagesKind = 'user';
  /** Address of the first page. */
  readonly base: bigint;
  private next = 0n;

  constructor(
    services: KernelServices,
    owner: Process,
    mode: ChargeMode,
    base: bigint,
    bytes: bigint,
    writable: boolean,
  ) {
    super(services, owner, mode, bytes, writable);
    this.base = base;
  }

  /** Pages of a range of addresses that is to be mapped; EOVERFLOW, EINVAL, ENOMEM. */
  static make(
    services: KernelServices,
    owner: Process,
    mode: ChargeMode,
    address: bigint,
    length: bigint,
    writable: boolean,
  ): UserPages {
    if (address + length > U64_MAX) {
      fail('EOVERFLOW', `user address 0x${address.toString(16)} + length ${length} overflows`);
    }
    checkLength(length);
    services.memory.take(PAGES_BYTES, 'pages object');
    const offset = address & PAGE_MASK;
    return new UserPages(services, owner, mode, address - offset, length + offset, writable);
  }

  override addressOf(byte: bigint): bigint {
    return this.base + byte;
  }

  protected override beginPinning(first: number): void {
    if (!this.owner.space.alive) fail('EFAULT', 'the process that mapped the memory has exited');
    this.next = first === 0 ? this.base : this.base + BigInt(first) * PAGE;
  }

  protected override pinPage(_index: number): number {
    const address = this.next;
    const frame = this.owner.space.pin(address, this.writable);
    this.next = address + PAGE;
    return frame;
  }
}

/** A range of a file that stays in memory. */
export class FilePages extends Pages {
  readonly kind: PagesKind = 'file';
  private readonly file: OpenFile;
  /** Offset of the first page in the file, in bytes. */
  private readonly start: bigint;
  private readonly firstPage: number;

  constructor(
    services: KernelServices,
    owner: Process,
    mode: ChargeMode,
    file: OpenFile,
    start: bigint,
    length: bigint,
    writable: boolean,
  ) {
    checkLength(length);
    services.memory.take(PAGES_BYTES, 'pages object');
    super(services, owner, mode, length + (start & PAGE_MASK), writable);
    this.file = file;
    this.start = start & ~PAGE_MASK;
    this.firstPage = Number(start >> PAGE_SHIFT);
    services.get(file);
  }

  override addressOf(byte: bigint): bigint {
    return this.start + byte;
  }

  protected override pinPage(index: number): number {
    const file = this.file as Partial<PinnableFile>;
    if (file.pinPage === undefined) {
      fail('EINVAL', `pages of a file of kind ${this.file.kind} cannot be pinned`);
    }
    return file.pinPage(this.firstPage + index);
  }

  protected override released(): void {
    this.services.put(this.file);
  }
}

/** What maps a dma-buf into a domain, so that it can be taken out when access is revoked. */
export interface DmaBufMapping {
  unmapRevoked(): void;
}

/** A range of another device's memory: never pinned nor charged, but it can be taken back. */
export class DmaBufPages extends Pages {
  readonly kind: PagesKind = 'dma-buf';
  /** Once true it stays: what is given back has to be mapped anew. */
  revoked = false;
  readonly mappings: Set<DmaBufMapping> = new Set();
  private readonly buffer: DmaBuf;
  private readonly start: bigint;
  private readonly firstPage: number;
  private readonly importer: { revoked: () => void };

  constructor(
    services: KernelServices,
    owner: Process,
    buffer: DmaBuf,
    start: bigint,
    length: bigint,
    writable: boolean,
  ) {
    if (buffer.bytes <= start + length - 1n) {
      fail('EINVAL', `the dma-buf has ${buffer.bytes} bytes, less than ${start + length}`);
    }
    if (length >> PAGE_SHIFT > MAX_DMA_BUF_PAGES) fail('EINVAL', 'too many pages of a dma-buf');
    services.memory.take(PAGES_BYTES, 'pages object');
    super(services, owner, 'none', length + (start & PAGE_MASK), writable);
    this.buffer = buffer;
    this.start = start & ~PAGE_MASK;
    this.firstPage = Number(start >> PAGE_SHIFT);
    this.importer = { revoked: () => this.revoke() };
    try {
      services.memory.point('ENOMEM', 'dma-buf attachment');
      if (buffer.revoked) fail('ENODEV', 'access to the dma-buf is revoked');
    } catch (error) {
      services.memory.give(PAGES_BYTES);
      throw error;
    }
    services.get(buffer);
    buffer.attach(this.importer);
  }

  override addressOf(byte: bigint): bigint {
    return this.start + byte;
  }

  override frame(index: number): number {
    return this.buffer.frames[this.firstPage + index];
  }

  override hold(): void {}

  override drop(): void {}

  protected override pinPage(): number {
    return fail('EFAULT', 'pages of a dma-buf cannot be pinned');
  }

  protected override released(): void {
    this.buffer.detach(this.importer);
    this.services.put(this.buffer);
  }

  /** All domains let go, at once. */
  private revoke(): void {
    if (this.revoked) return;
    for (const mapping of this.mappings) mapping.unmapRevoked();
    this.revoked = true;
  }
}

function checkLength(length: bigint): void {
  if (length === 0n) fail('EINVAL', 'length is 0');
  if (length > MAX_LENGTH) fail('EINVAL', `length ${length} is too large`);
}
