/**
 * From a command's name and field values, as people write them, to the bytes in user memory: the
 * argument structure, and what its pointers point to (driver data, entries, ranges, bitmaps).
 */
import { InputError } from '../../../../sim/errors.ts';
import { encode, type Inputs, type Integer } from '../uapi/codec.ts';
import {
  type DataSpec,
  type EntryData,
  IOCTLS,
  type IoctlSpec,
  PLAIN_IOCTLS,
  type StructData,
  TEST_FORMS,
} from '../uapi/ioctls.ts';
import type { Fields, Layout } from '../uapi/layout.ts';
import { IOVA_RANGE } from '../uapi/structs.ts';
import { describe, resolve, type Symbolic } from '../uapi/symbolic.ts';
import type { Scratch } from './process.ts';

/** Fields of a driver's structure; a list for its arrays. */
export type DataFields = Readonly<Record<string, Symbolic>>;

/** What a field of a call may be given as; bytes are placed in memory and pointed to. */
export type CallValue = Symbolic | Uint8Array | DataFields | readonly DataFields[];

export type CallFields = Readonly<Record<string, CallValue>>;

/** User memory that a field of the argument points to. */
export interface PlacedBuffer {
  readonly field: string;
  readonly address: bigint;
  readonly sent: Uint8Array;
}

export interface Request {
  readonly spec: IoctlSpec;
  /** Layout of the argument: for TEST_CMD that of its op. */
  readonly layout: Layout;
  readonly bytes: Uint8Array;
  readonly buffers: readonly PlacedBuffer[];
}

const ANSWER_BYTES = 64;
const RANGE_ENTRIES = 64;
const MAX_BITMAP_BYTES = 1 << 24;
const MAX_ARGUMENT_BYTES = 1 << 16;

/** The entry of the table of ioctls for a name: HWPT_ALLOC, hwpt-alloc, IOMMU_HWPT_ALLOC. */
export function findIoctl(name: string): IoctlSpec {
  const key = tableKey(name);
  const spec = IOCTLS[key];
  if (spec !== undefined) return spec;
  const known = [...Object.keys(IOCTLS), ...Object.keys(PLAIN_IOCTLS)].join(', ');
  throw new InputError('uapi-ioctl', `no ioctl is called ${name}; known: ${known}`);
}

/** How a command is called in the tables. */
export function tableKey(name: string): string {
  return name
    .trim()
    .toUpperCase()
    .replaceAll('-', '_')
    .replace(/^IOMMU_/, '');
}

/** Puts everything but the argument itself into user memory, and encodes the argument. */
export function buildRequest(
  spec: IoctlSpec,
  given: CallFields,
  scratch: Scratch,
  tail: Uint8Array,
): Request {
  return new Builder(spec, given, scratch).build(tail);
}

class Builder {
  private readonly spec: IoctlSpec;
  private readonly given: CallFields;
  private readonly scratch: Scratch;
  private readonly layout: Layout;
  private readonly values: Record<string, Integer | readonly Integer[]> = {};
  private readonly buffers: PlacedBuffer[] = [];

  constructor(spec: IoctlSpec, given: CallFields, scratch: Scratch) {
    this.spec = spec;
    this.given = given;
    this.scratch = scratch;
    this.layout = argumentLayout(spec, given);
  }

  build(tail: Uint8Array): Request {
    for (const [field, value] of Object.entries(this.given)) this.giveField(field, value);
    if (this.spec.data !== null) this.giveData(this.spec.data);
    const sizeField = 'argsz' in this.layout.fields ? 'argsz' : 'size';
    this.values[sizeField] ??= this.layout.size + tail.length;
    const whole = encode(this.layout, this.values as Inputs<Fields>);
    const bytes = new Uint8Array(argumentBytes(this.values[sizeField] as Integer));
    bytes.set(whole.subarray(0, bytes.length));
    if (bytes.length > whole.length) {
      bytes.set(tail.subarray(0, bytes.length - whole.length), whole.length);
    }
    return { spec: this.spec, layout: this.layout, bytes, buffers: this.buffers };
  }

  private giveField(field: string, value: CallValue): void {
    const declared = this.layout.fields[field];
    if (value instanceof Uint8Array && declared?.kind === 'u64') {
      this.point(field, value);
      return;
    }
    if (declared === undefined && field === 'data' && this.spec.data !== null) return;
    this.values[field] = fieldValue(this.layout, field, value);
  }

  private point(field: string, bytes: Uint8Array): void {
    const address = this.scratch.place(bytes);
    this.buffers.push({ field, address, sent: bytes });
    this.values[field] ??= address;
  }

  /** Memory behind the command's pointer, unless the caller gave an address of his own. */
  private giveData(spec: DataSpec): void {
    const data = this.given.data;
    if (this.values[spec.pointer] !== undefined) return;
    switch (spec.form) {
      case 'struct':
        if (data !== undefined) this.giveStruct(spec, data);
        return;
      case 'entries':
        if (data !== undefined) this.giveEntries(spec, data);
        return;
      case 'answer': {
        const room = Number(this.values[spec.length] ?? ANSWER_BYTES);
        this.values[spec.length] = room;
        if (room > 0) this.point(spec.pointer, new Uint8Array(Math.min(room, MAX_ARGUMENT_BYTES)));
        return;
      }
      case 'ranges': {
        const ranges = spec.filled ? this.room(spec.count) : encodeRanges(listOf(data ?? []));
        this.values[spec.count] ??= ranges.length / IOVA_RANGE.size;
        if (ranges.length > 0) this.point(spec.pointer, ranges);
        return;
      }
      case 'bitmap':
        this.point(spec.pointer, new Uint8Array(this.bitmapBytes()));
    }
  }

  private giveStruct(spec: StructData, data: CallValue): void {
    const bytes =
      data instanceof Uint8Array ? data : encodeData(this.dataLayout(spec), fieldsOf(data));
    this.values[spec.length] ??= bytes.length;
    this.point(spec.pointer, bytes);
  }

  private giveEntries(spec: EntryData, data: CallValue): void {
    const layout = this.dataLayout(spec);
    if (data instanceof Uint8Array) {
      this.values[spec.entryLength] ??= layout.size;
      this.values[spec.count] ??= Math.floor(data.length / layout.size);
      this.point(spec.pointer, data);
      return;
    }
    const entries = listOf(data);
    const length = Number(this.values[spec.entryLength] ?? layout.size);
    this.values[spec.entryLength] ??= length;
    this.values[spec.count] ??= entries.length;
    // A length that nobody means finds memory only for its beginning.
    const room = Math.min(length, MAX_ARGUMENT_BYTES);
    const bytes = new Uint8Array(room * entries.length);
    for (const [i, entry] of entries.entries()) {
      bytes.set(encodeData(layout, entry).subarray(0, room), i * room);
    }
    if (bytes.length > 0) this.point(spec.pointer, bytes);
  }

  /** Layout of driver data by the type field: by the name given, or by the name of its number. */
  private dataLayout(spec: StructData | EntryData): Layout {
    const type = this.given[spec.type];
    const name =
      typeof type === 'string' && tableKey(type) in spec.layouts
        ? tableKey(type)
        : describe(this.spec.layout.name, spec.type, (this.values[spec.type] ?? 0) as Integer);
    const layout = spec.layouts[String(name)];
    if (layout) return layout;
    const known = Object.entries(spec.layouts).filter(([, found]) => found !== null);
    const names = known.map(([key]) => key).join(', ');
    throw new InputError(
      'uapi-data',
      `${this.spec.name}: no structure belongs to ${spec.type} ${name}, so give bytes; ` +
        `known: ${names}`,
    );
  }

  private room(count: string): Uint8Array {
    const entries = Number(this.values[count] ?? RANGE_ENTRIES);
    return new Uint8Array(Math.min(entries * IOVA_RANGE.size, MAX_ARGUMENT_BYTES));
  }

  /** One bit for each page, in whole 64-bit words. */
  private bitmapBytes(): number {
    const pageSize = BigInt((this.values.page_size ?? 0) as Integer);
    const length = BigInt((this.values.length ?? 0) as Integer);
    const pages = pageSize === 0n ? 0n : length / pageSize;
    return Number(
      pages > BigInt(MAX_BITMAP_BYTES) * 8n ? MAX_BITMAP_BYTES : (pages / 64n + 1n) * 8n,
    );
  }
}

function argumentLayout(spec: IoctlSpec, given: CallFields): Layout {
  if (spec !== IOCTLS.TEST_CMD) return spec.layout;
  const op = resolve(spec.layout.name, 'op', (given.op ?? 0) as Symbolic);
  return TEST_FORMS[String(describe(spec.layout.name, 'op', op))] ?? spec.layout;
}

function argumentBytes(size: Integer): number {
  return Math.max(4, Math.min(Number(size), MAX_ARGUMENT_BYTES));
}

function encodeData(layout: Layout, data: DataFields): Uint8Array {
  const values: Record<string, Integer | readonly Integer[]> = {};
  for (const [field, value] of Object.entries(data)) {
    values[field] = fieldValue(layout, field, value);
  }
  return encode(layout, values as Inputs<Fields>);
}

function encodeRanges(ranges: readonly DataFields[]): Uint8Array {
  const bytes = new Uint8Array(ranges.length * IOVA_RANGE.size);
  for (const [i, range] of ranges.entries()) {
    bytes.set(encodeData(IOVA_RANGE, range), i * IOVA_RANGE.size);
  }
  return bytes;
}

function fieldValue(layout: Layout, field: string, value: CallValue): Integer | readonly Integer[] {
  if (!isSymbolic(value)) {
    throw new InputError('uapi-value', `${layout.name}.${field} is an integer or its name`);
  }
  const array = (layout.fields[field]?.count ?? 1) > 1;
  if (array && typeof value === 'object') {
    return value.map((element) => resolve(layout.name, field, element));
  }
  return resolve(layout.name, field, value);
}

function isSymbolic(value: CallValue): value is Symbolic {
  if (typeof value !== 'object') return true;
  return Array.isArray(value) && value.every((element) => typeof element !== 'object');
}

function fieldsOf(data: CallValue): DataFields {
  if (typeof data === 'object' && !Array.isArray(data)) return data as DataFields;
  throw new InputError('uapi-data', 'data of one structure is given by its fields, or as bytes');
}

function listOf(data: CallValue): readonly DataFields[] {
  if (Array.isArray(data)) return data as readonly DataFields[];
  return [fieldsOf(data)];
}
