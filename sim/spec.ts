/**
 * Parameters of units, declared once: kind, default, range and one sentence. From a declaration
 * come validation, JSON Schema, `--help` and the documentation. Quantities are held as integers in
 * one canonical unit: durations in picoseconds, rates in bits per second, sizes in bytes,
 * frequencies in hertz.
 */
import { parseBytes, parseDuration, parseFrequency, parseRate } from './units.ts';

export type ParamKind =
  | 'duration'
  | 'rate'
  | 'bytes'
  | 'frequency'
  | 'count'
  | 'flag'
  | 'choice'
  | 'text';

export interface Param<T> {
  readonly kind: ParamKind;
  /** Canonical value. */
  readonly default: T;
  readonly doc: string;
  /** Inclusive range in the canonical unit. */
  readonly min?: number;
  readonly max?: number;
  readonly choices?: readonly string[];
}

export type Spec = Readonly<Record<string, Param<unknown>>>;

/** Values of a spec: numbers in canonical units, booleans, strings. */
export type Values<S extends Spec> = {
  readonly [K in keyof S]: S[K] extends Param<infer T> ? T : never;
};

export interface Range {
  readonly min?: number;
  readonly max?: number;
}

/** A time span; `text` like `330ns`. Value in picoseconds. */
export function duration(text: string, doc: string, range: Range = { min: 0 }): Param<number> {
  return { kind: 'duration', default: parseDuration(text), doc, ...range };
}

/** A data rate; `text` like `200Gb/s`. Value in bits per second. */
export function rate(text: string, doc: string, range: Range = { min: 1 }): Param<number> {
  return { kind: 'rate', default: parseRate(text), doc, ...range };
}

/** A size; `text` like `2MiB`. Value in bytes. */
export function bytes(text: string, doc: string, range: Range = { min: 0 }): Param<number> {
  return { kind: 'bytes', default: parseBytes(text), doc, ...range };
}

/** A frequency; `text` like `2GHz`. Value in hertz. */
export function frequency(text: string, doc: string, range: Range = { min: 1 }): Param<number> {
  return { kind: 'frequency', default: parseFrequency(text), doc, ...range };
}

/** A plain whole number. */
export function count(value: number, doc: string, range: Range = { min: 0 }): Param<number> {
  return { kind: 'count', default: value, doc, ...range };
}

export function flag(value: boolean, doc: string): Param<boolean> {
  return { kind: 'flag', default: value, doc };
}

export function choice<const C extends readonly string[]>(
  value: C[number],
  choices: C,
  doc: string,
): Param<C[number]> {
  return { kind: 'choice', default: value, choices, doc };
}

export function text(value: string, doc: string): Param<string> {
  return { kind: 'text', default: value, doc };
}

/** The default value of every parameter. */
export function defaults<S extends Spec>(spec: S): Values<S> {
  const values: Record<string, unknown> = {};
  for (const [name, param] of Object.entries(spec)) values[name] = param.default;
  return values as Values<S>;
}
