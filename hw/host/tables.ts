/**
 * The kernel's page-table code: builds and takes down the tables of one stage in simulated memory,
 * for any PageTableFormat. In guest memory (by the port) entries hold guest physical pages. Tables
 * stay when their entries are cleared, unless the caller asks for their removal.
 */
import { InputError, InternalError } from '../../sim/errors.ts';
import { hex, PN_LO_BITS, PN_LO_MASK, pageNumber, pnHi, pnLo } from '../address.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  type PageTableFormat,
  STAGE_HW_AD,
} from '../iommu/walk/format.ts';
import type { MemoryPort } from '../memory/port.ts';
import type { TableFrames } from './frames.ts';

export interface TableOptions {
  /** Highest level that may hold leaves: 0 maps by 4 KiB pages only. */
  readonly maxLeafLevel?: number;
  /** Use RISC-V Svnapot 64 KiB leaves where 16 pages fit. */
  readonly napot?: boolean;
  /** Unprivileged requests may use the pages (always so for a RISC-V second stage). */
  readonly user?: boolean;
  /** Stage flags (walk/format.ts) that the format needs to read back what it wrote. */
  readonly flags?: number;
  /** Leaves begin clean, so that hardware marks those that are written. */
  readonly clean?: boolean;
}

/** log2 of the pages of an Svnapot leaf, the only size that Svnapot defines. */
const NAPOT_ORDER = 4;
const NAPOT_PAGES = 16;

export class PageTables {
  readonly format: PageTableFormat;
  /** First page of the root table. */
  readonly rootHi: number;
  readonly rootLo: number;
  /** Tables in use, the root's pages counted. */
  tableFrames: number;
  /** Result of `lookup`: page under the input page, and log2 pages of its leaf. */
  foundHi = 0;
  foundLo = 0;
  foundOrder = 0;
  /** Removed tables; their frames may be reused once no walker holds them (`freeRemoved`). */
  readonly removed: number[] = [];
  /** Entries written so far, cleared ones included. */
  entriesWritten = 0;
  /** Pages that the last `map` has mapped, also where an allocation failed in its midst. */
  mappedPages = 0;
  /** Further bits of the low word of each leaf to come. */
  leafBits = 0;
  /** Stage flags by which the format reads back what it wrote. */
  readonly flags: number;
  private readonly memory: MemoryPort;
  private readonly frames: TableFrames;
  readonly maxLeafLevel: number;
  private readonly napot: boolean;
  private readonly user: boolean;
  /** Bits of the low word of a leaf that it does not begin with. */
  private readonly withoutBits: number;
  private readonly words = new Int32Array(2);
  private readonly entryShift: number;
  private readonly bits: number;
  /** The last-level table used last: region of input pages, and its page. */
  private lastRegionHi = -1;
  private lastRegionLo = -1;
  private lastTableHi = 0;
  private lastTableLo = 0;
  /** Where `descend` arrived. */
  private tableHi = 0;
  private tableLo = 0;
  private offset = 0;
  private level = 0;

  constructor(
    format: PageTableFormat,
    memory: MemoryPort,
    frames: TableFrames,
    options: TableOptions = {},
  ) {
    this.format = format;
    this.memory = memory;
    this.frames = frames;
    this.maxLeafLevel = Math.min(options.maxLeafLevel ?? format.levels - 1, format.levels - 1);
    this.napot = options.napot === true && format.frameShift === 10 && format.entryBytes === 8;
    this.user = options.user ?? true;
    this.flags = STAGE_HW_AD | (options.flags ?? 0);
    this.withoutBits = options.clean === true ? format.dirtyBit : 0;
    this.bits = format.indexBits;
    this.entryShift = format.entryBytes === 8 ? 3 : 2;
    const rootPages = 2 ** format.rootExtraBits;
    const root = frames.allocRun(rootPages, rootPages);
    this.rootHi = pnHi(root);
    this.rootLo = pnLo(root);
    this.tableFrames = rootPages;
    for (let i = 0; i < rootPages; i++) this.clearPage(pnHi(root + i), pnLo(root + i));
  }

  /** Maps `pages` pages from (hi, lo) on to the frames from (frameHi, frameLo) on. */
  map(
    hi: number,
    lo: number,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
  ): void {
    this.mappedPages = 0;
    if (pages === 1) {
      this.reachLeafTable(hi, lo);
      this.storeLeaf(frameHi, frameLo, 0, access);
      this.mappedPages = 1;
      return;
    }
    let page = pageNumber(hi, lo);
    let frame = pageNumber(frameHi, frameLo);
    for (let left = pages; left > 0; ) {
      const step = 2 ** this.place(page, frame, left, access);
      page += step;
      frame += step;
      left -= step;
      this.mappedPages += step;
    }
  }

  /** Clears what is mapped in a range; returns the number of pages that were mapped. */
  unmap(hi: number, lo: number, pages: number, removeTables = false): number {
    if (pages === 1 && hi === this.lastRegionHi && lo >>> this.bits === this.lastRegionLo) {
      this.offset = (lo & ((1 << this.bits) - 1)) << this.entryShift;
      if (this.clearSingle(this.lastTableHi, this.lastTableLo)) return 1;
    }
    let cleared = 0;
    const end = pageNumber(hi, lo) + pages;
    for (let page = pageNumber(hi, lo); page < end; ) {
      if (!this.descend(pnHi(page), pnLo(page))) {
        const span = 2 ** (this.level * this.bits);
        page = (Math.floor(page / span) + 1) * span;
        continue;
      }
      const size = 2 ** this.foundOrder;
      if (page % size !== 0 || page + size > end) {
        throw new InputError(
          'partial-unmap',
          `page ${hex(page)} is part of a mapping of ${size} pages that is not wholly unmapped`,
        );
      }
      this.clearLeaf();
      cleared += size;
      page += size;
    }
    if (removeTables) this.removeWithin(pageNumber(hi, lo), end);
    return cleared;
  }

  /** Finds the page that (hi, lo) is mapped to; sets `found*`. */
  lookup(hi: number, lo: number): boolean {
    return this.descend(hi, lo);
  }

  /** Gives the frames of removed tables back; the caller has invalidated the walk caches. */
  freeRemoved(): void {
    for (const frame of this.removed) this.frames.release(frame);
    this.removed.length = 0;
  }

  // -------------------------------------------------------------------------------------------

  /** Sets tableHi/tableLo/offset to the last-level entry of a page, making tables as needed. */
  private reachLeafTable(hi: number, lo: number): void {
    this.offset = (lo & ((1 << this.bits) - 1)) << this.entryShift;
    if (hi === this.lastRegionHi && lo >>> this.bits === this.lastRegionLo) {
      this.tableHi = this.lastTableHi;
      this.tableLo = this.lastTableLo;
      return;
    }
    this.reach(hi, lo, 0);
    this.lastRegionHi = hi;
    this.lastRegionLo = lo >>> this.bits;
    this.lastTableHi = this.tableHi;
    this.lastTableLo = this.tableLo;
  }

  /** Goes to the entry of a page at `target`, making tables; returns the level where a table is. */
  private reach(hi: number, lo: number, target: number): number {
    const { format, memory } = this;
    this.tableHi = this.rootHi;
    this.tableLo = this.rootLo;
    for (let level = format.levels - 1; ; level--) {
      this.seek(hi, lo, level);
      if (level === target) return level;
      const low = memory.read32(this.tableHi, this.tableLo, this.offset);
      if (low === 0) this.addTable();
      else if (!this.enter(low, level)) {
        throw new InternalError(
          'mapped-twice',
          `page ${hex(pageNumber(hi, lo))} lies under a larger page that is mapped already`,
        );
      }
    }
  }

  /** Maps the largest page that fits; returns its order. */
  private place(page: number, frame: number, left: number, access: number): number {
    for (let level = this.maxLeafLevel; level > 0; level--) {
      const size = 2 ** (level * this.bits);
      if (left < size || page % size !== 0 || frame % size !== 0) continue;
      this.reach(pnHi(page), pnLo(page), level);
      // A table that stands here keeps serving the region: replacing it would need an invalidation
      // of walk caches before its reuse.
      if (this.memory.read32(this.tableHi, this.tableLo, this.offset) !== 0) continue;
      this.storeLeaf(pnHi(frame), pnLo(frame), level, access);
      return level * this.bits;
    }
    const napot = this.napot && left >= NAPOT_PAGES && page % NAPOT_PAGES === 0;
    this.reachLeafTable(pnHi(page), pnLo(page));
    if (napot && frame % NAPOT_PAGES === 0) {
      this.storeNapot(pnHi(frame), pnLo(frame), access);
      return NAPOT_ORDER;
    }
    this.storeLeaf(pnHi(frame), pnLo(frame), 0, access);
    return 0;
  }

  private storeLeaf(frameHi: number, frameLo: number, level: number, access: number): void {
    const { memory, words, tableHi, tableLo, offset } = this;
    if (memory.read32(tableHi, tableLo, offset) !== 0) mappedTwice();
    this.format.encodeLeaf(frameHi, frameLo, level, access, this.user, words);
    memory.write32(tableHi, tableLo, offset, (words[0] & ~this.withoutBits) | this.leafBits);
    if (this.entryShift === 3) memory.write32(tableHi, tableLo, offset + 4, words[1]);
    this.entriesWritten++;
  }

  /** 16 equal entries: N (bit 63) set, PPN[3:0] = 1000 (RISC-V privileged spec, Svnapot). */
  private storeNapot(frameHi: number, frameLo: number, access: number): void {
    const { memory, words, tableHi, tableLo } = this;
    const first = this.offset;
    this.format.encodeLeaf(frameHi, frameLo | 8, 0, access, this.user, words);
    for (let i = 0; i < NAPOT_PAGES; i++) {
      const offset = first + i * 8;
      if (memory.read32(tableHi, tableLo, offset) !== 0) mappedTwice();
      memory.write32(tableHi, tableLo, offset, (words[0] & ~this.withoutBits) | this.leafBits);
      memory.write32(tableHi, tableLo, offset + 4, words[1] | 0x80000000);
    }
    this.entriesWritten += NAPOT_PAGES;
  }

  /** Clears a last-level entry of one page; false when it is none (absent, or a larger leaf). */
  private clearSingle(tableHi: number, tableLo: number): boolean {
    const { memory, offset } = this;
    if (memory.read32(tableHi, tableLo, offset) === 0) return false;
    if (this.napot && memory.read32(tableHi, tableLo, offset + 4) < 0) return false;
    memory.write32(tableHi, tableLo, offset, 0);
    if (this.entryShift === 3) memory.write32(tableHi, tableLo, offset + 4, 0);
    this.entriesWritten++;
    return true;
  }

  /** Clears the leaf that `descend` found: one entry, or the 16 of an Svnapot leaf. */
  private clearLeaf(): void {
    const { memory, tableHi, tableLo } = this;
    const entries = 2 ** (this.foundOrder - this.level * this.bits);
    for (let i = 0; i < entries; i++) {
      const offset = this.offset + (i << this.entryShift);
      memory.write32(tableHi, tableLo, offset, 0);
      if (this.entryShift === 3) memory.write32(tableHi, tableLo, offset + 4, 0);
    }
    this.entriesWritten += entries;
  }

  /** Walks down to a page's leaf, or to where there is none (`level` says where). */
  private descend(hi: number, lo: number): boolean {
    const { format, memory } = this;
    this.tableHi = this.rootHi;
    this.tableLo = this.rootLo;
    for (let level = format.levels - 1; level >= 0; level--) {
      this.seek(hi, lo, level);
      this.level = level;
      const low = memory.read32(this.tableHi, this.tableLo, this.offset);
      if (low === 0) return false;
      const high =
        this.entryShift === 3 ? memory.read32(this.tableHi, this.tableLo, this.offset + 4) : 0;
      const decoded = format.decode(low, high, level, 0, this.flags);
      if ((decoded & 0xf) === ENTRY_LEAF) {
        const order = (decoded >> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
        this.foundOrder = order;
        this.frameOf(low, high);
        const lowMask = order >= PN_LO_BITS ? PN_LO_MASK : (1 << order) - 1;
        const highMask = order > PN_LO_BITS ? (1 << (order - PN_LO_BITS)) - 1 : 0;
        this.foundLo = (this.foundLo & ~lowMask) | (lo & lowMask);
        this.foundHi = (this.foundHi & ~highMask) | (hi & highMask);
        return true;
      }
      if ((decoded & 0xf) !== ENTRY_TABLE) return false;
      this.frameOf(low, high);
      this.tableHi = this.foundHi;
      this.tableLo = this.foundLo;
    }
    return false;
  }

  /** Sets tableHi/tableLo to the table that an entry points to; false when it is a leaf. */
  private enter(low: number, level: number): boolean {
    const high =
      this.entryShift === 3 ? this.memory.read32(this.tableHi, this.tableLo, this.offset + 4) : 0;
    const decoded = this.format.decode(low, high, level, 0, this.flags);
    if ((decoded & 0xf) !== ENTRY_TABLE) return false;
    this.frameOf(low, high);
    this.tableHi = this.foundHi;
    this.tableLo = this.foundLo;
    return true;
  }

  private addTable(): void {
    const { memory, words } = this;
    const frame = this.frames.alloc();
    const hi = pnHi(frame);
    const lo = pnLo(frame);
    this.clearPage(hi, lo);
    this.tableFrames++;
    this.entriesWritten++;
    this.format.encodeTable(hi, lo, words);
    memory.write32(this.tableHi, this.tableLo, this.offset, words[0]);
    if (this.entryShift === 3) {
      memory.write32(this.tableHi, this.tableLo, this.offset + 4, words[1]);
    }
    this.tableHi = hi;
    this.tableLo = lo;
  }

  /** Sets `offset`, and the page of a root of several pages, to the entry of a page at a level. */
  private seek(hi: number, lo: number, level: number): void {
    const shift = level * this.bits;
    const extra = level === this.format.levels - 1 ? this.format.rootExtraBits : 0;
    const mask = (1 << (this.bits + extra)) - 1;
    const index =
      shift >= PN_LO_BITS
        ? (hi >>> (shift - PN_LO_BITS)) & mask
        : ((lo >>> shift) | (hi << (PN_LO_BITS - shift))) & mask;
    const place = index << this.entryShift;
    this.offset = place & 0xfff;
    // The root's pages are aligned to their number: no carry into the high half.
    this.tableLo += place >>> 12;
  }

  private frameOf(low: number, high: number): void {
    const shift = this.format.frameShift;
    const below = 32 - shift;
    this.foundLo = ((low >>> shift) | (high << below)) & PN_LO_MASK;
    this.foundHi = (high & this.format.frameHiMask) >>> (PN_LO_BITS - below);
  }

  private clearPage(hi: number, lo: number): void {
    for (let offset = 0; offset < 4096; offset += 4) {
      if (this.memory.read32(hi, lo, offset) !== 0) this.memory.write32(hi, lo, offset, 0);
    }
  }

  /** Detaches every table whose whole span lies in [first, end). */
  private removeWithin(first: number, end: number): void {
    for (let level = 1; level < this.format.levels; level++) {
      const span = 2 ** (level * this.bits);
      for (let page = Math.ceil(first / span) * span; page + span <= end; page += span) {
        if (!this.tableAt(pnHi(page), pnLo(page), level)) continue;
        this.removed.push(pageNumber(this.foundHi, this.foundLo));
        this.memory.write32(this.tableHi, this.tableLo, this.offset, 0);
        if (this.entryShift === 3) {
          this.memory.write32(this.tableHi, this.tableLo, this.offset + 4, 0);
        }
        this.tableFrames--;
        this.entriesWritten++;
      }
    }
    this.lastRegionHi = -1;
  }

  /** Whether the entry of a page at `target` points to a table (its page in `found*`). */
  private tableAt(hi: number, lo: number, target: number): boolean {
    this.tableHi = this.rootHi;
    this.tableLo = this.rootLo;
    for (let level = this.format.levels - 1; ; level--) {
      this.seek(hi, lo, level);
      const low = this.memory.read32(this.tableHi, this.tableLo, this.offset);
      if (low === 0) return false;
      const { tableHi, tableLo } = this;
      if (!this.enter(low, level)) return false;
      if (level > target) continue;
      this.tableHi = tableHi;
      this.tableLo = tableLo;
      return true;
    }
  }
}

function mappedTwice(): never {
  throw new InternalError('mapped-twice', 'an input page is mapped that is mapped already');
}
