/**
 * Whether an answer is what a step expects. Numbers are compared as such, flags as sets of names;
 * `{ min, max }` and `{ not }` say less than a value; `{ written_by }` is a device's own account,
 * and `{ covers_written_by }` at least that.
 */
import type { FieldValue } from './step.ts';
import { evaluate, isExpression, isFields, isList, type Names } from './values.ts';

/** A value of an answer: plain, or structured. */
export type Actual =
  | number
  | bigint
  | string
  | null
  | undefined
  | readonly Actual[]
  | { readonly [field: string]: Actual };

export interface Comparison {
  readonly names: Names;
  /**
   * Pages that DMAs of a device wrote since the last time this was asked: input pages, or guest
   * pages behind them.
   */
  written(device: string, guest: string): readonly number[];
}

/** Empty when the value is as expected; else what it was to be and is. */
export function mismatch(
  what: string,
  expected: FieldValue,
  actual: Actual,
  around: Comparison,
): string {
  if (isFields(expected)) return ofFields(what, expected, actual, around);
  if (isList(expected) && isStructured(expected)) {
    return ofList(what, expected, actual, around);
  }
  const wanted = plain(expected, around.names);
  const found = plainActual(actual);
  return wanted === found ? '' : `${what}: expected ${wanted}, got ${found}`;
}

function isStructured(list: readonly FieldValue[]): boolean {
  return list.some((element) => typeof element !== 'string' || isExpression(element));
}

function ofFields(
  what: string,
  expected: { readonly [field: string]: FieldValue },
  actual: Actual,
  around: Comparison,
): string {
  if ('min' in expected || 'max' in expected) {
    const found = asInteger(actual);
    const { min, max } = expected;
    if (found === null) return `${what}: expected a number, got ${plainActual(actual)}`;
    if (min !== undefined && found < BigInt(plain(min, around.names))) {
      return `${what}: expected at least ${plain(min, around.names)}, got ${found}`;
    }
    if (max !== undefined && found > BigInt(plain(max, around.names))) {
      return `${what}: expected at most ${plain(max, around.names)}, got ${found}`;
    }
    return '';
  }
  if ('not' in expected) {
    const other = plain(expected.not, around.names);
    return plainActual(actual) === other ? `${what}: expected anything but ${other}` : '';
  }
  const device = expected.written_by ?? expected.covers_written_by;
  if (device !== undefined) {
    const written = around.written(String(device), String(expected.through ?? ''));
    return ofPages(what, written, actual, 'written_by' in expected);
  }
  if ('count' in expected && Array.isArray(actual)) {
    return mismatch(`number of ${what}`, expected.count, actual.length, around);
  }
  if (typeof actual !== 'object' || actual === null || Array.isArray(actual)) {
    return `${what}: expected fields, got ${plainActual(actual)}`;
  }
  for (const [field, value] of Object.entries(expected)) {
    const inner = (actual as { readonly [field: string]: Actual })[field];
    const found = mismatch(`${what}.${field}`, value, inner, around);
    if (found !== '') return found;
  }
  return '';
}

function ofList(
  what: string,
  expected: readonly FieldValue[],
  actual: Actual,
  around: Comparison,
): string {
  if (!Array.isArray(actual)) return `${what}: expected a list, got ${plainActual(actual)}`;
  if (actual.length !== expected.length) {
    return `${what}: expected ${expected.length} entries, got ${actual.length}: ${plainActual(actual)}`;
  }
  for (const [i, element] of expected.entries()) {
    const found = mismatch(`${what}[${i}]`, element, actual[i] as Actual, around);
    if (found !== '') return found;
  }
  return '';
}

function ofPages(what: string, written: readonly number[], actual: Actual, exact: boolean): string {
  if (!Array.isArray(actual)) return `${what}: expected pages, got ${plainActual(actual)}`;
  const told = new Set(actual as readonly number[]);
  const missing = written.filter((page) => !told.delete(page));
  if (missing.length === 0 && (told.size === 0 || !exact)) return '';
  return (
    `${what}: ${written.length} pages were written, ${actual.length} are told: ` +
    `${missing.length} missing, ${told.size} too many`
  );
}

/** Text by which equal values are equal. */
function plain(expected: FieldValue, names: Names): string {
  if (expected === null) return '0';
  if (typeof expected === 'number') return String(expected);
  if (typeof expected === 'boolean') return expected ? '1' : '0';
  if (typeof expected === 'string') {
    if (isExpression(expected)) return String(evaluate(expected, names));
    return nameSet(expected.split('|'));
  }
  return isList(expected) ? nameSet(expected.map(String)) : JSON.stringify(expected);
}

function plainActual(actual: Actual): string {
  if (actual === undefined || actual === null) return 'nothing';
  if (Array.isArray(actual)) {
    if (actual.length === 0) return '0';
    return nameSet(actual.map((element) => plainActual(element)));
  }
  if (typeof actual === 'object') {
    return JSON.stringify(actual, (_key, value) =>
      typeof value === 'bigint' ? String(value) : value,
    );
  }
  return String(actual);
}

function nameSet(names: readonly string[]): string {
  return names
    .map((name) => name.trim())
    .sort()
    .join('|');
}

function asInteger(actual: Actual): bigint | null {
  return typeof actual === 'number' || typeof actual === 'bigint' ? BigInt(actual) : null;
}
