/** Small integer functions of the walker: byte order, joining a frame with the input's low bits. */
import { PN_LO_BITS } from '../../address.ts';

// V8 folds module constants into the code but reads imported bindings on every use.
const LO_BITS = PN_LO_BITS;

/** The word with its four bytes in reverse order. */
export function swapBytes(word: number): number {
  return ((word >>> 24) & 0xff) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24);
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
