/**
 * Declarations of C structures that cross the user boundary: where each field is and how wide, what
 * the kernel knows (size) and the least that a caller may pass (minSize, which never grows). All
 * are little-endian and without padding of their own: every byte is a named field.
 */
import { invariant } from '../../../../sim/errors.ts';

export type IntegerKind = 'u8' | 'u16' | 'u32' | 's32' | 'u64';

export interface Field<K extends IntegerKind = IntegerKind, N extends number = number> {
  readonly kind: K;
  readonly offset: number;
  /** Elements: 1 for a plain integer, more for an array. */
  readonly count: N;
}

export type Fields = Readonly<Record<string, Field>>;

export interface Layout<F extends Fields = Fields> {
  /** Name of the C structure. */
  readonly name: string;
  readonly size: number;
  readonly minSize: number;
  readonly fields: F;
  /** The same fields as a list. */
  readonly list: readonly (readonly [string, Field])[];
  /** Byte offset of each field. */
  readonly at: { readonly [K in keyof F]: number };
}

/** The argument of an ioctl: a layout with the whole command word. */
export interface IoctlLayout<F extends Fields = Fields> extends Layout<F> {
  readonly word: number;
}

const WIDTH: Readonly<Record<IntegerKind, number>> = { u8: 1, u16: 2, u32: 4, s32: 4, u64: 8 };

/** Bytes of one element of a field. */
export function elementBytes(kind: IntegerKind): number {
  return WIDTH[kind];
}

export function u8(offset: number): Field<'u8', 1> {
  return { kind: 'u8', offset, count: 1 };
}

export function u16(offset: number): Field<'u16', 1> {
  return { kind: 'u16', offset, count: 1 };
}

export function u32(offset: number): Field<'u32', 1> {
  return { kind: 'u32', offset, count: 1 };
}

/** A signed 32-bit integer: a file descriptor. */
export function s32(offset: number): Field<'s32', 1> {
  return { kind: 's32', offset, count: 1 };
}

/** A 64-bit integer, user pointers (__aligned_u64) among them. */
export function u64(offset: number): Field<'u64', 1> {
  return { kind: 'u64', offset, count: 1 };
}

export function array<K extends IntegerKind, N extends number>(
  count: N,
  first: Field<K, 1>,
): Field<K, N> {
  return { kind: first.kind, offset: first.offset, count };
}

/** Declares a structure. Fields may overlap where the C structure has a union. */
export function layout<const F extends Fields>(
  name: string,
  size: number,
  minSize: number,
  fields: F,
): Layout<F> {
  const at: Record<string, number> = {};
  const list = Object.entries<Field>(fields);
  for (const [key, { kind, offset, count }] of list) {
    invariant(offset + count * WIDTH[kind] <= size, `${name}.${key} does not fit ${size} bytes`);
    at[key] = offset;
  }
  invariant(minSize <= size, `${name}: least size ${minSize} above size ${size}`);
  return { name, size, minSize, fields, list, at: at as { [K in keyof F]: number } };
}

/** Declares the argument of an ioctl. */
export function ioctl<const F extends Fields>(
  word: number,
  name: string,
  size: number,
  minSize: number,
  fields: F,
): IoctlLayout<F> {
  return { ...layout(name, size, minSize, fields), word };
}
