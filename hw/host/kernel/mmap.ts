/**
 * mmap: which file may be mapped how (do_mmap), and what then backs the area. The order of the
 * checks decides which errno a program sees.
 */
import { type OpenFile, PAGE_SIZE } from './api.ts';
import { fail } from './errno.ts';
import { SEAL_FUTURE_WRITE, SEAL_WRITE } from './inode.ts';
import type { Kernel } from './kernel.ts';
import { MemoryFile } from './memory-file.ts';
import type { UserProcess } from './process.ts';
import { chooseAddress, HUGE_BYTES, type MapRequest, mapArea } from './space-maps.ts';
import { PROT_EXEC, PROT_WRITE } from './vma.ts';

export const MAP_SHARED = 1;
export const MAP_PRIVATE = 2;
export const MAP_FIXED = 0x10;
export const MAP_ANONYMOUS = 0x20;
export const MAP_POPULATE = 0x8000;
export const MAP_HUGETLB = 0x40000;
export const MAP_FIXED_NOREPLACE = 0x100000;
const MAP_TYPE = 0xf;

export interface MmapArguments {
  /** 0: the kernel chooses. */
  readonly address?: number;
  readonly length: number;
  readonly prot: number;
  readonly flags: number;
  readonly fd?: number;
  readonly offset?: number;
}

/** Returns the address. */
export function mmap(kernel: Kernel, process: UserProcess, call: MmapArguments): number {
  const { flags, prot, offset = 0 } = call;
  if (offset % PAGE_SIZE !== 0) fail('EINVAL', 'the offset is not a multiple of the page size');
  const anonymous = (flags & MAP_ANONYMOUS) !== 0;
  const file = anonymous ? null : process.file(call.fd ?? -1);
  if (!anonymous && file === null) fail('EBADF', `descriptor ${call.fd} names no open file`);
  const huge = hugePages(file, flags);
  if (call.length <= 0) fail('EINVAL', 'the length is zero');
  const unit = huge ? HUGE_BYTES : PAGE_SIZE;
  const length = Math.ceil(call.length / unit) * unit;
  const type = flags & MAP_TYPE;
  const fixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) !== 0;
  const place = { address: call.address ?? 0, fixed, length, prot, shared: false, huge };
  const address = chooseAddress(process.space, place);
  if (
    (flags & MAP_FIXED_NOREPLACE) !== 0 &&
    !process.space.list.isFree(address, address + length)
  ) {
    fail('EEXIST', 'something is mapped there');
  }
  if (type !== MAP_SHARED && type !== MAP_PRIVATE) {
    fail('EINVAL', 'a mapping is either shared or private');
  }
  const shared = type === MAP_SHARED;
  const base = { ...place, address, shared, pageOffset: offset / PAGE_SIZE };
  if (file !== null) mapArea(process.space, address, backing(process, file, base));
  else if (!shared) mapArea(process.space, address, { ...base, pageOffset: 0 });
  else {
    const hidden = kernel.memoryFile(huge ? 'hugetlb' : 'shmem', length);
    mapArea(process.space, address, { ...base, pageOffset: 0, file: hidden, inode: hidden.inode });
  }
  if ((flags & MAP_POPULATE) !== 0) populate(process, address, length, prot);
  return address;
}

function hugePages(file: OpenFile | null, flags: number): boolean {
  const wanted = (flags & MAP_HUGETLB) !== 0;
  if (file === null) return wanted;
  const huge = file instanceof MemoryFile && file.inode.huge;
  if (wanted && !huge) fail('EINVAL', 'MAP_HUGETLB on a file without huge pages');
  return huge;
}

/** What a file puts behind the area: its own pages, or a device's. */
function backing(process: UserProcess, file: OpenFile, base: MapRequest): MapRequest {
  const { prot, shared, pageOffset = 0, length } = base;
  const write = (prot & PROT_WRITE) !== 0;
  if (shared && write && file.writable === false) {
    fail('EACCES', 'a shared writable mapping needs a file open for writing');
  }
  if (file.readable === false) fail('EACCES', 'a mapping needs a file open for reading');
  let mayWrite = !shared || file.writable !== false;
  if (!(file instanceof MemoryFile)) {
    if (file.mmap === undefined) fail('ENODEV', `a ${file.kind} file cannot be mapped`);
    const device = file.mmap(process, {
      offset: BigInt(pageOffset) * BigInt(PAGE_SIZE),
      length: BigInt(length),
      shared: shared && mayWrite,
      executable: (prot & PROT_EXEC) !== 0,
    });
    file.refs++;
    return { ...base, mayWrite, file, device, pageOffset: 0 };
  }
  const { inode } = file;
  if (inode.huge && (pageOffset * PAGE_SIZE) % HUGE_BYTES !== 0) {
    fail('EINVAL', 'the offset is not a multiple of the huge page size');
  }
  if (shared && (inode.seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) !== 0) {
    if (write) fail('EPERM', 'the file is sealed against writing');
    mayWrite = false;
  }
  file.refs++;
  return { ...base, mayWrite, file, inode };
}

/** MAP_POPULATE: from the first page that cannot be had, all stay absent; that is no error. */
function populate(process: UserProcess, address: number, length: number, prot: number): void {
  const write = (prot & PROT_WRITE) !== 0;
  for (let at = address; at < address + length; at += PAGE_SIZE) {
    if (!process.space.touch(at, write)) return;
  }
}
