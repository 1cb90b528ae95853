/**
 * The recording side of one partition: rows go into preallocated columns; when those of one kind
 * are full, all of them are encoded into one self-contained chunk and handed to a sink. Lives
 * beside the units that emit, so also in worker threads; only finished bytes cross threads.
 */
import { InternalError } from '../sim/errors.ts';
import {
  type Channel,
  type Probe,
  type RecordKind,
  TRACE_LEVELS,
  type TraceLevel,
} from '../sim/probe.ts';
import { ColumnEncoder, type EncodedColumn, MAX_ROWS } from './format/columns.ts';
import { FRAME_CHUNK, packFrame } from './format/frame.ts';
import { type ChunkMessage, COLUMNS_MAX, type KindMessage } from './format/message.ts';

/** Takes a finished chunk. The bytes are valid only until the sink returns. */
export type ChunkSink = (bytes: Uint8Array, chunk: ChunkMessage) => void;

/** Large enough to spread the fixed cost of a chunk, small enough to stay in a core's cache. */
export const ROWS_PER_CHUNK = 4096;

export class ChunkProbe implements Probe {
  readonly partition: number;
  readonly level: TraceLevel;
  private readonly sink: ChunkSink;
  private readonly rowsMax: number;
  private readonly channels: ColumnChannel[] = [];
  private readonly encoder: ColumnEncoder;

  constructor(
    partition: number,
    level: TraceLevel,
    sink: ChunkSink,
    rowsMax: number = ROWS_PER_CHUNK,
  ) {
    if (rowsMax < 1 || rowsMax > MAX_ROWS) {
      throw new InternalError('trace-rows', `${rowsMax} rows per chunk, at most ${MAX_ROWS}`);
    }
    this.partition = partition;
    this.level = level;
    this.sink = sink;
    this.rowsMax = rowsMax;
    this.encoder = new ColumnEncoder(rowsMax);
  }

  channel(kind: RecordKind): Channel | null {
    if (TRACE_LEVELS.indexOf(kind.level) > TRACE_LEVELS.indexOf(this.level)) return null;
    if (this.level === 'off') return null;
    const existing = this.channels.find((channel) => channel.kind.name === kind.name);
    if (existing) {
      if (existing.kind.columns.length === kind.columns.length) return existing;
      throw new InternalError('trace-kind', `two record kinds are named '${kind.name}'`);
    }
    if (kind.columns.length > COLUMNS_MAX) {
      throw new InternalError('trace-kind', `'${kind.name}' has more than ${COLUMNS_MAX} columns`);
    }
    const channel = new ColumnChannel(kind, this.rowsMax, () => this.flush());
    this.channels.push(channel);
    return channel;
  }

  /** Hands over what has been emitted since the last chunk; nothing when there is nothing. */
  flush(): void {
    const kinds: KindMessage[] = [];
    let rows = 0;
    let first = Number.MAX_SAFE_INTEGER;
    let last = 0;
    this.encoder.reset();
    for (const channel of this.channels) {
      if (channel.rows === 0) continue;
      const message = channel.encode(this.encoder);
      rows += message.rows;
      first = Math.min(first, message.first);
      last = Math.max(last, message.last);
      kinds.push(message);
    }
    if (rows === 0) return;
    const chunk: ChunkMessage = { partition: this.partition, rows, first, last, kinds };
    this.sink(packFrame(FRAME_CHUNK, chunk), chunk);
  }
}

/** Rows of one kind, column after column in one array. */
class ColumnChannel implements Channel {
  readonly kind: RecordKind;
  rows = 0;
  private readonly rowsMax: number;
  /** Distance between columns: off a power of two, lest all columns share a cache set. */
  private readonly stride: number;
  private readonly width: number;
  private readonly values: Int32Array;
  private readonly cycles: Float64Array;
  private readonly full: () => void;
  private cycleBefore = 0;

  constructor(kind: RecordKind, rowsMax: number, full: () => void) {
    this.kind = kind;
    this.rowsMax = rowsMax;
    this.stride = rowsMax + 80;
    this.width = kind.columns.length;
    // Stores go in groups of four columns; the surplus ones are never read.
    this.values = new Int32Array(this.stride * Math.ceil(this.width / 4) * 4);
    this.cycles = new Float64Array(rowsMax);
    this.full = full;
  }

  emit(
    cycle: number,
    c0 = 0,
    c1 = 0,
    c2 = 0,
    c3 = 0,
    c4 = 0,
    c5 = 0,
    c6 = 0,
    c7 = 0,
    c8 = 0,
    c9 = 0,
    c10 = 0,
    c11 = 0,
  ): void {
    const row = this.rows;
    const { values, stride, width } = this;
    this.cycles[row] = cycle;
    if (width > 0) {
      values[row] = c0;
      values[row + stride] = c1;
      values[row + stride * 2] = c2;
      values[row + stride * 3] = c3;
    }
    if (width > 4) {
      values[row + stride * 4] = c4;
      values[row + stride * 5] = c5;
      values[row + stride * 6] = c6;
      values[row + stride * 7] = c7;
    }
    if (width > 8) {
      values[row + stride * 8] = c8;
      values[row + stride * 9] = c9;
      values[row + stride * 10] = c10;
      values[row + stride * 11] = c11;
    }
    this.rows = row + 1;
    if (row + 1 === this.rowsMax) this.full();
  }

  /** Encodes the rows and forgets them. */
  encode(encoder: ColumnEncoder): KindMessage {
    const { kind, rows, values, stride, cycles } = this;
    const cycle = encoder.cycles(cycles, rows, this.cycleBefore);
    const columns: EncodedColumn[] = kind.columns.map((column, i) =>
      encoder.column(values, i * stride, rows, column.type === 'u32'),
    );
    const last = cycles[rows - 1];
    this.cycleBefore = last;
    this.rows = 0;
    return { name: kind.name, rows, first: cycles[0], last, cycle, columns };
  }
}
