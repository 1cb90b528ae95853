/** For tests: the command with what it writes, and a session on which commands are run. */
import { Readable } from 'node:stream';
import { engine } from '../engine.ts';
import type { Io } from '../io.ts';
import { main } from '../program.ts';
import { PLAIN } from '../report/model.ts';
import { Executor } from './execute.ts';
import { driverMachine } from './machine.ts';
import { Session } from './session.ts';

export interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** `iommusim ioctl` with these words, and something typed. */
export async function command(words: readonly string[], typed = ''): Promise<Outcome> {
  const written = { out: '', err: '' };
  const io = {
    out: (text: string) => {
      written.out += text;
    },
    err: (text: string) => {
      written.err += text;
    },
    outIsTerminal: false,
    errIsTerminal: false,
    palette: PLAIN,
    input: () => Readable.from([typed]),
  };
  const code = await main(['ioctl', ...words], io, engine);
  return { code, ...written };
}

export interface TestSession {
  /** Runs the commands of a line; what they print. */
  run(line: string): string;
  readonly state: Session;
  readonly io: Io;
}

/** A session on which commands are run one by one. */
export function testSession(driver = 'mock'): TestSession {
  let out = '';
  const io = {
    out: (text: string) => {
      out += text;
    },
    err: () => {},
    outIsTerminal: false,
    errIsTerminal: false,
    palette: PLAIN,
  };
  const machine = driverMachine(driver, { memoryBytes: 2 ** 26 });
  const state = new Session(machine, { brief: true, palette: PLAIN });
  const executor = new Executor(state, io, { json: false, strict: false, echo: false });
  const run = (line: string): string => {
    out = '';
    executor.line(line);
    return out;
  };
  return { run, state, io };
}
