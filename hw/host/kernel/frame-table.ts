/**
 * What the kernel knows of each physical frame (struct page): how many page tables and page caches
 * refer to it, how often it is pinned (FOLL_PIN), whether it is part of a huge page. A frame goes
 * back to where it came from when nothing refers to it and nobody has it pinned.
 */
import { InternalError, SimError } from '../../../sim/errors.ts';
import type { FramePins, PageAllocator } from './api.ts';
import { fail } from './errno.ts';
import type { PortBytes } from './frame-bytes.ts';
import { CallWork } from './work.ts';

/** Where frames come from: hw/host/frames.ts, or anything like it. */
export interface FrameSource {
  alloc(): number;
  /** A contiguous run; its first frame number is a multiple of `align`. */
  allocRun(count: number, align?: number): number;
  release(frame: number): void;
}

/** Frames of a huge page (2 MiB). */
export const HUGE_FRAMES = 512;

const CHUNK_FRAMES = 4096;
/** The frame was handed out before: its content is old. */
const USED = 1;
/** Part of a huge page. */
const COMPOUND = 2;
/** Named by whoever replays a recorded layout: not of the source. */
const FOREIGN = 4;

interface Chunk {
  readonly refs: Int32Array;
  readonly pins: Int32Array;
  readonly flags: Uint8Array;
}

export class FrameTable implements FramePins, PageAllocator {
  total = 0;
  /** Frames that something refers to or has pinned; without the frame of zeros. */
  inUse = 0;
  readonly work: CallWork;
  private readonly source: FrameSource;
  private readonly bytes: PortBytes;
  private readonly chunks = new Map<number, Chunk>();
  private lastIndex = -1;
  private last: Chunk | null = null;
  /** Huge pages: frames of each that are still in use; those that can be used again. */
  private readonly hugeInUse = new Map<number, number>();
  private readonly freeHuge: number[] = [];
  private zeroFrame = -1;

  constructor(source: FrameSource, bytes: PortBytes, work: CallWork = new CallWork()) {
    this.source = source;
    this.bytes = bytes;
    this.work = work;
  }

  /** A zeroed frame with one reference. */
  alloc(): number {
    const frame = this.fromSource(1, 1);
    this.start(frame, 0);
    return frame;
  }

  /** First frame of a zeroed contiguous run, each frame with one reference. */
  allocPages(count: number, align = 1): number {
    const first = this.fromSource(count, align);
    for (let i = 0; i < count; i++) this.start(first + i, 0);
    return first;
  }

  freePages(first: number, count: number): void {
    for (let i = 0; i < count; i++) this.drop(first + i);
  }

  /** First frame of a zeroed huge page, each frame with one reference. */
  allocHuge(): number {
    const first = this.freeHuge.pop() ?? this.fromSource(HUGE_FRAMES, HUGE_FRAMES);
    for (let i = 0; i < HUGE_FRAMES; i++) this.start(first + i, COMPOUND);
    this.hugeInUse.set(first, HUGE_FRAMES);
    return first;
  }

  /** Takes a frame that a recorded layout names, with one reference; false: it is in use. */
  claim(frame: number, compound = false): boolean {
    const chunk = this.chunkOf(frame);
    const at = frame & (CHUNK_FRAMES - 1);
    if (chunk.refs[at] !== 0 || chunk.pins[at] !== 0) return false;
    this.start(frame, FOREIGN | (compound ? COMPOUND : 0));
    return true;
  }

  /** The frame of zeros that untouched private memory shows. */
  get zero(): number {
    if (this.zeroFrame < 0) {
      this.zeroFrame = this.alloc();
      this.inUse--;
    }
    return this.zeroFrame;
  }

  /** One reference more: another page table or page cache holds the frame. */
  hold(frame: number): void {
    this.chunkOf(frame).refs[frame & (CHUNK_FRAMES - 1)]++;
  }

  /** One reference less. */
  drop(frame: number): void {
    const chunk = this.chunkOf(frame);
    const at = frame & (CHUNK_FRAMES - 1);
    if (chunk.refs[at] <= 0)
      throw new InternalError('frames', `frame ${frame} is dropped too often`);
    if (--chunk.refs[at] === 0 && chunk.pins[at] === 0) this.free(frame, chunk, at);
  }

  refs(frame: number): number {
    return this.chunkOf(frame).refs[frame & (CHUNK_FRAMES - 1)];
  }

  pin(frame: number): void {
    this.chunkOf(frame).pins[frame & (CHUNK_FRAMES - 1)]++;
    this.total++;
    this.work.pagesPinned++;
  }

  unpin(frame: number): void {
    const chunk = this.chunkOf(frame);
    const at = frame & (CHUNK_FRAMES - 1);
    if (chunk.pins[at] <= 0) throw new InternalError('frames', `frame ${frame} is not pinned`);
    this.total--;
    this.work.pagesUnpinned++;
    if (--chunk.pins[at] === 0 && chunk.refs[at] === 0) this.free(frame, chunk, at);
  }

  count(frame: number): number {
    return this.chunkOf(frame).pins[frame & (CHUNK_FRAMES - 1)];
  }

  /** Whether the frame is part of a huge page (PageCompound). */
  isCompound(frame: number): boolean {
    return (this.chunkOf(frame).flags[frame & (CHUNK_FRAMES - 1)] & COMPOUND) !== 0;
  }

  private start(frame: number, flags: number): void {
    const chunk = this.chunkOf(frame);
    const at = frame & (CHUNK_FRAMES - 1);
    if ((chunk.flags[at] & USED) !== 0) this.bytes.zero(frame, 0, 4096);
    chunk.flags[at] = USED | flags;
    chunk.refs[at] = 1;
    this.inUse++;
  }

  private free(frame: number, chunk: Chunk, at: number): void {
    this.inUse--;
    const flags = chunk.flags[at];
    if ((flags & FOREIGN) !== 0) return;
    if ((flags & COMPOUND) === 0) {
      this.source.release(frame);
      return;
    }
    const first = frame - (frame % HUGE_FRAMES);
    const left = (this.hugeInUse.get(first) ?? 0) - 1;
    if (left > 0) {
      this.hugeInUse.set(first, left);
      return;
    }
    this.hugeInUse.delete(first);
    this.freeHuge.push(first);
  }

  private fromSource(count: number, align: number): number {
    try {
      return count === 1 ? this.source.alloc() : this.source.allocRun(count, align);
    } catch (error) {
      if (!(error instanceof SimError) || error.code !== 'out-of-frames') throw error;
      return fail('ENOMEM', `no ${count} free frames of physical memory`);
    }
  }

  private chunkOf(frame: number): Chunk {
    const index = Math.floor(frame / CHUNK_FRAMES);
    if (index === this.lastIndex) return this.last as Chunk;
    let chunk = this.chunks.get(index);
    if (chunk === undefined) {
      chunk = {
        refs: new Int32Array(CHUNK_FRAMES),
        pins: new Int32Array(CHUNK_FRAMES),
        flags: new Uint8Array(CHUNK_FRAMES),
      };
      this.chunks.set(index, chunk);
    }
    this.lastIndex = index;
    this.last = chunk;
    return chunk;
  }
}
