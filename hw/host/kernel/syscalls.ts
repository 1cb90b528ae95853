/**
 * System calls of one process. Each answers what the program would see: a value, or -1 with errno
 * and the rule that refused. Generic checks (bad descriptors, operations that a file does not have)
 * as in fs/ and mm/; everything else is the file's.
 */
import { type OpenFile, PAGE_SIZE } from './api.ts';
import { Errno, fail } from './errno.ts';
import { SEAL_SEAL } from './inode.ts';
import type { Kernel } from './kernel.ts';
import { MemoryFile } from './memory-file.ts';
import { type MmapArguments, mmap } from './mmap.ts';
import { openPath } from './open.ts';
import type { UserProcess } from './process.ts';
import { protectRange, unmapRange } from './space-maps.ts';
import { USER_END } from './vma.ts';

export interface SyscallResult {
  /** Return value; -1 when refused. */
  readonly value: number;
  /** Positive error number; 0 when not refused. */
  readonly errno: number;
  /** Why it was refused, for a person. */
  readonly rule: string;
}

export interface PollEntry {
  readonly fd: number;
  readonly events: number;
  revents: number;
}

const POLLERR = 8;
const POLLHUP = 0x10;
const POLLNVAL = 0x20;
/** Files without a poll operation are always ready: IN, OUT, RDNORM, WRNORM. */
const DEFAULT_POLL = 0x145;
/** MAX_RW_COUNT. */
const TRANSFER_MAX = 0x7ffff000;

const FIONBIO = 0x5421;
const FIONCLEX = 0x5450;
const FIOCLEX = 0x5451;

const DONE: SyscallResult = { value: 0, errno: 0, rule: '' };

const MFD_ALLOW_SEALING = 2;
const MFD_HUGETLB = 4;
const MFD_NOEXEC_SEAL = 8;
/** CLOEXEC, ALLOW_SEALING, HUGETLB, NOEXEC_SEAL, EXEC. */
const MFD_FLAGS = 0x1f;
const MFD_HUGE_2MB = 21 << 26;

export class Syscalls {
  readonly kernel: Kernel;
  readonly process: UserProcess;

  constructor(kernel: Kernel, process: UserProcess) {
    this.kernel = kernel;
    this.process = process;
  }

  /** Flags: 0 read, 1 write, 2 both. */
  open(path: string, flags = 2): SyscallResult {
    return run(() => {
      const fd = this.process.reserveFd();
      try {
        this.process.installFd(fd, openPath(this.kernel, this.process, path, flags));
        return fd;
      } catch (error) {
        this.process.releaseFd(fd);
        throw error;
      }
    });
  }

  close(fd: number): SyscallResult {
    return run(() => {
      this.process.closeFd(fd);
      return 0;
    });
  }

  ioctl(fd: number, command: number, argument: bigint): SyscallResult {
    try {
      const file = this.process.file(fd);
      if (file === null) badFd(fd);
      const address = BigInt.asUintN(64, argument);
      if (command >>> 8 === 0x54 && this.descriptorIoctl(command, address)) return DONE;
      if (file.ioctl === undefined) fail('ENOTTY', `a ${file.kind} file has no ioctl`);
      // The call holds the file: another process may close it meanwhile.
      file.refs++;
      try {
        return { value: file.ioctl(this.process, command >>> 0, address), errno: 0, rule: '' };
      } finally {
        this.kernel.put(file);
      }
    } catch (error) {
      return refused(error);
    }
  }

  read(fd: number, address: bigint, count: number): SyscallResult {
    return run(() => {
      const file = this.file(fd);
      if (file.readable === false) fail('EBADF', `descriptor ${fd} is not open for reading`);
      if (file.read === undefined) fail('EINVAL', `a ${file.kind} file cannot be read`);
      return file.read(this.process, address, transfer(address, count));
    });
  }

  write(fd: number, address: bigint, count: number): SyscallResult {
    return run(() => {
      const file = this.file(fd);
      if (file.writable === false) fail('EBADF', `descriptor ${fd} is not open for writing`);
      if (file.write === undefined) fail('EINVAL', `a ${file.kind} file cannot be written`);
      return file.write(this.process, address, transfer(address, count));
    });
  }

  /** Does not wait; fills `revents` and returns how many entries have any. */
  poll(entries: readonly PollEntry[]): SyscallResult {
    let ready = 0;
    for (const entry of entries) {
      entry.revents = this.pollOne(entry);
      if (entry.revents !== 0) ready++;
    }
    return { value: ready, errno: 0, rule: '' };
  }

  mmap(request: MmapArguments): SyscallResult {
    return run(() => mmap(this.kernel, this.process, request));
  }

  munmap(address: number, length: number): SyscallResult {
    return run(() => {
      unmapRange(this.process.space, address, checkedRange(address, length));
      return 0;
    });
  }

  mprotect(address: number, length: number, prot: number): SyscallResult {
    return run(() => {
      if (length === 0) return 0;
      protectRange(this.process.space, address, checkedRange(address, length), prot);
      return 0;
    });
  }

  memfdCreate(flags = 0): SyscallResult {
    return run(() => {
      const huge = (flags & MFD_HUGETLB) !== 0;
      const known = huge ? MFD_FLAGS | MFD_HUGE_2MB : MFD_FLAGS;
      if ((flags & ~known) !== 0) fail('EINVAL', 'unknown memfd flags');
      const fd = this.process.reserveFd();
      const file = this.kernel.memoryFile(huge ? 'hugetlb' : 'memfd');
      if ((flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL)) === 0) file.inode.seals = SEAL_SEAL;
      this.process.installFd(fd, file);
      return fd;
    });
  }

  /** fcntl(F_ADD_SEALS). */
  addSeals(fd: number, seals: number): SyscallResult {
    return run(() => {
      const file = this.file(fd);
      if (!(file instanceof MemoryFile)) fail('EINVAL', `a ${file.kind} file has no seals`);
      file.addSeals(seals);
      return 0;
    });
  }

  ftruncate(fd: number, bytes: number): SyscallResult {
    return run(() => {
      if (bytes < 0) fail('EINVAL', 'a size is not negative');
      const file = this.file(fd);
      if (!(file instanceof MemoryFile)) fail('EINVAL', `a ${file.kind} file has no size to set`);
      file.truncate(bytes);
      return 0;
    });
  }

  /** The child's pid; `kernel.processes` has it. */
  fork(sameSpace = false): SyscallResult {
    return run(() => this.kernel.forkProcess(this.process, sameSpace).pid);
  }

  exit(): SyscallResult {
    this.process.exit();
    return { value: 0, errno: 0, rule: '' };
  }

  /** What every descriptor answers before its file is asked (do_vfs_ioctl). */
  private descriptorIoctl(command: number, address: bigint): boolean {
    if (command === FIONBIO) this.process.space.copyIn(address, new Uint8Array(4));
    return command === FIOCLEX || command === FIONCLEX || command === FIONBIO;
  }

  private pollOne({ fd, events }: PollEntry): number {
    if (fd < 0) return 0;
    const file = this.process.file(fd);
    if (file === null) return POLLNVAL;
    const ready = file.poll === undefined ? DEFAULT_POLL : file.poll();
    return ready & (events | POLLERR | POLLHUP);
  }

  private file(fd: number): OpenFile {
    return this.process.file(fd) ?? badFd(fd);
  }
}

function badFd(fd: number): never {
  fail('EBADF', `descriptor ${fd} names no open file`);
}

/** access_ok and rw_verify_area: bytes that the file is asked for. */
function transfer(address: bigint, count: number): number {
  if (count < 0 || Number(address) + count > USER_END) {
    fail('EFAULT', `${count} bytes at 0x${address.toString(16)} are not all user addresses`);
  }
  return Math.min(count, TRANSFER_MAX);
}

/** Length of a range in whole pages; EINVAL. */
function checkedRange(address: number, length: number): number {
  if (address % PAGE_SIZE !== 0) fail('EINVAL', 'the address is not a multiple of the page size');
  if (address > USER_END || length > USER_END - address) {
    fail('EINVAL', 'the range ends beyond user space');
  }
  const whole = Math.ceil(length / PAGE_SIZE) * PAGE_SIZE;
  if (whole <= 0) fail('EINVAL', 'the range is empty');
  return whole;
}

function run(call: () => number): SyscallResult {
  try {
    return { value: call(), errno: 0, rule: '' };
  } catch (error) {
    return refused(error);
  }
}

function refused(error: unknown): SyscallResult {
  if (!(error instanceof Errno)) throw error;
  return { value: -1, errno: error.errno, rule: error.rule };
}
