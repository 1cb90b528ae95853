/**
 * Reads a trace: its header, then chunks in file order, or from a cycle on. A file cut anywhere is
 * readable up to its last whole chunk and says so; damage is found by checksum and located.
 */
import { InputError } from '../sim/errors.ts';
import type { RecordKind } from '../sim/probe.ts';
import { type Chunk, decodeChunk, type RecordBlock, type TraceRow } from './chunk.ts';
import {
  type ByteSource,
  FRAME_CHUNK,
  type Frame,
  type FrameFlaw,
  isFlaw,
  readFrame,
  unpackPayload,
} from './format/frame.ts';
import type { ChunkEntry } from './format/index.ts';
import { asChunk, type ChunkMessage, type KindTotals, type TraceHeader } from './format/message.ts';
import { type Located, locate } from './locate.ts';
import { FileSource, MemorySource } from './source.ts';

/** Damage inside a trace, with its place. */
export class TraceDamageError extends InputError {
  override readonly name: string = 'TraceDamageError';
  /** Number of the chunk, from 0. */
  readonly chunk: number;
  /** Offset in the file of the damaged frame. */
  readonly offset: number;

  constructor(source: string, chunk: number, offset: number, detail: string) {
    super('trace-damaged', `${source}: chunk ${chunk} at byte ${offset} is damaged (${detail})`);
    this.chunk = chunk;
    this.offset = offset;
  }
}

export interface ReadOptions {
  /** Number of the first chunk to read, as given by `seek`. */
  readonly from?: number;
  /** Kinds to decode; all of them by default. */
  readonly kinds?: readonly string[];
  /** Told of a damaged chunk, which is then passed over; by default the error is thrown. */
  readonly onDamage?: (damage: TraceDamageError) => void;
}

export interface TraceSummary {
  readonly complete: boolean;
  /** Why the trace is not complete; null when it is. */
  readonly reason: string | null;
  /** Bytes of the file. */
  readonly bytes: number;
  readonly chunks: number;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
  readonly bytesPerRow: number;
  readonly kinds: readonly KindSummary[];
}

export interface KindSummary extends KindTotals {
  readonly bytesPerRow: number;
}

export class TraceReader {
  readonly name: string;
  readonly header: TraceHeader;
  /** False when the file does not end as a finished trace does; see `reason`. */
  readonly complete: boolean;
  readonly reason: string | null;
  /** The chunks, in file order. */
  readonly index: readonly ChunkEntry[];
  private readonly source: ByteSource;
  private readonly located: Located;
  private readonly schema: ReadonlyMap<string, RecordKind>;
  /** Largest `last` of the chunks up to each: ascending, so that `seek` can bisect. */
  private readonly lastSoFar: Float64Array;

  private constructor(source: ByteSource, located: Located) {
    this.source = source;
    this.located = located;
    this.name = source.name;
    this.header = located.header;
    this.complete = located.reason === null;
    this.reason = located.reason;
    this.index = located.index.entries;
    this.schema = new Map(this.header.kinds.map((kind) => [kind.name, kind]));
    this.lastSoFar = new Float64Array(this.index.length);
    let last = 0;
    for (let i = 0; i < this.index.length; i++) {
      last = Math.max(last, this.index[i].last);
      this.lastSoFar[i] = last;
    }
  }

  /** Opens a file or bytes in memory. Raises an {@link InputError} when it is not a trace. */
  static open(from: string | Uint8Array): TraceReader {
    const source = typeof from === 'string' ? new FileSource(from) : new MemorySource(from);
    try {
      return new TraceReader(source, locate(source));
    } catch (error) {
      source.close();
      throw error;
    }
  }

  close(): void {
    this.source.close();
  }

  /** The schema of a kind; raises an {@link InputError} when the trace does not know it. */
  kind(name: string): RecordKind {
    const kind = this.schema.get(name);
    if (kind) return kind;
    const known = [...this.schema.keys()].join(', ');
    throw new InputError('trace-kind', `${this.name}: no record kind '${name}' (has: ${known})`);
  }

  hasKind(name: string): boolean {
    return this.schema.has(name);
  }

  /** Number of the first chunk that may hold a row at or after `cycle`. */
  seek(cycle: number): number {
    let low = 0;
    let high = this.lastSoFar.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.lastSoFar[middle] < cycle) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The bytes of a chunk's frame as they are in the file, unchecked; valid until the next read. */
  rawChunk(number: number): Uint8Array {
    const { offset } = this.index[number];
    const next = this.index[number + 1]?.offset ?? this.located.chunksEnd;
    return this.source.read(offset, next - offset);
  }

  /** Reads, checks and decodes one chunk. Raises a {@link TraceDamageError}. */
  chunk(number: number, kinds?: ReadonlySet<string>): Chunk {
    const { offset } = this.index[number];
    const frame = readFrame(this.source, offset);
    const message = this.messageOf(number, frame);
    try {
      const wanted = (kind: string): boolean => kinds === undefined || kinds.has(kind);
      return decodeChunk(message, { number, offset }, this.schema, wanted);
    } catch (error) {
      throw this.damage(number, error);
    }
  }

  *chunks(options: ReadOptions = {}): Generator<Chunk> {
    const kinds = options.kinds && new Set(options.kinds);
    for (let number = options.from ?? 0; number < this.index.length; number++) {
      let chunk: Chunk;
      try {
        chunk = this.chunk(number, kinds);
      } catch (error) {
        if (!(error instanceof TraceDamageError) || !options.onDamage) throw error;
        options.onDamage(error);
        continue;
      }
      yield chunk;
    }
  }

  /** The rows of one kind as columns, one block per chunk that has any. */
  *records(kind: string, options: Omit<ReadOptions, 'kinds'> = {}): Generator<RecordBlock> {
    this.kind(kind);
    for (const chunk of this.chunks({ ...options, kinds: [kind] })) yield* chunk.blocks;
  }

  /** The rows of one kind one by one: convenient, and much slower than `records`. */
  *rows(kind: string, options: Omit<ReadOptions, 'kinds'> = {}): Generator<TraceRow> {
    for (const block of this.records(kind, options)) {
      for (let i = 0; i < block.rows; i++) yield block.row(i);
    }
  }

  /** Reads every chunk; returns what is damaged. */
  verify(): TraceDamageError[] {
    const damages: TraceDamageError[] = [];
    for (const chunk of this.chunks({ onDamage: (damage) => damages.push(damage) })) void chunk;
    return damages;
  }

  summary(): TraceSummary {
    let rows = 0;
    let first = Number.MAX_SAFE_INTEGER;
    let last = 0;
    for (const entry of this.index) {
      rows += entry.rows;
      first = Math.min(first, entry.first);
      last = Math.max(last, entry.last);
    }
    const kinds = this.located.index
      .kinds()
      .map((kind) => ({ ...kind, bytesPerRow: kind.bytes / kind.rows }));
    const bytes = this.source.size;
    return {
      complete: this.complete,
      reason: this.reason,
      bytes,
      chunks: this.index.length,
      rows,
      first: rows === 0 ? 0 : first,
      last,
      bytesPerRow: rows === 0 ? 0 : bytes / rows,
      kinds,
    };
  }

  private messageOf(number: number, frame: Frame | FrameFlaw): ChunkMessage {
    if (isFlaw(frame)) throw this.damage(number, new Error(frame.detail));
    if (frame.type !== FRAME_CHUNK) throw this.damage(number, new Error('not a chunk'));
    try {
      const message = asChunk(unpackPayload(frame.payload));
      if (message !== null) return message;
    } catch (error) {
      throw this.damage(number, error);
    }
    throw this.damage(number, new Error('not the message of a chunk'));
  }

  private damage(number: number, error: unknown): TraceDamageError {
    const detail = error instanceof Error ? error.message : String(error);
    return new TraceDamageError(this.name, number, this.index[number].offset, detail);
  }
}
