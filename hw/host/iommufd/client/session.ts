/**
 * What the objects of a client share: its process, its descriptor, and one call with a typed
 * structure in user memory.
 */
import { decode, encode, type Inputs, type Outputs } from '../uapi/codec.ts';
import type { Fields, IoctlLayout } from '../uapi/layout.ts';
import { DESTROY } from '../uapi/structs.ts';
import { type CallOptions, type CallReport, callByName } from './call.ts';
import { type CallingProcess, refusal, Scratch, type SyscallAnswer } from './process.ts';
import type { CallFields } from './request.ts';

export class Session {
  readonly process: CallingProcess;
  readonly fd: number;
  private readonly scratch: Scratch;

  constructor(process: CallingProcess, fd: number) {
    this.process = process;
    this.fd = fd;
    this.scratch = new Scratch(process);
  }

  /** Forgets the buffers of the call before; every sequence of `place` and `call` starts so. */
  begin(): void {
    this.scratch.reset();
  }

  /** Puts data of the call to come into user memory; 0 for no data. */
  place(bytes: Uint8Array | null): bigint {
    return bytes === null || bytes.length === 0 ? 0n : this.scratch.place(bytes);
  }

  peek(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    if (length > 0) this.process.peek(address, bytes);
    return bytes;
  }

  /** An ioctl on the context: the structure after the call. Throws Errno where it is refused. */
  call<F extends Fields>(layout: IoctlLayout<F>, values: Inputs<F>): Outputs<F> {
    const { answer, fields } = this.attempt(layout, values);
    if (answer.errno !== 0) throw refusal(answer);
    return fields();
  }

  /** As `call`, for commands whose answer counts also when they are refused. */
  attempt<F extends Fields>(
    layout: IoctlLayout<F>,
    values: Inputs<F>,
    fd: number = this.fd,
  ): { answer: SyscallAnswer; fields: () => Outputs<F> } {
    const bytes = encode(layout, values);
    // The first field is `size` or `argsz`.
    new DataView(bytes.buffer).setUint32(0, layout.size, true);
    const address = this.scratch.place(bytes);
    const answer = this.process.ioctl(fd, layout.word, address);
    return { answer, fields: () => decode(layout, this.peek(address, layout.size)) };
  }

  /** Any ioctl by name, with everything about it; never throws for a refusal by the kernel. */
  byName(fd: number, name: string, fields: CallFields, options?: CallOptions): CallReport {
    return callByName(this.process, this.scratch, fd, name, fields, options);
  }

  destroy(id: number): void {
    this.begin();
    this.call(DESTROY, { id });
  }
}
