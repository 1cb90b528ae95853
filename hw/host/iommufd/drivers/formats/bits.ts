/** Bit fields of 64-bit words, named by their masks (include/linux/bitfield.h). */

export const U64_MAX = 0xffff_ffff_ffff_ffffn;

function shiftOf(mask: bigint): bigint {
  let shift = 0n;
  while (((mask >> shift) & 1n) === 0n) shift++;
  return shift;
}

/** FIELD_GET: value of the field. */
export function getField(word: bigint, mask: bigint): bigint {
  return (word & mask) >> shiftOf(mask);
}

/** FIELD_PREP: the value at the place of the field. */
export function putField(mask: bigint, value: bigint): bigint {
  return (value << shiftOf(mask)) & mask;
}

/** A word with one field replaced. */
export function setField(word: bigint, mask: bigint, value: bigint): bigint {
  return (word & ~mask & U64_MAX) | putField(mask, value);
}

/** Little-endian 64-bit words of a byte string. */
export function wordsOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const words: bigint[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) words.push(view.getBigUint64(at, true));
  return words;
}

export function bytesOf(words: readonly bigint[]): Uint8Array {
  const bytes = new Uint8Array(words.length * 8);
  const view = new DataView(bytes.buffer);
  words.forEach((word, i) => {
    view.setBigUint64(i * 8, word, true);
  });
  return bytes;
}

export function hex(word: bigint): string {
  return `0x${word.toString(16)}`;
}
