/**
 * Doublewords as pairs of 32-bit words (low, high). Directory entries and queue records are arrays
 * of doublewords, each stored in the byte order that the specification gives it ("Endianness of in-memory data structures").
 */

/** Reverses the bytes of a 32-bit word. */
export function swap32(word: number): number {
  return (
    ((word & 0xff) << 24) |
    ((word & 0xff00) << 8) |
    ((word >>> 8) & 0xff00) |
    ((word >>> 24) & 0xff)
  );
}

/** Turns `count` doublewords between their memory view and their values, in place. */
export function swapDoublewords(words: Int32Array, count: number): void {
  for (let i = 0; i < 2 * count; i += 2) {
    const low = words[i];
    words[i] = swap32(words[i + 1]);
    words[i + 1] = swap32(low);
  }
}

// Page numbers come in three places: bits 43:0 (root pointers), bits 51:0 (address masks) and bits
// 53:10 (entries of directories and registers). Each yields the pair (hi, lo) of hw/address.ts.

export function rootHi(low: number, high: number): number {
  return (low >>> 27) | ((high & 0xfff) << 5);
}

export function maskHi(low: number, high: number): number {
  return (low >>> 27) | ((high & 0xfffff) << 5);
}

/** Low half for {@link rootHi} and {@link maskHi}. */
export function rootLo(low: number): number {
  return low & 0x7ffffff;
}

export function entryHi(low: number, high: number): number {
  return rootHi((low >>> 10) | (high << 22), (high >>> 10) & 0xfff);
}

export function entryLo(low: number, high: number): number {
  return ((low >>> 10) | (high << 22)) & 0x7ffffff;
}

/** Doubleword as one value, for registers and printing. */
export function doubleword(low: number, high: number): bigint {
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}
