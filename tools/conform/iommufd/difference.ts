/** The first thing about a replayed call that is not as recorded, with the rule that refused it. */

export class CallDifference extends Error {
  /** `err`, `ret`, `out.length`, `data_uptr[8]`, ...: what was compared. */
  readonly field: string;
  readonly expected: string;
  readonly got: string;
  /** Why the simulated kernel refused the call; empty if it did not. */
  readonly rule: string;

  constructor(field: string, expected: string, got: string, rule = '') {
    super(`${field}: expected ${expected}, got ${got}`);
    this.field = field;
    this.expected = expected;
    this.got = got;
    this.rule = rule;
  }
}

export function expectSame(field: string, expected: number | string, got: number | string): void {
  if (expected !== got) throw new CallDifference(field, String(expected), String(got));
}

/** Position of the first byte that differs; -1: none, as far as `expected` goes. */
export function firstDifference(expected: Uint8Array, got: Uint8Array): number {
  for (let i = 0; i < expected.length; i++) if (expected[i] !== got[i]) return i;
  return -1;
}

const SHOWN_BYTES = 16;

/** Bytes in hexadecimal from the word that contains `from`. */
export function hexAround(bytes: Uint8Array, from: number): string {
  const start = from & ~7;
  const part = Buffer.from(bytes.subarray(start, start + SHOWN_BYTES)).toString('hex');
  const words = part.match(/.{1,8}/g) ?? ['nothing'];
  return `${words.join(' ')}${start + SHOWN_BYTES < bytes.length ? ' ...' : ''}`;
}

/** Compares a buffer that has no fields of its own. */
export function expectBytes(name: string, expected: Uint8Array, got: Uint8Array): void {
  const at = firstDifference(expected, got);
  if (at < 0) return;
  throw new CallDifference(`${name}[${at}]`, hexAround(expected, at), hexAround(got, at));
}
