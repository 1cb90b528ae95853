/**
 * The address space and the open files that every generated sequence starts with (README of the
 * recordings, "Fuzz address space"): regions at fixed addresses, their frames as recorded.
 */
import { PAGE_SIZE } from '../../../hw/host/kernel/api.ts';
import { EventFile, NullFile } from '../../../hw/host/kernel/files.ts';
import { SEAL_GROW, SEAL_SHRINK, SEAL_WRITE } from '../../../hw/host/kernel/inode.ts';
import type { Kernel } from '../../../hw/host/kernel/kernel.ts';
import { MemoryFile } from '../../../hw/host/kernel/memory-file.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../../hw/host/kernel/mmap.ts';
import type { UserProcess } from '../../../hw/host/kernel/process.ts';
import { placePage } from '../../../hw/host/kernel/space-maps.ts';
import { PROT_READ, PROT_WRITE } from '../../../hw/host/kernel/vma.ts';
import { InternalError } from '../../../sim/errors.ts';
import type { FrameRun, RecordedLayout } from './cases.ts';
import type { Program } from './program.ts';

const RW = PROT_READ | PROT_WRITE;

/** Regions whose content at the start depends on their number in this list. */
const FILLED = ['sh', 'pm', 'hg', 'ro', 'ff'] as const;

const SH = { address: 0x1000_0000, pages: 64 };
const PM = { address: 0x1010_0000, pages: 32 };
const HG = { address: 0x1020_0000, pages: 512 };
const RO = { address: 0x1040_0000, alias: 0x1050_0000, pages: 8 };
const NO_ACCESS = { address: 0x1041_0000, pages: 4 };
const DATA = { address: 0x2000_0000, pages: 16 };
const DRO = { address: 0x2010_0000, alias: 0x2020_0000, pages: 2 };
const FF = { address: 0x3000_0000, pages: 16 };

/** First of the frames of a layout that is not known; a multiple of a huge page's. */
const ASSUMED_FRAMES = 0x10_0000;

/** Descriptors that are open before the first call. */
const FD_FF = 100;
const FD_HUGE = 101;
const FD_NULL = 102;
const FD_FF_READ_ONLY = 103;
const FD_SEALED = 104;
const FD_EVENT = 105;
const FD_REGULAR = 106;
const FD_LOG = 900;

/** Frames as good as any where those of the recording are not known: in order of the files. */
export const ASSUMED_LAYOUT: RecordedLayout = [SH, PM, HG, RO, FF].map(({ address, pages }, i) => {
  const name = FILLED[i] as string;
  const first = ASSUMED_FRAMES + 2 * HG.pages * i;
  const runs = Array.from({ length: pages }, (_, page): FrameRun => {
    return [page, 1, first + (name === 'pm' ? permuted(page) : page)];
  });
  return { name, va: `0x${address.toString(16)}`, len: pages * PAGE_SIZE, runs };
});

/** Page of its file that a page of region pm shows. */
function permuted(page: number): number {
  return (13 * page + 5) % PM.pages;
}

export function prepareFuzzProgram(program: Program, layout: RecordedLayout): void {
  const { kernel, process } = program;
  for (const fd of [0, 1, 2, FD_LOG]) process.setFd(fd, new NullFile());
  const ff = memoryFile(kernel, 'memfd', FF.pages);
  const huge = memoryFile(kernel, 'hugetlb', HG.pages);
  process.setFd(FD_FF, ff);
  process.setFd(FD_HUGE, huge);
  process.setFd(FD_NULL, new NullFile());
  process.setFd(FD_FF_READ_ONLY, new MemoryFile('memfd', ff.inode, true, false));
  const sealed = memoryFile(kernel, 'memfd', 4);
  sealed.addSeals(SEAL_WRITE | SEAL_SHRINK | SEAL_GROW);
  process.setFd(FD_SEALED, sealed);
  process.setFd(FD_EVENT, new EventFile());
  process.setFd(FD_REGULAR, memoryFile(kernel, 'regular', 4));
  mapRegions(program, ff, huge);
  for (const region of layout) fillRegion(program, region);
}

function memoryFile(
  kernel: Kernel,
  kind: 'memfd' | 'hugetlb' | 'regular',
  pages: number,
): MemoryFile {
  return kernel.memoryFile(kind, pages * PAGE_SIZE);
}

function mapRegions(program: Program, ff: MemoryFile, huge: MemoryFile): void {
  const { kernel } = program;
  map(program, SH.address, SH.pages, RW, null);
  const shuffled = memoryFile(kernel, 'memfd', PM.pages);
  for (let i = 0; i < PM.pages; i++) {
    map(program, PM.address + i * PAGE_SIZE, 1, RW, shuffled, permuted(i));
  }
  map(program, HG.address, HG.pages, RW, huge);
  const readOnly = memoryFile(kernel, 'memfd', RO.pages);
  map(program, RO.address, RO.pages, PROT_READ, readOnly);
  map(program, RO.alias, RO.pages, RW, readOnly);
  map(program, NO_ACCESS.address, NO_ACCESS.pages, 0, null, 0, MAP_PRIVATE);
  map(program, DATA.address, DATA.pages, RW, null);
  const data = memoryFile(kernel, 'memfd', DRO.pages);
  map(program, DRO.address, DRO.pages, PROT_READ, data);
  map(program, DRO.alias, DRO.pages, RW, data);
  map(program, FF.address, FF.pages, RW, ff);
  // Only their mappings keep these files.
  for (const file of [shuffled, readOnly, data]) kernel.put(file);
}

/** Maps a file through a descriptor that is closed again, as the generator did. */
function map(
  { kernel, process, syscalls }: Program,
  address: number,
  pages: number,
  prot: number,
  file: MemoryFile | null,
  filePage = 0,
  sharing: number = MAP_SHARED,
): void {
  const flags = sharing | MAP_FIXED | (file === null ? MAP_ANONYMOUS : 0);
  const fd = file === null ? -1 : install(process, file);
  if (file !== null) kernel.get(file);
  const offset = filePage * PAGE_SIZE;
  const { errno, rule } = syscalls.mmap({
    ...{ address, length: pages * PAGE_SIZE, prot, flags, fd, offset },
  });
  if (fd >= 0) syscalls.close(fd);
  if (errno !== 0) throw new InternalError('conform', `region at ${address}: ${rule}`);
}

function install(process: UserProcess, file: MemoryFile): number {
  const fd = process.reserveFd();
  process.installFd(fd, file);
  return fd;
}

const contents = new Map<string, Uint8Array>();

/** What a region holds at the start, by address. */
function contentOf(name: string, bytes: number): Uint8Array {
  const known = contents.get(name);
  if (known !== undefined) return known;
  const i = FILLED.indexOf(name as (typeof FILLED)[number]);
  const content = Uint8Array.from({ length: bytes }, (_, o) => {
    return (37 * i + 11 * Math.floor(o / PAGE_SIZE) + 3 * o) & 0xff;
  });
  contents.set(name, content);
  return content;
}

function fillRegion(
  { kernel, process }: Program,
  { name, va, len, runs }: RecordedLayout[number],
): void {
  const start = Number(va);
  const content = contentOf(name, len);
  for (const [page, count, first] of runs) {
    for (let i = 0; i < count; i++) {
      const at = (page + i) * PAGE_SIZE;
      if (!placePage(process.space, start + at, first + i)) {
        throw new InternalError('conform', `frame ${first + i} cannot be behind ${name}`);
      }
      kernel.frames.write(first + i, 0, content.subarray(at, at + PAGE_SIZE));
    }
  }
}
