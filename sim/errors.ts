/**
 * Structured errors. Every failure a person can cause or meet carries what went wrong, where, and
 * what was expected, so that a tool can print it well and choose the exit code.
 */

/** Base of all errors raised on purpose by the simulator. */
export class SimError extends Error {
  override readonly name: string = 'SimError';
  /** Short stable identifier, for tests and machine-readable output. */
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

/** Bad input by the user: scenario, trace, command line, capture. Exit code 2. */
export class InputError extends SimError {
  override readonly name: string = 'InputError';
}

/** A comparison or an expectation failed. Exit code 1. */
export class MismatchError extends SimError {
  override readonly name: string = 'MismatchError';
}

/**
 * The simulator broke one of its own rules (scheduling in the past, overfull table). Exit code 3.
 */
export class InternalError extends SimError {
  override readonly name: string = 'InternalError';
}

/** Raises an {@link InternalError} when `condition` is false. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new InternalError('invariant', message);
}
