/**
 * Recorded cases of a real kernel's /dev/iommu as data: one line of a file is one sequence of system
 * calls with their answers (the README beside the recordings says what each field means).
 */
import { InputError } from '../../../sim/errors.ts';

export interface RecordedCase {
  readonly id: string;
  readonly src: 'selftest' | 'fuzz';
  readonly profile?: string;
  /** `all`, or CAP_IPC_LOCK dropped after the open, or none at all. */
  readonly caps: 'all' | 'no_ipc_lock' | 'none';
  /** RLIMIT_MEMLOCK in bytes; null: no limit. */
  readonly memlock: number | null;
  /** Which set of frames is behind the regions of a generated case. */
  readonly layout?: number;
  /** Answers depend on which frames are adjacent. */
  readonly phys_dependent?: boolean;
  readonly ops: readonly RecordedOp[];
}

interface Common {
  /** Who called: absent for the first process, otherwise a forked child. */
  readonly proc?: number;
}

interface Returned extends Common {
  readonly ret: number;
  readonly err: number;
}

export interface OpenOp extends Returned {
  readonly op: 'open';
  readonly path: string;
  readonly flags: number;
}

export interface CloseOp extends Returned {
  readonly op: 'close';
  readonly fd: number;
}

/** A pointer within an argument structure. */
export interface RecordedPointer {
  /** Offset of the field that holds it. */
  readonly at: number;
  readonly va: string;
  readonly len: number;
  /** Bytes there before and after, as far as readable; neither: only pinned or compared. */
  readonly in?: string;
  readonly out?: string;
  /** Mappings there: [start, end, permissions as in /proc/maps, file]. */
  readonly vma?: readonly (readonly [string, string, string, string])[];
}

/** Bytes that the kernel stored through an IOAS: [va, hex], or [va, fd, offset, hex]. */
export type StoredBytes = readonly [string, string] | readonly [string, number, number, string];

export interface IoctlOp extends Returned {
  readonly op: 'ioctl';
  readonly name: string;
  readonly fd: number;
  readonly cmd: string;
  /** Address of the argument; absent: the replayer's choice. */
  readonly a?: string;
  /** Argument that is a plain number. */
  readonly arg?: string;
  readonly null?: number;
  readonly in?: string;
  readonly out?: string;
  /** Bytes of the window when `in` is shorter: the rest is not mapped. */
  readonly w?: number;
  readonly ptr?: readonly RecordedPointer[];
  readonly mw?: readonly StoredBytes[];
}

export interface ReadOp extends Returned {
  readonly op: 'read';
  readonly fd: number;
  readonly n: number;
  readonly va?: string;
  /** The bytes that came; absent: none. */
  readonly out?: string;
}

export interface WriteOp extends Returned {
  readonly op: 'write';
  readonly fd: number;
  readonly n: number;
  readonly va?: string;
  readonly in?: string;
}

export interface PollOp extends Returned {
  readonly op: 'poll';
  readonly timeout: number;
  readonly fds: readonly (readonly [fd: number, events: number, revents: number])[];
}

/** Selftest: an address-space change at `va`. Generated: device pages at an address of no matter. */
export interface MmapOp extends Common {
  readonly op: 'mmap';
  readonly fd: number;
  readonly off?: number;
  readonly len: number;
  readonly prot: number;
  readonly flags: number;
  readonly err: number;
  readonly va?: string;
  readonly ok?: number;
  readonly word0?: number;
}

export interface MunmapOp extends Returned {
  readonly op: 'munmap';
  readonly len: number;
  readonly va?: string;
}

export interface MemfdOp extends Returned {
  readonly op: 'memfd';
  readonly flags: number;
}

export interface FtruncateOp extends Returned {
  readonly op: 'ftruncate';
  readonly fd: number;
  readonly len: number;
}

export interface ForkOp extends Common {
  readonly op: 'fork';
  readonly proc: number;
  readonly parent?: number;
}

/** Frames behind pages of memory or of a file: [page, count, first frame]. */
export type FrameRun = readonly [page: number, count: number, frame: number];

export interface PhysOp extends Common {
  readonly op: 'phys';
  readonly va: string;
  readonly file?: number;
  readonly foff?: number;
  readonly runs: readonly FrameRun[];
}

/** Content that the program itself stored. */
export interface MemOp extends Common {
  readonly op: 'mem';
  readonly va: string;
  readonly file?: number;
  readonly foff?: number;
  readonly h: string;
}

/** The process ends; recordings need not tell when. */
export interface ExitOp extends Common {
  readonly op: 'exit';
}

export interface TruncatedOp extends Common {
  readonly op: 'truncated';
}

export type RecordedOp =
  | OpenOp
  | CloseOp
  | IoctlOp
  | ReadOp
  | WriteOp
  | PollOp
  | MmapOp
  | MunmapOp
  | MemfdOp
  | FtruncateOp
  | ForkOp
  | PhysOp
  | MemOp
  | ExitOp
  | TruncatedOp;

/** Whether a line is meant as a recorded case, complete or not. */
export function isRecordedCase(line: unknown): boolean {
  const { src } = (line ?? {}) as Partial<RecordedCase>;
  return src === 'selftest' || src === 'fuzz';
}

/** A region of the generated cases' address space with the frames behind it. */
export interface RecordedRegion {
  readonly name: string;
  readonly va: string;
  readonly len: number;
  readonly runs: readonly FrameRun[];
}

export type RecordedLayout = readonly RecordedRegion[];

/** The content of fuzz-layouts.json. */
export function parseLayouts(text: string, path: string): readonly RecordedLayout[] {
  const { layouts } = JSON.parse(text) as { readonly layouts?: readonly RecordedLayout[] };
  if (!Array.isArray(layouts)) throw new InputError('vector', `${path}: no "layouts"`);
  return layouts;
}

/** Bytes that hexadecimal text stands for. */
export function bytesOf(hex: string): Uint8Array {
  return Buffer.from(hex, 'hex');
}
