/**
 * A user address space: its areas, its page table, and what the kernel does to user memory: copies
 * that fault pages in, and long-term pins (pin_user_pages with FOLL_LONGTERM). A page whose entry
 * allows the access costs one table look-up; everything else goes through `fault`.
 */
import { type AddressSpace, PAGE_SIZE } from './api.ts';
import { Errno, fail } from './errno.ts';
import type { PortBytes } from './frame-bytes.ts';
import { type FrameTable, HUGE_FRAMES } from './frame-table.ts';
import {
  ANONYMOUS,
  DEVICE,
  PageTable,
  PRESENT,
  STABLE,
  TABLE_PAGES,
  type Table,
  WRITABLE,
} from './page-table.ts';
import { PROT_READ, PROT_WRITE, USER_END, type Vma, VmaList } from './vma.ts';

/** What an entry must have: for a read, a write, and a pin for either. */
const FOR_READ = PRESENT;
const FOR_WRITE = PRESENT | WRITABLE;
const FOR_READ_PIN = PRESENT | STABLE;
const FOR_WRITE_PIN = PRESENT | WRITABLE | STABLE;

export class UserSpace implements AddressSpace {
  pinnedVm = 0;
  lockedVm = 0;
  alive = true;
  /** Processes that use it (mm_users). */
  users = 0;
  readonly list = new VmaList();
  readonly table = new PageTable();
  readonly frames: FrameTable;
  readonly content: PortBytes;

  constructor(frames: FrameTable, content: PortBytes) {
    this.frames = frames;
    this.content = content;
  }

  copyIn(address: bigint, into: Uint8Array): void {
    let at = checked(address, into.length);
    this.frames.work.bytesCopied += into.length;
    let offset = at & (PAGE_SIZE - 1);
    if (offset + into.length <= PAGE_SIZE) {
      if (into.length > 0) this.content.read(this.reach(at, FOR_READ), offset, into);
      return;
    }
    for (let done = 0; done < into.length; ) {
      const length = Math.min(PAGE_SIZE - offset, into.length - done);
      const frame = this.reach(at, FOR_READ);
      this.content.read(frame, offset, into.subarray(done, done + length));
      done += length;
      at += length;
      offset = 0;
    }
  }

  copyOut(address: bigint, bytes: Uint8Array): void {
    let at = checked(address, bytes.length);
    this.frames.work.bytesCopied += bytes.length;
    let offset = at & (PAGE_SIZE - 1);
    if (offset + bytes.length <= PAGE_SIZE) {
      if (bytes.length > 0) this.content.write(this.reach(at, FOR_WRITE), offset, bytes);
      return;
    }
    for (let done = 0; done < bytes.length; ) {
      const length = Math.min(PAGE_SIZE - offset, bytes.length - done);
      const frame = this.reach(at, FOR_WRITE);
      this.content.write(frame, offset, bytes.subarray(done, done + length));
      done += length;
      at += length;
      offset = 0;
    }
  }

  clear(address: bigint, bytes: bigint): void {
    if (bytes > BigInt(USER_END)) outside(address);
    const count = Number(bytes);
    let at = checked(address, count);
    this.frames.work.bytesCopied += count;
    for (let left = count; left > 0; ) {
      const offset = at & (PAGE_SIZE - 1);
      const length = Math.min(PAGE_SIZE - offset, left);
      this.content.zero(this.reach(at, FOR_WRITE), offset, length);
      left -= length;
      at += length;
    }
  }

  pin(address: bigint, write: boolean): number {
    const frame = this.reach(checked(address, 1), write ? FOR_WRITE_PIN : FOR_READ_PIN);
    this.frames.pin(frame);
    return frame;
  }

  /** get_user_pages without a pin: the frame that an access now meets. */
  resolve(address: bigint, write: boolean): number {
    return this.reach(checked(address, 1), write ? FOR_WRITE : FOR_READ);
  }

  /** Makes a page present; false where it cannot be. */
  touch(address: number, write: boolean): boolean {
    try {
      this.reach(address, write ? FOR_WRITE : FOR_READ);
      return true;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return false;
    }
  }

  frameAt(address: bigint): number {
    const at = Number(address);
    return at < USER_END ? this.table.frame(Math.floor(at / PAGE_SIZE)) : -1;
  }

  zap(start: number, end: number): void {
    const stop = end / PAGE_SIZE;
    let page = this.table.next(start / PAGE_SIZE, stop);
    for (; page >= 0; page = this.table.next(page + 1, stop)) {
      if ((this.table.flags(page) & DEVICE) === 0) this.frames.drop(this.table.frame(page));
      this.table.remove(page);
    }
  }

  /** Frame of the page at an address once its entry has all bits of `need`; EFAULT. */
  private reach(address: number, need: number): number {
    const page = Math.floor(address / PAGE_SIZE);
    const table = this.table.find(page);
    if (table !== null) {
      const at = page & (TABLE_PAGES - 1);
      if ((table.flags[at] & need) === need) return table.frames[at] - 1;
    }
    return this.fault(address, page, need);
  }

  /** handle_mm_fault: makes the entry fit, or refuses. */
  private fault(address: number, page: number, need: number): number {
    const area = this.list.find(address);
    if (area === null) return refuse(address, 'nothing is mapped there');
    const write = (need & WRITABLE) !== 0;
    if ((area.prot & PROT_READ) === 0) return refuse(address, 'it may not be accessed');
    if (write && (area.prot & PROT_WRITE) === 0) return refuse(address, 'it is read-only');
    if (area.device !== null && (need & STABLE) !== 0) {
      return refuse(address, 'device memory cannot be pinned');
    }
    // A write or a long-term pin of private memory needs a page that is this process' own.
    const own = !area.shared && (need & (WRITABLE | STABLE)) !== 0;
    const table = this.table.make(page);
    const at = page & (TABLE_PAGES - 1);
    if (area.device !== null) mapDevice(area, table, at, address);
    else if (area.huge) this.faultHuge(area, table, page, own);
    else {
      if (table.frames[at] === 0) this.install(area, table, at, address, own);
      if (own) this.makeOwn(table, at);
    }
    allow(area, table, at, write);
    return table.frames[at] - 1;
  }

  /** The first touch of a page: the file's frame, a new one, or the shared frame of zeros. */
  private install(area: Vma, table: Table, at: number, address: number, own: boolean): void {
    const { inode } = area;
    if (inode !== null) {
      const frame = inode.frame(area.indexOf(address));
      if (frame < 0) refuse(address, 'it is past the end of the mapped file');
      this.frames.hold(frame);
      table.frames[at] = frame + 1;
      table.flags[at] = area.shared ? STABLE : 0;
    } else if (own) {
      table.frames[at] = this.frames.alloc() + 1;
      table.flags[at] = ANONYMOUS | STABLE;
    } else {
      const { zero } = this.frames;
      this.frames.hold(zero);
      table.frames[at] = zero + 1;
      table.flags[at] = 0;
    }
  }

  /** Ends copy-on-write (wp_page_copy, or reuse by the last user). */
  private makeOwn(table: Table, at: number): void {
    const flags = table.flags[at];
    if ((flags & STABLE) !== 0) return;
    const old = table.frames[at] - 1;
    if ((flags & ANONYMOUS) !== 0 && this.frames.refs(old) === 1) {
      table.flags[at] |= STABLE;
      return;
    }
    const frame = this.frames.alloc();
    this.content.copy(old, frame);
    this.frames.drop(old);
    table.frames[at] = frame + 1;
    table.flags[at] = ANONYMOUS | STABLE;
  }

  /** As install and makeOwn, for the whole huge page that contains `page`. */
  private faultHuge(area: Vma, table: Table, page: number, own: boolean): void {
    const start = page - (page % HUGE_FRAMES);
    const at = page & (TABLE_PAGES - 1);
    if (table.frames[at] === 0) {
      const { inode } = area;
      if (inode !== null) {
        for (let i = 0; i < HUGE_FRAMES; i++) {
          this.install(area, table, i, (start + i) * PAGE_SIZE, own);
        }
      } else {
        this.fillHuge(table, this.frames.allocHuge());
      }
    }
    if (!own || (table.flags[at] & STABLE) !== 0) return;
    if ((table.flags[at] & ANONYMOUS) !== 0 && this.frames.refs(table.frames[at] - 1) === 1) {
      for (let i = 0; i < HUGE_FRAMES; i++) table.flags[i] |= STABLE;
      return;
    }
    const first = this.frames.allocHuge();
    for (let i = 0; i < HUGE_FRAMES; i++) {
      this.content.copy(table.frames[i] - 1, first + i);
      this.frames.drop(table.frames[i] - 1);
      table.frames[i] = 0;
    }
    this.fillHuge(table, first);
  }

  private fillHuge(table: Table, first: number): void {
    for (let i = 0; i < HUGE_FRAMES; i++) {
      // A page that a recorded layout has placed stays where it is.
      if (table.frames[i] !== 0) this.frames.drop(first + i);
      else table.frames[i] = first + i + 1;
      table.flags[i] = ANONYMOUS | STABLE;
    }
  }
}

function mapDevice(area: Vma, table: Table, at: number, address: number): void {
  const frame = area.device?.frames[area.indexOf(address)];
  if (frame === undefined) refuse(address, 'the device has no page there');
  table.frames[at] = frame + 1;
  table.flags[at] = DEVICE;
}

/** Sets what the area's protection allows now; private pages become writable by a write only. */
function allow(area: Vma, table: Table, at: number, write: boolean): void {
  const writable = write || (area.shared && (area.prot & PROT_WRITE) !== 0);
  table.flags[at] |= writable ? PRESENT | WRITABLE : PRESENT;
}

/** An address as a number, when [address, address + length) is all user space; EFAULT. */
function checked(address: bigint, length: number): number {
  const at = Number(address);
  if (at + length > USER_END && length > 0) outside(address);
  return at;
}

function outside(address: bigint): never {
  fail('EFAULT', `0x${address.toString(16)} is not a user address`);
}

function refuse(address: number, why: string): never {
  fail('EFAULT', `user address 0x${address.toString(16)}: ${why}`);
}
