/**
 * Page numbers as two small integers. A 64-bit address does not fit a double and its 52-bit page
 * number does not fit a 32-bit integer; on the hot path a page number is the pair
 * (hi, lo) = (pn >> 27, pn & 0x7ffffff). 27 bits hold exactly three 9-bit table levels, so the
 * index of a level never straddles the two halves. Both halves are small integers (hi < 2^25).
 * BigInt appears only at the edges: files, registers, printing.
 */

export const PAGE_SHIFT = 12;
export const PAGE_SIZE = 4096;
/** Bits of a page number held in the low half. */
export const PN_LO_BITS = 27;
export const PN_LO_MASK = 0x7ffffff;
/** Bits of a page number held in the high half: 25. */
export const PN_HI_MASK = 0x1ffffff;
const PN_LO_RANGE = 0x8000000;

/** High half of the page number of a byte address. */
export function pnHiOf(address: bigint): number {
  return Number((address >> 39n) & 0x1ffffffn);
}

/** Low half of the page number of a byte address. */
export function pnLoOf(address: bigint): number {
  return Number((address >> 12n) & 0x7ffffffn);
}

/** Byte offset in its 4 KiB page of a byte address. */
export function pageOffsetOf(address: bigint): number {
  return Number(address & 0xfffn);
}

/** Byte address of (hi, lo, offset). */
export function addressOf(hi: number, lo: number, offset: number): bigint {
  return (BigInt(hi) << 39n) | (BigInt(lo) << 12n) | BigInt(offset);
}

/** Page number as one number (exact: below 2^52). */
export function pageNumber(hi: number, lo: number): number {
  return hi * PN_LO_RANGE + lo;
}

/** High half of a page number given as one number (`| 0`: as a machine integer, not a double). */
export function pnHi(pn: number): number {
  return (pn / PN_LO_RANGE) | 0;
}

/** Low half of a page number given as one number (`&` keeps the low bits of any exact integer). */
export function pnLo(pn: number): number {
  return pn & PN_LO_MASK;
}

/** Low half of a page number whose lowest `bits` bits (of both halves) are cleared. */
export function clearLo(lo: number, bits: number): number {
  return bits >= PN_LO_BITS ? 0 : lo & (PN_LO_MASK << bits);
}

/** High half, likewise. */
export function clearHi(hi: number, bits: number): number {
  return bits <= PN_LO_BITS ? hi : hi & (PN_HI_MASK << (bits - PN_LO_BITS));
}

/** `0x...` text of an address. */
export function hex(address: bigint | number): string {
  return `0x${address.toString(16)}`;
}
