/**
 * The part of a kernel that /dev/iommu stands on: physical memory and its frames, the kernel's own
 * memory, device nodes and files by path, users, processes.
 */
import type { MemoryPort } from '../../memory/port.ts';
import { UserSpace } from './address-space.ts';
import type { KernelServices, OpenFile, Process, UserAccount } from './api.ts';
import { NullFile, putFile } from './files.ts';
import { frameBytesOf, type PortBytes } from './frame-bytes.ts';
import { type FrameSource, FrameTable } from './frame-table.ts';
import { MemoryInode } from './inode.ts';
import { KernelMemory } from './kernel-memory.ts';
import { MemoryFile, type MemoryFileKind } from './memory-file.ts';
import { type ProcessSpec, UserProcess } from './process.ts';
import { forkSpace } from './space-maps.ts';
import type { AttachBook, CallWork } from './work.ts';

export interface KernelSpec {
  readonly memory: MemoryPort;
  /** Where the frames of user memory come from. */
  readonly frames: FrameSource;
}

/** Opens a device node. */
export type NodeOpener = (process: Process) => OpenFile;

export class Kernel implements KernelServices {
  readonly memory: KernelMemory = new KernelMemory();
  readonly work: CallWork = this.memory.work;
  readonly attaching: AttachBook = { misfits: 0, freshMisfits: 0 };
  readonly frames: PortBytes;
  readonly pins: FrameTable;
  readonly pages: FrameTable;
  readonly processes: Map<number, UserProcess> = new Map();
  private readonly nodes = new Map<string, NodeOpener>();
  private readonly inodes = new Map<string, MemoryInode>();
  private readonly users = new Map<number, UserAccount>();
  private nextPid = 1;

  constructor(spec: KernelSpec) {
    this.frames = frameBytesOf(spec.memory);
    this.pins = new FrameTable(spec.frames, this.frames, this.work);
    this.pages = this.pins;
    this.registerNode('/dev/null', () => new NullFile());
  }

  get(file: OpenFile): void {
    file.refs++;
  }

  put(file: OpenFile): void {
    putFile(file);
  }

  registerNode(path: string, open: NodeOpener): void {
    this.nodes.set(path, open);
  }

  node(path: string): NodeOpener | null {
    return this.nodes.get(path) ?? null;
  }

  /** The counters of one user; the same for all of the user's processes. */
  user(uid: number): UserAccount {
    let account = this.users.get(uid);
    if (account === undefined) {
      account = { lockedPages: 0 };
      this.users.set(uid, account);
    }
    return account;
  }

  createProcess(spec: ProcessSpec = {}): UserProcess {
    return this.addProcess(new UserSpace(this.pins, this.frames), spec);
  }

  /**
   * fork: a copy of the address space (or the same one, CLONE_VM), the same open files, equal
   * credentials and limits.
   */
  forkProcess(parent: UserProcess, sameSpace = false): UserProcess {
    const { uid, capabilities, memlockPages, fdLimit } = parent;
    const spec = { uid, capabilities, memlockPages, fdLimit };
    const child = this.addProcess(sameSpace ? parent.space : forkSpace(parent.space), spec);
    for (const fd of parent.openFds()) {
      const file = parent.file(fd) as OpenFile;
      file.refs++;
      child.setFd(fd, file);
    }
    return child;
  }

  /** An open file of memory with no name: memfd_create, shared anonymous memory. */
  memoryFile(kind: MemoryFileKind, bytes = 0): MemoryFile {
    const inode = new MemoryInode(this.pins, this.frames, kind === 'hugetlb');
    inode.bytes = bytes;
    return new MemoryFile(kind, inode);
  }

  /** A regular file on tmpfs. */
  createFile(path: string, bytes = 0): MemoryInode {
    const inode = new MemoryInode(this.pins, this.frames, false);
    inode.bytes = bytes;
    inode.links++;
    this.inodes.set(path, inode);
    return inode;
  }

  inode(path: string): MemoryInode | null {
    return this.inodes.get(path) ?? null;
  }

  private addProcess(space: UserSpace, spec: ProcessSpec): UserProcess {
    const process = new UserProcess(this, this.nextPid++, space, spec);
    this.processes.set(process.pid, process);
    return process;
  }
}
