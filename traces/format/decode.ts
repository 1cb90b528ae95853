/**
 * Decoder of columns (see columns.ts for the forms). Nothing a file says is believed before it is
 * checked: widths must fit the number of rows, and rows are bounded.
 */
import { ColumnError, type EncodedColumn, type EncodedCycles } from './columns.ts';

interface Form {
  readonly base: number;
  readonly step: number | null;
  readonly shift: number;
  readonly bytes: Uint8Array;
}

function isInteger(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value);
}

function formOf(encoded: unknown): Form {
  if (!Array.isArray(encoded) || encoded.length !== 4) throw new ColumnError('unknown form');
  const [base, step, shift, bytes] = encoded as unknown[];
  if (!isInteger(base) || !(step === null || isInteger(step))) {
    throw new ColumnError('base or step is not an integer');
  }
  if (!isInteger(shift) || shift < 0 || shift > 31) throw new ColumnError(`shift ${shift}`);
  if (!(bytes instanceof Uint8Array)) throw new ColumnError('residuals are not binary');
  return { base, step, shift, bytes };
}

function widthFor(bytes: Uint8Array, residuals: number): number {
  const width = residuals === 0 ? 0 : bytes.length / residuals;
  if (!Number.isInteger(width) || width > 4 || (residuals === 0 && bytes.length > 0)) {
    throw new ColumnError(`${bytes.length} bytes for ${residuals} residuals`);
  }
  return width;
}

/** Fills `out` from `from` with (residual << shift). */
function spread(bytes: Uint8Array, width: number, shift: number, out: Int32Array, from: number) {
  const end = out.length;
  let at = 0;
  switch (width) {
    case 0:
      break;
    case 1:
      for (let i = from; i < end; i++) out[i] = bytes[at++] << shift;
      break;
    case 2:
      for (let i = from; i < end; i++, at += 2) {
        out[i] = (bytes[at] | (bytes[at + 1] << 8)) << shift;
      }
      break;
    case 3:
      for (let i = from; i < end; i++, at += 3) {
        out[i] = (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16)) << shift;
      }
      break;
    default:
      for (let i = from; i < end; i++, at += 4) {
        out[i] =
          (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) <<
          shift;
      }
  }
}

/** The `rows` values of a column. */
export function decodeColumn(encoded: EncodedColumn | unknown, rows: number): Int32Array {
  const values = new Int32Array(rows);
  if (isInteger(encoded)) return values.fill(encoded | 0);
  const { base, step, shift, bytes } = formOf(encoded);
  if (step === null) {
    spread(bytes, widthFor(bytes, rows), shift, values, 0);
    for (let i = 0; i < rows; i++) values[i] = (values[i] + base) | 0;
    return values;
  }
  spread(bytes, widthFor(bytes, rows - 1), shift, values, 1);
  let value = base | 0;
  values[0] = value;
  for (let i = 1; i < rows; i++) {
    value = (value + step + values[i]) | 0;
    values[i] = value;
  }
  return values;
}

/** The `rows` cycles of a record kind. */
export function decodeCycles(encoded: EncodedCycles | unknown, rows: number): Float64Array {
  const cycles = new Float64Array(rows);
  if (isInteger(encoded)) return cycles.fill(encoded);
  if (encoded instanceof Uint8Array) return decodeWide(encoded, cycles);
  const { base, step, shift, bytes } = formOf(encoded);
  if (step === null || step < 0 || base < 0) throw new ColumnError('cycles without a step');
  const residuals = new Int32Array(rows);
  spread(bytes, widthFor(bytes, rows - 1), shift, residuals, 1);
  let cycle = base;
  cycles[0] = cycle;
  for (let i = 1; i < rows; i++) {
    cycle += step + (residuals[i] >>> 0);
    cycles[i] = cycle;
  }
  if (!isInteger(cycle)) throw new ColumnError(`cycle ${cycle}`);
  return cycles;
}

function decodeWide(bytes: Uint8Array, cycles: Float64Array): Float64Array {
  if (bytes.length !== cycles.length * 8) throw new ColumnError(`${bytes.length} bytes of cycles`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let before = 0;
  for (let i = 0; i < cycles.length; i++) {
    const cycle = view.getFloat64(i * 8, true);
    if (!isInteger(cycle) || cycle < before) throw new ColumnError(`cycle ${cycle}`);
    before = cycle;
    cycles[i] = cycle;
  }
  return cycles;
}
