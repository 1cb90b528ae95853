/**
 * The table of ioctls of /dev/iommu and the way a call takes through it: size, table, least size,
 * zero tail, copy, handler, publication of a new object (drivers/iommu/iommufd/main.c,
 * copy_struct_from_user).
 */
import type { AddressSpace, Process } from '../kernel/api.ts';
import { fail } from '../kernel/errno.ts';
import { type Command, IoctlCall } from './call.ts';
import type { Context } from './context.ts';

/** First number of the table: below it, and past its end, the VFIO calls are asked. */
export const COMMAND_BASE = 0x80;
/** First address that no user space has (x86-64 with four levels). */
const USER_END = 0x7ffffffff000n;
const TAIL_CHUNK = 4096;

export type CommandTable = readonly (Command | undefined)[];

/** Commands by their number above the base. */
export function commandTable(commands: readonly Command[]): CommandTable {
  const table: (Command | undefined)[] = [];
  for (const command of commands) {
    const slot = (command.word & 0xff) - COMMAND_BASE;
    while (table.length <= slot) table.push(undefined);
    table[slot] = command;
  }
  return table;
}

/** Runs the calls of one open context. */
export class Dispatcher {
  private readonly context: Context;
  private readonly table: CommandTable;
  /** One call structure for each command, used again where no call of it is running. */
  private readonly idle: (IoctlCall | null)[];
  private readonly sizeBytes: Uint8Array = new Uint8Array(4);
  private readonly sizeView: DataView = new DataView(this.sizeBytes.buffer);
  private readonly tail: Uint8Array = new Uint8Array(TAIL_CHUNK);

  constructor(context: Context, table: CommandTable) {
    this.context = context;
    this.table = table;
    this.idle = table.map(() => null);
  }

  /** Whether the number is one of the table's; it is the VFIO calls' otherwise. */
  owns(word: number): boolean {
    const slot = (word & 0xff) - COMMAND_BASE;
    return slot >= 0 && slot < this.table.length;
  }

  run(process: Process, word: number, address: bigint): number {
    const slot = (word & 0xff) - COMMAND_BASE;
    const space = process.space;
    space.copyIn(address, this.sizeBytes);
    const userSize = this.sizeView.getUint32(0, true);
    const command = this.table[slot];
    if (command === undefined || command.word !== word >>> 0) {
      fail('ENOTTY', `0x${(word >>> 0).toString(16)} is no command of /dev/iommu`);
    }
    if (userSize < command.minSize) {
      fail('EINVAL', `size ${userSize} is below the ${command.minSize} bytes of ${command.name}`);
    }
    const call = this.idle[slot] ?? new IoctlCall(this.context, command.size);
    this.idle[slot] = null;
    try {
      call.begin(process, address, userSize);
      this.copyStruct(space, call);
      return this.execute(command, call);
    } finally {
      this.idle[slot] = call;
    }
  }

  private execute(command: Command, call: IoctlCall): number {
    let result: unknown;
    try {
      result = command.run(call);
    } catch (error) {
      if (call.created !== null) this.context.objects.abort(call.created);
      throw error;
    }
    if (call.created !== null) this.context.objects.publish(call.created);
    return typeof result === 'number' ? result : 0;
  }

  /** Bytes that the kernel does not know must be zero; bytes not given are zero. */
  private copyStruct(space: AddressSpace, call: IoctlCall): void {
    const bytes = call.bytes;
    if (call.userSize === bytes.length) {
      space.copyIn(call.address, bytes);
    } else if (call.userSize < bytes.length) {
      space.copyIn(call.address, bytes.subarray(0, call.userSize));
      bytes.fill(0, call.userSize);
    } else {
      checkZeroTail(
        space,
        call.address + BigInt(bytes.length),
        call.userSize - bytes.length,
        this.tail,
      );
      space.copyIn(call.address, bytes);
    }
  }
}

/** check_zeroed_user: E2BIG at the first byte set, EFAULT where none can be read before it. */
export function checkZeroTail(
  space: AddressSpace,
  address: bigint,
  length: number,
  buffer: Uint8Array = new Uint8Array(TAIL_CHUNK),
): void {
  let from = address;
  let left = length;
  if (from + BigInt(left) > USER_END) fail('EFAULT', 'the structure ends outside user memory');
  while (left > 0) {
    const toPageEnd = TAIL_CHUNK - Number(from & BigInt(TAIL_CHUNK - 1));
    const part = buffer.subarray(0, Math.min(left, toPageEnd));
    space.copyIn(from, part);
    if (part.some((byte) => byte !== 0)) {
      fail('E2BIG', 'bytes past the structure that the kernel knows are not zero');
    }
    from += BigInt(part.length);
    left -= part.length;
  }
}
