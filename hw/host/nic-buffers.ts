/**
 * Buffers of one NIC queue: chunks of whole pages, each mapped once and cut into one or more
 * buffers (fragments). A chunk is unmapped when all its fragments are back, and then waits, first
 * in first out, for its next use: an address that is used again mostly stands for another frame.
 */
import { InternalError, invariant } from '../../sim/errors.ts';
import { PAGE_SIZE, pageNumber } from '../address.ts';
import type { FrameAllocator } from './frames.ts';

export interface BufferSpec {
  /** Bytes that a buffer holds. */
  readonly bytes: number;
  /** Buffers of a chunk. */
  readonly fragments: number;
  /** Every buffer begins at a page. */
  readonly pageAligned: boolean;
  readonly chunks: number;
}

export class BufferStock {
  /** Pages of a chunk. */
  readonly pages: number;
  readonly fragments: number;
  /** Distance between the buffers of a chunk. */
  readonly stride: number;
  /** First frame of each chunk, and while it is mapped its input page. */
  readonly frame: Float64Array;
  readonly inputHi: Int32Array;
  readonly inputLo: Int32Array;
  /** Chunk that fragments are taken from now, -1 for none; and how many were taken. */
  current = -1;
  private taken = 0;
  /** Fragments in use. */
  private readonly used: Int32Array;
  private readonly free: Int32Array;
  private freeHead = 0;
  private freeCount = 0;

  constructor(spec: BufferSpec, frames: FrameAllocator) {
    const { chunks } = spec;
    const whole = Math.ceil(spec.bytes / PAGE_SIZE) * PAGE_SIZE;
    this.stride = spec.pageAligned ? whole : spec.bytes;
    this.fragments = spec.fragments;
    this.pages = Math.ceil((this.stride * spec.fragments) / PAGE_SIZE);
    this.frame = new Float64Array(chunks);
    this.inputHi = new Int32Array(chunks);
    this.inputLo = new Int32Array(chunks);
    this.used = new Int32Array(chunks);
    this.free = new Int32Array(chunks);
    for (let chunk = 0; chunk < chunks; chunk++) {
      this.frame[chunk] = this.pages === 1 ? frames.alloc() : frames.allocRun(this.pages);
      this.free[chunk] = chunk;
    }
    this.freeCount = chunks;
  }

  /** Whether the chunk in hand has fragments left. */
  get open(): boolean {
    return this.current >= 0 && this.taken < this.fragments;
  }

  /** Takes an unmapped chunk in hand; the caller maps it and then calls `mapped`. */
  nextChunk(): number {
    if (this.freeCount === 0) throw new InternalError('nic-driver', 'no receive buffers in stock');
    this.current = this.free[this.freeHead];
    this.freeHead = (this.freeHead + 1) % this.free.length;
    this.freeCount--;
    this.taken = this.fragments;
    return this.current;
  }

  mapped(hi: number, lo: number): void {
    this.inputHi[this.current] = hi;
    this.inputLo[this.current] = lo;
    this.used[this.current] = this.fragments;
    this.taken = 0;
  }

  /** Byte offset in the open chunk of the fragment that is taken now. */
  takeFragment(): number {
    return this.taken++ * this.stride;
  }

  /** A fragment is back; true when it was the chunk's last and the chunk is to be unmapped. */
  giveFragment(chunk: number): boolean {
    invariant(this.used[chunk] > 0, 'a fragment comes back that was not taken');
    return --this.used[chunk] === 0;
  }

  /** The chunk is unmapped. */
  giveChunk(chunk: number): void {
    this.free[(this.freeHead + this.freeCount++) % this.free.length] = chunk;
  }

  /** First frame of the chunk in hand. */
  get currentFrame(): number {
    return this.frame[this.current];
  }

  /** Input page of a chunk, as one number. */
  inputOf(chunk: number): number {
    return pageNumber(this.inputHi[chunk], this.inputLo[chunk]);
  }
}
