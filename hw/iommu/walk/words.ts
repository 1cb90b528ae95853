/**
 * Small integer functions of the walker: cutting page numbers into table indexes, joining a frame
 * with the input's lower bits, input width, byte order.
 */
import { clearHi, clearLo, PAGE_SHIFT, PN_LO_BITS } from '../../address.ts';
import { STAGE_INPUT_BITS_MASK, STAGE_INPUT_BITS_SHIFT } from './format.ts';
import type { FormatRecord } from './registry.ts';

// V8 folds module constants into the code but reads imported bindings on every use.
const LO_BITS = PN_LO_BITS;
const LIMIT_SHIFT = STAGE_INPUT_BITS_SHIFT;

/** The word with its four bytes in reverse order. */
export function swapBytes(word: number): number {
  return ((word >>> 24) & 0xff) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}

/** Low word of a big-endian entry, whose first word is the high one. */
export function entryLow(record: FormatRecord, w0: number, w1: number): number {
  return swapBytes(record.entryBytes === 8 ? w1 : w0);
}

/** High word of a big-endian entry. */
export function entryHigh(record: FormatRecord, w0: number): number {
  return record.entryBytes === 8 ? swapBytes(w0) : 0;
}

/** Low half of the frame number in an entry: it begins at bit 10 or 12 of the low word. */
export function frameLow(record: FormatRecord, lo: number, hi: number): number {
  return record.frameShift === 10
    ? (lo >>> 10) | ((hi & 0x1f) << 22)
    : (lo >>> 12) | ((hi & 0x7f) << 20);
}

/** High half of the frame number in an entry. */
export function frameHigh(record: FormatRecord, hi: number): number {
  return (hi & record.frameHiMask) >> (record.frameShift === 10 ? 5 : 7);
}

/** The page number without its lowest `shift` bits, as far as it fits a word. */
function shifted(hi: number, lo: number, shift: number): number {
  return shift >= LO_BITS ? hi >> (shift - LO_BITS) : (lo >> shift) | (hi << (LO_BITS - shift));
}

/** Index of page (hi, lo) into a table of `level` below the root. */
export function indexOf(record: FormatRecord, hi: number, lo: number, level: number): number {
  return shifted(hi, lo, Math.imul(level, record.indexBits)) & record.indexMask;
}

/** Index of page (hi, lo) into the root table, which may be several pages. */
export function rootIndexOf(record: FormatRecord, hi: number, lo: number): number {
  return shifted(hi, lo, record.rootShift) & record.rootIndexMask;
}

/** High half of a frame whose lowest `order` bits are taken from the input page. */
export function fillHi(frameHi: number, inHi: number, order: number): number {
  if (order <= LO_BITS) return frameHi;
  const mask = (1 << (order - LO_BITS)) - 1;
  return (frameHi & ~mask) | (inHi & mask);
}

/** Low half, likewise. */
export function fillLo(frameLo: number, inLo: number, order: number): number {
  if (order === 0) return frameLo;
  if (order >= LO_BITS) return inLo;
  const mask = (1 << order) - 1;
  return (frameLo & ~mask) | (inLo & mask);
}

/** Whether a stage accepts the input page: width or canonical form, and the context's limit. */
export function inputInRange(record: FormatRecord, hi: number, lo: number, flags: number): boolean {
  if (flags >>> LIMIT_SHIFT !== 0 && !withinLimit(hi, lo, flags)) return false;
  const outsideHi = hi & record.outsideHi;
  const outsideLo = lo & record.outsideLo;
  if (outsideHi === 0 && outsideLo === 0) return true;
  return record.signExtended && outsideHi === record.outsideHi && outsideLo === record.outsideLo;
}

function withinLimit(hi: number, lo: number, flags: number): boolean {
  const bits = (flags >>> LIMIT_SHIFT) & STAGE_INPUT_BITS_MASK;
  if (bits === 0) return true;
  return clearHi(hi, bits - PAGE_SHIFT) === 0 && clearLo(lo, bits - PAGE_SHIFT) === 0;
}
