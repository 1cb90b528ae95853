/**
 * The process that a client of /dev/iommu runs in, as far as the client needs it: system calls, and
 * user memory to put arguments in. Kernel and tests supply it.
 */
import { invariant } from '../../../../sim/errors.ts';
import { ERRNO, Errno, type ErrnoName, errnoName } from '../../kernel/errno.ts';

/** What a system call returned: a value, or an error number with the rule that was broken. */
export interface SyscallAnswer {
  readonly value: number;
  /** 0: success. */
  readonly errno: number;
  readonly rule: string;
}

export interface CallingProcess {
  open(path: string): SyscallAnswer;
  close(fd: number): SyscallAnswer;
  ioctl(fd: number, command: number, argument: bigint): SyscallAnswer;
  read(fd: number, address: bigint, count: number): SyscallAnswer;
  write(fd: number, address: bigint, count: number): SyscallAnswer;
  /** Events of a file that are ready now (POLLIN 1, POLLOUT 4). */
  poll(fd: number, events: number): number;
  /** Maps a region of a file, shared, for reading and writing. */
  mapRegion(fd: number, offset: bigint, bytes: bigint): SyscallAnswer;
  /** Maps anonymous memory of at least so many bytes; returns its page-aligned address. */
  anonymous(bytes: number): bigint;
  /** Reads and writes user memory as the program itself does. */
  peek(address: bigint, into: Uint8Array): void;
  poke(address: bigint, bytes: Uint8Array): void;
}

/** The value of a system call; throws Errno where it was refused. */
export function valueFrom(answer: SyscallAnswer): number {
  if (answer.errno === 0) return answer.value;
  throw refusal(answer);
}

export function refusal(answer: SyscallAnswer): Errno {
  const name = errnoName(answer.errno);
  invariant(name in ERRNO, `error number ${answer.errno} is not one of the interface`);
  return new Errno(name as ErrnoName, answer.rule);
}

const CHUNK_BYTES = 1 << 16;
const ALIGNMENT = 8;

/**
 * User memory for the arguments of one call at a time. A large buffer gets a mapping of its own,
 * which is kept for the next one.
 */
export class Scratch {
  private readonly process: CallingProcess;
  private chunk = 0n;
  private used = CHUNK_BYTES;
  private large = 0n;
  private largeBytes = 0;
  private largeTaken = false;

  constructor(process: CallingProcess) {
    this.process = process;
  }

  /** A new call: everything placed before may be overwritten. */
  reset(): void {
    this.largeTaken = false;
    if (this.chunk !== 0n) this.used = 0;
  }

  /** Puts bytes into user memory; returns their address. */
  place(bytes: Uint8Array): bigint {
    const address = this.reserve(bytes.length);
    this.process.poke(address, bytes);
    return address;
  }

  private reserve(bytes: number): bigint {
    if (bytes > CHUNK_BYTES) return this.reserveLarge(bytes);
    if (this.used + bytes > CHUNK_BYTES) {
      this.chunk = this.process.anonymous(CHUNK_BYTES);
      this.used = 0;
    }
    const address = this.chunk + BigInt(this.used);
    this.used += Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
    return address;
  }

  private reserveLarge(bytes: number): bigint {
    if (this.largeTaken || this.largeBytes < bytes) {
      this.large = this.process.anonymous(bytes);
      this.largeBytes = bytes;
    }
    this.largeTaken = true;
    return this.large;
  }
}
