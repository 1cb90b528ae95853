/** Where a command writes: results to `out`, everything else to `err`. Tests hand in their own. */
import pc from 'picocolors';
import { type Palette, PLAIN } from './report/model.ts';

export interface Io {
  out(text: string): void;
  err(text: string): void;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly palette: Palette;
  /** Where a command reads what is typed or piped to it; absent: from the process's stdin. */
  input?(): NodeJS.ReadableStream & { readonly isTTY?: boolean };
}

/** Colours on a terminal only, and not when NO_COLOR is set. */
export function paletteFor(isTerminal: boolean, env: NodeJS.ProcessEnv): Palette {
  const forced = env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '0';
  if (env.NO_COLOR || (!isTerminal && !forced)) return PLAIN;
  const { bold, cyan, green, red, dim, blue } = pc.createColors(true);
  return {
    title: bold,
    head: cyan,
    good: green,
    bad: (text) => red(bold(text)),
    dim,
    bar: blue,
  };
}

export function processIo(): Io {
  const { stdout, stderr, env } = process;
  return {
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outIsTerminal: stdout.isTTY === true,
    errIsTerminal: stderr.isTTY === true,
    palette: paletteFor(stdout.isTTY === true, env),
  };
}
