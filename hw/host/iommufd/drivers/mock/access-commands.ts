/**
 * Ops of IOMMU_TEST_CMD that use an IOAS as a kernel driver without an IOMMU does (a mediated
 * device): access objects behind descriptors, which pin pages or read and write through them.
 */
import { PAGE_SIZE } from '../../../kernel/api.ts';
import { fail, isErrno } from '../../../kernel/errno.ts';
import type { IoctlCall } from '../../call.ts';
import { Access } from '../../objects/access.ts';
import {
  MOCK_ACCESS_RW_SLOW_PATH,
  MOCK_ACCESS_RW_WRITE,
  MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES,
  MOCK_FLAGS_ACCESS_SYZ,
  MOCK_FLAGS_ACCESS_WRITE,
} from '../../uapi/test-constants.ts';
import {
  TEST_ACCESS_PAGES,
  TEST_ACCESS_REPLACE_IOAS,
  TEST_ACCESS_RW,
  TEST_CMD,
  TEST_CREATE_ACCESS,
  TEST_DESTROY_ACCESS_PAGES,
} from '../../uapi/test-structs.ts';
import { AccessFile } from './access-file.ts';

const PAGE = BigInt(PAGE_SIZE);
/** Most bytes that a call pins, reads or writes. */
const LENGTH_MAX = 16n << 20n;
const RW_FLAGS = MOCK_ACCESS_RW_WRITE | MOCK_ACCESS_RW_SLOW_PATH | MOCK_FLAGS_ACCESS_SYZ;
const POINTER_BYTES = 8;

/** CREATE_ACCESS: the object takes an id; the descriptor holds it. */
export function createAccess(call: IoctlCall): void {
  const { at } = TEST_CREATE_ACCESS;
  const flags = call.u32(at.flags);
  if ((flags & ~MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES) !== 0) {
    fail('EOPNOTSUPP', `access flags 0x${flags.toString(16)}: only bit 0 (pins pages) is known`);
  }
  const { process, context } = call;
  const pins = flags !== 0;
  const file = new AccessFile(context.services, pins);
  try {
    const fd = reserveFd(call);
    try {
      const access = Access.create(context, {
        pin: pins,
        unmapped: (iova, length) => file.unmapped(iova, length),
      });
      try {
        access.attach(call.u32(at.id));
        call.setU32(at.out_access_fd, fd);
        call.respond();
      } catch (error) {
        access.close();
        throw error;
      }
      file.adopt(access);
      process.installFd(fd, file);
    } catch (error) {
      process.releaseFd(fd);
      throw error;
    }
  } catch (error) {
    context.services.put(file);
    throw error;
  }
}

/** ACCESS_REPLACE_IOAS. */
export function accessReplaceIoas(call: IoctlCall): void {
  accessFile(call).access.replace(call.u32(TEST_ACCESS_REPLACE_IOAS.at.ioas_id));
}

/** ACCESS_PAGES: pins a range under a number of its own. */
export function accessPages(call: IoctlCall): void {
  const { at } = TEST_ACCESS_PAGES;
  const { memory } = call.context.services;
  const length = call.u64(at.length);
  if (length > LENGTH_MAX) fail('ENOMEM', `more than ${LENGTH_MAX} bytes are pinned at once`);
  const flags = call.u32(at.flags);
  if ((flags & ~(MOCK_FLAGS_ACCESS_WRITE | MOCK_FLAGS_ACCESS_SYZ)) !== 0) {
    fail('EOPNOTSUPP', `pin flags 0x${flags.toString(16)} are not all known`);
  }
  const file = accessFile(call);
  if (!file.pins) fail('EOPNOTSUPP', 'the access was not made for pinning pages');
  const iova = rangeStart(file, flags, call.u64(at.iova));
  const array = Number(length / PAGE + 2n) * POINTER_BYTES;
  memory.take(array, 'page pointers');
  try {
    const write = (flags & MOCK_FLAGS_ACCESS_WRITE) !== 0;
    const frames = file.access.pinPages(iova, length, write);
    try {
      checkPages(call, frames, iova);
      call.setU32(at.out_access_pages_id, file.addItem(iova, length));
    } catch (error) {
      file.access.unpinPages(iova, length);
      throw error;
    }
    try {
      call.respond();
    } catch (error) {
      file.dropNewest();
      file.access.unpinPages(iova, length);
      throw error;
    }
  } finally {
    memory.give(array);
  }
}

/** DESTROY_ACCESS_PAGES: unpins what is under a number. */
export function destroyAccessPages(call: IoctlCall): void {
  accessFile(call).unpinItem(call.u32(TEST_DESTROY_ACCESS_PAGES.at.access_pages_id));
}

/** ACCESS_RW: copies between the IOAS and a user buffer, through a buffer of the kernel. */
export function accessReadWrite(call: IoctlCall): void {
  const { at } = TEST_ACCESS_RW;
  const { memory } = call.context.services;
  const { space } = call.process;
  const length = call.u64(at.length);
  if (length > LENGTH_MAX) fail('ENOMEM', `more than ${LENGTH_MAX} bytes are copied at once`);
  const flags = call.u32(at.flags);
  if ((flags & ~RW_FLAGS) !== 0) {
    fail('EOPNOTSUPP', `copy flags 0x${flags.toString(16)} are not all known`);
  }
  const file = accessFile(call);
  const bytes = Number(length);
  memory.take(bytes, 'copy buffer');
  try {
    const buffer = new Uint8Array(bytes);
    const user = call.u64(at.uptr);
    const write = (flags & MOCK_ACCESS_RW_WRITE) !== 0;
    if (write) space.copyIn(user, buffer);
    const iova = rangeStart(file, flags, call.u64(at.iova));
    const slow = (flags & MOCK_ACCESS_RW_SLOW_PATH) !== 0;
    file.access.rw(iova, buffer, write, slow ? null : call.process);
    if (!write) space.copyOut(user, buffer);
  } finally {
    memory.give(bytes);
  }
}

/** The pages pinned must be those that are at the user's address, if one is given. */
function checkPages(call: IoctlCall, frames: readonly number[], iova: bigint): void {
  const user = call.u64(TEST_ACCESS_PAGES.at.uptr);
  if (user === 0n) return;
  let page = BigInt.asUintN(64, user - (iova % PAGE));
  for (const frame of frames) {
    if (call.process.space.resolve(page, false) !== frame) {
      fail('EBADE', `check: the page pinned is not the one at 0x${page.toString(16)}`);
    }
    page = BigInt.asUintN(64, page + PAGE);
  }
}

/** The IOVA of a call, which a fuzzer may give as the number of a mapping and an offset into it. */
function rangeStart(file: AccessFile, flags: number, iova: bigint): bigint {
  if ((flags & MOCK_FLAGS_ACCESS_SYZ) === 0) return iova;
  const nth = Number(BigInt.asUintN(32, iova));
  const start = file.access.nthArea(nth);
  return start === null ? 0n : BigInt.asUintN(64, start + (iova >> 32n));
}

function accessFile(call: IoctlCall): AccessFile {
  const fd = call.s32(TEST_CMD.at.id);
  const file = call.process.file(fd);
  if (!(file instanceof AccessFile)) fail('EBADFD', `the descriptor ${fd} is no access file`);
  return file;
}

/** Linux's test driver answers a full descriptor table as a lack of memory. */
function reserveFd(call: IoctlCall): number {
  try {
    return call.process.reserveFd();
  } catch (error) {
    if (isErrno(error, 'EMFILE')) fail('ENOMEM', 'all descriptors are in use');
    throw error;
  }
}
