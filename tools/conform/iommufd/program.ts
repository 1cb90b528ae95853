/**
 * A replayed process: its system calls, and its memory as the program itself reaches it.
 * Protections do not count there: what the recordings store in a read-only page was stored through
 * another, writable mapping of it.
 */
import { PAGE_SIZE } from '../../../hw/host/kernel/api.ts';
import type { Kernel } from '../../../hw/host/kernel/kernel.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_SHARED } from '../../../hw/host/kernel/mmap.ts';
import type { UserProcess } from '../../../hw/host/kernel/process.ts';
import { Syscalls } from '../../../hw/host/kernel/syscalls.ts';
import { PROT_READ, PROT_WRITE } from '../../../hw/host/kernel/vma.ts';
import { CallDifference } from './difference.ts';

/** Where arguments are whose address is not recorded: below everything that programs map. */
const SCRATCH_START = 0x6000_0000_0000;
const SCRATCH_BYTES = 0x20000;

/** What all processes of a case have in common. */
export interface CaseState {
  /** By number; 0 makes the first call. */
  readonly programs: Map<number, Program>;
  /** The recording leaves out the closes of files whose descriptor a structure returned. */
  readonly closesMissing: boolean;
  /** A file of a context has been mapped, maybe into that context: it may never close. */
  mapsItself: boolean;
}

/** Kinds of files whose descriptor a structure or the call itself returns. */
const RETURNED_FILES: ReadonlySet<string> = new Set(['access', 'fault', 'veventq', 'dma-buf']);

export class Program {
  readonly shared: CaseState;
  readonly kernel: Kernel;
  readonly process: UserProcess;
  readonly syscalls: Syscalls;
  /** Address of the last device mapping whose place is not recorded. */
  deviceMapping = 0;

  constructor(kernel: Kernel, process: UserProcess, shared: CaseState) {
    this.shared = shared;
    this.kernel = kernel;
    this.process = process;
    this.syscalls = new Syscalls(kernel, process);
  }

  /** A child with a copy of the address space and the same open files. */
  fork(): Program {
    return new Program(this.kernel, this.kernel.forkProcess(this.process), this.shared);
  }

  /** Whether a descriptor names a file that keeps a context open. */
  namesContext(fd: number): boolean {
    const kind = this.process.file(fd)?.kind ?? '';
    return kind === 'iommufd' || (kind !== 'dma-buf' && RETURNED_FILES.has(kind));
  }

  /** Open descriptors that ioctls returned, ascending. */
  returnedFds(): number[] {
    return this.process.openFds().filter((fd) => {
      return RETURNED_FILES.has(this.process.file(fd)?.kind ?? '');
    });
  }

  /**
   * Before a call that is recorded to return a descriptor: a file of an earlier call that still has
   * it must have been closed, which selftest recordings do not tell.
   */
  expectFree(fd: number): void {
    if (this.shared.closesMissing && this.returnedFds().includes(fd)) this.process.closeFd(fd);
  }

  /** Whether a call is on a file that the recording does not tell: nothing can be said of it. */
  isUntold(fd: number, err: number): boolean {
    return this.shared.closesMissing && err === 0 && this.process.file(fd) === null;
  }

  /** Address for an argument; `atEnd`: nothing is mapped behind it. */
  scratch(bytes: number, atEnd = false): number {
    return atEnd ? SCRATCH_START + SCRATCH_BYTES - bytes : SCRATCH_START;
  }

  /** Stores what the program stored; memory of it that the recording does not tell is added. */
  store(address: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      const offset = (address + done) % PAGE_SIZE;
      const part = bytes.subarray(done, done + PAGE_SIZE - offset);
      this.own(address + done);
      let frame = this.frameAt(address + done);
      if (frame < 0) {
        this.add(address + done - offset, PAGE_SIZE);
        frame = this.frameAt(address + done);
      }
      this.kernel.frames.write(frame, offset, part);
      done += part.length;
    }
  }

  load(address: number, count: number): Uint8Array {
    const into = new Uint8Array(count);
    for (let done = 0; done < count; ) {
      const offset = (address + done) % PAGE_SIZE;
      const part = into.subarray(done, done + PAGE_SIZE - offset);
      const frame = this.frameAt(address + done);
      if (frame < 0) {
        const where = `memory at 0x${(address + done).toString(16)}`;
        throw new CallDifference(where, 'readable', 'not mapped');
      }
      this.kernel.frames.read(frame, offset, part);
      done += part.length;
    }
    return into;
  }

  /** A store to private memory is not seen through the file. */
  private own(address: number): void {
    const { space } = this.process;
    if (space.list.find(address)?.shared === false) space.touch(address, true);
  }

  /** Frame behind an address; -1: nothing can be read there. */
  private frameAt(address: number): number {
    const { space } = this.process;
    const frame = space.frameAt(BigInt(address));
    if (frame >= 0) return frame;
    // A store through a mapping of its own makes private pages the program's own.
    space.touch(address, true);
    if (space.frameAt(BigInt(address)) < 0) space.touch(address, false);
    return space.frameAt(BigInt(address));
  }

  /** Stack, heap and data of the program: zeroed memory where nothing is mapped. */
  private add(address: number, bytes: number): void {
    const start = address === SCRATCH_START ? SCRATCH_START : address;
    const length = address === SCRATCH_START ? SCRATCH_BYTES : bytes;
    const prot = PROT_READ | PROT_WRITE;
    const flags = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;
    if (!this.process.space.list.isFree(start, start + length)) {
      const where = `memory at 0x${address.toString(16)}`;
      throw new CallDifference(where, 'readable', 'not accessible');
    }
    const { errno, rule } = this.syscalls.mmap({ address: start, length, prot, flags });
    if (errno !== 0) throw new CallDifference('memory', 'mapped', 'refused', rule);
  }
}
