/**
 * Compares two traces record by record. Rows are matched within their stream, the rows of one kind
 * of one partition, so that a difference in one unit does not shift the others. The first
 * divergence is the one of the lowest cycle.
 */
import type { RecordBlock, TraceRow } from './chunk.ts';
import type { TraceReader } from './reader.ts';

export interface Divergence {
  readonly cycle: number;
  readonly kind: string;
  readonly partition: number;
  /** Row number in its stream, from 0. */
  readonly row: number;
  /** Null when this side has no such row. */
  readonly left: TraceRow | null;
  readonly right: TraceRow | null;
}

export interface Comparison {
  readonly identical: boolean;
  /** Rows that were found equal; of each stream, those before its first difference. */
  readonly records: number;
  /** The first divergence by cycle; null when identical. */
  readonly divergence: Divergence | null;
  /** Record kinds that cannot be compared, each with the reason; never so when identical. */
  readonly schema: readonly string[];
  /** What a reader should know: the above, cut traces, another seed, clock or version. */
  readonly notes: readonly string[];
}

/** Rows of one stream that one side has shown and the other not yet. */
interface Backlog {
  readonly blocks: RecordBlock[];
  /** Rows of the first block that are already compared. */
  done: number;
}

interface Stream {
  readonly left: Backlog;
  readonly right: Backlog;
  row: number;
  diverged: boolean;
}

const SIDES = ['left', 'right'] as const;
type Side = (typeof SIDES)[number];

/** Compares what both traces hold: a trace that was cut is compared as far as it goes. */
export function compareTraces(left: TraceReader, right: TraceReader): Comparison {
  const comparer = new Comparer(left, right);
  comparer.run();
  return comparer.result();
}

class Comparer {
  private readonly readers: Record<Side, TraceReader>;
  private readonly streams = new Map<string, Stream>();
  private readonly notes: string[] = [];
  private readonly schema: string[] = [];
  /** Kinds that both sides know with the same columns. */
  private readonly kinds: Set<string>;
  private records = 0;
  private waiting = 0;
  private divergence: Divergence | null = null;

  constructor(left: TraceReader, right: TraceReader) {
    this.readers = { left, right };
    this.kinds = new Set(commonKinds(left, right, this.schema));
    this.notes.push(...this.schema);
    for (const side of SIDES) {
      const { complete, name, reason } = this.readers[side];
      if (!complete) this.notes.push(`${side} trace (${name}) is not complete: ${reason}`);
    }
    for (const field of ['program', 'seed', 'clockHz', 'level'] as const) {
      const [a, b] = [left.header[field], right.header[field]];
      if (a !== b) this.notes.push(`${field} differs: ${a} and ${b}`);
    }
  }

  run(): void {
    const { left, right } = this.readers;
    const chunks = Math.max(left.index.length, right.index.length);
    for (let number = 0; number < chunks; number++) {
      if (this.waiting === 0 && this.sameBytes(number)) continue;
      for (const side of SIDES) {
        if (number < this.readers[side].index.length) this.take(side, number);
      }
    }
    for (const stream of this.streams.values()) this.leftover(stream);
  }

  result(): Comparison {
    const { records, divergence, schema, notes } = this;
    const identical = divergence === null && schema.length === 0;
    return { identical, records, divergence, schema, notes };
  }

  /** Equal traces are mostly equal bytes: then nothing needs decoding. */
  private sameBytes(number: number): boolean {
    const { left, right } = this.readers;
    if (number >= left.index.length || number >= right.index.length) return false;
    const bytes = left.rawChunk(number);
    if (Buffer.compare(bytes, right.rawChunk(number)) !== 0) return false;
    for (const block of left.chunk(number).blocks) {
      const stream = this.stream(`${block.partition} ${block.kind.name}`);
      if (stream.diverged) continue;
      stream.row += block.rows;
      this.records += block.rows;
    }
    return true;
  }

  private take(side: Side, number: number): void {
    for (const block of this.readers[side].chunk(number, this.kinds).blocks) {
      const stream = this.stream(`${block.partition} ${block.kind.name}`);
      if (stream.diverged) continue;
      stream[side].blocks.push(block);
      this.waiting++;
      this.advance(stream);
    }
  }

  private stream(key: string): Stream {
    const known = this.streams.get(key);
    if (known) return known;
    const stream: Stream = {
      left: { blocks: [], done: 0 },
      right: { blocks: [], done: 0 },
      row: 0,
      diverged: false,
    };
    this.streams.set(key, stream);
    return stream;
  }

  /** Compares what both sides of a stream have. */
  private advance(stream: Stream): void {
    const { left, right } = stream;
    while (left.blocks.length > 0 && right.blocks.length > 0) {
      const a = left.blocks[0];
      const b = right.blocks[0];
      const rows = Math.min(a.rows - left.done, b.rows - right.done);
      const equal = equalRows(a, left.done, b, right.done, rows);
      this.records += equal;
      stream.row += equal;
      left.done += equal;
      right.done += equal;
      if (equal < rows) {
        this.diverge(stream, a.row(left.done), b.row(right.done));
        return;
      }
      for (const backlog of [left, right]) {
        if (backlog.done < backlog.blocks[0].rows) continue;
        backlog.blocks.shift();
        backlog.done = 0;
        this.waiting--;
      }
    }
  }

  /** Rows without a counterpart: a divergence, unless the other trace was cut before it. */
  private leftover(stream: Stream): void {
    for (const side of SIDES) {
      const other: Side = side === 'left' ? 'right' : 'left';
      const { blocks, done } = stream[side];
      if (blocks.length === 0 || !this.readers[other].complete) continue;
      const row = blocks[0].row(done);
      this.diverge(stream, side === 'left' ? row : null, side === 'left' ? null : row);
      return;
    }
  }

  private diverge(stream: Stream, left: TraceRow | null, right: TraceRow | null): void {
    this.waiting -= stream.left.blocks.length + stream.right.blocks.length;
    stream.left.blocks.length = 0;
    stream.right.blocks.length = 0;
    stream.diverged = true;
    const { kind, partition } = (left ?? right)!;
    const cycle = Math.min(left?.cycle ?? Infinity, right?.cycle ?? Infinity);
    const found = { cycle, kind, partition, row: stream.row, left, right };
    if (this.divergence === null || precedes(found, this.divergence)) this.divergence = found;
  }
}

function precedes(a: Divergence, b: Divergence): boolean {
  return a.cycle !== b.cycle ? a.cycle < b.cycle : a.partition < b.partition;
}

/** How many rows are equal from the given ones on, `rows` at most. */
function equalRows(a: RecordBlock, i: number, b: RecordBlock, j: number, rows: number): number {
  let equal = equalValues(a.cycles, i, b.cycles, j, rows);
  for (let c = 0; c < a.columns.length && equal > 0; c++) {
    equal = equalValues(a.columns[c], i, b.columns[c], j, equal);
  }
  return equal;
}

function equalValues(
  a: ArrayLike<number>,
  i: number,
  b: ArrayLike<number>,
  j: number,
  rows: number,
): number {
  let n = 0;
  while (n < rows && a[i + n] === b[j + n]) n++;
  return n;
}

function commonKinds(left: TraceReader, right: TraceReader, schema: string[]): string[] {
  const common: string[] = [];
  for (const kind of left.header.kinds) {
    const other = right.header.kinds.find((candidate) => candidate.name === kind.name);
    const names = (columns: readonly { name: string }[]): string =>
      columns.map((column) => column.name).join(' ');
    if (other && names(other.columns) === names(kind.columns)) common.push(kind.name);
    else schema.push(`record kind '${kind.name}' is not in both traces with the same columns`);
  }
  for (const kind of right.header.kinds) {
    if (left.header.kinds.every((other) => other.name !== kind.name)) {
      schema.push(`record kind '${kind.name}' is in the right trace only`);
    }
  }
  return common;
}

/** Text of a comparison, for people. */
export function describeComparison(comparison: Comparison): string {
  const { divergence, records, identical } = comparison;
  const tail = comparison.notes.map((note) => `note: ${note}`);
  if (divergence === null) {
    const verdict = identical ? 'identical' : 'equal where comparable';
    return [`${verdict}, ${records} records`, ...tail].join('\n');
  }
  const { cycle, kind, partition, row, left, right } = divergence;
  const head = `first divergence at cycle ${cycle}: '${kind}' row ${row} of partition ${partition}`;
  const lines = [head, ...sideBySide(left, right), `${records} records are equal`];
  return [...lines, ...tail].join('\n');
}

/** The columns of both rows; those that differ are marked. */
function sideBySide(left: TraceRow | null, right: TraceRow | null): string[] {
  const flat = (row: TraceRow | null): Record<string, string> => {
    const cells: Record<string, string> = { cycle: String(row?.cycle ?? '-') };
    for (const [name, value] of Object.entries(row?.values ?? {})) cells[name] = String(value);
    return cells;
  };
  const a = flat(left);
  const b = flat(right);
  const names = Object.keys(left ? a : b);
  const width = Math.max(6, ...names.map((name) => name.length));
  const cell = Math.max(5, ...names.map((name) => (a[name] ?? '-').length));
  return [
    `  ${''.padEnd(width)}  ${'left'.padStart(cell)}  right`,
    ...names.map((name) => {
      const [x, y] = [a[name] ?? '-', b[name] ?? '-'];
      return `${x === y ? ' ' : '!'} ${name.padEnd(width)}  ${x.padStart(cell)}  ${y}`;
    }),
  ];
}
