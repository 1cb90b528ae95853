/** A process whose kernel is a function of a test; memory is a map of bytes, ioctls are kept. */
import { ERRNO, Errno } from '../../kernel/errno.ts';
import { decode, encode, type Inputs, type Outputs } from '../uapi/codec.ts';
import type { Fields, Layout } from '../uapi/layout.ts';
import type { CallingProcess, SyscallAnswer } from './process.ts';

export interface FakeCall {
  readonly fd: number;
  readonly command: number;
  readonly argument: bigint;
}

export type FakeKernel = (call: FakeCall, process: FakeProcess) => number;

const PAGE = 4096;

export class FakeProcess implements CallingProcess {
  readonly calls: FakeCall[] = [];
  readonly opened: string[] = [];
  readonly closed: number[] = [];
  /** Bytes that the next reads give, and those that were written. */
  incoming: Uint8Array = new Uint8Array(0);
  readonly outgoing: Uint8Array[] = [];
  kernel: FakeKernel;
  private readonly memory = new Map<bigint, number>();
  private next = 0x7000_0000n;

  constructor(kernel: FakeKernel = () => 0) {
    this.kernel = kernel;
  }

  open(path: string): SyscallAnswer {
    this.opened.push(path);
    return { value: 2 + this.opened.length, errno: 0, rule: '' };
  }

  close(fd: number): SyscallAnswer {
    this.closed.push(fd);
    return { value: 0, errno: 0, rule: '' };
  }

  ioctl(fd: number, command: number, argument: bigint): SyscallAnswer {
    const call = { fd, command, argument };
    this.calls.push(call);
    try {
      return { value: this.kernel(call, this), errno: 0, rule: '' };
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return { value: -1, errno: ERRNO[error.code], rule: error.rule };
    }
  }

  read(_fd: number, address: bigint, count: number): SyscallAnswer {
    const bytes = this.incoming.subarray(0, count);
    this.poke(address, bytes);
    return { value: bytes.length, errno: 0, rule: '' };
  }

  write(_fd: number, address: bigint, count: number): SyscallAnswer {
    this.outgoing.push(this.bytes(address, count));
    return { value: count, errno: 0, rule: '' };
  }

  poll(_fd: number, events: number): number {
    return this.incoming.length > 0 ? events & 1 : 0;
  }

  mapRegion(_fd: number, offset: bigint, bytes: bigint): SyscallAnswer {
    return { value: Number(offset + bytes), errno: 0, rule: '' };
  }

  anonymous(bytes: number): bigint {
    const address = this.next;
    this.next += BigInt(Math.ceil(bytes / PAGE) * PAGE);
    return address;
  }

  peek(address: bigint, into: Uint8Array): void {
    for (let i = 0; i < into.length; i++) into[i] = this.memory.get(address + BigInt(i)) ?? 0;
  }

  poke(address: bigint, bytes: Uint8Array): void {
    for (const [i, byte] of bytes.entries()) this.memory.set(address + BigInt(i), byte);
  }

  bytes(address: bigint, count: number): Uint8Array {
    const bytes = new Uint8Array(count);
    this.peek(address, bytes);
    return bytes;
  }

  /** The structure at an address, and the same with other values put in. */
  struct<F extends Fields>(layout: Layout<F>, address: bigint): Outputs<F> {
    return decode(layout, this.bytes(address, layout.size));
  }

  answer<F extends Fields>(layout: Layout<F>, address: bigint, values: Inputs<F>): void {
    const before = decode(layout, this.bytes(address, layout.size));
    this.poke(address, encode(layout, { ...before, ...values } as Inputs<F>));
  }
}
