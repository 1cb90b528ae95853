/**
 * Quantities in scenario files: text with a unit on the outside, an integer in the canonical unit
 * inside (sim/units.ts). Here are the words for what is wrong with one.
 */
import { SimError } from '../../sim/errors.ts';
import type { Param, ParamKind } from '../../sim/spec.ts';
import {
  formatBytes,
  formatDuration,
  formatFrequency,
  formatRate,
  parseBytes,
  parseDuration,
  parseFrequency,
  parseRate,
} from '../../sim/units.ts';

export type QuantityKind = 'duration' | 'rate' | 'bytes' | 'frequency';

interface Quantity {
  readonly noun: string;
  readonly example: string;
  /** Unit to suggest for a bare number. */
  readonly usual: string;
  readonly parse: (text: string) => number;
  readonly format: (value: number, digits?: number) => string;
}

const QUANTITIES: Readonly<Record<QuantityKind, Quantity>> = {
  duration: {
    noun: 'a duration',
    example: '330ns',
    usual: 'ns',
    parse: parseDuration,
    format: formatDuration,
  },
  rate: {
    noun: 'a data rate',
    example: '200Gb/s',
    usual: 'Gb/s',
    parse: parseRate,
    format: formatRate,
  },
  bytes: {
    noun: 'a size',
    example: '2MiB',
    usual: 'B',
    parse: parseBytes,
    format: formatBytes,
  },
  frequency: {
    noun: 'a frequency',
    example: '2GHz',
    usual: 'GHz',
    parse: parseFrequency,
    format: formatFrequency,
  },
};

export function isQuantity(kind: ParamKind | QuantityKind): kind is QuantityKind {
  return kind in QUANTITIES;
}

/** Text of a canonical value; exact, or rounded to `digits` significant digits. */
export function quantityText(kind: QuantityKind, value: number, digits?: number): string {
  return QUANTITIES[kind].format(value, digits);
}

/** What the quantity is, for documentation: `a duration like "330ns"`. */
export function quantityDoc(kind: QuantityKind): string {
  const { noun, example } = QUANTITIES[kind];
  return `${noun} like "${example}"`;
}

/** Canonical value of what stands in a scenario, or the message that says what is wrong. */
export function readQuantity(
  kind: QuantityKind,
  input: unknown,
): { readonly value: number } | { readonly message: string } {
  const { noun, example, usual, parse } = QUANTITIES[kind];
  const expected = `expected ${noun} with a unit, like "${example}"`;
  if (typeof input === 'number') {
    const hint = `(did you mean "${input}${usual}"?)`;
    return { message: `${expected}; the bare number ${input} has none ${hint}` };
  }
  if (typeof input !== 'string') return { message: `${expected}; got ${describe(input)}` };
  try {
    return { value: parse(input) };
  } catch (error) {
    if (error instanceof SimError) return { message: error.message };
    throw error;
  }
}

/** Value of a parameter as a person writes it. */
export function paramText(param: Param<unknown>, value: unknown): string {
  return isQuantity(param.kind) ? quantityText(param.kind, value as number) : String(value);
}

/** What stands there, for an error message. */
export function describe(input: unknown): string {
  if (input === undefined || input === null) return 'nothing';
  if (Array.isArray(input)) return 'a list';
  if (typeof input === 'object') return 'a mapping';
  return JSON.stringify(input);
}
