/** User memory of the process: to have some, to look into it, to change it; and files of memory. */
import { isErrno } from '../../../hw/host/kernel/errno.ts';
import { didYouMean } from '../../../scenarios/nearest.ts';
import { InputError } from '../../../sim/errors.ts';
import { formatBytes } from '../../../sim/units.ts';
import { hexNumber, hexOf, memoryLines } from '../dump.ts';
import type { Session, UserMemory } from '../session.ts';
import { bytesOf, parseAddress, parseCount, parseInteger } from '../values.ts';
import { type ToolCommand, told } from './command.ts';
import { answerOf, syscall } from './files.ts';

const PEEK_BYTES = 64;
const PEEK_MAX = 1 << 20;
/** Widths of numbers for poke. */
const WIDTHS: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8 };

function memoryText({ name, address, bytes, what }: UserMemory): string {
  return `@${name} = ${hexNumber(address)}, ${formatBytes(bytes)} of ${what}`;
}

function memoryRecord({ name, address, bytes }: UserMemory): Readonly<Record<string, unknown>> {
  return { name, address: hexNumber(address), bytes };
}

const memory: ToolCommand = {
  name: 'memory',
  group: 'memory',
  usage: '[size] [name]',
  help: 'gives the process zeroed memory and names its address; without a size lists what there is',
  run(session, args) {
    const size = args.word();
    const name = args.word() ?? args.named('as');
    args.end();
    if (size === null) {
      const lines = session.memories.map(memoryText);
      const list = session.memories.map(memoryRecord);
      return told(lines.length === 0 ? ['no memory yet: memory 64KiB'] : lines, { memory: list });
    }
    const bytes = sizeOf(session, size);
    const made = session.allocate(bytes, name?.replace(/^@/, '') ?? null);
    return told([memoryText(made)], memoryRecord(made));
  },
};

function sizeOf(session: Session, text: string): number {
  const bytes = parseCount(text, 'size', session.names);
  if (bytes === 0) throw new InputError('ioctl-value', 'memory of 0 bytes cannot be had');
  return bytes;
}

const memfd: ToolCommand = {
  name: 'memfd',
  group: 'memory',
  usage: '<size> [name]',
  help: 'makes a file of memory (memfd_create), for ioas-map-file; names its descriptor',
  run(session, args) {
    const bytes = sizeOf(session, args.needed('a size'));
    const name = args.word() ?? args.named('as') ?? 'memfd';
    args.end();
    const { calls } = session.machine.process;
    const answer = answerOf(calls.memfdCreate());
    if (answer.errno !== 0) return syscall(session, 'memfd_create', answer);
    calls.ftruncate(answer.value, bytes);
    session.names.set(name.replace(/^@/, ''), BigInt(answer.value));
    const more = [`  @${name} = fd ${answer.value}, ${formatBytes(bytes)}`];
    return syscall(session, 'memfd_create', answer, more, { name, bytes });
  },
};

const peek: ToolCommand = {
  name: 'peek',
  group: 'memory',
  usage: '<address> [bytes]',
  help: 'shows memory of the process',
  run(session, args) {
    const address = parseAddress(args.needed('an address, like @m1'), 'address', session.names);
    const word = args.word();
    args.end();
    const size = word === null ? PEEK_BYTES : sizeOf(session, word);
    if (size > PEEK_MAX) {
      throw new InputError('ioctl-value', `peek shows at most ${formatBytes(PEEK_MAX)}`);
    }
    const bytes = new Uint8Array(size);
    touch(session, address, () => session.machine.process.peek(address, bytes));
    const record = { address: hexNumber(address), bytes: hexOf(bytes) };
    const lines = memoryLines(bytes, bytes, session.palette);
    return told([`${hexNumber(address)}:`, ...lines], record);
  },
};

const poke: ToolCommand = {
  name: 'poke',
  group: 'memory',
  usage: '<address> hex:... | u64=... | u32=... | "text"',
  help: 'changes memory of the process, as the program itself does',
  options: ['u8=', 'u16=', 'u32=', 'u64=', 'hex:'],
  run(session, args) {
    const address = parseAddress(args.needed('an address, like @m1'), 'address', session.names);
    const parts = args.rest().map((item) => {
      if (item.kind === 'word') return bytesOf(item.text) ?? Buffer.from(item.text, 'utf8');
      return numberBytes(session, item.name, item.value ?? '');
    });
    const bytes = Uint8Array.from(parts.flatMap((part) => [...part]));
    if (bytes.length === 0) throw new InputError('ioctl-usage', 'poke: give what to write');
    touch(session, address, () => session.machine.process.poke(address, bytes));
    const record = { address: hexNumber(address), bytes: hexOf(bytes) };
    return told([`${bytes.length} bytes written at ${hexNumber(address)}`], record);
  },
};

function numberBytes(session: Session, width: string, text: string): Uint8Array {
  const bytes = WIDTHS[width];
  if (bytes === undefined) {
    const hint = didYouMean(width, Object.keys(WIDTHS)) || ' (u8, u16, u32, u64)';
    throw new InputError('ioctl-usage', `poke: no width is called ${width}${hint}`);
  }
  const value = BigInt.asUintN(bytes * 8, parseInteger(text, width, session.names));
  const whole = new Uint8Array(8);
  new DataView(whole.buffer).setBigUint64(0, value, true);
  return whole.subarray(0, bytes);
}

/** The program would get a signal where the kernel says EFAULT. */
function touch(session: Session, address: bigint, access: () => void): void {
  try {
    access();
  } catch (error) {
    if (!isErrno(error, 'EFAULT')) throw error;
    const known = session.memories.map(({ name }) => `@${name}`).join(', ') || 'none yet';
    throw new InputError(
      'ioctl-memory',
      `no memory of the process is at ${hexNumber(address)} (memory that has a name: ${known})`,
    );
  }
}

export const MEMORY_COMMANDS: readonly ToolCommand[] = [memory, memfd, peek, poke];
