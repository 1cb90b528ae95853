/**
 * Builds page tables of any format in memory, page by page, for tests, benchmarks and tools. No
 * cost is accounted: a driver that spends time on it writes its tables itself.
 */
import { InternalError } from '../../../sim/errors.ts';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import type { MemoryPort } from '../../memory/port.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { ENTRY_TABLE, FAULT_NOT_PRESENT, type PageTableFormat } from './format.ts';
import type { FormatRecord } from './format-record.ts';
import { FORMAT_RECORDS, formatNumber } from './registry.ts';
import { swapBytes } from './words.ts';

export interface TableBuilderOptions {
  readonly memory: MemoryPort;
  readonly format: PageTableFormat;
  /** Page number of a new, zeroed table of `pages` pages, aligned to its size. */
  readonly allocate: (pages: number) => number;
  /** Where a table page is in memory (tables of a guest); by default it is where it says. */
  readonly locate?: (page: number) => number;
  readonly bigEndian?: boolean;
  /** Stage flags that the entries are read with (a format's own bits). */
  readonly flags?: number;
}

export class TableBuilder {
  /** Page number of the root table. */
  readonly root: number;
  private readonly options: TableBuilderOptions;
  private readonly record: FormatRecord;
  private readonly words: Int32Array = new Int32Array(2);

  constructor(options: TableBuilderOptions) {
    this.options = options;
    this.record = FORMAT_RECORDS[formatNumber(options.format)];
    this.root = options.allocate(1 << options.format.rootExtraBits);
  }

  /** Maps input page `page` to page `frame` with a leaf at `level`. */
  map(
    page: number,
    frame: number,
    level = 0,
    access: number = ACCESS_READ | ACCESS_WRITE,
    user = true,
  ): void {
    const { format } = this.options;
    const entry = this.entryAddress(page, level, true);
    format.encodeLeaf(pnHi(frame), pnLo(frame), level, access, user, this.words);
    this.store(entry, this.words[0], this.words[1]);
  }

  /** Byte address of the entry for `page` at `level`, tables above it made if `build` is set. */
  entryAddress(page: number, level: number, build = false): bigint {
    const { format, locate, allocate } = this.options;
    let table = this.root;
    for (let at = format.levels - 1; ; at--) {
      const root = at === format.levels - 1;
      const hi = pnHi(page);
      const lo = pnLo(page);
      const { record } = this;
      const byte = root ? record.rootOffset(hi, lo) : record.offset(hi, lo, at);
      const tablePage = table + Math.floor(byte / 4096);
      const place = locate === undefined ? tablePage : locate(tablePage);
      const entry = (BigInt(place) << 12n) | BigInt(byte % 4096);
      if (at === level) return entry;
      table = this.nextTable(entry, at);
      if (table >= 0) continue;
      if (!build) throw new InternalError('table', `no table of level ${at - 1} for page ${page}`);
      table = allocate(1);
      format.encodeTable(pnHi(table), pnLo(table), this.words);
      this.store(entry, this.words[0], this.words[1]);
    }
  }

  /** Stores an entry's words, as values, in the tables' byte order. */
  store(entry: bigint, lo: number, hi: number): void {
    const { memory, format, bigEndian } = this.options;
    const page = Number(entry >> 12n);
    const offset = Number(entry & 0xfffn);
    const wide = format.entryBytes === 8;
    const first = bigEndian !== true ? lo : swapBytes(wide ? hi : lo);
    memory.write32(pnHi(page), pnLo(page), offset, first);
    if (!wide) return;
    memory.write32(pnHi(page), pnLo(page), offset + 4, bigEndian !== true ? hi : swapBytes(lo));
  }

  /** Reads an entry's words, as values: low, high. */
  load(entry: bigint): [number, number] {
    const { memory, format, bigEndian } = this.options;
    const page = Number(entry >> 12n);
    const offset = Number(entry & 0xfffn);
    const first = memory.read32(pnHi(page), pnLo(page), offset);
    if (format.entryBytes === 4) return [bigEndian !== true ? first : swapBytes(first), 0];
    const second = memory.read32(pnHi(page), pnLo(page), offset + 4);
    return bigEndian !== true ? [first, second] : [swapBytes(second), swapBytes(first)];
  }

  private nextTable(entry: bigint, level: number): number {
    const { format, flags } = this.options;
    const [lo, hi] = this.load(entry);
    const decoded = format.decode(lo, hi, level, 0, flags ?? 0);
    if ((decoded & 0xf) === ENTRY_TABLE) {
      const { frameShift, frameHiMask } = format;
      const words = (BigInt(hi & frameHiMask) << 32n) | BigInt(lo >>> 0);
      const next = words >> BigInt(frameShift);
      return pageNumber(Number(next >> 27n), Number(next & 0x7ffffffn));
    }
    if (decoded >>> 4 === FAULT_NOT_PRESENT) return -1;
    throw new InternalError('table', `a leaf or a bad entry is in the way at level ${level}`);
  }
}
