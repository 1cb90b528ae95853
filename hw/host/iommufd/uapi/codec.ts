/**
 * Structures of the user boundary to bytes and back, exactly: 64-bit fields are bigints when
 * decoded, a value that does not fit its field is refused and never cut.
 */
import { InputError } from '../../../../sim/errors.ts';
import { elementBytes, type Field, type Fields, type IntegerKind, type Layout } from './layout.ts';

export type Integer = number | bigint;

/** What a field may be set to. */
export type FieldInput<F extends Field> = F['count'] extends 1 ? Integer : readonly Integer[];

/** What a field decodes to. */
export type FieldOutput<F extends Field> = F['count'] extends 1
  ? Decoded<F['kind']>
  : readonly Decoded<F['kind']>[];

type Decoded<K extends IntegerKind> = K extends 'u64' ? bigint : number;

/** Values for a structure; a field left out is zero. */
export type Inputs<F extends Fields> = { readonly [K in keyof F]?: FieldInput<F[K]> };

export type Outputs<F extends Fields> = { readonly [K in keyof F]: FieldOutput<F[K]> };

/** Least and largest value of each kind; both are exact as numbers but for the last. */
const RANGES: Readonly<Record<IntegerKind, readonly [number, number]>> = {
  u8: [0, 0xff],
  u16: [0, 0xffff],
  u32: [0, 0xffff_ffff],
  s32: [-0x8000_0000, 0x7fff_ffff],
  u64: [0, Number.POSITIVE_INFINITY],
};
const U64_MAX = 0xffff_ffff_ffff_ffffn;
const WORD = 2 ** 32;

/** Bytes of a structure with these fields. */
export function encode<F extends Fields>(layout: Layout<F>, values: Inputs<F>): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  for (const name of Object.keys(values)) {
    const value = values[name];
    const field = layout.fields[name];
    if (field === undefined) {
      const known = Object.keys(layout.fields).join(', ');
      throw new InputError('uapi-field', `${layout.name} has no field ${name}; it has ${known}`);
    }
    if (value !== undefined) put(view, layout, name, field, value as Integer | readonly Integer[]);
  }
  return bytes;
}

/** Fields of a structure; bytes that are missing at the end count as zeros. */
export function decode<F extends Fields>(layout: Layout<F>, bytes: Uint8Array): Outputs<F> {
  let whole = bytes;
  if (bytes.length < layout.size) {
    whole = new Uint8Array(layout.size);
    whole.set(bytes);
  }
  const view = new DataView(whole.buffer, whole.byteOffset, whole.byteLength);
  const values: Record<string, Integer | Integer[]> = {};
  for (const [name, field] of Object.entries<Field>(layout.fields))
    values[name] = take(view, field);
  return values as Outputs<F>;
}

function put(
  view: DataView,
  layout: Layout,
  name: string,
  { kind, offset, count }: Field,
  value: Integer | readonly Integer[],
): void {
  if (count === 1) {
    if (typeof value === 'object') {
      throw new InputError('uapi-value', `${layout.name}.${name} is one integer, not a list`);
    }
    if (!fits(kind, value)) refuse(kind, value, `${layout.name}.${name}`);
    putInteger(view, offset, kind, value);
    return;
  }
  if (typeof value !== 'object' || value.length > count) {
    const where = `${layout.name}.${name}`;
    throw new InputError('uapi-value', `${where} is a list of at most ${count} integers`);
  }
  for (const [i, element] of value.entries()) {
    if (!fits(kind, element)) refuse(kind, element, `${layout.name}.${name}[${i}]`);
    putInteger(view, offset + i * elementBytes(kind), kind, element);
  }
}

function putInteger(view: DataView, offset: number, kind: IntegerKind, value: Integer): void {
  if (kind !== 'u64') putNarrow(view, offset, kind, Number(value));
  else if (typeof value === 'bigint') view.setBigUint64(offset, value, true);
  else {
    view.setUint32(offset, value % WORD, true);
    view.setUint32(offset + 4, Math.floor(value / WORD), true);
  }
}

function putNarrow(view: DataView, offset: number, kind: IntegerKind, value: number): void {
  if (kind === 'u32') view.setUint32(offset, value, true);
  else if (kind === 's32') view.setInt32(offset, value, true);
  else if (kind === 'u16') view.setUint16(offset, value, true);
  else view.setUint8(offset, value);
}

function fits(kind: IntegerKind, value: Integer): boolean {
  if (typeof value === 'bigint' && kind === 'u64') return BigInt.asUintN(64, value) === value;
  const [least, most] = RANGES[kind];
  if (typeof value === 'number' && !Number.isSafeInteger(value)) return false;
  return value >= least && value <= most;
}

function refuse(kind: IntegerKind, value: Integer, where: string): never {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) {
    const hint = Number.isInteger(value) ? '; give a bigint' : '';
    throw new InputError('uapi-value', `${where}: ${value} is not an exact integer${hint}`);
  }
  const [least, most] = RANGES[kind];
  const largest = kind === 'u64' ? U64_MAX : most;
  throw new InputError(
    'uapi-range',
    `${where}: ${value} is outside ${kind}, ${least} to ${largest}`,
  );
}

function take(view: DataView, { kind, offset, count }: Field): Integer | Integer[] {
  if (count === 1) return takeInteger(view, offset, kind);
  return Array.from({ length: count }, (_, i) =>
    takeInteger(view, offset + i * elementBytes(kind), kind),
  );
}

function takeInteger(view: DataView, offset: number, kind: IntegerKind): Integer {
  switch (kind) {
    case 'u8':
      return view.getUint8(offset);
    case 'u16':
      return view.getUint16(offset, true);
    case 'u32':
      return view.getUint32(offset, true);
    case 's32':
      return view.getInt32(offset, true);
    case 'u64':
      return view.getBigUint64(offset, true);
  }
}
