/** A process: address space, descriptors, credentials, limits. Descriptors name open files. */
import { InternalError } from '../../../sim/errors.ts';
import type { UserSpace } from './address-space.ts';
import type { Capabilities, OpenFile, Process, UserAccount } from './api.ts';
import { fail } from './errno.ts';
import { putFile } from './files.ts';
import type { KernelMemory } from './kernel-memory.ts';
import { dropSpace } from './space-maps.ts';

/** A descriptor taken for a call that has not finished. */
const RESERVED = 'reserved';
type Slot = OpenFile | typeof RESERVED | null;

/** The kernel as a process needs it. */
export interface ProcessHost {
  readonly memory: KernelMemory;
  readonly processes: Map<number, UserProcess>;
  user(uid: number): UserAccount;
}

export interface ProcessSpec {
  /** Whose RLIMIT_MEMLOCK counters are used. */
  readonly uid?: number;
  readonly capabilities?: Capabilities;
  /** RLIMIT_MEMLOCK in pages; absent: unlimited. */
  readonly memlockPages?: number;
  /** RLIMIT_NOFILE; descriptors set on purpose may lie above it. */
  readonly fdLimit?: number;
}

export class UserProcess implements Process {
  readonly pid: number;
  readonly kernel: ProcessHost;
  readonly space: UserSpace;
  readonly uid: number;
  readonly user: UserAccount;
  readonly capabilities: Capabilities;
  memlockPages: number;
  fdLimit: number;
  exited = false;
  private readonly fds: Slot[] = [];

  constructor(kernel: ProcessHost, pid: number, space: UserSpace, spec: ProcessSpec) {
    this.kernel = kernel;
    this.pid = pid;
    this.space = space;
    space.users++;
    this.uid = spec.uid ?? 0;
    this.user = kernel.user(this.uid);
    this.capabilities = { ...(spec.capabilities ?? ALL_CAPABILITIES) };
    this.memlockPages = spec.memlockPages ?? Number.MAX_SAFE_INTEGER;
    this.fdLimit = spec.fdLimit ?? 1024;
  }

  file(fd: number): OpenFile | null {
    const slot = this.fds[fd];
    return slot === undefined || slot === RESERVED ? null : slot;
  }

  reserveFd(): number {
    this.kernel.memory.point('ENOMEM', 'file descriptor');
    let fd = 0;
    while (fd < this.fds.length && this.fds[fd] !== null) fd++;
    if (fd >= this.fdLimit) fail('EMFILE', `all ${this.fdLimit} file descriptors are in use`);
    this.fds[fd] = RESERVED;
    return fd;
  }

  installFd(fd: number, file: OpenFile): void {
    if (this.fds[fd] !== RESERVED) {
      throw new InternalError('process', `descriptor ${fd} is installed without being reserved`);
    }
    this.fds[fd] = file;
  }

  releaseFd(fd: number): void {
    if (this.fds[fd] !== RESERVED) {
      throw new InternalError('process', `descriptor ${fd} is released without being reserved`);
    }
    this.fds[fd] = null;
  }

  /** Lets a given descriptor name the file (dup2): takes over one reference. */
  setFd(fd: number, file: OpenFile): void {
    while (this.fds.length < fd) this.fds.push(null);
    const old = this.file(fd);
    this.fds[fd] = file;
    if (old !== null) putFile(old);
  }

  /** close. */
  closeFd(fd: number): void {
    const file = this.file(fd);
    if (file === null) fail('EBADF', `descriptor ${fd} names no open file`);
    this.fds[fd] = null;
    putFile(file);
  }

  /** Descriptors in use, ascending. */
  openFds(): number[] {
    const open: number[] = [];
    for (let fd = 0; fd < this.fds.length; fd++) if (this.file(fd) !== null) open.push(fd);
    return open;
  }

  /** do_exit: the address space goes before the files. */
  exit(): void {
    if (this.exited) return;
    this.exited = true;
    if (--this.space.users === 0) dropSpace(this.space);
    for (const fd of this.openFds()) this.closeFd(fd);
    this.kernel.processes.delete(this.pid);
  }
}

const ALL_CAPABILITIES: Capabilities = { ipcLock: true, sysResource: true, sysRawio: true };
