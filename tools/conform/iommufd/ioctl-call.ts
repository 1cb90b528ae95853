/**
 * Replays one ioctl: the argument and what it points at are stored as recorded, the call is made,
 * and return, error number, argument, buffers and memory written through an IOAS are compared.
 */
import {
  FAULT_QUEUE_ALLOC,
  IOAS_MAP_FILE,
  VEVENTQ_ALLOC,
} from '../../../hw/host/iommufd/uapi/structs.ts';
import { TEST_CREATE_ACCESS } from '../../../hw/host/iommufd/uapi/test-structs.ts';
import { ERRNO, errnoName } from '../../../hw/host/kernel/errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../../hw/host/kernel/mmap.ts';
import type { SyscallResult } from '../../../hw/host/kernel/syscalls.ts';
import { PROT_READ, PROT_WRITE } from '../../../hw/host/kernel/vma.ts';
import { bytesOf, type IoctlOp, type RecordedPointer, type StoredBytes } from './cases.ts';
import { CallDifference, expectBytes, firstDifference } from './difference.ts';
import type { Program } from './program.ts';
import { fieldAt, fieldText, layoutOf } from './structs.ts';

/** Field that holds the pointer, and the bytes there before and after. */
interface Buffer {
  readonly at: number;
  readonly address: number;
  readonly before: Uint8Array;
  readonly after: Uint8Array;
}

const NO_BUFFERS: readonly Buffer[] = [];

export function replayIoctl(program: Program, op: IoctlOp): void {
  const argument = op.in === undefined ? null : bytesOf(op.in);
  const buffers = buffersOf(op);
  const address = argumentAddress(program, op, argument);
  if (argument !== null) program.store(address, argument);
  for (const { vma = [] } of op.ptr ?? []) for (const area of vma) mapUntold(program, area);
  for (const { address: at, before } of buffers) program.store(at, before);
  expectAnswer(op, call(program, op, BigInt(address)));
  if (argument !== null) {
    const expected = op.out === undefined ? argument : bytesOf(op.out);
    expectArgument(op.name, expected, program.load(address, expected.length));
  }
  for (const { at, address: there, after } of buffers) {
    const got = program.load(there, after.length);
    if (firstDifference(after, got) >= 0) expectBytes(`*${pointerName(op.name, at)}`, after, got);
  }
  for (const stored of op.mw ?? []) expectStored(program, stored);
}

function call(program: Program, op: IoctlOp, address: bigint): SyscallResult {
  const { shared, syscalls } = program;
  const word = Number(op.cmd);
  const fd = returnedFd(op);
  if (fd !== null) program.expectFree(fd);
  let result = syscalls.ioctl(op.fd, word, address);
  if (op.name === 'DESTROY' && op.err === 0 && shared.closesMissing) {
    for (const fd of program.returnedFds()) {
      if (result.errno !== ERRNO.EBUSY) break;
      syscalls.close(fd);
      result = syscalls.ioctl(op.fd, word, address);
    }
  }
  if (op.name === 'IOAS_MAP_FILE' && result.errno === 0) {
    shared.mapsItself ||= program.namesContext(mappedFd(op));
  }
  return result;
}

/** Where the structures of calls that return a descriptor have it. */
const FD_FIELDS: Readonly<Record<string, number>> = {
  FAULT_QUEUE_ALLOC: FAULT_QUEUE_ALLOC.at.out_fault_fd,
  VEVENTQ_ALLOC: VEVENTQ_ALLOC.at.out_veventq_fd,
  'TEST_CMD.CREATE_ACCESS': TEST_CREATE_ACCESS.at.out_access_fd,
};

/** The descriptor that a call is recorded to return. */
function returnedFd({ name, ret, err, out }: IoctlOp): number | null {
  if (err !== 0) return null;
  if (name === 'TEST_CMD.DMABUF_GET') return ret;
  const at = FD_FIELDS[name];
  if (at === undefined || out === undefined) return null;
  const bytes = bytesOf(out);
  if (bytes.length < at + 4) return null;
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(at, true);
}

function mappedFd(op: IoctlOp): number {
  const bytes = bytesOf(op.in ?? '');
  return new DataView(bytes.buffer, bytes.byteOffset).getInt32(IOAS_MAP_FILE.at.fd, true);
}

function buffersOf({ ptr }: IoctlOp): readonly Buffer[] {
  if (ptr === undefined) return NO_BUFFERS;
  const buffers: Buffer[] = [];
  for (const pointer of ptr) {
    if (pointer.in === undefined || pointer.in === '') continue;
    const before = bytesOf(pointer.in);
    const after = pointer.out === undefined ? before : bytesOf(pointer.out);
    buffers.push({ at: pointer.at, address: Number(pointer.va), before, after });
  }
  return buffers;
}

/** A mapping that the recording shows here for the first time. */
function mapUntold(
  { process, syscalls }: Program,
  [from, to, permissions]: NonNullable<RecordedPointer['vma']>[number],
): void {
  const [address, end] = [Number(from), Number(to)];
  if (!process.space.list.isFree(address, end)) return;
  const sharing = permissions.includes('s') ? MAP_SHARED : MAP_PRIVATE;
  const prot =
    (permissions.includes('r') ? PROT_READ : 0) | (permissions.includes('w') ? PROT_WRITE : 0);
  const flags = sharing | MAP_ANONYMOUS | MAP_FIXED;
  syscalls.mmap({ address, length: end - address, prot, flags });
}

/** An argument that is cut short must end where the program's memory ends. */
function argumentAddress(program: Program, op: IoctlOp, argument: Uint8Array | null): number {
  if (op.arg !== undefined) return Number(op.arg);
  if (op.a !== undefined) return Number(op.a);
  if (op.null === 1 || argument === null) return 0;
  return program.scratch(argument.length, op.w !== undefined && op.w > argument.length);
}

/** Compares what every system call returns. */
export function expectAnswer(
  { ret, err }: { readonly ret: number; readonly err: number },
  { value, errno, rule }: SyscallResult,
): void {
  if (errno !== err) throw new CallDifference('errno', errnoText(err), errnoText(errno), rule);
  if (errno === 0 && value !== ret) throw new CallDifference('return', String(ret), String(value));
}

export function errnoText(errno: number): string {
  return errno === 0 ? 'success' : errnoName(errno);
}

function expectArgument(name: string, expected: Uint8Array, got: Uint8Array): void {
  const at = firstDifference(expected, got);
  if (at < 0) return;
  const layout = layoutOf(name);
  const field = layout === null ? null : fieldAt(layout, at);
  if (layout === null || field === null) expectBytes('argument', expected, got);
  else
    throw new CallDifference(
      field,
      fieldText(layout, field, expected),
      fieldText(layout, field, got),
    );
}

function pointerName(name: string, at: number): string {
  const layout = layoutOf(name);
  return (layout === null ? null : fieldAt(layout, at)) ?? `pointer at ${at}`;
}

function expectStored(program: Program, stored: StoredBytes): void {
  const expected = bytesOf(stored[stored.length - 1] as string);
  expectBytes(`memory at ${stored[0]}`, expected, program.load(Number(stored[0]), expected.length));
}
