/**
 * Mappings of one address space (struct vm_area_struct), in ascending order. Addresses are exact
 * numbers: user addresses end below 2^47.
 */
import { type DeviceMapping, type OpenFile, PAGE_SIZE } from './api.ts';
import type { FileMapping, MappingOwner, MemoryInode } from './inode.ts';

export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;

/** TASK_SIZE_MAX: the last page below 2^47 is never mapped. */
export const USER_END = 0x7ffffffff000;

export class Vma implements FileMapping {
  start: number;
  end: number;
  prot: number;
  readonly owner: MappingOwner;
  /** Writes go to the file's own pages (VM_MAYSHARE). */
  readonly shared: boolean;
  /** Whether PROT_WRITE may be asked for later (VM_MAYWRITE). */
  readonly mayWrite: boolean;
  /** The file mapped, with one reference; null for private anonymous memory. */
  readonly file: OpenFile | null;
  /** Its pages; null for anonymous memory and devices. */
  readonly inode: MemoryInode | null;
  readonly device: DeviceMapping | null;
  /** Page of the file, or of the device's frames, at `start`. */
  pageOffset: number;
  /** Faults fill 2 MiB at a time. */
  readonly huge: boolean;

  constructor(of: VmaFields) {
    this.start = of.start;
    this.end = of.end;
    this.prot = of.prot;
    this.owner = of.owner;
    this.shared = of.shared;
    this.mayWrite = of.mayWrite;
    this.file = of.file;
    this.inode = of.inode;
    this.device = of.device;
    this.pageOffset = of.pageOffset;
    this.huge = of.huge;
  }

  /** Index in the file (or the device's frames) of the page at an address. */
  indexOf(address: number): number {
    return this.pageOffset + Math.floor((address - this.start) / PAGE_SIZE);
  }

  /** The same pages in [start, end), in this or another address space; holds file and device. */
  clone(start: number, end: number, owner: MappingOwner = this.owner): Vma {
    const copy = new Vma({ ...this, start, end, owner, pageOffset: this.indexOf(start) });
    if (copy.file !== null) copy.file.refs++;
    copy.inode?.mappings.add(copy);
    copy.device?.opened();
    return copy;
  }
}

export interface VmaFields {
  readonly start: number;
  readonly end: number;
  readonly prot: number;
  readonly owner: MappingOwner;
  readonly shared: boolean;
  readonly mayWrite: boolean;
  readonly file: OpenFile | null;
  readonly inode: MemoryInode | null;
  readonly device: DeviceMapping | null;
  readonly pageOffset: number;
  readonly huge: boolean;
}

export class VmaList {
  /** Ascending, without overlap. */
  readonly areas: Vma[] = [];
  private last: Vma | null = null;

  /** The area that contains an address; null: none. */
  find(address: number): Vma | null {
    const last = this.last;
    if (last !== null && address >= last.start && address < last.end) return last;
    const area = this.areas[this.firstEndingAfter(address)];
    if (area === undefined || area.start > address) return null;
    this.last = area;
    return area;
  }

  insert(area: Vma): void {
    this.areas.splice(this.firstEndingAfter(area.start), 0, area);
  }

  /** Cuts areas at the borders of [start, end), and returns those inside, still in the list. */
  within(start: number, end: number): Vma[] {
    this.cut(start);
    this.cut(end);
    const first = this.firstEndingAfter(start);
    let after = first;
    while (after < this.areas.length && this.areas[after].start < end) after++;
    return this.areas.slice(first, after);
  }

  /** Takes out areas that `within` returned. */
  remove(areas: readonly Vma[]): void {
    if (areas.length === 0) return;
    this.areas.splice(this.firstEndingAfter(areas[0].start), areas.length);
    this.last = null;
  }

  /** Whether nothing is mapped in [start, end). */
  isFree(start: number, end: number): boolean {
    const next = this.areas[this.firstEndingAfter(start)];
    return next === undefined || next.start >= end;
  }

  /** Highest free address for `length` bytes, a multiple of `align`, below `top`; -1: none. */
  choose(length: number, align: number, top: number): number {
    let end = top;
    for (let i = this.areas.length - 1; i >= -1; i--) {
      const area = i < 0 ? null : this.areas[i];
      if (area !== null && area.start >= top) continue;
      const at = Math.floor((end - length) / align) * align;
      if (at >= (area === null ? CHOICE_MIN : area.end)) return at;
      if (area !== null) end = Math.min(end, area.start);
    }
    return -1;
  }

  private cut(address: number): void {
    const at = this.firstEndingAfter(address);
    const area = this.areas[at];
    if (area === undefined || area.start >= address) return;
    const upper = area.clone(address, area.end);
    area.end = address;
    this.areas.splice(at + 1, 0, upper);
  }

  private firstEndingAfter(address: number): number {
    const { areas } = this;
    let low = 0;
    let high = areas.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (areas[middle].end > address) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}

/** mmap_min_addr: nothing is put below it unasked. */
const CHOICE_MIN = 0x10000;
