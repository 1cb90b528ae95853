/**
 * Replays the system calls besides ioctl, and the changes of memory that programs made themselves.
 */
import { PAGE_SIZE } from '../../../hw/host/kernel/api.ts';
import { MemoryFile } from '../../../hw/host/kernel/memory-file.ts';
import { MAP_ANONYMOUS, MAP_FIXED } from '../../../hw/host/kernel/mmap.ts';
import { placePage } from '../../../hw/host/kernel/space-maps.ts';
import { PROT_READ } from '../../../hw/host/kernel/vma.ts';
import {
  bytesOf,
  type CloseOp,
  type FtruncateOp,
  type MemfdOp,
  type MemOp,
  type MmapOp,
  type MunmapOp,
  type OpenOp,
  type PhysOp,
  type PollOp,
  type ReadOp,
  type WriteOp,
} from './cases.ts';
import { CallDifference, expectBytes, expectSame } from './difference.ts';
import { errnoText, expectAnswer } from './ioctl-call.ts';
import type { Program } from './program.ts';

/** Size of a file that is none of ours. */
const UNTOLD_BYTES = 1 << 20;

/** Bytes for a read or write whose buffer is not recorded. */
const BUFFER_BYTES = 4096;

export function replayOpen(program: Program, op: OpenOp): void {
  if (program.kernel.node(op.path) === null && program.shared.closesMissing) {
    openUntold(program, op);
    return;
  }
  if (op.err === 0) program.expectFree(op.ret);
  expectAnswer(op, program.syscalls.open(op.path, op.flags));
}

/** A file that is none of ours; programs may map it privately. */
function openUntold({ kernel, process }: Program, { ret, err }: OpenOp): void {
  if (err === 0) process.setFd(ret, kernel.memoryFile('regular', UNTOLD_BYTES));
}

export function replayClose(program: Program, op: CloseOp): void {
  if (program.isUntold(op.fd, op.err)) return;
  expectAnswer(op, program.syscalls.close(op.fd));
}

export function replayMemfd(program: Program, op: MemfdOp): void {
  if (op.err === 0) program.expectFree(op.ret);
  expectAnswer(op, program.syscalls.memfdCreate(op.flags));
}

export function replayFtruncate(program: Program, op: FtruncateOp): void {
  if (program.isUntold(op.fd, op.err)) return;
  expectAnswer(op, program.syscalls.ftruncate(op.fd, op.len));
}

export function replayRead(program: Program, op: ReadOp): void {
  if (program.isUntold(op.fd, op.err)) return;
  const address = op.va === undefined ? program.scratch(BUFFER_BYTES) : Number(op.va);
  expectAnswer(op, program.syscalls.read(op.fd, BigInt(address), op.n));
  const expected = bytesOf(op.out ?? '');
  expectBytes('bytes read', expected, program.load(address, expected.length));
}

export function replayWrite(program: Program, op: WriteOp): void {
  if (program.isUntold(op.fd, op.err)) return;
  const address = op.va === undefined ? program.scratch(BUFFER_BYTES) : Number(op.va);
  program.store(address, bytesOf(op.in ?? ''));
  expectAnswer(op, program.syscalls.write(op.fd, BigInt(address), op.n));
}

export function replayPoll(program: Program, op: PollOp): void {
  const asked = op.fds.map(([fd, events]) => ({ fd, events, revents: 0 }));
  const { value } = program.syscalls.poll(asked);
  for (const [i, [fd, , revents]] of op.fds.entries()) {
    expectSame(`revents of fd ${fd}`, revents, asked[i]?.revents ?? 0);
  }
  expectSame('return', op.ret, value);
}

export function replayMmap(program: Program, op: MmapOp): void {
  const { len: length, prot, fd, off: offset = 0 } = op;
  // The place of a mapping that was refused is not known.
  const placed = op.va !== undefined && op.err === 0;
  const place = placed ? { address: Number(op.va) } : {};
  const flags = placed ? op.flags | MAP_FIXED : op.flags;
  const untold = (flags & MAP_ANONYMOUS) === 0 && program.isUntold(fd, op.err);
  if (untold) program.process.setFd(fd, program.kernel.memoryFile('regular', offset + length));
  const { value, errno, rule } = program.syscalls.mmap({
    ...{ ...place, length, prot, flags, fd, offset },
  });
  if (untold) program.process.closeFd(fd);
  if (errno !== op.err) {
    throw new CallDifference('errno', errnoText(op.err), errnoText(errno), rule);
  }
  if (errno !== 0 || op.va !== undefined) return;
  program.deviceMapping = value;
  if ((prot & PROT_READ) === 0 || op.word0 === undefined) return;
  const word = new DataView(program.load(value, 4).buffer).getUint32(0, true);
  expectSame('first word', op.word0, word);
}

export function replayMunmap(program: Program, op: MunmapOp): void {
  const address = op.va === undefined ? program.deviceMapping : Number(op.va);
  expectAnswer(op, program.syscalls.munmap(address, op.len));
}

/**
 * Pages go where they were; those of a file by its descriptor. A page that is pinned already stays
 * where it is: its frame may be told only when the program itself touches it.
 */
export function replayPhys(program: Program, op: PhysOp): void {
  const file = op.file === undefined ? null : program.process.file(op.file);
  const start = Number(op.va);
  const { pins, frames } = program.kernel;
  for (const [page, count, first] of op.runs) {
    for (let i = 0; i < count; i++) {
      // Nobody's frame may have been an earlier case's.
      if (pins.refs(first + i) === 0) frames.zero(first + i, 0, PAGE_SIZE);
      if (file instanceof MemoryFile) {
        file.inode.place((op.foff ?? 0) / PAGE_SIZE + page + i, first + i);
      } else placePage(program.process.space, start + (page + i) * PAGE_SIZE, first + i);
    }
  }
}

export function replayMemory(program: Program, op: MemOp): void {
  const bytes = bytesOf(op.h);
  const file = op.file === undefined ? null : program.process.file(op.file);
  if (file instanceof MemoryFile) file.inode.write(op.foff ?? 0, bytes);
  else program.store(Number(op.va), bytes);
}
