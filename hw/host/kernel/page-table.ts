/**
 * Page number to frame number with flags, in tables of 512 entries (2 MiB): the page table of an
 * address space, and the page cache of a file. The table used last is remembered, as a TLB would.
 */

/** Reads need no fault. */
export const PRESENT = 1;
/** Nor do writes. */
export const WRITABLE = 2;
/** A long-term pin of the frame keeps seeing what the process sees: nobody will copy it away. */
export const STABLE = 4;
/** Device memory: no struct page, cannot be pinned (VM_PFNMAP). */
export const DEVICE = 8;
/** Anonymous memory of this process, which no file knows. */
export const ANONYMOUS = 16;

export const TABLE_PAGES = 512;
const TABLE_MASK = TABLE_PAGES - 1;

export interface Table {
  /** Frame number + 1; 0: no frame. */
  readonly frames: Float64Array;
  readonly flags: Uint8Array;
}

export class PageTable {
  private readonly tables = new Map<number, Table>();
  private lastIndex = -1;
  private last: Table | null = null;

  /** The table of a page, when there is one. Its entry is `page & 511`. */
  find(page: number): Table | null {
    const index = Math.floor(page / TABLE_PAGES);
    if (index === this.lastIndex) return this.last;
    const table = this.tables.get(index);
    if (table === undefined) return null;
    this.lastIndex = index;
    this.last = table;
    return table;
  }

  /** The table of a page, made when there is none. */
  make(page: number): Table {
    const found = this.find(page);
    if (found !== null) return found;
    const table = { frames: new Float64Array(TABLE_PAGES), flags: new Uint8Array(TABLE_PAGES) };
    const index = Math.floor(page / TABLE_PAGES);
    this.tables.set(index, table);
    this.lastIndex = index;
    this.last = table;
    return table;
  }

  /** Frame of a page; -1: none. */
  frame(page: number): number {
    const table = this.find(page);
    return table === null ? -1 : table.frames[page & TABLE_MASK] - 1;
  }

  flags(page: number): number {
    const table = this.find(page);
    return table === null ? 0 : table.flags[page & TABLE_MASK];
  }

  set(page: number, frame: number, flags: number): void {
    const table = this.make(page);
    table.frames[page & TABLE_MASK] = frame + 1;
    table.flags[page & TABLE_MASK] = flags;
  }

  remove(page: number): void {
    const table = this.find(page);
    if (table === null) return;
    table.frames[page & TABLE_MASK] = 0;
    table.flags[page & TABLE_MASK] = 0;
  }

  /** The next page at or after `page`, before `end`, that has a frame; -1: none. */
  next(page: number, end: number): number {
    let at = page;
    while (at < end) {
      const table = this.find(at);
      const tableEnd = (Math.floor(at / TABLE_PAGES) + 1) * TABLE_PAGES;
      const stop = Math.min(end, tableEnd);
      if (table !== null) {
        for (; at < stop; at++) if (table.frames[at & TABLE_MASK] !== 0) return at;
      }
      at = stop;
    }
    return -1;
  }
}
