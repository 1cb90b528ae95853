/**
 * The DMA stream of a trace: what the devices asked for, in the order in which they asked, as
 * columns. Driving it into another scenario answers "what if". Records are written when a DMA
 * ends, so the stream is sorted by the cycle of issue; DMAs of one cycle keep the order in which
 * they ended.
 */
import { InputError } from '../sim/errors.ts';
import type { RecordBlock } from './chunk.ts';
import type { TraceReader } from './reader.ts';

/** The record kind that a stream is made of, and the columns that it must have. */
export const DMA_KIND = 'dma';
export const DMA_COLUMNS = ['device', 'flags', 'hi', 'lo', 'extent', 'latency'] as const;
type DmaColumn = (typeof DMA_COLUMNS)[number];

/** `extent` is byte offset in the page | size in bytes << EXTENT_SHIFT. */
export const EXTENT_SHIFT = 12;
export const EXTENT_MASK = 0xfff;

/**
 * `flags` is access bits (0-4) | aborted << 5 | outcome of the IOTLB lookup << 6 | PASID plus one
 * << 8. The outcome is 0 not looked up, 1 hit, 2 miss, 3 merged with a miss.
 */
export const FLAG_ACCESS_MASK = 0x1f;
export const FLAG_STATUS_SHIFT = 5;
export const FLAG_STATUS_MASK = 1;
export const FLAG_OUTCOME_SHIFT = 6;
export const FLAG_OUTCOME_MASK = 3;
export const FLAG_PASID_SHIFT = 8;

export interface DmaStream {
  readonly count: number;
  /** Cycles per second of `issued` and `latency`. */
  readonly clockHz: number;
  /** Ascending. */
  readonly issued: Float64Array;
  readonly device: Int32Array;
  readonly flags: Int32Array;
  /** Input page number, as in hw/address.ts. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly offset: Int32Array;
  readonly bytes: Int32Array;
  /** As recorded. */
  readonly latency: Float64Array;
}

type DmaColumns = Record<DmaColumn, ArrayLike<number>>;

/** The columns of a block of DMA records; raises an {@link InputError} when one is missing. */
export function dmaColumns(block: RecordBlock): DmaColumns {
  const columns: Partial<DmaColumns> = {};
  for (const name of DMA_COLUMNS) {
    const values = block.column(name);
    if (values === null) {
      throw new InputError('trace-columns', `'${DMA_KIND}' records have no column '${name}'`);
    }
    columns[name] = values;
  }
  return columns as DmaColumns;
}

/** All DMAs of a trace. A trace that was cut gives those that ended before the cut. */
export function extractDmaStream(reader: TraceReader): DmaStream {
  const { clockHz } = reader.header;
  let stream = emptyStream(INITIAL_ROWS, clockHz);
  let count = 0;
  for (const block of reader.records(DMA_KIND)) {
    const needed = count + block.rows;
    if (needed > stream.count) stream = grown(stream, Math.max(needed, stream.count * 2));
    fill(stream, block, count);
    count = needed;
  }
  const order = sortedOrder(stream.issued.subarray(0, count));
  return mapColumns(stream, count, (from, to) => {
    for (let i = 0; i < count; i++) to[i] = from[order[i]];
  });
}

const INITIAL_ROWS = 4096;

type Values = Int32Array | Float64Array;

function emptyStream(count: number, clockHz: number): DmaStream {
  return {
    count,
    clockHz,
    issued: new Float64Array(count),
    device: new Int32Array(count),
    flags: new Int32Array(count),
    hi: new Int32Array(count),
    lo: new Int32Array(count),
    offset: new Int32Array(count),
    bytes: new Int32Array(count),
    latency: new Float64Array(count),
  };
}

/** A stream of `count` rows whose columns `copy` fills from those of another. */
function mapColumns(
  stream: DmaStream,
  count: number,
  copy: (from: Values, to: Values) => void,
): DmaStream {
  const mapped = emptyStream(count, stream.clockHz);
  for (const [name, values] of Object.entries(stream)) {
    if (typeof values !== 'number') copy(values, mapped[name as keyof DmaStream] as Values);
  }
  return mapped;
}

function grown(stream: DmaStream, count: number): DmaStream {
  return mapColumns(stream, count, (from, to) => to.set(from));
}

function fill(stream: DmaStream, block: RecordBlock, from: number): void {
  const { device, flags, hi, lo, extent, latency } = dmaColumns(block);
  for (let i = 0; i < block.rows; i++) {
    const at = from + i;
    stream.issued[at] = block.cycles[i] - latency[i];
    stream.device[at] = device[i];
    stream.flags[at] = flags[i];
    stream.hi[at] = hi[i];
    stream.lo[at] = lo[i];
    stream.offset[at] = extent[i] & EXTENT_MASK;
    stream.bytes[at] = extent[i] >>> EXTENT_SHIFT;
    stream.latency[at] = latency[i];
  }
}

const DIGIT = 65536;

/** Row numbers by ascending key, equal keys in row order: radix sort on 16-bit digits. */
export function sortedOrder(keys: Float64Array): Uint32Array {
  let order = Uint32Array.from(keys, (_, row) => row);
  let least = Number.POSITIVE_INFINITY;
  let greatest = Number.NEGATIVE_INFINITY;
  for (const key of keys) {
    if (key < least) least = key;
    if (key > greatest) greatest = key;
  }
  let target = new Uint32Array(keys.length);
  for (let unit = 1; unit <= greatest - least; unit *= DIGIT) {
    const starts = new Uint32Array(DIGIT + 1);
    for (const key of keys) starts[digitOf(key - least, unit) + 1]++;
    for (let digit = 1; digit < DIGIT; digit++) starts[digit] += starts[digit - 1];
    for (const row of order) target[starts[digitOf(keys[row] - least, unit)]++] = row;
    [order, target] = [target, order];
  }
  return order;
}

function digitOf(key: number, unit: number): number {
  return Math.floor(key / unit) % DIGIT;
}
