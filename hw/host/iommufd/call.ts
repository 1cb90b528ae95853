/**
 * One ioctl on a context while it runs: the kernel's copy of the argument structure, who calls, and
 * the answer. Fields are read and written at the offsets of uapi/structs.ts.
 */
import type { Process } from '../kernel/api.ts';
import type { Context } from './context.ts';
import type { IommufdObject } from './object.ts';

/** What the dispatch table knows of a command. */
export interface Command {
  readonly name: string;
  /** The whole command word. */
  readonly word: number;
  /** Bytes of the structure as the kernel knows it, and the least that a caller may pass. */
  readonly size: number;
  readonly minSize: number;
  /** Throws Errno; otherwise the ioctl returns the number returned, or 0 where it is none. */
  readonly run: (call: IoctlCall) => unknown;
}

export class IoctlCall {
  readonly context: Context;
  /** The kernel's structure; zeros where the caller's was shorter. */
  readonly bytes: Uint8Array;
  private readonly view: DataView;
  private caller: Process | null = null;
  /** Address of the structure in user memory. */
  address = 0n;
  /** Size that the caller gave. */
  userSize = 0;
  /**
   * Object that the command makes (VIOMMU, FAULT, HW_QUEUE): dispatch publishes it when the handler
   * succeeds and aborts it when not.
   */
  created: IommufdObject | null = null;

  constructor(context: Context, size: number) {
    this.context = context;
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Prepares for one call; the same structure serves call after call. */
  begin(process: Process, address: bigint, userSize: number): void {
    this.caller = process;
    this.address = address;
    this.userSize = userSize;
    this.created = null;
  }

  get process(): Process {
    return this.caller as Process;
  }

  u8(offset: number): number {
    return this.view.getUint8(offset);
  }

  u16(offset: number): number {
    return this.view.getUint16(offset, true);
  }

  u32(offset: number): number {
    return this.view.getUint32(offset, true);
  }

  s32(offset: number): number {
    return this.view.getInt32(offset, true);
  }

  u64(offset: number): bigint {
    return this.view.getBigUint64(offset, true);
  }

  setU8(offset: number, value: number): void {
    this.view.setUint8(offset, value);
  }

  setU32(offset: number, value: number): void {
    this.view.setUint32(offset, value, true);
  }

  setU64(offset: number, value: bigint): void {
    this.view.setBigUint64(offset, value, true);
  }

  /** iommufd_ucmd_respond: writes the structure back, cut to the caller's size; EFAULT. */
  respond(): void {
    const whole = this.userSize >= this.bytes.length;
    this.process.space.copyOut(
      this.address,
      whole ? this.bytes : this.bytes.subarray(0, this.userSize),
    );
  }
}
