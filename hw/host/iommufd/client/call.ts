/**
 * An ioctl by its name: encodes the fields, makes the system call, and tells everything about it:
 * bytes sent, bytes returned, buffers, decoded answers, the error number and its rule.
 */
import { InputError } from '../../../../sim/errors.ts';
import { errnoName } from '../../kernel/errno.ts';
import { decode, type Integer } from '../uapi/codec.ts';
import { type AnswerData, PLAIN_IOCTLS, type StructData } from '../uapi/ioctls.ts';
import { elementBytes, type Fields, type Layout } from '../uapi/layout.ts';
import { IOVA_RANGE } from '../uapi/structs.ts';
import { type Described, describe, resolve, type Symbolic } from '../uapi/symbolic.ts';
import type { CallingProcess, Scratch, SyscallAnswer } from './process.ts';
import { buildRequest, type CallFields, findIoctl, type Request, tableKey } from './request.ts';

export interface CallOptions {
  /** Where the argument is instead of in memory that the client chose: for calls that must fail. */
  readonly address?: bigint;
  /** Bytes after the structure; its size counts them unless the size is given. */
  readonly tail?: Uint8Array;
}

export interface BufferReport {
  readonly field: string;
  readonly address: bigint;
  readonly sent: Uint8Array;
  readonly returned: Uint8Array;
}

export type DecodedFields = Readonly<Record<string, Described>>;

export interface CallReport {
  readonly name: string;
  readonly fd: number;
  readonly word: number;
  readonly address: bigint;
  readonly value: number;
  readonly errno: number;
  /** Name of the error number; empty on success. */
  readonly error: string;
  readonly rule: string;
  readonly sent: Uint8Array;
  readonly returned: Uint8Array;
  readonly buffers: readonly BufferReport[];
  /** Fields that the kernel answered, with names for flags and types. */
  readonly out: DecodedFields;
  /** What the kernel put behind the pointer: a structure, IOVA ranges, numbers of written pages. */
  readonly data: DecodedFields | readonly DecodedFields[] | readonly number[] | null;
}

const NOTHING = new Uint8Array(0);

export function callByName(
  process: CallingProcess,
  scratch: Scratch,
  fd: number,
  name: string,
  fields: CallFields,
  options: CallOptions = {},
): CallReport {
  const plain = PLAIN_IOCTLS[tableKey(name)];
  if (plain !== undefined) {
    const argument = plainArgument(name, fields);
    const answer = process.ioctl(fd, plain.word, argument);
    const head = heading(plain.name, fd, plain.word, argument, answer);
    return { ...head, sent: NOTHING, returned: NOTHING, buffers: [], out: {}, data: null };
  }
  scratch.reset();
  const request = buildRequest(findIoctl(name), fields, scratch, options.tail ?? NOTHING);
  const placed = scratch.place(request.bytes);
  const address = options.address ?? placed;
  const word = request.spec.layout.word;
  const answer = process.ioctl(fd, word, address);
  const head = heading(request.spec.name, fd, word, address, answer);
  return { ...head, ...readBack(process, request, placed, answer.errno === 0) };
}

function heading(
  name: string,
  fd: number,
  word: number,
  address: bigint,
  { value, errno, rule }: SyscallAnswer,
): Pick<CallReport, 'name' | 'fd' | 'word' | 'address' | 'value' | 'errno' | 'error' | 'rule'> {
  return {
    name,
    fd,
    word,
    address,
    value,
    errno,
    error: errno === 0 ? '' : errnoName(errno),
    rule,
  };
}

function plainArgument(name: string, fields: CallFields): bigint {
  const unknown = Object.keys(fields).find((field) => field !== 'arg');
  if (unknown !== undefined) {
    throw new InputError('uapi-field', `${name} has no field ${unknown}; it has arg`);
  }
  return BigInt(resolve(name, 'arg', (fields.arg ?? 0) as Symbolic));
}

function readBack(
  process: CallingProcess,
  request: Request,
  address: bigint,
  done: boolean,
): Pick<CallReport, 'sent' | 'returned' | 'buffers' | 'out' | 'data'> {
  const returned = new Uint8Array(request.bytes.length);
  process.peek(address, returned);
  const buffers = request.buffers.map((buffer) => {
    const bytes = new Uint8Array(buffer.sent.length);
    process.peek(buffer.address, bytes);
    return { ...buffer, returned: bytes };
  });
  const told = done || request.spec.answersRefusals;
  const out = told ? answers(request, returned) : {};
  const data = told ? answeredData(request, returned, buffers) : null;
  return { sent: request.bytes, returned, buffers, out, data };
}

/** Answer fields that the caller's structure is long enough for. */
function answers({ spec, layout }: Request, returned: Uint8Array): DecodedFields {
  const decoded = decode<Fields>(layout, returned);
  const out: Record<string, Described> = {};
  for (const [name, { kind, offset }] of Object.entries(layout.fields)) {
    if (!name.startsWith('out_') && !spec.answers.includes(name)) continue;
    if (offset + elementBytes(kind) > returned.length) continue;
    out[name] = describe(layout.name, name, decoded[name] as unknown as Integer);
  }
  return out;
}

function answeredData(
  { spec, layout }: Request,
  returned: Uint8Array,
  buffers: readonly BufferReport[],
): CallReport['data'] {
  const form = spec.data;
  const buffer = buffers.find(({ field }) => field === form?.pointer);
  if (form === null || buffer === undefined) return null;
  const fields = decode<Fields>(layout, returned) as unknown as Record<string, Integer>;
  switch (form.form) {
    case 'struct': {
      const given = structLayout(form, spec.layout.name, fields[form.type]);
      return given && hasAnswers(given) ? describeFields(given, buffer.returned) : null;
    }
    case 'answer': {
      const found = structLayout(form, spec.layout.name, fields[form.type]);
      const length = Math.min(Number(fields[form.length]), buffer.returned.length);
      return found === null ? null : describeFields(found, buffer.returned.subarray(0, length));
    }
    case 'ranges': {
      if (!form.filled) return null;
      const count = Math.min(Number(fields[form.count]), buffer.returned.length / IOVA_RANGE.size);
      return Array.from({ length: count }, (_, i) =>
        describeFields(IOVA_RANGE, buffer.returned.subarray(i * IOVA_RANGE.size)),
      );
    }
    case 'bitmap':
      return pagesOf(buffer.returned, BigInt(fields.iova), BigInt(fields.page_size));
    case 'entries':
      return null;
  }
}

function structLayout(form: StructData | AnswerData, struct: string, type: Integer): Layout | null {
  return form.layouts[String(describe(struct, form.type, type))] ?? null;
}

function hasAnswers(layout: Layout): boolean {
  return Object.keys(layout.fields).some((name) => name.startsWith('out_'));
}

/** A structure as far as there are bytes of it, with names for flags and types. */
export function describeFields(layout: Layout, bytes: Uint8Array): DecodedFields {
  const decoded = decode<Fields>(layout, bytes);
  const out: Record<string, Described> = {};
  for (const [name, { kind, offset, count }] of Object.entries(layout.fields)) {
    if (offset + elementBytes(kind) * count > bytes.length) continue;
    const value = decoded[name] as Integer | readonly Integer[];
    out[name] = typeof value === 'object' ? value : describe(layout.name, name, value);
  }
  return out;
}

/** Numbers of the pages (IOVA / page size) whose bits are set; the first bit is that of `iova`. */
export function pagesOf(bitmap: Uint8Array, iova: bigint, pageSize: bigint): number[] {
  if (pageSize === 0n) return [];
  const first = Number(iova / pageSize);
  const pages: number[] = [];
  for (const [index, byte] of bitmap.entries()) {
    for (let bit = 0; byte >> bit !== 0; bit++) {
      if ((byte >> bit) & 1) pages.push(first + index * 8 + bit);
    }
  }
  return pages;
}
