/** From errors to exit codes and to what is printed about them. */
import { CommanderError } from 'commander';
import { ScenarioError } from '../scenarios/problem.ts';
import { InputError, InternalError, MismatchError } from '../sim/errors.ts';

export const EXIT_DONE = 0;
/** An expectation or a comparison failed. */
export const EXIT_MISMATCH = 1;
export const EXIT_BAD_INPUT = 2;
export const EXIT_INTERNAL = 3;

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_DONE : EXIT_BAD_INPUT;
  if (error instanceof InputError) return EXIT_BAD_INPUT;
  if (error instanceof MismatchError) return EXIT_MISMATCH;
  return EXIT_INTERNAL;
}

/** Lines for stderr, each beginning with `error:`; a defect of the program also shows its stack. */
export function errorText(error: unknown): string {
  // Commander has printed its own message already.
  if (error instanceof CommanderError) return '';
  if (error instanceof ScenarioError) {
    const lines = error.message.split('\n').map((line) => `error: ${line}\n`);
    const count = error.problems.length;
    return `${lines.join('')}${count > 1 ? `${count} problems\n` : ''}`;
  }
  if (error instanceof InputError || error instanceof MismatchError) {
    return `error: ${error.message}\n`;
  }
  const kind = error instanceof InternalError ? error.code : 'unexpected';
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `internal error (${kind}): ${detail}\nThis is a defect of iommusim, not of your input.\n`;
}
