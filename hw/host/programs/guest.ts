/**
 * A guest as far as its IOMMU goes: memory of the process that runs it, and first-stage tables
 * there that its own kernel writes, if it has any. The observer of mappings is told what the guest
 * maps once a nested page table stands on its root.
 */
import { InputError } from '../../../sim/errors.ts';
import { PAGE_SIZE, pageNumber, pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { SV39, SV48, SV57 } from '../../iommu/riscv/formats.ts';
import { FrameAllocator } from '../frames.ts';
import type { AddressSpace } from '../kernel/api.ts';
import type { MappingObserver } from '../observer.ts';
import { PageTables } from '../tables.ts';
import { UserMemoryPort } from '../user-memory-port.ts';

/** none: the VMM is told what the guest maps (virtio-iommu), and no IOMMU walks its memory. */
export const GUEST_TABLES = { SV39, SV48, SV57, none: null } as const;
export type GuestTable = keyof typeof GUEST_TABLES;

const ACCESS = ACCESS_READ | ACCESS_WRITE;
/** What its kernel allocates, tables too, is at the start of its memory, after page 0. */
const FIRST_FRAME = 1;

export class Guest {
  /** Memory as the guest sees it, and frames that its kernel allocates. */
  readonly memory: UserMemoryPort;
  readonly frames: FrameAllocator;
  private readonly space: AddressSpace;
  private readonly base: bigint;
  private readonly tables: PageTables | null;
  private readonly observer: MappingObserver;
  private readonly now: () => number;
  private readonly pages: number;
  /** Guest page and permission by input page. */
  private readonly mapped: Map<number, { readonly to: number; readonly access: number }> =
    new Map();
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
    const format = GUEST_TABLES[table];
    this.pages = Math.floor(bytes / PAGE_SIZE);
    this.frames = new FrameAllocator({ base: FIRST_FRAME, frames: this.pages - FIRST_FRAME });
    this.memory = new UserMemoryPort(space, base);
    this.space = space;
    this.base = base;
    this.observer = observer;
    this.now = now;
    this.tables = format === null ? null : new PageTables(format, this.memory, this.frames);
  }

  /** Guest page number of the root table; 0: it has none. */
  get root(): number {
    const { tables } = this;
    return tables === null ? 0 : pageNumber(tables.rootHi, tables.rootLo);
  }

  /** Where the process has a guest page. */
  userAddress(guestPage: number): bigint {
    return this.base + BigInt(guestPage) * BigInt(PAGE_SIZE);
  }

  /** The process ends, and the guest with it. */
  end(): void {
    this.memory.gone = true;
  }

  /** A nested page table walks the guest's tables from now on. */
  nestedAs(domain: number): void {
    this.domain = domain;
    for (const [page, { to, access }] of this.mapped) this.tell(page, to, access);
  }

  map(page: number, guestPage: number, pages: number, wanted: number = ACCESS): void {
    // Entries cannot permit writing without reading.
    const access = (wanted & ACCESS_WRITE) !== 0 ? ACCESS : wanted;
    const [hi, lo] = [pnHi(guestPage), pnLo(guestPage)];
    this.needTables().map(pnHi(page), pnLo(page), hi, lo, pages, access);
    for (let i = 0; i < pages; i++) {
      this.mapped.set(page + i, { to: guestPage + i, access });
      this.tell(page + i, guestPage + i, access);
    }
  }

  /** Clears the entries: what the unit has cached of them lives on. */
  unmap(page: number, pages: number): number {
    const [hi, lo] = [pnHi(page), pnLo(page)];
    const unmapped = this.needTables().unmap(hi, lo, pages);
    for (let i = 0; i < pages; i++) this.mapped.delete(page + i);
    if (this.domain >= 0) this.observer.unmapped(this.domain, hi, lo, pages, this.now());
    return unmapped;
  }

  /** The guest relies on it that no device uses the pages any more. */
  free(page: number, pages: number): void {
    if (this.domain < 0) return;
    this.observer.acknowledged(this.domain, pnHi(page), pnLo(page), pages, this.now());
  }

  /** Guest pages that stand on these frames of the host, ascending. */
  guestPages(frames: ReadonlySet<number>): number[] {
    const found: number[] = [];
    for (let page = 0; page < this.pages; page++) {
      if (frames.has(this.space.frameAt(this.userAddress(page)))) found.push(page);
    }
    return found;
  }

  private needTables(): PageTables {
    if (this.tables !== null) return this.tables;
    throw new InputError('guest', 'a guest with tables: none maps nothing in tables of its own');
  }

  private tell(page: number, guestPage: number, access: number): void {
    if (this.domain < 0) return;
    const frame = this.space.frameAt(this.userAddress(guestPage));
    const { domain } = this;
    const [hi, lo] = [pnHi(page), pnLo(page)];
    this.observer.mapped(domain, hi, lo, 1, pnHi(frame), pnLo(frame), access, this.now());
  }
}
