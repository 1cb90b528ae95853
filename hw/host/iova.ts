/**
 * IOVA allocator of a DMA domain, after Linux's drivers/iommu/iova.c: addresses are handed out top
 * down below a limit, aligned to their size rounded up to a power of two; freed ranges of up to 32
 * pages go to magazines per core and size (127 entries, two to a core, a depot behind them), so a
 * driver that maps and unmaps in turn gets the same addresses again and again.
 */
import { InternalError, SimError } from '../../sim/errors.ts';

/** Entries of a magazine (IOVA_MAG_SIZE). */
const MAGAZINE = 127;
/** Sizes of 2^0 .. 2^5 pages are cached (IOVA_RANGE_CACHE_MAX_SIZE). */
const CACHED_ORDERS = 6;

export interface IovaSpec {
  /** First page that may be handed out; page 0 is never used, as in Linux. */
  readonly firstPage: number;
  /** First page above the address space: 2^20 for 32-bit addresses. */
  readonly endPage: number;
  readonly cores: number;
  /** Keep freed ranges in per-core magazines. */
  readonly cache: boolean;
}

export class IovaAllocator {
  /** Pages handed out, magazines not counted. */
  pagesInUse = 0;
  /** Allocations served by a magazine, and all. */
  cacheHits = 0;
  allocations = 0;
  private readonly cache: boolean;
  private readonly endPage: number;
  /** Stacks of free ranges: one of 2 * MAGAZINE entries per (core, order). */
  private readonly stacks: Float64Array;
  private readonly depths: Int32Array;
  /** Full magazines put aside, per order. */
  private readonly depots: Float64Array[][] = [];
  /** Free ranges [start, end), ascending, never touching each other. */
  private readonly starts: number[];
  private readonly ends: number[];

  constructor(spec: IovaSpec) {
    this.cache = spec.cache;
    this.endPage = spec.endPage;
    this.starts = [Math.max(1, spec.firstPage)];
    this.ends = [spec.endPage];
    this.stacks = new Float64Array(spec.cores * CACHED_ORDERS * MAGAZINE * 2);
    this.depths = new Int32Array(spec.cores * CACHED_ORDERS);
    for (let order = 0; order < CACHED_ORDERS; order++) this.depots.push([]);
  }

  /** First page number of a free range of `pages` pages. */
  alloc(core: number, pages: number): number {
    this.allocations++;
    const order = orderOf(pages);
    const size = 2 ** order;
    if (this.cache && order < CACHED_ORDERS) {
      const cached = this.pop(core, order);
      if (cached >= 0) {
        this.cacheHits++;
        this.pagesInUse += size;
        return cached;
      }
    }
    let page = this.carve(size);
    if (page < 0) {
      this.drainCaches();
      page = this.carve(size);
    }
    if (page < 0) {
      throw new SimError('out-of-iova', `no ${pages} free pages below page ${this.endPage} left`);
    }
    this.pagesInUse += size;
    return page;
  }

  /** Keeps a range out of use for good, before any allocation. */
  reserve(first: number, pages: number): void {
    for (let i = this.starts.length - 1; i >= 0; i--) {
      const start = this.starts[i];
      const end = this.ends[i];
      if (end <= first || start >= first + pages) continue;
      this.starts.splice(i, 1);
      this.ends.splice(i, 1);
      if (first + pages < end) {
        this.starts.splice(i, 0, first + pages);
        this.ends.splice(i, 0, end);
      }
      if (start < first) {
        this.starts.splice(i, 0, start);
        this.ends.splice(i, 0, first);
      }
    }
  }

  /** Returns the range that `alloc` gave for the same number of pages. */
  release(core: number, page: number, pages: number): void {
    const order = orderOf(pages);
    this.pagesInUse -= 2 ** order;
    if (this.cache && order < CACHED_ORDERS) this.push(core, order, page);
    else this.giveBack(page, 2 ** order);
  }

  private pop(core: number, order: number): number {
    const slot = core * CACHED_ORDERS + order;
    let depth = this.depths[slot];
    if (depth === 0) {
      const magazine = this.depots[order].pop();
      if (magazine === undefined) return -1;
      this.stacks.set(magazine, slot * MAGAZINE * 2);
      depth = MAGAZINE;
    }
    this.depths[slot] = depth - 1;
    return this.stacks[slot * MAGAZINE * 2 + depth - 1];
  }

  private push(core: number, order: number, page: number): void {
    const slot = core * CACHED_ORDERS + order;
    const base = slot * MAGAZINE * 2;
    let depth = this.depths[slot];
    if (depth === MAGAZINE * 2) {
      // Both magazines are full: the older one goes to the depot.
      this.depots[order].push(this.stacks.slice(base, base + MAGAZINE));
      this.stacks.copyWithin(base, base + MAGAZINE, base + MAGAZINE * 2);
      depth = MAGAZINE;
    }
    this.stacks[base + depth] = page;
    this.depths[slot] = depth + 1;
  }

  /** Takes the highest aligned place that fits; -1 when there is none. */
  private carve(size: number): number {
    for (let i = this.starts.length - 1; i >= 0; i--) {
      const page = Math.floor((this.ends[i] - size) / size) * size;
      if (page < this.starts[i]) continue;
      const end = this.ends[i];
      this.ends[i] = page;
      if (page + size < end) {
        this.starts.splice(i + 1, 0, page + size);
        this.ends.splice(i + 1, 0, end);
      }
      if (this.starts[i] === page) {
        this.starts.splice(i, 1);
        this.ends.splice(i, 1);
      }
      return page;
    }
    return -1;
  }

  private giveBack(page: number, size: number): void {
    let low = 0;
    let high = this.starts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.starts[middle] < page) low = middle + 1;
      else high = middle;
    }
    const overlaps =
      (low > 0 && this.ends[low - 1] > page) ||
      (low < this.starts.length && this.starts[low] < page + size);
    if (overlaps) throw new InternalError('iova', `page ${page} is returned but is free`);
    const joinsLeft = low > 0 && this.ends[low - 1] === page;
    const joinsRight = low < this.starts.length && this.starts[low] === page + size;
    if (joinsLeft && joinsRight) {
      this.ends[low - 1] = this.ends[low];
      this.starts.splice(low, 1);
      this.ends.splice(low, 1);
    } else if (joinsLeft) {
      this.ends[low - 1] = page + size;
    } else if (joinsRight) {
      this.starts[low] = page;
    } else {
      this.starts.splice(low, 0, page);
      this.ends.splice(low, 0, page + size);
    }
  }

  /** Gives all cached ranges back, so that larger ones can be carved. */
  private drainCaches(): void {
    for (let slot = 0; slot < this.depths.length; slot++) {
      const order = slot % CACHED_ORDERS;
      const base = slot * MAGAZINE * 2;
      for (let i = 0; i < this.depths[slot]; i++) this.giveBack(this.stacks[base + i], 2 ** order);
      this.depths[slot] = 0;
    }
    for (let order = 0; order < CACHED_ORDERS; order++) {
      for (const magazine of this.depots[order]) {
        for (const page of magazine) this.giveBack(page, 2 ** order);
      }
      this.depots[order].length = 0;
    }
  }
}

/** log2 of the number of pages, rounded up. */
function orderOf(pages: number): number {
  return pages <= 1 ? 0 : 32 - Math.clz32(pages - 1);
}
