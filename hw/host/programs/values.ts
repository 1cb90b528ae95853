/** Values of a program: sums of names, integers and sizes, and what the client makes of them. */
import { InputError } from '../../../sim/errors.ts';
import { parseBytes } from '../../../sim/units.ts';
import type { CallValue } from '../iommufd/client/request.ts';
import type { FieldValue, FieldValues } from './step.ts';

/** What the names of a program stand for. */
export type Names = Map<string, bigint>;

const NAME = /^\$([A-Za-z_][\w.-]*)$/;
const INTEGER = /^(0x[0-9a-f]+|\d+)$/i;
const SIZE = /^\d+(\.\d+)?\s*([KMGTPE]i)?B$/;
const OPERATOR = /\s+([+-])\s+/;

/** Whether text is to be calculated; other text is the name of a flag or of a value. */
export function isExpression(text: string): boolean {
  return text.startsWith('$') || /^\d/.test(text);
}

/** Names in an expression, without their "$". */
export function namesIn(text: string): string[] {
  return text.split(OPERATOR).flatMap((term) => NAME.exec(term.trim())?.[1] ?? []);
}

/** Why text is no expression; null: it is one. */
export function expressionProblem(text: string): string | null {
  const terms = text.trim().split(OPERATOR);
  for (const [i, term] of terms.entries()) {
    if (i % 2 === 1) continue;
    const known = NAME.test(term.trim()) || INTEGER.test(term.trim()) || SIZE.test(term.trim());
    if (!known) {
      return `expected an integer, a size like 64MiB, a $name, or a sum like "$name + 4KiB"; got "${term}"`;
    }
  }
  return null;
}

export function evaluate(value: string | number, names: Names): bigint {
  if (typeof value === 'number') return BigInt(value);
  const terms = value.trim().split(OPERATOR);
  let sum = term(terms[0], names);
  for (let i = 1; i + 1 < terms.length; i += 2) {
    const next = term(terms[i + 1], names);
    sum = terms[i] === '+' ? sum + next : sum - next;
  }
  return BigInt.asUintN(64, sum);
}

function term(written: string, names: Names): bigint {
  const text = written.trim();
  const name = NAME.exec(text)?.[1];
  if (name !== undefined) {
    const value = names.get(name);
    if (value === undefined) throw new InputError('program', `$${name} has no value yet`);
    return value;
  }
  return INTEGER.test(text) ? BigInt(text) : BigInt(parseBytes(text));
}

/** Fields as the client takes them. */
export function callFields(given: FieldValues, names: Names): Record<string, CallValue> {
  const fields: Record<string, CallValue> = {};
  for (const [field, value] of Object.entries(given)) fields[field] = callValue(value, names);
  return fields;
}

function callValue(value: FieldValue, names: Names): CallValue {
  if (value === null) return 0;
  if (typeof value === 'string') return isExpression(value) ? evaluate(value, names) : value;
  if (typeof value !== 'object') return value;
  if (isList(value)) return value.map((element) => callValue(element, names)) as CallValue;
  return bytesOf(value) ?? (callFields(value, names) as CallValue);
}

/** `{ bytes: [1, 2] }`, `{ zeros: 40 }`: memory that a field points to. */
export function bytesOf(value: FieldValues): Uint8Array | null {
  const keys = Object.keys(value);
  if (keys.length !== 1) return null;
  if (keys[0] === 'bytes') return Uint8Array.from(value.bytes as readonly number[]);
  return keys[0] === 'zeros' ? new Uint8Array(value.zeros as number) : null;
}

export function isList(value: FieldValue): value is readonly FieldValue[] {
  return Array.isArray(value);
}

export function isFields(value: FieldValue | undefined): value is FieldValues {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
