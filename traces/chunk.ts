/** A decoded chunk: per record kind, cycles and columns as typed arrays. */
import type { ColumnSpec, RecordKind } from '../sim/probe.ts';
import { ColumnError, MAX_ROWS } from './format/columns.ts';
import { decodeColumn, decodeCycles } from './format/decode.ts';
import type { ChunkMessage, KindMessage } from './format/message.ts';

export type Column = Int32Array | Uint32Array;

/** Consecutive rows of one kind of one partition, in cycle order. */
export class RecordBlock {
  readonly kind: RecordKind;
  readonly partition: number;
  readonly rows: number;
  readonly cycles: Float64Array;
  /** In the order of the kind's columns. */
  readonly columns: readonly Column[];

  constructor(
    kind: RecordKind,
    partition: number,
    cycles: Float64Array,
    columns: readonly Column[],
  ) {
    this.kind = kind;
    this.partition = partition;
    this.rows = cycles.length;
    this.cycles = cycles;
    this.columns = columns;
  }

  /** The column of that name, or null when the kind has none. */
  column(name: string): Column | null {
    const i = this.kind.columns.findIndex((column) => column.name === name);
    return i < 0 ? null : this.columns[i];
  }

  /** One row as a plain record, for printing and comparing. */
  row(i: number): TraceRow {
    const values: Record<string, number> = {};
    for (let c = 0; c < this.columns.length; c++) {
      values[this.kind.columns[c].name] = this.columns[c][i];
    }
    return { kind: this.kind.name, partition: this.partition, cycle: this.cycles[i], values };
  }
}

/** A record with its column names. */
export interface TraceRow {
  readonly kind: string;
  readonly partition: number;
  readonly cycle: number;
  readonly values: Readonly<Record<string, number>>;
}

export interface Chunk {
  /** Place in the file, from 0. */
  readonly number: number;
  readonly offset: number;
  readonly partition: number;
  readonly first: number;
  readonly last: number;
  readonly rows: number;
  readonly blocks: readonly RecordBlock[];
}

function typed(spec: ColumnSpec, values: Int32Array): Column {
  return spec.type === 'u32' ? new Uint32Array(values.buffer) : values;
}

/** Decodes the rows of one kind; raises a {@link ColumnError} when they are not as the schema. */
export function decodeKind(message: KindMessage, kind: RecordKind, partition: number): RecordBlock {
  const { name, rows } = message;
  if (rows < 1 || rows > MAX_ROWS) throw new ColumnError(`${rows} rows of '${name}'`);
  if (message.columns.length !== kind.columns.length) {
    throw new ColumnError(`'${name}' has ${message.columns.length} columns`);
  }
  const cycles = decodeCycles(message.cycle, rows);
  const columns = kind.columns.map((column, i) =>
    typed(column, decodeColumn(message.columns[i], rows)),
  );
  return new RecordBlock(kind, partition, cycles, columns);
}

/** Decodes the kinds of a chunk that `wanted` accepts. */
export function decodeChunk(
  message: ChunkMessage,
  place: { readonly number: number; readonly offset: number },
  schema: ReadonlyMap<string, RecordKind>,
  wanted: (kind: string) => boolean,
): Chunk {
  const blocks: RecordBlock[] = [];
  for (const part of message.kinds) {
    const kind = schema.get(part.name);
    if (kind === undefined)
      throw new ColumnError(`record kind '${part.name}' is not in the header`);
    if (wanted(part.name)) blocks.push(decodeKind(part, kind, message.partition));
  }
  const { partition, first, last, rows } = message;
  return { ...place, partition, first, last, rows, blocks };
}
