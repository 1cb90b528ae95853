/** A session of `iommusim ioctl`: typed at a terminal, read from a pipe, or given with -c. */
import { createInterface, type Interface } from 'node:readline';
import { InputError, MismatchError } from '../../sim/errors.ts';
import { errorText } from '../exit.ts';
import type { Io } from '../io.ts';
import { complete } from './complete.ts';
import { Executor } from './execute.ts';
import type { IoctlMachine } from './machine-parts.ts';
import { Session } from './session.ts';

export interface SessionOptions {
  /** Commands to run instead of reading any. */
  readonly commands: readonly string[];
  readonly json: boolean;
  readonly strict: boolean;
  readonly brief: boolean;
}

/** Where command lines come from. */
export type LineInput = NodeJS.ReadableStream & { readonly isTTY?: boolean };

/** `screen`: where prompt and typed text of a terminal are shown. */
export async function runSession(
  machine: IoctlMachine,
  input: LineInput,
  io: Io,
  options: SessionOptions,
  screen: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  const { json, strict, brief, commands } = options;
  const session = new Session(machine, { brief, palette: io.palette });
  const typed = commands.length === 0 && input.isTTY === true && io.outIsTerminal;
  const executor = new Executor(session, io, { json, strict, echo: !typed });
  if (commands.length > 0) for (const line of commands) executor.script(line, '-c');
  else if (typed) await converse(executor, input, io, screen);
  else executor.script(await textOf(input), 'stdin');
  if (session.unexpected > 0) {
    const calls = session.unexpected === 1 ? 'call was' : 'calls were';
    throw new MismatchError('ioctl', `${session.unexpected} ${calls} not answered as expected`);
  }
}

async function textOf(input: LineInput): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of input) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString('utf8');
}

/** Line by line at a terminal; a mistake is told, and the session goes on. */
async function converse(
  executor: Executor,
  input: LineInput,
  io: Io,
  screen: NodeJS.WritableStream,
): Promise<void> {
  const { session } = executor;
  const lines: Interface = createInterface({
    input,
    output: screen,
    prompt: session.palette.head('iommu> '),
    completer: (line: string) => complete(session, line),
  });
  io.out(`${session.machine.title}. \`open\` first; help and tab tell the rest, Ctrl-D ends.\n`);
  lines.prompt();
  for await (const line of lines) {
    try {
      executor.line(line);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      io.err(errorText(error));
    }
    if (session.ended) break;
    lines.prompt();
  }
  lines.close();
}
