/** A command of the line tool, but for the ioctls, which are driven by the table of ioctls. */
import type { Outcome, Session } from '../session.ts';
import type { Arguments } from '../words.ts';

export type CommandGroup = 'files' | 'memory' | 'devices' | 'looking' | 'session';

/** What the command may ask of whoever runs it. */
export interface Runner {
  /** Runs the commands of a file. */
  source(path: string): void;
}

export interface ToolCommand {
  readonly name: string;
  readonly group: CommandGroup;
  /** Words after the name. */
  readonly usage: string;
  readonly help: string;
  /** Completions of words and of `--options`. */
  readonly options?: readonly string[];
  /** Null: there is nothing to tell. */
  run(session: Session, args: Arguments, runner: Runner): Outcome | null;
}

/** An outcome that tells something without a system call. */
export function told(lines: readonly string[], record: Readonly<Record<string, unknown>>): Outcome {
  return { lines, record, answer: null };
}
