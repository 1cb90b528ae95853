/** How one vector ended. */

/** The first field that differs. */
export interface Mismatch {
  readonly step: number;
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;
}

/** Thrown by comparisons at the first difference; the runner adds the step. */
export class Difference extends Error {
  readonly field: string;
  readonly expected: unknown;
  readonly got: unknown;

  constructor(field: string, expected: unknown, got: unknown) {
    super(`${field}: expected ${show(expected)}, got ${show(got)}`);
    this.field = field;
    this.expected = expected;
    this.got = got;
  }
}

export function expectEqual(field: string, expected: unknown, got: unknown): void {
  if (expected !== got) throw new Difference(field, expected, got);
}

/** Values as a person reads them: addresses in hexadecimal. */
export function show(value: unknown): string {
  if (typeof value === 'bigint') return `0x${value.toString(16)}`;
  if (value === undefined || value === null) return 'nothing';
  if (typeof value === 'object') {
    return JSON.stringify(value, (_key, v) => (typeof v === 'bigint' ? show(v) : v));
  }
  return String(value);
}

export function describe(topic: string, id: string, mismatch: Mismatch): string {
  const { step, field, expected, got } = mismatch;
  const where = step < 0 ? 'init' : `step ${step}`;
  return `${topic}/${id} ${where}: ${field}: expected ${show(expected)}, got ${show(got)}`;
}
