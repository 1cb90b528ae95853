/**
 * Small integer functions of the walker: cutting page numbers into table indexes, joining a frame
 * with the input's lower bits, input width, byte order.
 */
import { PN_LO_BITS, PN_LO_MASK } from '../../address.ts';
import { STAGE_INPUT_BITS_MASK, STAGE_INPUT_BITS_SHIFT } from './format.ts';
import type { FormatRecord } from './registry.ts';

/** Bits in the high half of a page number. */
const PN_HI_BITS = 25;
const PN_HI_MASK = 0x1ffffff;
const PAGE_BITS = 12;

/** The word with its four bytes in reverse order. */
export function swapBytes(word: number): number {
  return ((word >>> 24) & 0xff) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
}

/** Index of page (hi, lo) into a table of `level`. */
export function indexOf(
  record: FormatRecord,
  hi: number,
  lo: number,
  level: number,
  root: boolean,
): number {
  const shift = level * record.indexBits;
  const mask = root ? record.rootIndexMask : record.indexMask;
  if (shift >= PN_LO_BITS) return (hi >>> (shift - PN_LO_BITS)) & mask;
  return ((lo >>> shift) | (hi << (PN_LO_BITS - shift))) & mask;
}

/** High half of a frame whose lowest `order` bits are taken from the input page. */
export function fillHi(frameHi: number, inHi: number, order: number): number {
  if (order <= PN_LO_BITS) return frameHi;
  const mask = (1 << (order - PN_LO_BITS)) - 1;
  return (frameHi & ~mask) | (inHi & mask);
}

/** Low half, likewise. */
export function fillLo(frameLo: number, inLo: number, order: number): number {
  if (order === 0) return frameLo;
  if (order >= PN_LO_BITS) return inLo;
  const mask = (1 << order) - 1;
  return (frameLo & ~mask) | (inLo & mask);
}

/** Whether no bit of page (hi, lo) at or above `bits` (of a byte address) is set. */
function fits(hi: number, lo: number, bits: number): boolean {
  const pageBits = bits - PAGE_BITS;
  if (pageBits >= PN_LO_BITS) return hi >>> (pageBits - PN_LO_BITS) === 0;
  return hi === 0 && lo >>> pageBits === 0;
}

/** Whether the bits of page (hi, lo) from the top bit of a `bits` wide address up are all equal. */
function canonical(hi: number, lo: number, bits: number): boolean {
  const top = bits - PAGE_BITS - 1;
  if (top >= PN_LO_BITS) {
    const upper = hi >>> (top - PN_LO_BITS);
    return upper === 0 || upper === (1 << (PN_HI_BITS + PN_LO_BITS - top)) - 1;
  }
  const upper = lo >>> top;
  return (
    (hi === 0 && upper === 0) || (hi === PN_HI_MASK && upper === (1 << (PN_LO_BITS - top)) - 1)
  );
}

/** Whether a stage accepts the input page: width or canonical form, and the context's limit. */
export function inputInRange(record: FormatRecord, hi: number, lo: number, flags: number): boolean {
  const limit = (flags >>> STAGE_INPUT_BITS_SHIFT) & STAGE_INPUT_BITS_MASK;
  if (limit !== 0 && !fits(hi, lo, limit)) return false;
  const bits = record.inputBits;
  return record.signExtended ? canonical(hi, lo, bits) : fits(hi, lo, bits);
}

/** `lo` with its lowest `bits` bits cleared (all of them where the half is that short). */
export function clearLo(lo: number, bits: number): number {
  return bits >= PN_LO_BITS ? 0 : lo & (PN_LO_MASK << bits);
}

/** High half of a page number whose lowest `bits` bits are cleared. */
export function clearHi(hi: number, bits: number): number {
  return bits <= PN_LO_BITS ? hi : hi & (PN_HI_MASK << (bits - PN_LO_BITS));
}
