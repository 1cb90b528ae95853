/**
 * A guest as far as its IOMMU goes: memory of the process that runs it, and first-stage tables
 * there that its own kernel writes. The observer of mappings is told what the guest maps once a
 * nested page table stands on its root.
 */
import { PAGE_SIZE, pageNumber, pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { SV39, SV48, SV57 } from '../../iommu/riscv/formats.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import { FrameAllocator } from '../frames.ts';
import type { AddressSpace } from '../kernel/api.ts';
import type { MappingObserver } from '../observer.ts';
import { PageTables } from '../tables.ts';

export const GUEST_TABLES = { SV39, SV48, SV57 } as const;
export type GuestTable = keyof typeof GUEST_TABLES;

const ACCESS = ACCESS_READ | ACCESS_WRITE;
/** Tables are at the start of the guest's memory, after page 0. */
const FIRST_TABLE = 1;

/** The guest's view of memory: guest page 0 is at a user address. */
class GuestView implements MemoryPort {
  private readonly space: AddressSpace;
  private readonly base: bigint;
  private readonly bytes = new Uint8Array(4);
  private readonly view = new DataView(this.bytes.buffer);

  constructor(space: AddressSpace, base: bigint) {
    this.space = space;
    this.base = base;
  }

  checkRead(): number {
    return MEM_OK;
  }

  checkWrite(): number {
    return MEM_OK;
  }

  read32(hi: number, lo: number, offset: number): number {
    this.space.copyIn(this.address(hi, lo, offset), this.bytes);
    return this.view.getInt32(0, true);
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    this.view.setInt32(0, value, true);
    this.space.copyOut(this.address(hi, lo, offset), this.bytes);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    this.write32(hi, lo, offset, this.read32(hi, lo, offset) | orLo);
    this.write32(hi, lo, offset + 4, this.read32(hi, lo, offset + 4) | orHi);
  }

  private address(hi: number, lo: number, offset: number): bigint {
    return this.base + BigInt(pageNumber(hi, lo)) * BigInt(PAGE_SIZE) + BigInt(offset);
  }
}

export class Guest {
  private readonly space: AddressSpace;
  private readonly base: bigint;
  private readonly tables: PageTables;
  private readonly observer: MappingObserver;
  private readonly now: () => number;
  /** Guest page by input page. */
  private readonly mapped: Map<number, number> = new Map();
  /** Number of the nested page table's address space; -1: there is none yet. */
  private domain = -1;

  constructor(
    space: AddressSpace,
    base: bigint,
    bytes: number,
    table: GuestTable,
    observer: MappingObserver,
    now: () => number,
  ) {
    const frames = new FrameAllocator({
      base: FIRST_TABLE,
      frames: Math.floor(bytes / PAGE_SIZE) - FIRST_TABLE,
    });
    this.space = space;
    this.base = base;
    this.observer = observer;
    this.now = now;
    this.tables = new PageTables(GUEST_TABLES[table], new GuestView(space, base), frames);
  }

  /** Guest page number of the root table. */
  get root(): number {
    return pageNumber(this.tables.rootHi, this.tables.rootLo);
  }

  /** A nested page table walks the guest's tables from now on. */
  nestedAs(domain: number): void {
    this.domain = domain;
    for (const [page, guestPage] of this.mapped) this.tell(page, guestPage);
  }

  map(page: number, guestPage: number, pages: number): void {
    const { tables } = this;
    tables.map(pnHi(page), pnLo(page), pnHi(guestPage), pnLo(guestPage), pages, ACCESS);
    for (let i = 0; i < pages; i++) {
      this.mapped.set(page + i, guestPage + i);
      this.tell(page + i, guestPage + i);
    }
  }

  /** Clears the entries: what the unit has cached of them lives on. */
  unmap(page: number, pages: number): void {
    this.tables.unmap(pnHi(page), pnLo(page), pages);
    for (let i = 0; i < pages; i++) this.mapped.delete(page + i);
    if (this.domain < 0) return;
    this.observer.unmapped(this.domain, pnHi(page), pnLo(page), pages, this.now());
  }

  /** The guest relies on it that no device uses the pages any more. */
  free(page: number, pages: number): void {
    if (this.domain < 0) return;
    this.observer.acknowledged(this.domain, pnHi(page), pnLo(page), pages, this.now());
  }

  /** Guest pages behind input pages that are mapped, ascending and each once. */
  guestPages(pages: readonly number[]): number[] {
    const found = new Set(pages.flatMap((page) => this.mapped.get(page) ?? []));
    return [...found].sort((a, b) => a - b);
  }

  private tell(page: number, guestPage: number): void {
    if (this.domain < 0) return;
    const frame = this.space.frameAt(this.base + BigInt(guestPage) * BigInt(PAGE_SIZE));
    const { domain } = this;
    const [hi, lo] = [pnHi(page), pnLo(page)];
    this.observer.mapped(domain, hi, lo, 1, pnHi(frame), pnLo(frame), ACCESS, this.now());
  }
}
