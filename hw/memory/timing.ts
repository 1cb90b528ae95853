/**
 * When a memory access completes: a last-level cache (tags only) in front of DRAM with a latency, a
 * bandwidth and, if wanted, banks. An access is timed at once, without events: the cycle it
 * completes follows from the state that earlier accesses left behind, in the order of the calls.
 *
 * Each partition has an instance of its own, a slice with its part of the capacity and bandwidth
 * (`memoryTimingConfig`), as partitions cannot share tags within a window. So what one partition
 * brings into its slice does not warm another's; walk shards keep to address regions, which makes
 * their lines mostly their own.
 */

import { invariant } from '../../sim/errors.ts';
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import type { CyclesPerByte } from '../../sim/time/clock.ts';
import { PAGE_SIZE } from '../address.ts';
import { LineCache } from './line-cache.ts';

/** Who accesses memory: data of a device's DMA, the IOMMU's tables and queues, a host core. */
export const DEVICE_DATA = 0;
export const TABLE_READ = 1;
export const HOST_DATA = 2;
export const MEMORY_SOURCES = ['device', 'table', 'host'] as const;

export interface MemoryTimingConfig {
  /** Sets of the cache; 0 = there is none. */
  readonly sets: number;
  readonly ways: number;
  readonly lineBytes: number;
  readonly cacheCycles: number;
  /** Table accesses bring their lines into the cache. */
  readonly tablesAllocate: boolean;
  /** Ways that device writes may fill; 0 = they go to DRAM (DDIO off). */
  readonly deviceWriteWays: number;
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

export class MemoryTiming {
  private readonly config: MemoryTimingConfig;
  private readonly cache: LineCache | null;
  private readonly channel: Bandwidth;
  private readonly bankFree: Float64Array;
  private readonly hits = new Float64Array(MEMORY_SOURCES.length);
  private readonly misses = new Float64Array(MEMORY_SOURCES.length);
  private reads = 0;
  private writes = 0;
  private invalidated = 0;
  private dramReads = 0;
  private dramWrites = 0;

  constructor(config: MemoryTimingConfig) {
    const isPowerOfTwo = (config.banks & (config.banks - 1)) === 0;
    invariant(isPowerOfTwo, `${config.banks} banks are no power of two`);
    this.config = config;
    this.cache = config.sets === 0 ? null : new LineCache(config);
    this.channel = new Bandwidth(config.dramCost);
    this.bankFree = new Float64Array(config.banks);
  }

  /**
   * The cycle at which an access that starts at `now` completes: data is there, or the write is
   * visible to all. The access stays within its page.
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
    const end = offset + bytes;
    invariant(end <= PAGE_SIZE, 'an access stays within its page');
    const lineBytes = this.config.lineBytes;
    if (write) this.writes++;
    else this.reads++;
    let completion = now;
    for (let at = offset - (offset % lineBytes); at < end; at += lineBytes) {
      const done = write
        ? this.writeLine(now, hi, lo, at, at >= offset && at + lineBytes <= end, source)
        : this.readLine(now, hi, lo, at, source);
      if (done > completion) completion = done;
    }
    return completion;
  }

  statistics(): MemoryTimingStatistics {
    return {
      reads: this.reads,
      writes: this.writes,
      hits: [...this.hits],
      misses: [...this.misses],
      evictions: this.cache === null ? 0 : this.cache.evictions,
      invalidated: this.invalidated,
      dramReads: this.dramReads,
      dramWrites: this.dramWrites,
      dramBusyCycles: this.channel.busyCycles(),
    };
  }

  private readLine(now: number, hi: number, lo: number, offset: number, source: number): number {
    const { cacheCycles, dramCycles, tablesAllocate } = this.config;
    const looked = now + cacheCycles;
    const cache = this.cache;
    if (cache !== null) {
      const set = cache.setOf(hi, lo, offset);
      const entry = cache.find(set, hi, lo, offset);
      if (entry >= 0) {
        this.hits[source]++;
        cache.use(entry, false);
        return looked;
      }
      // Reads of devices leave the cache as it is.
      if (source === HOST_DATA || (source === TABLE_READ && tablesAllocate)) {
        this.fill(looked, set, hi, lo, offset, this.config.ways, false);
      }
    }
    this.misses[source]++;
    this.dramReads++;
    return this.dram(looked, lo, offset) + dramCycles;
  }

  private writeLine(
    now: number,
    hi: number,
    lo: number,
    offset: number,
    isWhole: boolean,
    source: number,
  ): number {
    const { cacheCycles, ways, deviceWriteWays } = this.config;
    const looked = now + cacheCycles;
    const cache = this.cache;
    const fillWays = source === DEVICE_DATA ? deviceWriteWays : ways;
    if (cache === null) return this.dramWrite(looked, lo, offset, source);
    const set = cache.setOf(hi, lo, offset);
    const entry = cache.find(set, hi, lo, offset);
    if (fillWays === 0) {
      if (entry >= 0) {
        this.invalidated++;
        cache.drop(entry);
      }
      return this.dramWrite(looked, lo, offset, source);
    }
    if (entry >= 0) {
      this.hits[source]++;
      cache.use(entry, true);
      return looked;
    }
    this.misses[source]++;
    // A part of a line needs the rest of it from DRAM; the write is visible before that.
    if (!isWhole) {
      this.dramReads++;
      this.dram(looked, lo, offset);
    }
    this.fill(looked, set, hi, lo, offset, fillWays, true);
    return looked;
  }

  private fill(
    now: number,
    set: number,
    hi: number,
    lo: number,
    offset: number,
    ways: number,
    isWrite: boolean,
  ): void {
    const cache = this.cache as LineCache;
    const entry = cache.fill(set, hi, lo, offset, ways);
    if (cache.clean(entry)) {
      // The bank of the line that leaves is not known any more, only the channel is charged.
      this.dramWrites++;
      this.channel.reserve(now, this.config.lineBytes);
    }
    cache.use(entry, isWrite);
  }

  /** A write is done when DRAM's controller has taken it: its array latency is hidden. */
  private dramWrite(now: number, lo: number, offset: number, source: number): number {
    this.misses[source]++;
    this.dramWrites++;
    return this.dram(now, lo, offset);
  }

  /** The cycle at which a line has passed the channel. */
  private dram(now: number, lo: number, offset: number): number {
    const { banks, bankCycles, lineBytes } = this.config;
    let start = now;
    if (banks !== 0) {
      const line = (lo << 6) | (offset >> 6);
      const bank = (line ^ (line >>> 9)) & (banks - 1);
      if (this.bankFree[bank] > start) start = this.bankFree[bank];
      this.bankFree[bank] = start + bankCycles;
    }
    return this.channel.reserve(start, lineBytes);
  }
}
