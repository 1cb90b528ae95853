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

import { InternalError, invariant } from '../../sim/errors.ts';
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
  private readonly lineBytes: number;
  private readonly cacheCycles: number;
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
  /** Of the access being timed: lines taken from DRAM and sent there, and the earliest start. */
  private fromDram = 0;
  private toDram = 0;
  private start = 0;

  constructor(config: MemoryTimingConfig) {
    const isPowerOfTwo = (config.banks & (config.banks - 1)) === 0;
    invariant(isPowerOfTwo, `${config.banks} banks are no power of two`);
    this.config = config;
    this.lineBytes = config.lineBytes;
    this.cacheCycles = config.cacheCycles;
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
    if (end > PAGE_SIZE) throw new InternalError('memory-access', 'an access crosses its page');
    const lineBytes = this.lineBytes;
    const looked = now + this.cacheCycles;
    this.fromDram = 0;
    this.toDram = 0;
    this.start = looked;
    if (write) {
      this.writes++;
      for (let at = offset & -lineBytes; at < end; at += lineBytes) {
        this.writeLine(hi, lo, at, at >= offset && at + lineBytes <= end, source);
      }
    } else {
      this.reads++;
      for (let at = offset & -lineBytes; at < end; at += lineBytes) {
        this.readLine(hi, lo, at, source);
      }
    }
    return this.fromDram + this.toDram === 0 ? looked : this.passDram(looked, write, source);
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

  private readLine(hi: number, lo: number, offset: number, source: number): void {
    const cache = this.cache;
    if (cache !== null) {
      const set = cache.setOf(hi, lo, offset);
      const entry = cache.find(set, hi, lo, offset);
      if (entry >= 0) {
        this.hits[source]++;
        cache.use(entry);
        return;
      }
      // Reads of devices leave the cache as it is.
      if (source === HOST_DATA || (source === TABLE_READ && this.config.tablesAllocate)) {
        cache.use(this.fill(set, hi, lo, offset, this.config.ways));
      }
    }
    this.misses[source]++;
    this.fromDram++;
    if (this.bankFree.length > 0) this.awaitBank(lo, offset);
  }

  private writeLine(
    hi: number,
    lo: number,
    offset: number,
    isWhole: boolean,
    source: number,
  ): void {
    const cache = this.cache;
    const fillWays = source === DEVICE_DATA ? this.config.deviceWriteWays : this.config.ways;
    if (cache === null) {
      this.writeToDram(lo, offset, source);
      return;
    }
    const set = cache.setOf(hi, lo, offset);
    const entry = cache.find(set, hi, lo, offset);
    if (fillWays === 0) {
      if (entry >= 0) {
        this.invalidated++;
        cache.drop(entry);
      }
      this.writeToDram(lo, offset, source);
    } else if (entry >= 0) {
      this.hits[source]++;
      cache.useDirty(entry);
    } else {
      this.misses[source]++;
      if (!isWhole) this.fromDram++;
      cache.useDirty(this.fill(set, hi, lo, offset, fillWays));
    }
  }

  private fill(set: number, hi: number, lo: number, offset: number, ways: number): number {
    const cache = this.cache as LineCache;
    const entry = cache.fill(set, hi, lo, offset, ways);
    if (cache.victimDirty) this.toDram++;
    return entry;
  }

  private writeToDram(lo: number, offset: number, source: number): void {
    this.misses[source]++;
    this.toDram++;
    if (this.bankFree.length > 0) this.awaitBank(lo, offset);
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

  /**
   * Passes the lines of an access through the DRAM channel. A read waits for its lines, not for the
   * lines written back in its favour. A write is done when the cache has taken it (what it
   * displaces and the rest of a line written in part follow behind), or the channel when it goes
   * past the cache; the latency of the array is hidden.
   */
  private passDram(looked: number, write: boolean, source: number): number {
    const { fromDram, toDram, lineBytes, channel } = this;
    this.dramReads += fromDram;
    this.dramWrites += toDram;
    const read = fromDram === 0 ? looked : channel.reserve(this.start, fromDram * lineBytes);
    const written = toDram === 0 ? looked : channel.reserve(this.start, toDram * lineBytes);
    if (!write) return read + this.config.dramCycles;
    const pastCache =
      this.cache === null || (source === DEVICE_DATA && this.config.deviceWriteWays === 0);
    return pastCache ? written : looked;
  }
}
