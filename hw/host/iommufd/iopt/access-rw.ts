/**
 * Reading and writing through an IOAS by the kernel (iommufd_access_rw, iopt_pages_rw_access): as
 * the calling process where the memory is its own, otherwise through the frames. Bytes before an
 * error have been transferred.
 */
import type { KernelServices, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import { checkAccess } from './access-pins.ts';
import type { AreaTable } from './area-table.ts';
import type { Pages } from './pages.ts';

const PAGE = 4096;

/** Transfers bytes between `data` and [iova, last] in a call of a process; null: of none. */
export function transfer(
  table: AreaTable,
  caller: Process | null,
  iova: bigint,
  last: bigint,
  data: Uint8Array,
  write: boolean,
): void {
  let from = iova;
  for (let area = table.areas.find(iova, iova); ; area = table.areas.next(area)) {
    if (area === null || area.iova > from) {
      fail('ENOENT', `nothing is mapped at IOVA 0x${from.toString(16)}`);
    }
    checkAccess(area, write);
    const end = area.last < last ? area.last : last;
    const part = data.subarray(Number(from - iova), Number(end - iova) + 1);
    transferPages(area.pages, caller, area.byteAt(from), part, write);
    if (end === last) return;
    from = end + 1n;
  }
}

function transferPages(
  pages: Pages,
  caller: Process | null,
  start: bigint,
  data: Uint8Array,
  write: boolean,
): void {
  if (write && !pages.writable) fail('EPERM', 'the memory was mapped for reading only');
  if (pages.kind === 'dma-buf') fail('EINVAL', 'a dma-buf cannot be read or written by the kernel');
  const offset = Number(start & 0xfffn);
  const first = Number(start >> 12n);
  if (pages.kind === 'user') {
    const { space } = pages.owner;
    const address = pages.addressOf(start);
    if (space === caller?.space) {
      if (write) space.copyOut(address, data);
      else space.copyIn(address, data);
      return;
    }
    if (offset + data.length <= PAGE && space.alive) {
      pages.services.memory.point('EINVAL', 'access to a single page');
      const frame = space.pin(address - BigInt(offset), write);
      copyFrame(pages.services, frame, offset, data, write);
      pages.services.pins.unpin(frame);
      return;
    }
  }
  throughFrames(pages, first, offset, data, write);
}

/** iopt_pages_rw_slow: sees what a domain would see. */
function throughFrames(
  pages: Pages,
  first: number,
  offset: number,
  data: Uint8Array,
  write: boolean,
): void {
  const last = first + Math.floor((offset + data.length - 1) / PAGE);
  pages.services.memory.point('ENOMEM', 'batch of page frames');
  pages.hold(first, last);
  let at = offset;
  let done = 0;
  for (let index = first; index <= last; index++) {
    const bytes = Math.min(PAGE - at, data.length - done);
    const part = data.subarray(done, done + bytes);
    copyFrame(pages.services, pages.frame(index), at, part, write);
    done += bytes;
    at = 0;
  }
  pages.drop(first, last);
}

function copyFrame(
  services: KernelServices,
  frame: number,
  offset: number,
  data: Uint8Array,
  write: boolean,
): void {
  if (write) services.frames.write(frame, offset, data);
  else services.frames.read(frame, offset, data);
}
