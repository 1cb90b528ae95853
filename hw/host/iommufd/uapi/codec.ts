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

const RANGES: Readonly<Record<IntegerKind, readonly [bigint, bigint]>> = {
  u8: [0n, 0xffn],
  u16: [0n, 0xffffn],
  u32: [0n, 0xffff_ffffn],
  s32: [-0x8000_0000n, 0x7fff_ffffn],
  u64: [0n, 0xffff_ffff_ffff_ffffn],
};

/** Bytes of a structure with these fields. */
export function encode<F extends Fields>(layout: Layout<F>, values: Inputs<F>): Uint8Array {
  const bytes = new Uint8Array(layout.size);
  const view = new DataView(bytes.buffer);
  for (const [name, value] of Object.entries(values)) {
    const field = layout.fields[name];
    if (field === undefined) {
      const known = Object.keys(layout.fields).join(', ');
      throw new InputError('uapi-field', `${layout.name} has no field ${name}; it has ${known}`);
    }
    if (value !== undefined) put(view, layout, name, value as Integer | readonly Integer[]);
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
  value: Integer | readonly Integer[],
): void {
  const { kind, offset, count } = layout.fields[name] as Field;
  const where = `${layout.name}.${name}`;
  if (count === 1) {
    if (typeof value === 'object') {
      throw new InputError('uapi-value', `${where} is one integer, not a list`);
    }
    putInteger(view, offset, kind, value, where);
    return;
  }
  if (typeof value !== 'object' || value.length > count) {
    throw new InputError('uapi-value', `${where} is a list of at most ${count} integers`);
  }
  for (const [i, element] of value.entries()) {
    putInteger(view, offset + i * elementBytes(kind), kind, element, `${where}[${i}]`);
  }
}

function putInteger(
  view: DataView,
  offset: number,
  kind: IntegerKind,
  value: Integer,
  where: string,
): void {
  const exact = exactInteger(value, where);
  const [least, most] = RANGES[kind];
  if (exact < least || exact > most) {
    throw new InputError(
      'uapi-range',
      `${where}: ${value} is outside ${kind}, ${least} to ${most}`,
    );
  }
  if (kind === 'u64') view.setBigUint64(offset, exact, true);
  else if (kind === 's32') view.setInt32(offset, Number(exact), true);
  else if (kind === 'u32') view.setUint32(offset, Number(exact), true);
  else if (kind === 'u16') view.setUint16(offset, Number(exact), true);
  else view.setUint8(offset, Number(exact));
}

function exactInteger(value: Integer, where: string): bigint {
  if (typeof value === 'bigint') return value;
  if (!Number.isSafeInteger(value)) {
    const hint = typeof value === 'number' && Number.isInteger(value) ? '; give a bigint' : '';
    throw new InputError('uapi-value', `${where}: ${value} is not an exact integer${hint}`);
  }
  return BigInt(value);
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
