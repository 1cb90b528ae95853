/**
 * The kernel's allocator of physical frames, over one region of simulated memory (system physical
 * for a host, guest physical for a guest). Contiguous runs grow from the bottom of the region;
 * single frames come from the free list, last freed first, then from the untouched rest, either in
 * ascending order or scattered over it by a seeded permutation.
 */
import { SimError } from '../../sim/errors.ts';

export interface FrameSpec {
  /** Page number of the first frame. */
  readonly base: number;
  /** Number of 4 KiB frames. */
  readonly frames: number;
  /** Scatter single frames over the upper three quarters of the region by this seed. */
  readonly scatterSeed?: number;
}

/** Where the frames of tables come from: an allocator, or one that also keeps accounts. */
export interface TableFrames {
  alloc(): number;
  /** A contiguous run; its page number is a multiple of `align`. */
  allocRun(count: number, align?: number): number;
  release(frame: number): void;
  /** Returns a run; it is only handed out again as one. */
  releaseRun(first: number, count: number): void;
}

export class FrameAllocator {
  readonly base: number;
  readonly frames: number;
  /** Frames handed out and not returned. */
  inUse = 0;
  /** First frame, as an index, above all contiguous runs. */
  private bottom = 0;
  /** Untouched frames for singles: index of the first one, how many there are and were taken. */
  private singlesFrom = 0;
  private singles: number;
  private taken = 0;
  private readonly stride: number;
  private readonly start: number;
  private readonly scattered: boolean;
  private free: Float64Array = new Float64Array(1024);
  private freeCount = 0;
  /** Runs that were returned, by their length. */
  private readonly freeRuns: Map<number, number[]> = new Map();

  constructor(spec: FrameSpec) {
    this.base = spec.base;
    this.frames = spec.frames;
    this.scattered = spec.scatterSeed !== undefined;
    this.singlesFrom = this.scattered ? spec.frames >>> 2 : 0;
    this.singles = spec.frames - this.singlesFrom;
    const seed = spec.scatterSeed ?? 0;
    this.start = this.scattered ? seed % this.singles : 0;
    this.stride = this.scattered ? coprimeStride(this.singles, seed) : 1;
  }

  /** A frame, as a page number. */
  alloc(): number {
    this.inUse++;
    if (this.freeCount > 0) return this.free[--this.freeCount];
    if (!this.scattered) return this.base + this.takeBottom(1, 1);
    if (this.taken >= this.singles) this.exhausted(1);
    const index = (this.start + this.taken++ * this.stride) % this.singles;
    return this.base + this.singlesFrom + index;
  }

  /** A contiguous run; its page number is a multiple of `align`. */
  allocRun(count: number, align = 1): number {
    this.inUse += count;
    const returned = this.freeRuns.get(count);
    const at = returned?.findLastIndex((first) => first % align === 0) ?? -1;
    if (returned !== undefined && at >= 0) return returned.splice(at, 1)[0];
    return this.base + this.takeBottom(count, align);
  }

  releaseRun(first: number, count: number): void {
    this.inUse -= count;
    const returned = this.freeRuns.get(count);
    if (returned === undefined) this.freeRuns.set(count, [first]);
    else returned.push(first);
  }

  /** Returns one frame. */
  release(frame: number): void {
    this.inUse--;
    if (this.freeCount === this.free.length) {
      const free = new Float64Array(this.free.length * 2);
      free.set(this.free);
      this.free = free;
    }
    this.free[this.freeCount++] = frame;
  }

  private takeBottom(count: number, align: number): number {
    const absolute = this.base + this.bottom;
    const first = Math.ceil(absolute / align) * align - this.base;
    const limit = this.scattered ? this.singlesFrom : this.frames;
    if (first + count > limit) this.exhausted(count);
    this.bottom = first + count;
    return first;
  }

  private exhausted(count: number): never {
    throw new SimError(
      'out-of-frames',
      `no ${count} free frames left in a region of ${this.frames} (${this.inUse} in use)`,
    );
  }
}

/** A step through 0..count-1 that visits every index once and lands far from the last one. */
function coprimeStride(count: number, seed: number): number {
  // Near the golden section, so that the first frames already spread over the whole region.
  let stride = Math.max(1, Math.floor((count * 618) / 1000) - (seed % 97));
  while (gcd(stride, count) !== 1) stride++;
  return stride;
}

function gcd(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b];
  return a;
}
