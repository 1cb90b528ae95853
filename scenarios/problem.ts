/** What is wrong in a scenario and where it stands: file, line, column and key path. */
import { InputError } from '../sim/errors.ts';

/** A place in a file, or an override on the command line (line 0). */
export interface Origin {
  /** File as the user named it, or `--set key=value`. */
  readonly file: string;
  /** From 1; 0 where there is no line. */
  readonly line: number;
  readonly column: number;
}

export type KeyPath = readonly (string | number)[];

export interface Problem {
  readonly origin: Origin;
  /** Dotted key path; empty for a problem of the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export function dotted(path: KeyPath): string {
  return path.join('.');
}

export function formatProblem(problem: Problem): string {
  const { file, line, column } = problem.origin;
  const place = line > 0 ? `${file}:${line}:${column}` : file;
  return problem.path === ''
    ? `${place}: ${problem.message}`
    : `${place}: ${problem.path}: ${problem.message}`;
}

/** All problems of a scenario at once, in the order of files and lines. */
export class ScenarioError extends InputError {
  override readonly name: string = 'ScenarioError';
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    super('scenario', problems.map(formatProblem).join('\n'));
    this.problems = problems;
  }
}

/** A scenario error with a single problem. */
export function failAt(origin: Origin, path: KeyPath, message: string): never {
  throw new ScenarioError([{ origin, path: dotted(path), message }]);
}
