/** For tests: a guest in user memory, with first-stage tables that it writes itself. */
import { pageNumber, pnHi, pnLo } from '../../../../address.ts';
import type { PageTableFormat } from '../../../../iommu/walk/format.ts';
import { FrameAllocator } from '../../../frames.ts';
import type { AddressSpace } from '../../../kernel/api.ts';
import { PageTables } from '../../../tables.ts';
import { UserMemoryPort } from '../../../user-memory-port.ts';

export class Guest {
  readonly tables: PageTables;
  readonly frames: FrameAllocator;

  /** `pages` of guest memory from guest page 0 on, at a user address. */
  constructor(space: AddressSpace, base: bigint, pages: number, format: PageTableFormat) {
    this.frames = new FrameAllocator({ base: 1, frames: pages - 1 });
    this.tables = new PageTables(format, new UserMemoryPort(space, base), this.frames);
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
