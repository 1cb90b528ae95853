/**
 * When a memory access completes: a last-level cache (tags only) in front of DRAM with a latency, a
 * bandwidth and, if wanted, banks. An access is timed at once, without events: the cycle it
 * completes follows from the state that earlier accesses left behind, in the order of the calls.
 *
 * The cache is two, divided by ways. Tables of the IOMMU are tracked by line. Data of devices and
 * of the host has the ways that DDIO may fill and is tracked by page (see data-cache.ts): with
 * pages used whole that is what tags by line would do, a page used in part takes a page's room.
 * Neither displaces the other; in hardware tables and host data may take all ways.
 *
 * Each partition has an instance of its own, a slice with its part of the capacity and bandwidth
 * (`memoryTimingConfig`), as partitions cannot share tags within a window. So what one partition
 * brings into its slice does not warm another's; walk shards keep to address regions, which makes
 * their lines mostly their own.
 */

import { InternalError, invariant } from '../../sim/errors.ts';
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import type { CyclesPerByte } from '../../sim/time/clock.ts';
import { PAGE_SIZE } from '../address.ts';
import { DataCache } from './data-cache.ts';
import { LineCache } from './line-cache.ts';

/** Who accesses memory: data of a device's DMA, the IOMMU's tables and queues, a host core. */
export const DEVICE_DATA = 0;
const TABLE_READ = 1;
export const HOST_DATA = 2;
export const MEMORY_SOURCES = ['device', 'table', 'host'] as const;

export interface MemoryTimingConfig {
  /** Sets of the cache; 0 = there is none. */
  readonly sets: number;
  /** Ways of tables, and of data. */
  readonly tableWays: number;
  readonly dataWays: number;
  readonly lineBytes: number;
  readonly cacheCycles: number;
  /** Table reads bring their lines into the cache. */
  readonly tablesAllocate: boolean;
  /** Device writes go to the cache (DDIO), otherwise past it to DRAM. */
  readonly deviceWritesAllocate: boolean;
  /** In addition to `cacheCycles`. */
  readonly dramCycles: number;
  readonly dramCost: CyclesPerByte;
  /** Power of two, or 0. */
  readonly banks: number;
  readonly bankCycles: number;
}

export interface MemoryTimingStatistics {
  readonly reads: number;
  readonly writes: number;
  /** Lines looked up, by source (MEMORY_SOURCES). */
  readonly hits: readonly number[];
  readonly misses: readonly number[];
  readonly evictions: number;
  /** Lines dropped because a device write went past the cache. */
  readonly invalidated: number;
  /** Lines read from DRAM and written to it, write-backs included. */
  readonly dramReads: number;
  readonly dramWrites: number;
  readonly dramBusyCycles: number;
}

/** Where the current cycle comes from: the partition's event queue. */
export interface Clock {
  readonly now: number;
}

export class MemoryTiming {
  private readonly config: MemoryTimingConfig;
  private readonly lineBytes: number;
  private readonly cacheCycles: number;
  private readonly tables: LineCache | null;
  private readonly data: DataCache | null;
  private readonly channel: Bandwidth;
  private readonly bankFree: Float64Array;
  private readonly hits = new Float64Array(MEMORY_SOURCES.length);
  private readonly misses = new Float64Array(MEMORY_SOURCES.length);
  private reads = 0;
  private writes = 0;
  private invalidated = 0;
  private dramReads = 0;
  private dramWrites = 0;
  /** Earliest start in DRAM of the access being timed. */
  private start = 0;

  constructor(config: MemoryTimingConfig) {
    const isPowerOfTwo = (config.banks & (config.banks - 1)) === 0;
    invariant(isPowerOfTwo, `${config.banks} banks are no power of two`);
    const { sets, tableWays, dataWays, lineBytes } = config;
    this.config = config;
    this.lineBytes = lineBytes;
    this.cacheCycles = config.cacheCycles;
    this.tables = sets === 0 ? null : new LineCache({ sets, ways: tableWays, lineBytes });
    this.data = sets === 0 ? null : new DataCache({ sets, ways: dataWays, lineBytes });
    this.channel = new Bandwidth(config.dramCost);
    this.bankFree = new Float64Array(config.banks);
  }

  /**
   * Cycles until a read of a table entry that starts now has its data. Small integers all the way
   * where the cache has the line: a cycle passed as an argument would be a heap number.
   */
  entryReadDelay(clock: Clock, hi: number, lo: number, offset: number, bytes: number): number {
    const { tables, lineBytes } = this;
    const line = offset & -lineBytes;
    if (tables !== null && offset + bytes <= line + lineBytes && tables.find(hi, lo, line)) {
      this.reads++;
      this.hits[TABLE_READ]++;
      return this.cacheCycles;
    }
    const now = clock.now;
    return this.tableReadAt(now, hi, lo, offset, bytes) - now;
  }

  /** The cycle at which a read of tables or queues that starts at `now` has its data. */
  tableReadAt(now: number, hi: number, lo: number, offset: number, bytes: number): number {
    const { tables, lineBytes } = this;
    const end = this.endOf(offset, bytes);
    const looked = now + this.cacheCycles;
    this.start = looked;
    this.reads++;
    let found = 0;
    let missed = 0;
    for (let at = offset & -lineBytes; at < end; at += lineBytes) {
      if (tables?.find(hi, lo, at)) {
        found++;
        continue;
      }
      if (this.config.tablesAllocate) tables?.fill(hi, lo, at);
      if (this.bankFree.length > 0) this.awaitBank(lo, at);
      missed++;
    }
    this.hits[TABLE_READ] += found;
    this.misses[TABLE_READ] += missed;
    return missed === 0 ? looked : this.readDram(missed);
  }

  /**
   * The cycle at which an access to data that starts at `now` completes: data is there, or the
   * write is visible to all. The access stays within its page.
   */
  completeAt(
    now: number,
    hi: number,
    lo: number,
    offset: number,
    bytes: number,
    write: boolean,
    source: number,
  ): number {
    const end = this.endOf(offset, bytes);
    this.start = now + this.cacheCycles;
    if (!write) {
      this.reads++;
      return this.readData(hi, lo, offset, end, source);
    }
    this.writes++;
    if (this.data === null || (source === DEVICE_DATA && !this.config.deviceWritesAllocate)) {
      return this.writePastCache(hi, lo, offset, end, source);
    }
    return this.writeData(this.data, hi, lo, offset, end, source);
  }

  statistics(): MemoryTimingStatistics {
    return {
      reads: this.reads,
      writes: this.writes,
      hits: [...this.hits],
      misses: [...this.misses],
      evictions: (this.tables?.evictions ?? 0) + (this.data?.evictions ?? 0),
      invalidated: this.invalidated,
      dramReads: this.dramReads,
      dramWrites: this.dramWrites,
      dramBusyCycles: this.channel.busyCycles(),
    };
  }

  /** Figures count from now on; DRAM's busy time and evictions go on. */
  resetStatistics(): void {
    this.hits.fill(0);
    this.misses.fill(0);
    this.reads = 0;
    this.writes = 0;
    this.invalidated = 0;
    this.dramReads = 0;
    this.dramWrites = 0;
  }

  private endOf(offset: number, bytes: number): number {
    const end = offset + bytes;
    if (end > PAGE_SIZE) throw new InternalError('memory-access', 'an access crosses its page');
    return end;
  }

  /** Reads of devices leave the cache as it is. */
  private readData(hi: number, lo: number, offset: number, end: number, source: number): number {
    const data = this.data;
    if (data === null) {
      const lines = this.linesOf(offset, end);
      this.misses[source] += lines;
      if (this.bankFree.length > 0) this.awaitBanks(lo, offset, end, -1, -1);
      return lines === 0 ? this.start : this.readDram(lines);
    }
    const looked = this.start;
    data.read(hi, lo, offset, end, source === HOST_DATA);
    this.hits[source] += data.hits;
    if (data.misses === 0) return looked;
    this.misses[source] += data.misses;
    if (this.bankFree.length > 0) this.awaitBanks(lo, offset, end, data.missLow, data.missHigh);
    const completed = this.readDram(data.misses);
    if (data.writeBacks > 0) this.writeDram(data.writeBacks);
    return completed;
  }

  /** The write is done when the cache has taken it; what it displaces or fetches follows behind. */
  private writeData(
    data: DataCache,
    hi: number,
    lo: number,
    offset: number,
    end: number,
    source: number,
  ): number {
    const looked = this.start;
    data.write(hi, lo, offset, end);
    this.hits[source] += data.hits;
    this.misses[source] += data.misses;
    if (data.fetched > 0) this.readDram(data.fetched);
    if (data.writeBacks > 0) this.writeDram(data.writeBacks);
    return looked;
  }

  /** The write is done when the channel has passed it; the latency of the array is hidden. */
  private writePastCache(
    hi: number,
    lo: number,
    offset: number,
    end: number,
    source: number,
  ): number {
    if (this.data !== null) {
      this.data.drop(hi, lo, offset, end);
      this.invalidated += this.data.hits;
    }
    const lines = this.linesOf(offset, end);
    this.misses[source] += lines;
    if (this.bankFree.length > 0) this.awaitBanks(lo, offset, end, -1, -1);
    return lines === 0 ? this.start : this.writeDram(lines);
  }

  private linesOf(offset: number, end: number): number {
    const { lineBytes } = this;
    return (((end + lineBytes - 1) & -lineBytes) - (offset & -lineBytes)) / lineBytes;
  }

  /** Awaits the banks of those lines of [offset, end) whose bits in the masks are set. */
  private awaitBanks(lo: number, offset: number, end: number, low: number, high: number): void {
    const { lineBytes } = this;
    for (let at = offset & -lineBytes; at < end; at += lineBytes) {
      const line = at / lineBytes;
      if ((((line < 32 ? low : high) >>> (line & 31)) & 1) !== 0) this.awaitBank(lo, at);
    }
  }

  /** The lines of one access go to DRAM together, when the last of their banks is free. */
  private awaitBank(lo: number, offset: number): void {
    const { banks, bankCycles } = this.config;
    const line = (lo << 6) | (offset >> 6);
    const bank = (line ^ (line >>> 9)) & (banks - 1);
    const start = Math.max(this.start, this.bankFree[bank]);
    this.bankFree[bank] = start + bankCycles;
    this.start = start;
  }

  /** Passes lines from DRAM through its channel; returns when the last one is there. */
  private readDram(lines: number): number {
    this.dramReads += lines;
    return this.channel.reserve(this.start, lines * this.lineBytes) + this.config.dramCycles;
  }

  /** Passes lines to DRAM through its channel; returns when it has taken the last one. */
  private writeDram(lines: number): number {
    this.dramWrites += lines;
    return this.channel.reserve(this.start, lines * this.lineBytes);
  }
}
