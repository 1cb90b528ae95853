/**
 * Memory of a file that lives in memory only (shmem: memfd, tmpfs file, shared anonymous memory;
 * hugetlbfs): size, pages that were touched, seals, and the areas that map it.
 */
import { PAGE_SIZE } from './api.ts';
import { fail } from './errno.ts';
import type { PortBytes } from './frame-bytes.ts';
import { type FrameTable, HUGE_FRAMES } from './frame-table.ts';
import { PageTable } from './page-table.ts';

export const SEAL_SEAL = 1;
export const SEAL_SHRINK = 2;
export const SEAL_GROW = 4;
export const SEAL_WRITE = 8;
export const SEAL_FUTURE_WRITE = 16;

/** An area of an address space that shows pages of the file. */
export interface FileMapping {
  readonly start: number;
  readonly end: number;
  /** Page of the file at `start`. */
  readonly pageOffset: number;
  readonly shared: boolean;
  readonly mayWrite: boolean;
  readonly owner: MappingOwner;
}

/** Who maps it: told when pages of the file go away. */
export interface MappingOwner {
  /** Forgets what is mapped in [start, end), private copies too. */
  zap(start: number, end: number): void;
}

export class MemoryInode {
  /** Size in bytes. */
  bytes = 0;
  seals = 0;
  /** Open files and names; the pages go with the last. */
  links = 0;
  /** Frames come 2 MiB at a time (hugetlbfs). */
  readonly huge: boolean;
  readonly mappings = new Set<FileMapping>();
  readonly frames: FrameTable;
  readonly content: PortBytes;
  private readonly cache = new PageTable();
  /** Pages above all that were ever touched. */
  private touched = 0;

  constructor(frames: FrameTable, content: PortBytes, huge: boolean) {
    this.frames = frames;
    this.content = content;
    this.huge = huge;
  }

  /** Whole and partial pages below the end of the file. */
  get pageCount(): number {
    return Math.ceil(this.bytes / PAGE_SIZE);
  }

  /** Frame of a page that is there; -1: none. */
  peek(index: number): number {
    return this.cache.frame(index);
  }

  /** Frame of a page, made when it was never touched; -1: past the end of the file. */
  frame(index: number): number {
    if (index >= this.pageCount) return -1;
    const found = this.cache.frame(index);
    if (found >= 0) return found;
    if (!this.huge) {
      const frame = this.frames.alloc();
      this.put(index, frame);
      return frame;
    }
    const start = index - (index % HUGE_FRAMES);
    const first = this.frames.allocHuge();
    for (let i = 0; i < HUGE_FRAMES; i++) {
      // A page that a recorded layout has placed stays where it is.
      if (this.cache.frame(start + i) < 0) this.put(start + i, first + i);
      else this.frames.drop(first + i);
    }
    return this.cache.frame(index);
  }

  /**
   * Lets a page be a given frame, as a recorded layout has it; its content moves. False: the page
   * is pinned, or something else is in the frame.
   */
  place(index: number, frame: number): boolean {
    const old = this.cache.frame(index);
    if (old === frame) return true;
    if (old >= 0 && this.frames.count(old) > 0) return false;
    if (!this.frames.claim(frame, this.huge)) return false;
    if (old >= 0) {
      this.content.copy(old, frame);
      this.zapMappings(index, index + 1, false);
      this.frames.drop(old);
    }
    this.put(index, frame);
    return true;
  }

  /** Sets the size; pages beyond it go, out of all mappings too. */
  resize(bytes: number): void {
    const old = this.bytes;
    this.bytes = bytes;
    if (bytes >= old) return;
    const first = this.pageCount;
    this.zapMappings(first, Number.POSITIVE_INFINITY, true);
    this.forget(first);
    const tail = bytes % PAGE_SIZE;
    const last = tail === 0 ? -1 : this.cache.frame(first - 1);
    if (last >= 0) this.content.zero(last, tail, PAGE_SIZE - tail);
  }

  /** Reads up to the end of the file; returns how many bytes. */
  read(position: number, into: Uint8Array): number {
    const count = Math.max(0, Math.min(into.length, this.bytes - position));
    for (let done = 0; done < count; ) {
      const offset = (position + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, count - done);
      const part = into.subarray(done, done + length);
      const frame = this.cache.frame(Math.floor((position + done) / PAGE_SIZE));
      if (frame < 0) part.fill(0);
      else this.content.read(frame, offset, part);
      done += length;
    }
    return count;
  }

  /** Writes; the file grows when the end is passed. */
  write(position: number, bytes: Uint8Array): void {
    if ((this.seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) !== 0) {
      fail('EPERM', 'the file is sealed against writing');
    }
    const end = position + bytes.length;
    if (end > this.bytes) {
      if ((this.seals & SEAL_GROW) !== 0) fail('EPERM', 'the file is sealed against growing');
      this.bytes = end;
    }
    for (let done = 0; done < bytes.length; ) {
      const offset = (position + done) % PAGE_SIZE;
      const length = Math.min(PAGE_SIZE - offset, bytes.length - done);
      const frame = this.frame(Math.floor((position + done) / PAGE_SIZE));
      this.content.write(frame, offset, bytes.subarray(done, done + length));
      done += length;
    }
  }

  /** One open file or name less. */
  unlink(): void {
    if (--this.links === 0) this.forget(0);
  }

  private put(index: number, frame: number): void {
    this.cache.set(index, frame, 0);
    if (index >= this.touched) this.touched = index + 1;
  }

  private forget(first: number): void {
    for (let at = first; ; at++) {
      at = this.cache.next(at, this.touched);
      if (at < 0) break;
      this.frames.drop(this.cache.frame(at));
      this.cache.remove(at);
    }
    this.touched = Math.min(this.touched, first);
  }

  /** Pages [first, end) of the file leave page tables; of private areas only when `copies`. */
  private zapMappings(first: number, end: number, copies: boolean): void {
    for (const area of this.mappings) {
      if (!copies && !area.shared) continue;
      const base = area.start - area.pageOffset * PAGE_SIZE;
      const start = Math.max(area.start, base + first * PAGE_SIZE);
      const stop = Math.min(area.end, base + end * PAGE_SIZE);
      if (start < stop) area.owner.zap(start, stop);
    }
  }
}
