/**
 * Passes over a whole page table or part of it: leaves that hardware has marked as written, and the
 * frames of all tables when they are given up.
 */
import { pageNumber, pnHi, pnLo } from '../address.ts';
import { ENTRY_TABLE } from '../iommu/walk/format.ts';
import type { MemoryPort } from '../memory/port.ts';
import type { TableFrames } from './frames.ts';
import type { PageTables } from './tables.ts';

/** Told of a leaf, as far as it lies in the range asked for. */
export type LeafVisitor = (page: number, pages: number) => void;

export class TableLeaves {
  private readonly tables: PageTables;
  private readonly memory: MemoryPort;
  private readonly entryShift: number;
  // Of the pass under way.
  private first = 0;
  private end = 0;
  private clear = false;
  private visit: LeafVisitor = () => {};

  constructor(tables: PageTables, memory: MemoryPort) {
    this.tables = tables;
    this.memory = memory;
    this.entryShift = tables.format.entryBytes === 8 ? 3 : 2;
  }

  /** Calls `visit` for each dirty leaf that meets pages [first, end), ascending. */
  dirty(first: number, end: number, clear: boolean, visit: LeafVisitor): void {
    this.first = first;
    this.end = end;
    this.clear = clear;
    this.visit = visit;
    const { format, rootHi, rootLo } = this.tables;
    this.scan(pageNumber(rootHi, rootLo), format.levels - 1, 0);
  }

  /** Gives back every table; they are not used any more. */
  free(frames: TableFrames): void {
    const { format, rootHi, rootLo } = this.tables;
    const root = pageNumber(rootHi, rootLo);
    this.freeBelow(root, format.levels - 1, frames);
    frames.releaseRun(root, 2 ** format.rootExtraBits);
    this.tables.freeRemoved();
  }

  /** The entries of the table at `table`, whose first one stands for input page `base`. */
  private scan(table: number, level: number, base: number): void {
    const { format } = this.tables;
    const span = 2 ** (level * format.indexBits);
    const entries = this.entriesOf(level);
    let index = Math.max(0, Math.floor((this.first - base) / span));
    for (; index < entries; index++) {
      const page = base + index * span;
      if (page >= this.end) return;
      const at = index << this.entryShift;
      const hi = pnHi(table + (at >>> 12));
      const lo = pnLo(table + (at >>> 12));
      const low = this.memory.read32(hi, lo, at & 0xfff);
      if (low === 0) continue;
      const next = level === 0 ? -1 : this.below(hi, lo, at & 0xfff, level);
      if (next >= 0) this.scan(next, level - 1, page);
      else if ((low & format.dirtyBit) !== 0) this.leaf(hi, lo, at & 0xfff, low, page, span);
    }
  }

  private leaf(
    hi: number,
    lo: number,
    offset: number,
    low: number,
    page: number,
    span: number,
  ): void {
    if (this.clear) {
      this.memory.write32(hi, lo, offset, low & ~this.tables.format.dirtyBit);
      this.tables.entriesWritten++;
    }
    const from = Math.max(page, this.first);
    this.visit(from, Math.min(page + span, this.end) - from);
  }

  private freeBelow(table: number, level: number, frames: TableFrames): void {
    if (level === 0) return;
    const entries = this.entriesOf(level);
    for (let index = 0; index < entries; index++) {
      const at = index << this.entryShift;
      const page = table + (at >>> 12);
      const next = this.below(pnHi(page), pnLo(page), at & 0xfff, level);
      if (next < 0) continue;
      this.freeBelow(next, level - 1, frames);
      frames.release(next);
    }
  }

  private entriesOf(level: number): number {
    const { format } = this.tables;
    const extra = level === format.levels - 1 ? format.rootExtraBits : 0;
    return 2 ** (format.indexBits + extra);
  }

  /** Frame of the table that an entry points to; -1 for a leaf or nothing. */
  private below(hi: number, lo: number, offset: number, level: number): number {
    const { format, flags } = this.tables;
    const low = this.memory.read32(hi, lo, offset);
    if (low === 0) return -1;
    const high = this.entryShift === 3 ? this.memory.read32(hi, lo, offset + 4) : 0;
    const decoded = format.decode(low, high, level, 0, flags);
    if ((decoded & 0xf) !== ENTRY_TABLE) return -1;
    const shift = format.frameShift;
    const frameLo = ((low >>> shift) | (high << (32 - shift))) & 0x7ffffff;
    return pageNumber((high & format.frameHiMask) >>> (shift - 5), frameLo);
  }
}
