/**
 * Values as people type them: 5, 0x1000, 2MiB, 1_000, @ioas (an id or address with a name),
 * @buffer+0x40, nest-parent|pasid (names of flags and types), hex:00ff (bytes), 1,2,3 (an array).
 */
import type { Integer } from '../../hw/host/iommufd/uapi/codec.ts';
import { elementBytes, type Field, type Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { resolve } from '../../hw/host/iommufd/uapi/symbolic.ts';
import { type Symbols, symbolsOf } from '../../hw/host/iommufd/uapi/symbols.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import { InputError } from '../../sim/errors.ts';
import { parseBytes } from '../../sim/units.ts';

/** What names stand for. */
export type Names = ReadonlyMap<string, bigint>;

const NUMBER = /^-?(0x[0-9a-f_]+|[\d_]+)$/i;
const SIZE = /^[\d.]+[A-Za-z]+$/;
const U64 = 1n << 64n;

function fail(message: string): never {
  throw new InputError('ioctl-value', message);
}

/** The integer that a text is; null: it is not one (a name of a flag, a mistake). */
function integerOf(text: string, names: Names): bigint | null {
  if (text.startsWith('@')) return namedInteger(text, names);
  if (NUMBER.test(text) && /\d/.test(text)) {
    const digits = text.replaceAll('_', '');
    return digits.startsWith('-') ? -BigInt(digits.slice(1)) : BigInt(digits);
  }
  return SIZE.test(text) ? BigInt(parseBytes(text)) : null;
}

function namedInteger(text: string, names: Names): bigint {
  const [, name = '', sign, offset] = /^@([\w-]+)(?:([+-])(.+))?$/.exec(text) ?? [];
  const base = names.get(name);
  if (base === undefined) {
    const known = [...names.keys()];
    const hint = didYouMean(name, known) || ` (names: ${known.join(', ') || 'none yet'})`;
    fail(`nothing is called ${text}${hint}`);
  }
  if (sign === undefined || offset === undefined) return base;
  const distance = integerOf(offset, names) ?? fail(`${text}: ${offset} is no number`);
  return sign === '+' ? base + distance : base - distance;
}

/** An id, an address, a count. */
export function parseInteger(text: string, what: string, names: Names): bigint {
  return (
    integerOf(text, names) ??
    fail(`${what}: "${text}" is no number (5, 0x1000, 2MiB, or a name like @ioas)`)
  );
}

/** An address or length of 64 bits; negative numbers count from the end of the address space. */
export function parseAddress(text: string, what: string, names: Names): bigint {
  const value = parseInteger(text, what, names);
  if (value >= U64 || value < -U64 / 2n) fail(`${what}: ${text} does not fit 64 bits`);
  return BigInt.asUintN(64, value);
}

/** A number that memory of this machine can have, and a descriptor can be. */
export function parseCount(text: string, what: string, names: Names): number {
  const value = parseInteger(text, what, names);
  if (value < 0n || value > 0x7fff_ffffn) fail(`${what}: ${text} is not from 0 to 2^31 - 1`);
  return Number(value);
}

/** Bytes of a text in hexadecimal; null: the text is not in that form. */
export function bytesOf(text: string): Uint8Array | null {
  if (!text.startsWith('hex:')) return null;
  const digits = text.slice(4).replaceAll(/[\s_:]/g, '');
  if (!/^([0-9a-f]{2})*$/i.test(digits)) fail(`${text}: bytes are pairs of hexadecimal digits`);
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** Value of a field; bytes are for memory that the field points to. */
export function fieldValue(
  layout: Layout,
  field: string,
  text: string,
  names: Names,
): Integer | readonly Integer[] | Uint8Array {
  const declared = layout.fields[field] as Field;
  const where = `${layout.name}.${field}`;
  const bytes = bytesOf(text);
  if (bytes !== null) {
    if (declared.kind === 'u64' && declared.count === 1) return bytes;
    fail(`${where}: bytes are given for pointers (64-bit fields)`);
  }
  if (declared.count > 1) {
    return text.split(',').map((part) => wrapped(declared, parseInteger(part, where, names)));
  }
  const symbols = symbolsOf(layout.name, field);
  if (symbols !== undefined) return symbolic(layout, field, symbols, text, names);
  return wrapped(declared, parseInteger(text, where, names));
}

/** Negative numbers are written as the field's width has them. */
function wrapped({ kind }: Field, value: bigint): bigint {
  const bits = elementBytes(kind) * 8;
  return value >= 0n || kind === 's32' ? value : BigInt.asUintN(bits, value);
}

function symbolic(
  layout: Layout,
  field: string,
  symbols: Symbols,
  text: string,
  names: Names,
): bigint {
  const parts = symbols.kind === 'flags' ? text.split(/[|,]/) : [text];
  let value = 0n;
  for (const part of parts) {
    const number = integerOf(part, names);
    value |=
      number === null ? named(layout, field, symbols, part) : wrapped(layout.fields[field], number);
  }
  return value;
}

function named(layout: Layout, field: string, symbols: Symbols, text: string): bigint {
  const words = Object.keys(symbols.names).map(kebab);
  const hint = didYouMean(text, words);
  try {
    return BigInt(resolve(layout.name, field, text));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return fail(
      `${layout.name}.${field}: no value is called "${text}"${hint || ` (${words.join(', ')})`}`,
    );
  }
}

/** HWPT_ALLOC as commands and values are typed: hwpt-alloc. */
export function kebab(name: string): string {
  return name.toLowerCase().replaceAll('_', '-');
}
