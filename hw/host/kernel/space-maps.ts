/**
 * Changes to the areas of an address space: mmap, munmap, mprotect, the copy that fork makes, and
 * its end. Rules and their order as in mm/mmap.c and mm/memory.c; the system calls check what only
 * they know (flags, file modes).
 */
import { UserSpace } from './address-space.ts';
import { type DeviceMapping, type OpenFile, PAGE_SIZE } from './api.ts';
import { fail } from './errno.ts';
import { putFile } from './files.ts';
import { HUGE_FRAMES } from './frame-table.ts';
import type { MemoryInode } from './inode.ts';
import { ANONYMOUS, DEVICE, STABLE, WRITABLE } from './page-table.ts';
import { PROT_WRITE, USER_END, Vma } from './vma.ts';

export const HUGE_BYTES: number = HUGE_FRAMES * PAGE_SIZE;

export interface MapRequest {
  /** Where; with `fixed`, exactly there, in place of what is mapped there now. */
  readonly address?: number;
  readonly fixed?: boolean;
  /** Multiple of the page size (of 2 MiB where `huge`). */
  readonly length: number;
  readonly prot: number;
  readonly shared: boolean;
  readonly mayWrite?: boolean;
  /** One reference is taken from the caller. */
  readonly file?: OpenFile | null;
  readonly inode?: MemoryInode | null;
  readonly device?: DeviceMapping | null;
  readonly pageOffset?: number;
  readonly huge?: boolean;
}

/** Where a mapping will be; ENOMEM, EINVAL. */
export function chooseAddress(space: UserSpace, request: MapRequest): number {
  const { address = 0, length, fixed = false, huge = false } = request;
  const align = huge ? HUGE_BYTES : PAGE_SIZE;
  if (length > USER_END) fail('ENOMEM', 'the mapping is larger than the address space');
  if (fixed) {
    if (address > USER_END - length) fail('ENOMEM', 'the mapping ends beyond user space');
    if (address % align !== 0) fail('EINVAL', `a fixed address is a multiple of ${align}`);
    checkBorders(space, address, address + length);
    return address;
  }
  const hint = Math.ceil(address / align) * align;
  if (hint > 0 && hint <= USER_END - length && space.list.isFree(hint, hint + length)) return hint;
  const at = space.list.choose(length, align, CHOICE_TOP);
  if (at < 0) fail('ENOMEM', 'no hole in the address space is large enough');
  return at;
}

/** Maps at an address that chooseAddress gave. */
export function mapArea(space: UserSpace, start: number, request: MapRequest): void {
  const end = start + request.length;
  if (!space.list.isFree(start, end)) unmapRange(space, start, request.length);
  const { file = null, inode = null, device = null, prot } = request;
  const { mayWrite = true, pageOffset = 0, huge = false, shared } = request;
  const owner = space;
  const area = new Vma({
    ...{ start, end, prot, owner, shared, mayWrite },
    ...{ file, inode, device, pageOffset, huge },
  });
  inode?.mappings.add(area);
  space.list.insert(area);
}

/** Unmaps whatever is in a page-aligned range; areas that reach over its borders are split. */
export function unmapRange(space: UserSpace, start: number, length: number): void {
  const end = start + length;
  checkBorders(space, start, end);
  const areas = space.list.within(start, end);
  for (const area of areas) space.zap(area.start, area.end);
  space.list.remove(areas);
  for (const area of areas) dropArea(area);
}

/** mprotect; ENOMEM where part of the range is not mapped, EACCES where it may not be written. */
export function protectRange(space: UserSpace, start: number, length: number, prot: number): void {
  const end = start + length;
  checkBorders(space, start, end);
  const areas = space.list.within(start, end);
  let at = start;
  for (const area of areas) {
    if (area.start !== at) break;
    if ((prot & PROT_WRITE) !== 0 && !area.mayWrite) {
      fail('EACCES', 'the mapped file is not open for writing');
    }
    area.prot = prot;
    // Entries are made again by the next access, with what is allowed then.
    const stop = area.end / PAGE_SIZE;
    let page = space.table.next(at / PAGE_SIZE, stop);
    for (; page >= 0; page = space.table.next(page + 1, stop)) {
      space.table.set(page, space.table.frame(page), space.table.flags(page) & KEPT);
    }
    at = area.end;
  }
  if (at !== end) fail('ENOMEM', `nothing is mapped at 0x${at.toString(16)}`);
}

/** dup_mmap: shared areas show the same pages, private ones become copy-on-write in both. */
export function forkSpace(parent: UserSpace): UserSpace {
  const child = new UserSpace(parent.frames, parent.content);
  for (const area of parent.list.areas) {
    child.list.insert(area.clone(area.start, area.end, child));
    if (!area.shared && area.device === null) forkPages(parent, child, area);
  }
  return child;
}

function forkPages(parent: UserSpace, child: UserSpace, area: Vma): void {
  const { frames, content, table } = parent;
  const end = area.end / PAGE_SIZE;
  let page = table.next(area.start / PAGE_SIZE, end);
  for (; page >= 0; page = table.next(page + 1, end)) {
    const flags = table.flags(page);
    if ((flags & ANONYMOUS) === 0) continue;
    const frame = table.frame(page);
    if (area.huge || frames.count(frame) > 0) {
      // A pinned page stays the parent's: whoever pinned it goes on seeing what the parent writes.
      if (area.huge && page % HUGE_FRAMES !== 0) continue;
      const pages = area.huge ? HUGE_FRAMES : 1;
      const copy = area.huge ? frames.allocHuge() : frames.alloc();
      for (let i = 0; i < pages; i++) {
        content.copy(table.frame(page + i), copy + i);
        child.table.set(page + i, copy + i, ANONYMOUS | STABLE);
      }
      continue;
    }
    frames.hold(frame);
    table.set(page, frame, flags & ~(WRITABLE | STABLE));
    child.table.set(page, frame, flags & ~(WRITABLE | STABLE));
  }
}

/** exit_mmap: the last process that used the address space is gone. */
export function dropSpace(space: UserSpace): void {
  space.alive = false;
  unmapRange(space, 0, USER_END);
}

/**
 * Lets a page of memory be a given frame, as a recorded layout has it; content moves along. False:
 * it is not memory, or pinned, or shared copy-on-write, or the frame holds something else.
 */
export function placePage(space: UserSpace, address: number, frame: number): boolean {
  const area = space.list.find(address);
  if (area === null || area.device !== null) return false;
  if (area.inode !== null && area.shared) return area.inode.place(area.indexOf(address), frame);
  const page = Math.floor(address / PAGE_SIZE);
  const { frames, table } = space;
  const old = table.frame(page);
  if (old === frame) return true;
  const own = (table.flags(page) & ANONYMOUS) !== 0;
  if (own && (frames.refs(old) > 1 || frames.count(old) > 0)) return false;
  if (!frames.claim(frame, area.huge)) return false;
  const shown = old >= 0 || area.inode === null ? old : area.inode.peek(area.indexOf(address));
  if (shown >= 0) space.content.copy(shown, frame);
  if (old >= 0) frames.drop(old);
  table.set(page, frame, ANONYMOUS | STABLE);
  return true;
}

/** Huge pages are not cut (hugetlb_vm_op_split). */
function checkBorders(space: UserSpace, start: number, end: number): void {
  for (const border of [start, end]) {
    const area = space.list.find(border);
    if (area?.huge && border % HUGE_BYTES !== 0) {
      fail('EINVAL', 'a mapping of huge pages is cut inside a huge page');
    }
  }
}

function dropArea(area: Vma): void {
  area.inode?.mappings.delete(area);
  area.device?.closed();
  if (area.file !== null) putFile(area.file);
}

/** Flags that say what a page is, not what may be done with it now. */
const KEPT = ANONYMOUS | STABLE | DEVICE;
const CHOICE_TOP = 0x7ffff7fff000;
