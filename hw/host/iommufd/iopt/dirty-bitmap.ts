/**
 * A bitmap of IOVA pages in user memory (struct iova_bitmap). Its pages are pinned as a window only
 * when a bit is to be set outside the window there is; what cannot be pinned is silently left out.
 * Windows begin at a whole byte of the bitmap.
 */
import type { AddressSpace, KernelServices } from '../../kernel/api.ts';
import { Errno } from '../../kernel/errno.ts';

const PAGE = 4096;
/** Pages whose pointers fit one page. */
const WINDOW_PAGES = 512;
const PAGE_BITS = PAGE * 8;

export interface BitmapRange {
  readonly iova: bigint;
  readonly last: bigint;
  readonly pageSize: bigint;
  readonly bitmap: { readonly space: AddressSpace; readonly address: bigint };
}

export class DirtyBitmap {
  private readonly services: KernelServices;
  private readonly space: AddressSpace;
  private readonly address: bigint;
  private readonly iova: bigint;
  private readonly last: bigint;
  private readonly shift: bigint;
  /** Bytes that the range has in the bitmap. */
  private readonly bytes: bigint;
  private frames: number[] = [];
  /** IOVA of the window's first bit, and of the last that counts as in it. */
  private windowIova = 0n;
  private windowLast = -1n;
  /** Offset of the window in its first page. */
  private offset = 0;
  private readonly buffer: Uint8Array = new Uint8Array(PAGE);

  /** Bits for a range of IOVA, one for each page of the size. */
  constructor(services: KernelServices, { iova, last, pageSize, bitmap }: BitmapRange) {
    services.memory.take(PAGE, 'page pointers of a dirty bitmap');
    this.services = services;
    this.space = bitmap.space;
    this.address = bitmap.address;
    this.iova = iova;
    this.last = last;
    this.shift = BigInt((pageSize & -pageSize).toString(2).length - 1);
    this.bytes = ((last - iova) >> (this.shift + 3n)) + 1n;
  }

  free(): void {
    this.unpin();
    this.services.memory.give(PAGE);
  }

  /** Sets the bits of a range, which may reach past the end of the bitmap's. */
  set(iova: bigint, length: bigint): void {
    const last = iova + length - 1n;
    let from = iova;
    for (;;) {
      if (!this.inWindow(from, last) && !this.moveTo(from)) return;
      const origin = this.offset * 8;
      const firstBit = Number((from - this.windowIova) >> this.shift) + origin;
      const lastBit = Number((last - this.windowIova) >> this.shift) + origin;
      const end = Math.min(lastBit, this.frames.length * PAGE_BITS - 1);
      this.setBits(firstBit, end);
      if (end === lastBit) return;
      // What is left over is counted in whole bits, from the end of the range.
      const left = BigInt(lastBit - Math.max(end, firstBit - 1)) << this.shift;
      from = last + 1n - left;
    }
  }

  private inWindow(from: bigint, last: bigint): boolean {
    return this.frames.length > 0 && from >= this.windowIova && last <= this.windowLast;
  }

  /** Pins the pages from the byte of an address on; false where that cannot be. */
  private moveTo(iova: bigint): boolean {
    const skip = (iova - this.iova) >> (this.shift + 3n);
    if (skip < 0n || skip >= this.bytes) return false;
    this.unpin();
    const start = this.address + skip;
    this.offset = Number(start & 0xfffn);
    const left = this.bytes - skip;
    const pages = (left + 4095n) / 4096n + (this.offset === 0 ? 0n : 1n);
    this.pin(start - BigInt(this.offset), Math.min(Number(pages), WINDOW_PAGES));
    if (this.frames.length === 0) return false;
    const pinned = BigInt(this.frames.length * PAGE - this.offset);
    const bits = pinned < left ? pinned : left;
    this.windowIova = this.iova + (skip << (this.shift + 3n));
    this.windowLast = this.windowIova + (bits << (this.shift + 3n)) - 1n;
    if (this.windowLast > this.last) this.windowLast = this.last;
    return true;
  }

  /** As many as can be pinned before the first that cannot. */
  private pin(address: bigint, pages: number): void {
    for (let at = 0; at < pages; at++) {
      try {
        this.frames.push(this.space.pin(address + BigInt(at * PAGE), true));
      } catch (error) {
        if (error instanceof Errno) return;
        throw error;
      }
    }
  }

  private unpin(): void {
    for (const frame of this.frames) this.services.pins.unpin(frame);
    this.frames.length = 0;
  }

  private setBits(first: number, last: number): void {
    for (let bit = first; bit <= last; ) {
      const page = Math.floor(bit / PAGE_BITS);
      const end = Math.min(last, (page + 1) * PAGE_BITS - 1);
      this.setInPage(this.frames[page], bit - page * PAGE_BITS, end - page * PAGE_BITS);
      bit = end + 1;
    }
  }

  private setInPage(frame: number, first: number, last: number): void {
    const from = first >> 3;
    const bytes = this.buffer.subarray(0, (last >> 3) - from + 1);
    this.services.frames.read(frame, from, bytes);
    for (let bit = first; bit <= last; ) {
      const byte = (bit >> 3) - from;
      if ((bit & 7) === 0 && bit + 7 <= last) {
        bytes[byte] = 0xff;
        bit += 8;
      } else {
        bytes[byte] |= 1 << (bit & 7);
        bit++;
      }
    }
    this.services.frames.write(frame, from, bytes);
  }
}
