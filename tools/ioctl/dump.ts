/**
 * Bytes with what they mean: a structure field by field, with the fields that the kernel changed
 * marked, and plain memory in rows of sixteen.
 */
import { decode, type Integer } from '../../hw/host/iommufd/uapi/codec.ts';
import { elementBytes, type Fields, type Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { type Described, describe } from '../../hw/host/iommufd/uapi/symbolic.ts';
import { formatBytes } from '../../sim/units.ts';
import type { Palette } from '../report/model.ts';

/** Bytes of a row of a structure; longer fields go on in the next row. */
const ROW_BYTES = 8;
const BYTES_WIDTH = ROW_BYTES * 3 - 1;
const NAME_WIDTH = 22;
const MEMORY_ROW_BYTES = 16;
const OFFSET_WIDTH = 5;
const SMALL = 10n;
/** Rows of memory that are shown of one buffer. */
const MEMORY_ROWS = 32;

/** A field of a structure in memory, before and after the call. */
export interface DumpField {
  readonly name: string;
  readonly offset: number;
  readonly sent: Uint8Array;
  readonly returned: Uint8Array;
  readonly before: string;
  readonly after: string;
  readonly changed: boolean;
}

export function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function spaced(bytes: Uint8Array): string {
  return hexOf(bytes).replace(/..(?!$)/g, '$& ');
}

export function hexNumber(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}

/** A value for reading: names of flags and types, lengths with their unit. */
export function valueText(value: Described | readonly Integer[], name = ''): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'object') {
    const parts = value.map((part) => valueText(part));
    return parts.length === 0
      ? '0'
      : parts.join(value.some((v) => typeof v === 'string') ? '|' : ',');
  }
  const number = BigInt(value);
  if (typeof value === 'number' || (number > -SMALL && number < SMALL)) return String(value);
  const bytes = /length$|^size$/.test(name) && number <= BigInt(Number.MAX_SAFE_INTEGER);
  return bytes ? `${hexNumber(number)} (${formatBytes(Number(number))})` : hexNumber(number);
}

/** Fields in order of their offsets; fields that share their bytes are one. */
export function dumpFields(
  layout: Layout,
  sent: Uint8Array,
  returned: Uint8Array,
  prefix = '',
): DumpField[] {
  const before = decode<Fields>(layout, sent) as unknown as Readonly<Record<string, Integer>>;
  const after = decode<Fields>(layout, returned) as unknown as Readonly<Record<string, Integer>>;
  const fields: DumpField[] = [];
  let end = 0;
  const listed = [...layout.list].sort(([, a], [, b]) => a.offset - b.offset);
  for (const [name, { kind, offset, count }] of listed) {
    const last = Math.min(offset + elementBytes(kind) * count, sent.length);
    if (last <= offset) continue;
    if (offset > end) fields.push(...gap(sent, returned, end, offset, prefix));
    const shared = fields.at(-1);
    const was = text(layout, name, before[name]);
    const is = text(layout, name, after[name]);
    if (shared?.offset === offset) {
      // A union: what was given, then what is answered.
      const both = { ...shared, name: `${shared.name}, ${name}`, after: is };
      fields[fields.length - 1] = both;
      continue;
    }
    fields.push(fieldOf(prefix + name, sent, returned, offset, last, was, is));
    end = Math.max(end, last);
  }
  if (sent.length > end && end > 0) {
    const tail = end >= layout.size ? '(tail)' : '';
    fields.push(...gap(sent, returned, end, sent.length, prefix, tail));
  }
  return fields;
}

function text(layout: Layout, name: string, value: Integer | readonly Integer[]): string {
  return typeof value === 'object'
    ? valueText(value)
    : valueText(describe(layout.name, name, value), name);
}

function fieldOf(
  name: string,
  sent: Uint8Array,
  returned: Uint8Array,
  offset: number,
  end: number,
  before: string,
  after: string,
): DumpField {
  const was = sent.subarray(offset, end);
  const is = returned.subarray(offset, end);
  const changed = was.some((byte, i) => byte !== is[i]);
  return { name, offset, sent: was, returned: is, before, after, changed };
}

/** Bytes that no field names; not told of where they are zero and stay so. */
function gap(
  sent: Uint8Array,
  returned: Uint8Array,
  start: number,
  end: number,
  prefix: string,
  name = '(unnamed)',
): DumpField[] {
  const field = fieldOf(prefix + (name || '(unnamed)'), sent, returned, start, end, '', '');
  const silent = !field.changed && field.sent.every((byte) => byte === 0);
  return silent && name !== '(tail)' ? [] : [field];
}

/** Rows for reading; of changed fields a second row with what came back. */
export function fieldLines(fields: readonly DumpField[], palette: Palette): string[] {
  const lines: string[] = [];
  for (const { name, offset, sent, returned, before, after, changed } of fields) {
    lines.push(...rows(String(offset), sent, ' ', name, before));
    if (!changed) continue;
    lines.push(...rows('', returned, '*', '', after).map(palette.good));
  }
  return lines;
}

function rows(
  offset: string,
  bytes: Uint8Array,
  mark: string,
  name: string,
  value: string,
): string[] {
  const lines: string[] = [];
  for (let at = 0; at < bytes.length; at += ROW_BYTES) {
    const first = at === 0;
    const row = spaced(bytes.subarray(at, at + ROW_BYTES)).padEnd(BYTES_WIDTH);
    const left = (first ? offset : '').padStart(OFFSET_WIDTH);
    const right = first ? `${name.padEnd(NAME_WIDTH)} ${value}` : '';
    lines.push(`${left}  ${row} ${mark} ${right}`.trimEnd());
  }
  return lines;
}

/** Plain memory; rows that came back otherwise are marked, equal rows are shown once. */
export function memoryLines(sent: Uint8Array, returned: Uint8Array, palette: Palette): string[] {
  const lines: string[] = [];
  let before = '';
  let folded = false;
  for (let at = 0; at < returned.length; at += MEMORY_ROW_BYTES) {
    if (lines.length >= MEMORY_ROWS) {
      lines.push(`${' '.repeat(OFFSET_WIDTH)}  … ${returned.length - at} bytes more`);
      break;
    }
    const row = returned.subarray(at, at + MEMORY_ROW_BYTES);
    const hex = spaced(row);
    const isLast = at + MEMORY_ROW_BYTES >= returned.length;
    if (hex === before && !isLast) {
      if (!folded) lines.push(`${' '.repeat(OFFSET_WIDTH)}  *`);
      folded = true;
      continue;
    }
    before = hex;
    folded = false;
    const changed = row.some((byte, i) => byte !== sent[at + i]);
    const ascii = [...row].map((byte) => printable(byte)).join('');
    const offset = at
      .toString(16)
      .padStart(OFFSET_WIDTH - 1, '0')
      .padStart(OFFSET_WIDTH);
    const line = `${offset}  ${hex.padEnd(MEMORY_ROW_BYTES * 3 - 1)} ${changed ? '*' : ' '} ${ascii}`;
    lines.push(changed ? palette.good(line.trimEnd()) : line.trimEnd());
  }
  return lines;
}

function printable(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
}
