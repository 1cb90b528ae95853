/**
 * The ioctls on an IOAS (drivers/iommu/iommufd/ioas.c). The order of tests is the kernel's; what is
 * mapped or unmapped stays so when the answer cannot be written.
 */
import { fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import { PROT_CACHE, PROT_READ, PROT_WRITE } from '../driver.ts';
import { changeProcess } from '../iopt/change-process.ts';
import type { IoPageTable } from '../iopt/io-pagetable.ts';
import { giveRanges, takeRange } from '../iopt/iova-limits.ts';
import { AllowedRanges } from '../iopt/ranges.ts';
import { giveSlices, mapSlices, type Slice, takeSlices } from '../iopt/slices.ts';
import {
  IOMMU_IOAS_MAP_FIXED_IOVA,
  IOMMU_IOAS_MAP_READABLE,
  IOMMU_IOAS_MAP_WRITEABLE,
} from '../uapi/constants.ts';
import type { IoctlLayout } from '../uapi/layout.ts';
import {
  IOAS_ALLOC,
  IOAS_ALLOW_IOVAS,
  IOAS_CHANGE_PROCESS,
  IOAS_COPY,
  IOAS_IOVA_RANGES,
  IOAS_MAP,
  IOAS_MAP_FILE,
  IOAS_UNMAP,
} from '../uapi/structs.ts';
import { Ioas } from './ioas.ts';

const U64_MAX = 0xffff_ffff_ffff_ffffn;
const RANGE_BYTES = 16;
const SLOT_BYTES = 8;
const MAP_FLAGS = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;

function allocIoas(call: IoctlCall): void {
  const { at } = IOAS_ALLOC;
  const { objects } = call.context;
  if (call.u32(at.flags) !== 0) fail('EOPNOTSUPP', 'flags must be 0');
  const ioas = new Ioas(call.context);
  objects.reserve(ioas);
  try {
    call.setU32(at.out_ioas_id, ioas.id);
    call.respond();
  } catch (error) {
    objects.abort(ioas);
    throw error;
  }
  objects.publish(ioas);
}

function allowIovas(call: IoctlCall): void {
  const { at } = IOAS_ALLOW_IOVAS;
  const { objects } = call.context;
  if (call.u32(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved must be 0');
  const ioas = objects.get(call.u32(at.ioas_id), Ioas);
  const allowed = new AllowedRanges();
  try {
    readAllowed(call, allowed);
    ioas.table.setAllowed(allowed);
  } catch (error) {
    giveRanges(call.context.services.memory, allowed.ranges.length);
    throw error;
  } finally {
    objects.put(ioas);
  }
}

function readAllowed(call: IoctlCall, allowed: AllowedRanges): void {
  const { at } = IOAS_ALLOW_IOVAS;
  const { memory } = call.context.services;
  const { space } = call.process;
  const bytes = new Uint8Array(RANGE_BYTES);
  const view = new DataView(bytes.buffer);
  const count = call.u32(at.num_iovas);
  let address = call.u64(at.allowed_iovas);
  for (let i = 0; i < count; i++) {
    space.copyIn(address, bytes);
    address += BigInt(RANGE_BYTES);
    const start = view.getBigUint64(0, true);
    const last = view.getBigUint64(8, true);
    if (start >= last) fail('EINVAL', `range ${i}: start is not below last`);
    if (allowed.overlaps(start, last)) fail('EINVAL', `range ${i} overlaps one before it`);
    takeRange(memory);
    allowed.add(start, last);
  }
}

function iovaRanges(call: IoctlCall): void {
  const { at } = IOAS_IOVA_RANGES;
  const { objects } = call.context;
  if (call.u32(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved must be 0');
  const ioas = objects.get(call.u32(at.ioas_id), Ioas);
  try {
    const room = call.u32(at.num_iovas);
    const ranges = ioas.table.iovaRanges();
    const given = Math.min(room, ranges.length);
    const bytes = new Uint8Array(RANGE_BYTES);
    const view = new DataView(bytes.buffer);
    let address = call.u64(at.allowed_iovas);
    for (let i = 0; i < given; i++) {
      view.setBigUint64(0, ranges[i].start, true);
      view.setBigUint64(8, ranges[i].last, true);
      call.process.space.copyOut(address, bytes);
      address += BigInt(RANGE_BYTES);
    }
    call.setU32(at.num_iovas, ranges.length);
    call.setU64(at.out_iova_alignment, ioas.table.alignment);
    call.respond();
    if (ranges.length > room)
      fail('EMSGSIZE', `there are ${ranges.length} ranges, room for ${room}`);
  } finally {
    objects.put(ioas);
  }
}

/** Memory that the IOAS is coherent with is all there is (IOMMU_CACHE). */
function protOf(flags: number): number {
  let prot = PROT_CACHE;
  if ((flags & IOMMU_IOAS_MAP_READABLE) !== 0) prot |= PROT_READ;
  if ((flags & IOMMU_IOAS_MAP_WRITEABLE) !== 0) prot |= PROT_WRITE;
  return prot;
}

function checkFlags(flags: number): void {
  if ((flags & ~MAP_FLAGS) !== 0) {
    fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} has a bit that is not known`);
  }
}

/** Tested even where the IOVA is to be chosen. */
function checkBelowMax(iova: bigint, length: bigint): void {
  if (iova === U64_MAX || length === U64_MAX) {
    fail('EOVERFLOW', 'an IOVA or length of 2^64 - 1 cannot be used');
  }
}

function checkProt(flags: number): void {
  if ((flags & (IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE)) === 0) {
    fail('EINVAL', 'the mapping is neither READABLE nor WRITEABLE');
  }
}

function mapIoas(call: IoctlCall): void {
  const { at } = IOAS_MAP;
  const { context } = call;
  const flags = call.u32(at.flags);
  checkFlags(flags);
  if (call.u32(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved must be 0');
  const iova = call.u64(at.iova);
  const length = call.u64(at.length);
  checkBelowMax(iova, length);
  checkProt(flags);
  const ioas = context.objects.get(call.u32(at.ioas_id), Ioas);
  try {
    const fixed = (flags & IOMMU_IOAS_MAP_FIXED_IOVA) !== 0;
    const address = call.u64(at.user_va);
    const { process } = call;
    const prot = protOf(flags);
    const where = ioas.table.mapUser(context, process, iova, fixed, address, length, prot);
    if (!fixed) call.setU64(at.iova, where);
    call.respond();
  } finally {
    context.objects.put(ioas);
  }
}

function mapFile(call: IoctlCall): void {
  const { at } = IOAS_MAP_FILE;
  const { context } = call;
  const flags = call.u32(at.flags);
  checkFlags(flags);
  const iova = call.u64(at.iova);
  const length = call.u64(at.length);
  checkBelowMax(iova, length);
  checkProt(flags);
  const ioas = context.objects.get(call.u32(at.ioas_id), Ioas);
  try {
    const fixed = (flags & IOMMU_IOAS_MAP_FIXED_IOVA) !== 0;
    const start = call.u64(at.start);
    if (length === 0n) fail('EINVAL', 'length is 0');
    if (start + length - 1n > U64_MAX) fail('EOVERFLOW', `start + length ${length} overflows`);
    const fd = call.s32(at.fd);
    const { process } = call;
    const file = process.file(fd) ?? fail('EBADF', `descriptor ${fd} is not open`);
    const prot = protOf(flags);
    const where = ioas.table.mapFile(context, process, iova, fixed, file, start, length, prot);
    call.setU64(at.iova, where);
    call.respond();
  } finally {
    context.objects.put(ioas);
  }
}

function copyIoas(call: IoctlCall): void {
  const { at } = IOAS_COPY;
  const { objects } = call.context;
  const flags = call.u32(at.flags);
  checkFlags(flags);
  const sourceIova = call.u64(at.src_iova);
  const length = call.u64(at.length);
  checkBelowMax(sourceIova, length);
  checkBelowMax(call.u64(at.dst_iova), length);
  checkProt(flags);
  const slices = slicesOf(call, sourceIova, length);
  try {
    const ioas = objects.get(call.u32(at.dst_ioas_id), Ioas);
    try {
      const fixed = (flags & IOMMU_IOAS_MAP_FIXED_IOVA) !== 0;
      const iova = call.u64(at.dst_iova);
      const prot = protOf(flags);
      call.setU64(at.dst_iova, mapSlices(ioas.table, slices, length, iova, fixed, prot));
      call.respond();
    } finally {
      objects.put(ioas);
    }
  } finally {
    giveSlices(slices);
  }
}

function slicesOf(call: IoctlCall, iova: bigint, length: bigint): Slice[] {
  const { objects } = call.context;
  const ioas = objects.get(call.u32(IOAS_COPY.at.src_ioas_id), Ioas);
  try {
    return takeSlices(ioas.table, iova, length);
  } finally {
    objects.put(ioas);
  }
}

function unmapIoas(call: IoctlCall): void {
  const { at } = IOAS_UNMAP;
  const { objects } = call.context;
  const ioas = objects.get(call.u32(at.ioas_id), Ioas);
  try {
    call.setU64(at.length, unmapped(ioas.table, call.u64(at.iova), call.u64(at.length)));
    call.respond();
  } finally {
    objects.put(ioas);
  }
}

/** Only the removal of everything succeeds with nothing to remove. */
function unmapped(table: IoPageTable, iova: bigint, length: bigint): bigint {
  if (iova === 0n && length === U64_MAX) return table.unmapAll();
  checkBelowMax(iova, length);
  const bytes = table.unmap(iova, length);
  if (bytes === 0n)
    fail('ENOENT', `nothing is mapped in ${length} bytes at 0x${iova.toString(16)}`);
  return bytes;
}

function changeOwner(call: IoctlCall): void {
  const { objects, services } = call.context;
  if (call.u32(IOAS_CHANGE_PROCESS.at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved must be 0');
  const all = objects.objects().filter((object) => object instanceof Ioas);
  let taken = 0;
  try {
    for (; taken < all.length; taken++) services.memory.take(SLOT_BYTES, 'slot of an IOAS');
    changeProcess(
      all.map(({ table }) => table),
      call.process,
    );
  } finally {
    for (; taken > 0; taken--) services.memory.give(SLOT_BYTES);
  }
}

function command(name: string, layout: IoctlLayout, run: (call: IoctlCall) => void): Command {
  const { word, size, minSize } = layout;
  return { name, word, size, minSize, run };
}

export const IOAS_COMMANDS: readonly Command[] = [
  command('IOMMU_IOAS_ALLOC', IOAS_ALLOC, allocIoas),
  command('IOMMU_IOAS_ALLOW_IOVAS', IOAS_ALLOW_IOVAS, allowIovas),
  command('IOMMU_IOAS_COPY', IOAS_COPY, copyIoas),
  command('IOMMU_IOAS_IOVA_RANGES', IOAS_IOVA_RANGES, iovaRanges),
  command('IOMMU_IOAS_MAP', IOAS_MAP, mapIoas),
  command('IOMMU_IOAS_UNMAP', IOAS_UNMAP, unmapIoas),
  command('IOMMU_IOAS_MAP_FILE', IOAS_MAP_FILE, mapFile),
  command('IOMMU_IOAS_CHANGE_PROCESS', IOAS_CHANGE_PROCESS, changeOwner),
];
