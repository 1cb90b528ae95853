/**
 * Probe: how units say what happened. A unit declares its kinds of records once and emits rows of
 * integers; whoever implements the interface (the trace writer, a test) decides what to keep.
 * Emission allocates nothing; a unit holds `null` instead of a channel when nobody listens.
 */

/** How much is recorded. Each level includes those before it. */
export const TRACE_LEVELS = ['off', 'requests', 'walks', 'full'] as const;
export type TraceLevel = (typeof TRACE_LEVELS)[number];

/** A column of a record kind. Values are integers: `u32` 0..2^32-1, `i32` signed 32 bits. */
export interface ColumnSpec {
  readonly name: string;
  readonly type: 'u32' | 'i32';
  /** Unit and meaning in one sentence; shown by `analyze` and by the documentation. */
  readonly doc: string;
}

/** A kind of record: one row is one thing that happened. At most 12 columns besides the cycle. */
export interface RecordKind {
  readonly name: string;
  /** The lowest level at which rows of this kind are recorded. */
  readonly level: TraceLevel;
  readonly columns: readonly ColumnSpec[];
}

/** Receives the rows of one record kind of one partition, in nondecreasing cycle order. */
export interface Channel {
  emit(
    cycle: number,
    c0?: number,
    c1?: number,
    c2?: number,
    c3?: number,
    c4?: number,
    c5?: number,
    c6?: number,
    c7?: number,
    c8?: number,
    c9?: number,
    c10?: number,
    c11?: number,
  ): void;
}

/** The recording side of one partition. */
export interface Probe {
  readonly level: TraceLevel;
  /** The channel for a kind, or `null` when the level leaves this kind out. */
  channel(kind: RecordKind): Channel | null;
}

/** A probe that records nothing. */
export const SILENT_PROBE: Probe = { level: 'off', channel: () => null };
