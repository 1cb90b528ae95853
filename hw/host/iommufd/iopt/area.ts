/**
 * One mapping of an IOAS (struct iopt_area): a range of IOVA, what a device may do there, and the
 * slice of a pages object that stands behind it. Pages are counted from the start of the pages
 * object; the slice may begin and end inside a page.
 */
import type { Pages } from './pages.ts';
import { PAGE_MASK, PAGE_SHIFT } from './units.ts';

/** Bytes of kernel memory that an area is. */
export const AREA_BYTES = 216;

export class Area {
  readonly iova: bigint;
  /** Last address, inclusive: an area may end with the address space. */
  readonly last: bigint;
  readonly length: bigint;
  readonly pages: Pages;
  /** Bytes into the first page. */
  readonly pageOffset: number;
  /** First and last page of the slice. */
  readonly index: number;
  readonly lastIndex: number;
  readonly prot: number;
  /** Whether it is mapped in the domains of its IOAS, and its pages are held for them. */
  filled = false;
  /** Pins of in-kernel users in it, and those of them that forbid to unmap it. */
  accesses = 0;
  locks = 0;
  /** An unmap waits for the pins to go: no new ones. */
  preventAccess = false;

  constructor(iova: bigint, length: bigint, pages: Pages, startByte: bigint, prot: number) {
    this.iova = iova;
    this.length = length;
    this.last = iova + length - 1n;
    this.pages = pages;
    this.prot = prot;
    const bytes = Number(length);
    if (startByte <= PAGE_MASK && bytes < Number.MAX_SAFE_INTEGER - 4096) {
      this.pageOffset = Number(startByte);
      this.index = 0;
      this.lastIndex = Math.floor((this.pageOffset + bytes - 1) / 4096);
    } else {
      this.pageOffset = Number(startByte & PAGE_MASK);
      this.index = Number(startByte >> PAGE_SHIFT);
      this.lastIndex = Number((startByte + length - 1n) >> PAGE_SHIFT);
    }
  }

  /** Bytes from the start of the pages object to an address of the area. */
  byteAt(iova: bigint): bigint {
    return iova - this.iova + BigInt(this.pageOffset) + (BigInt(this.index) << PAGE_SHIFT);
  }

  /** Page of the pages object behind an address of the area. */
  pageAt(iova: bigint): number {
    return Number(this.byteAt(iova) >> PAGE_SHIFT);
  }
}

export function nameOf(area: Area): string {
  return `the area 0x${area.iova.toString(16)}-0x${area.last.toString(16)}`;
}
