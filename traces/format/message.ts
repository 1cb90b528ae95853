/**
 * The messages in the frames of a trace: header, chunk, footer. Plain maps of the MessagePack
 * core types, so that any language reads them; README.md documents each field.
 */
import { InputError } from '../../sim/errors.ts';
import {
  type ColumnSpec,
  type RecordKind,
  TRACE_LEVELS,
  type TraceLevel,
} from '../../sim/probe.ts';
import type { EncodedColumn, EncodedCycles } from './columns.ts';

/** Columns of a kind, and kinds of a trace, at most. */
export const COLUMNS_MAX = 12;
export const KINDS_MAX = 64;

/** What a trace says of itself before its first record. */
export interface TraceHeader {
  /** Program and version that wrote it. */
  readonly program: string;
  /** The whole resolved scenario, enough to run it again; any plain JSON value. */
  readonly scenario: unknown;
  readonly seed: number;
  readonly level: TraceLevel;
  /** Cycles per second of the base clock in which all cycles are counted. */
  readonly clockHz: number;
  /** Names of the partitions; a chunk names its partition by index. */
  readonly partitions: readonly string[];
  /** Record schema: every kind that a chunk of this trace may hold. */
  readonly kinds: readonly RecordKind[];
}

/** Rows of one kind in a chunk. */
export interface KindMessage {
  readonly name: string;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
  readonly cycle: EncodedCycles;
  readonly columns: readonly EncodedColumn[];
}

export interface ChunkMessage {
  readonly partition: number;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
  readonly kinds: readonly KindMessage[];
}

/** Totals of one kind over a whole trace. `bytes` counts encoded values, without framing. */
export interface KindTotals {
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  readonly first: number;
  readonly last: number;
}

/** One column per chunk property; numbers little endian: u32 partition and rows, else float64. */
export interface FooterMessage {
  readonly chunks: number;
  readonly offset: Uint8Array;
  readonly partition: Uint8Array;
  readonly rows: Uint8Array;
  readonly first: Uint8Array;
  readonly last: Uint8Array;
  readonly kinds: readonly KindTotals[];
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isColumn(value: unknown): value is ColumnSpec {
  if (!isRecord(value) || typeof value.name !== 'string' || typeof value.doc !== 'string') {
    return false;
  }
  return value.type === 'u32' || value.type === 'i32';
}

function isKind(value: unknown): value is RecordKind {
  if (!isRecord(value) || typeof value.name !== 'string') return false;
  if (!(TRACE_LEVELS as readonly unknown[]).includes(value.level)) return false;
  const { columns } = value;
  return Array.isArray(columns) && columns.length <= COLUMNS_MAX && columns.every(isColumn);
}

/** Checks a decoded header and returns it; raises an {@link InputError} naming the bad field. */
export function checkHeader(value: unknown, source: string): TraceHeader {
  const bad = (field: string): never => {
    throw new InputError('trace-header', `${source}: trace header has no valid '${field}'`);
  };
  if (!isRecord(value)) return bad('fields');
  if (typeof value.program !== 'string') bad('program');
  if (!('scenario' in value)) bad('scenario');
  if (!Number.isSafeInteger(value.seed)) bad('seed');
  if (!(TRACE_LEVELS as readonly unknown[]).includes(value.level)) bad('level');
  if (!isCount(value.clockHz) || value.clockHz === 0) bad('clockHz');
  const { partitions, kinds } = value;
  if (!Array.isArray(partitions) || !partitions.every((p) => typeof p === 'string')) {
    bad('partitions');
  }
  if (!Array.isArray(kinds) || kinds.length > KINDS_MAX) return bad('kinds');
  if (!kinds.every(isKind)) return bad('kinds');
  if (new Set(kinds.map((kind) => kind.name)).size !== kinds.length) bad('kinds');
  return value as unknown as TraceHeader;
}

function isKindMessage(value: unknown): value is KindMessage {
  if (!isRecord(value) || typeof value.name !== 'string') return false;
  return (
    isCount(value.rows) &&
    isCount(value.first) &&
    isCount(value.last) &&
    Array.isArray(value.columns) &&
    'cycle' in value
  );
}

/** The message of a chunk, or null when it is not one. Columns are checked when decoded. */
export function asChunk(value: unknown): ChunkMessage | null {
  if (!isRecord(value) || !Array.isArray(value.kinds) || value.kinds.length > KINDS_MAX) {
    return null;
  }
  if (!value.kinds.every(isKindMessage)) return null;
  const { partition, rows, first, last } = value;
  if (!isCount(partition) || !isCount(rows) || !isCount(first) || !isCount(last)) return null;
  if (last < first) return null;
  return value as unknown as ChunkMessage;
}

/** The message of a footer, or null when it is not one. */
export function asFooter(value: unknown): FooterMessage | null {
  if (!isRecord(value) || !isCount(value.chunks) || !Array.isArray(value.kinds)) return null;
  const n = value.chunks;
  const holds = (column: unknown, width: number): boolean =>
    column instanceof Uint8Array && column.length === n * width;
  const { offset, partition, rows, first, last } = value;
  if (!holds(offset, 8) || !holds(first, 8) || !holds(last, 8)) return null;
  if (!holds(partition, 4) || !holds(rows, 4)) return null;
  for (const kind of value.kinds as unknown[]) {
    if (!isRecord(kind) || typeof kind.name !== 'string') return null;
    if (!isCount(kind.rows) || !isCount(kind.bytes)) return null;
    if (!isCount(kind.first) || !isCount(kind.last)) return null;
    if (kind.rows === 0) return null;
  }
  return value as unknown as FooterMessage;
}
