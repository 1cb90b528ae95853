/** For tests: a guest in user memory, with first-stage tables that it writes itself. */
import { pageNumber, pnHi, pnLo } from '../../../../address.ts';
import type { PageTableFormat } from '../../../../iommu/walk/format.ts';
import { MEM_OK, type MemoryPort } from '../../../../memory/port.ts';
import { FrameAllocator } from '../../../frames.ts';
import type { AddressSpace } from '../../../kernel/api.ts';
import { PageTables } from '../../../tables.ts';

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

  or64(): void {}

  private address(hi: number, lo: number, offset: number): bigint {
    return this.base + BigInt(pageNumber(hi, lo)) * 4096n + BigInt(offset);
  }
}

export class Guest {
  readonly tables: PageTables;
  readonly frames: FrameAllocator;

  /** `pages` of guest memory from guest page 0 on, at a user address. */
  constructor(space: AddressSpace, base: bigint, pages: number, format: PageTableFormat) {
    this.frames = new FrameAllocator({ base: 1, frames: pages - 1 });
    this.tables = new PageTables(format, new GuestView(space, base), this.frames);
  }

  get root(): number {
    return pageNumber(this.tables.rootHi, this.tables.rootLo);
  }

  map(page: number, guestPage: number, access = 3): void {
    this.tables.map(pnHi(page), pnLo(page), pnHi(guestPage), pnLo(guestPage), 1, access);
  }

  unmap(page: number): void {
    this.tables.unmap(pnHi(page), pnLo(page), 1);
  }
}
