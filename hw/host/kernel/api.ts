/**
 * What the parts of the simulated kernel know of each other: a process with its address space,
 * credentials and limits, open files, and pinned pages. hw/host/iommufd is written against this.
 * User addresses and lengths that come from a caller are 64-bit (bigint); page and frame numbers
 * are exact numbers.
 */
import type { KernelMemory } from './kernel-memory.ts';
import type { AttachBook, CallWork } from './work.ts';

export const PAGE_SIZE = 4096;

export interface Capabilities {
  /** CAP_IPC_LOCK, CAP_SYS_RESOURCE, CAP_SYS_RAWIO as of now (they can be dropped). */
  ipcLock: boolean;
  sysResource: boolean;
  sysRawio: boolean;
}

/** Page counters of one user (RLIMIT_MEMLOCK counts per user). */
export interface UserAccount {
  lockedPages: number;
}

export interface AddressSpace {
  /** mm->pinned_vm and mm->locked_vm, in pages. */
  pinnedVm: number;
  lockedVm: number;
  /** False once the last process that uses it has exited: nothing can be pinned any more. */
  readonly alive: boolean;
  /** copy_from_user: fills `into` from `address`; EFAULT where it is not readable. */
  copyIn(address: bigint, into: Uint8Array): void;
  /** copy_to_user: bytes before the first unwritable page are written, then EFAULT. */
  copyOut(address: bigint, bytes: Uint8Array): void;
  /** clear_user: writes zeros. */
  clear(address: bigint, bytes: bigint): void;
  /**
   * pin_user_pages(FOLL_LONGTERM): pins the page that contains `address`; returns its frame number.
   * Breaks copy-on-write first. EFAULT: not mapped, or not writable when `write`.
   */
  pin(address: bigint, write: boolean): number;
  /** get_user_pages without a pin: the frame that an access now meets. EFAULT. */
  resolve(address: bigint, write: boolean): number;
  /** Whether and where a page is present without pinning it: frame number or -1. */
  frameAt(address: bigint): number;
}

export interface Process {
  readonly pid: number;
  readonly space: AddressSpace;
  readonly user: UserAccount;
  readonly capabilities: Capabilities;
  /** RLIMIT_MEMLOCK in pages. */
  memlockPages: number;
  /** The open file of a descriptor; null when there is none. */
  file(fd: number): OpenFile | null;
  /** Lowest free descriptor, reserved (get_unused_fd_flags); EMFILE when there is none. */
  reserveFd(): number;
  /** fd_install: the reserved descriptor now names the file (takes over one reference). */
  installFd(fd: number, file: OpenFile): void;
  /** put_unused_fd. */
  releaseFd(fd: number): void;
}

/** An open file description: shared by the descriptors (also of forked processes) that name it. */
export interface OpenFile {
  /** 'iommufd', 'fault', 'veventq', 'access', 'memfd', 'dma-buf', 'vfio-device', 'null', ... */
  readonly kind: string;
  /** References: descriptors, mappings, and the kernel's own. The last `put` releases it. */
  refs: number;
  /** FMODE_READ and FMODE_WRITE; absent: yes. */
  readable?: boolean;
  writable?: boolean;
  ioctl?(process: Process, command: number, argument: bigint): number;
  /** Bytes read into user memory at `address`. */
  read?(process: Process, address: bigint, count: number): number;
  write?(process: Process, address: bigint, count: number): number;
  /** Revents (POLLIN 1, POLLOUT 4, POLLERR 8). */
  poll?(): number;
  /** Frames to map, in order; EINVAL, EPERM, ENXIO otherwise. `opened`/`closed` follow mappings. */
  mmap?(process: Process, request: MmapRequest): DeviceMapping;
  /** The last reference is gone. */
  release(): void;
}

export interface MmapRequest {
  readonly offset: bigint;
  readonly length: bigint;
  readonly shared: boolean;
  readonly executable: boolean;
}

/** Device pages in an address space; counted by whoever gave them. */
export interface DeviceMapping {
  readonly frames: readonly number[];
  /** The mapping is duplicated (fork, split), or goes away. */
  opened(): void;
  closed(): void;
}

/** File whose pages can be pinned without an address space (memfd_pin_folios). */
export interface PinnableFile extends OpenFile {
  readonly pages: number;
  /** Pins one page of the file; returns the frame number. EINVAL: past the end. */
  pinPage(index: number): number;
}

/** A dma-buf as an importer sees it (private interconnect of VFIO: frames and revocation). */
export interface DmaBuf extends OpenFile {
  readonly bytes: bigint;
  readonly revoked: boolean;
  /** Frames of its pages, in order. */
  readonly frames: readonly number[];
  /** The importer is told when access is revoked (all domains must let go) and when it is back. */
  attach(importer: DmaBufImporter): void;
  detach(importer: DmaBufImporter): void;
}

export interface DmaBufImporter {
  revoked(): void;
}

/** Pinned frames: one count per frame for all who pinned it. */
export interface FramePins {
  /** Undoes one pin of a frame. */
  unpin(frame: number): void;
  /** Pins of a frame now. */
  count(frame: number): number;
  /** Whether a frame is part of a huge page. */
  isCompound(frame: number): boolean;
  /** Pins of all frames together: zero when nothing leaks. */
  readonly total: number;
}

/** The bytes of physical memory, by frame. */
export interface FrameBytes {
  read(frame: number, offset: number, into: Uint8Array): void;
  write(frame: number, offset: number, bytes: Uint8Array): void;
}

/** Pages for the kernel's own use (alloc_pages): contiguous and zeroed. */
export interface PageAllocator {
  /** First frame of a run; a multiple of `align`. ENOMEM. */
  allocPages(count: number, align?: number): number;
  freePages(first: number, count: number): void;
}

/** What the kernel offers its parts. */
export interface KernelServices {
  readonly memory: KernelMemory;
  readonly pins: FramePins;
  readonly frames: FrameBytes;
  readonly pages: PageAllocator;
  /** What the call under way has done so far. */
  readonly work: CallWork;
  readonly attaching: AttachBook;
  /** get_file and fput. */
  get(file: OpenFile): void;
  put(file: OpenFile): void;
}
