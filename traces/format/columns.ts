/**
 * Columns: how the integers of one column of one chunk become few bytes. A column that never
 * changes is one integer. Any other is [base, step, shift, bytes]: residuals of 0 to 4 bytes
 * each, little endian, the width being bytes / residuals. Arithmetic is modulo 2^32.
 *
 *     step nil:  value[i] = base + (residual[i] << shift)                         (rows residuals)
 *     else:      value[0] = base, value[i] = value[i-1] + step + (residual[i-1] << shift)
 *
 * Cycles always take the second form, without the modulus; a column of cycles with a gap of 2^32
 * or more is the bytes of `rows` little-endian float64. The smallest form is chosen per chunk, by
 * the values alone, so the same rows give the same bytes.
 */
import { InternalError } from '../../sim/errors.ts';

export type EncodedColumn =
  | number
  | readonly [base: number, step: number | null, shift: number, bytes: Uint8Array];
export type EncodedCycles = EncodedColumn | Uint8Array;

/** A chunk never has more rows of one kind: bounds the decoder, whatever a file says. */
export const MAX_ROWS = 16384;

/** Thrown by the decoders; the reader turns it into a located error. */
export class ColumnError extends Error {}

const GAP_LIMIT = 0x100000000;
/** Differences are looked at in full only when they pay on this many first rows. */
const SAMPLE_ROWS = 128;

function widthOf(range: number): number {
  if (range === 0) return 0;
  if (range <= 0xff) return 1;
  if (range <= 0xffff) return 2;
  return range <= 0xffffff ? 3 : 4;
}

/** Encodes columns into one buffer that is used again for every chunk. */
export class ColumnEncoder {
  private bytes: Uint8Array;
  private used = 0;
  private readonly deltas: Int32Array;
  private deltaMin = 0;

  constructor(rowsMax: number) {
    this.bytes = new Uint8Array(rowsMax * 4 * 8);
    this.deltas = new Int32Array(rowsMax);
  }

  /** Forgets what was encoded before: those bytes may be overwritten from now on. */
  reset(): void {
    this.used = 0;
  }

  /** `rows` values from `start`; `unsigned` only steers the choice of the base. */
  column(values: Int32Array, start: number, rows: number, unsigned: boolean): EncodedColumn {
    const end = start + rows;
    const first = values[start];
    let i = start + 1;
    while (i < end && values[i] === first) i++;
    if (i === end) return unsigned ? first >>> 0 : first;
    const bias = unsigned ? 0x80000000 | 0 : 0;
    let varying = 0;
    let min = first ^ bias;
    let max = min;
    for (; i < end; i++) {
      const value = values[i];
      const ordered = value ^ bias;
      varying |= value ^ first;
      if (ordered < min) min = ordered;
      if (ordered > max) max = ordered;
    }
    // Low bits that never change need not be stored: sizes, alignments, packed fields.
    const shift = 31 - Math.clz32(varying & -varying);
    const width = widthOf(((max - min) >>> 0) >>> shift);
    if (width > 1 && this.deltaWidth(values, start, Math.min(rows, SAMPLE_ROWS), shift) < width) {
      const stepped = this.deltaWidth(values, start, rows, shift);
      if (stepped < width) {
        const bytes = this.residuals(this.deltas, 0, rows - 1, this.deltaMin, shift, stepped);
        return [unsigned ? first >>> 0 : first, this.deltaMin, shift, bytes];
      }
    }
    const base = min ^ bias;
    const bytes = this.residuals(values, start, rows, base, shift, width);
    return [unsigned ? base >>> 0 : base, null, shift, bytes];
  }

  /** Fills `deltas` and `deltaMin`; returns the width that the differences between rows need. */
  private deltaWidth(values: Int32Array, start: number, rows: number, shift: number): number {
    const deltas = this.deltas;
    let previous = values[start];
    let min = 0x7fffffff;
    let max = -0x80000000;
    for (let i = 1; i < rows; i++) {
      const value = values[start + i];
      const delta = (value - previous) | 0;
      deltas[i - 1] = delta;
      if (delta < min) min = delta;
      if (delta > max) max = delta;
      previous = value;
    }
    this.deltaMin = min;
    return widthOf(((max - min) >>> 0) >>> shift);
  }

  /** `before` is the cycle of the row before these, which none of them may precede. */
  cycles(values: Float64Array, rows: number, before: number): EncodedCycles {
    const deltas = this.deltas;
    let previous = values[0];
    let varying = 0;
    let min = Number.MAX_VALUE;
    let max = 0;
    if (previous < before) throw new InternalError('trace-order', orderText(previous, before));
    for (let i = 1; i < rows; i++) {
      const value = values[i];
      const delta = value - previous;
      varying |= delta;
      deltas[i - 1] = delta;
      if (delta < min) min = delta;
      if (delta > max) max = delta;
      previous = value;
    }
    if (max === 0 && rows > 1 && min === 0) return values[0];
    if (rows === 1) return values[0];
    if (min < 0) throw new InternalError('trace-order', 'rows of a kind are not in cycle order');
    if (max >= GAP_LIMIT) return this.wideCycles(values, rows);
    const shift = 31 - Math.clz32(varying & -varying);
    const width = widthOf((max - min) >>> shift);
    return [values[0], min, shift, this.residuals(deltas, 0, rows - 1, min | 0, shift, width)];
  }

  private wideCycles(values: Float64Array, rows: number): Uint8Array {
    const bytes = this.take(rows * 8);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    for (let i = 0; i < rows; i++) view.setFloat64(i * 8, values[i], true);
    return bytes;
  }

  private residuals(
    values: Int32Array,
    start: number,
    rows: number,
    base: number,
    shift: number,
    width: number,
  ): Uint8Array {
    const out = this.take(rows * width);
    const end = start + rows;
    let at = 0;
    switch (width) {
      case 0:
        break;
      case 1:
        for (let i = start; i < end; i++) out[at++] = (values[i] - base) >>> shift;
        break;
      case 2:
        for (let i = start; i < end; i++, at += 2) {
          const residual = (values[i] - base) >>> shift;
          out[at] = residual;
          out[at + 1] = residual >>> 8;
        }
        break;
      case 3:
        for (let i = start; i < end; i++, at += 3) {
          const residual = (values[i] - base) >>> shift;
          out[at] = residual;
          out[at + 1] = residual >>> 8;
          out[at + 2] = residual >>> 16;
        }
        break;
      default:
        for (let i = start; i < end; i++, at += 4) {
          const residual = (values[i] - base) >>> shift;
          out[at] = residual;
          out[at + 1] = residual >>> 8;
          out[at + 2] = residual >>> 16;
          out[at + 3] = residual >>> 24;
        }
    }
    return out;
  }

  private take(length: number): Uint8Array {
    // Bytes already handed out stay where they are: a larger buffer does not replace them.
    if (this.used + length > this.bytes.length) {
      this.bytes = new Uint8Array(Math.max(this.bytes.length * 2, length));
      this.used = 0;
    }
    const bytes = this.bytes.subarray(this.used, this.used + length);
    this.used += length;
    return bytes;
  }
}

function orderText(cycle: number, before: number): string {
  return `a row of cycle ${cycle} after one of cycle ${before}`;
}
