/**
 * Errors on their way from a worker to the main thread. Structured clones drop classes and codes,
 * so both travel by name: an error that a person can cause ends the run in the same way, with the
 * same exit code, in whichever thread it was met.
 */

import { InputError, InternalError, MismatchError, SimError } from '../errors.ts';

export interface Failure {
  readonly partition: number;
  readonly error: unknown;
}

export interface FailureReport {
  readonly partition: number;
  readonly name: string;
  /** Absent for errors that are not the simulator's own. */
  readonly code?: string;
  readonly message: string;
  readonly stack?: string;
}

const CLASSES = { SimError, InputError, MismatchError, InternalError };

export function reportOf(failure: Failure): FailureReport {
  const { partition, error } = failure;
  if (!(error instanceof Error)) return { partition, name: 'Error', message: String(error) };
  const { name, message, stack } = error;
  const code = error instanceof SimError ? { code: error.code } : {};
  return { partition, name, message, ...code, ...(stack !== undefined && { stack }) };
}

export function failureFrom(report: FailureReport): Failure {
  const { partition, name, code, message, stack } = report;
  const known = Object.entries(CLASSES).find(([key]) => key === name);
  const error =
    known !== undefined && code !== undefined
      ? new known[1](code, message)
      : workerDied(`partition ${partition} failed in its worker: ${name}: ${message}`);
  if (stack !== undefined) error.stack = stack;
  return { partition, error };
}

export function workerDied(message: string): SimError {
  return new SimError('worker-died', message);
}
