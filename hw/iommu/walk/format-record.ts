/**
 * A page-table format as the walker uses it: its figures in one object shape, whatever class
 * describes it, and the arithmetic on page numbers and entries that follows from them.
 */
import { clearHi, clearLo, PAGE_SHIFT, PN_HI_MASK, PN_LO_BITS, PN_LO_MASK } from '../../address.ts';
import { type PageTableFormat, STAGE_INPUT_BITS_MASK, STAGE_INPUT_BITS_SHIFT } from './format.ts';
import { swapBytes } from './words.ts';

// V8 folds module constants into the code but reads imported bindings on every use.
const LO_BITS = PN_LO_BITS;
const LIMIT_SHIFT = STAGE_INPUT_BITS_SHIFT;

export class FormatRecord {
  readonly format: PageTableFormat;
  readonly levels: number;
  readonly entryBytes: number;
  /** log2 of entryBytes. */
  readonly entryShift: number;
  readonly indexBits: number;
  readonly accessedBit: number;
  readonly dirtyBit: number;
  private readonly indexMask: number;
  private readonly rootShift: number;
  private readonly rootIndexMask: number;
  /** Bits of a page number that must be zero, or all equal where the format sign-extends. */
  private readonly outsideHi: number;
  private readonly outsideLo: number;
  private readonly signExtended: boolean;
  private readonly frameShift: number;
  private readonly frameHiMask: number;

  constructor(format: PageTableFormat) {
    this.format = format;
    this.levels = format.levels;
    this.entryBytes = format.entryBytes;
    this.entryShift = format.entryBytes === 8 ? 3 : 2;
    this.indexBits = format.indexBits;
    this.accessedBit = format.accessedBit;
    this.dirtyBit = format.dirtyBit;
    this.indexMask = (1 << format.indexBits) - 1;
    this.rootShift = (format.levels - 1) * format.indexBits;
    this.rootIndexMask = (1 << (format.indexBits + format.rootExtraBits)) - 1;
    const inside = format.inputBits - PAGE_SHIFT - (format.signExtended ? 1 : 0);
    this.outsideHi = clearHi(PN_HI_MASK, inside);
    this.outsideLo = clearLo(PN_LO_MASK, inside);
    this.signExtended = format.signExtended;
    this.frameShift = format.frameShift;
    this.frameHiMask = format.frameHiMask;
  }

  /** Byte offset in its table of the entry of `level`, below the root, for page (hi, lo). */
  offset(hi: number, lo: number, level: number): number {
    const shift = Math.imul(level, this.indexBits);
    const index =
      shift >= LO_BITS ? hi >> (shift - LO_BITS) : (lo >> shift) | (hi << (LO_BITS - shift));
    return (index & this.indexMask) << this.entryShift;
  }

  /** Byte offset in the root table, which may be several pages. */
  rootOffset(hi: number, lo: number): number {
    const shift = this.rootShift;
    const index =
      shift >= LO_BITS ? hi >> (shift - LO_BITS) : (lo >> shift) | (hi << (LO_BITS - shift));
    return (index & this.rootIndexMask) << this.entryShift;
  }

  /** Low half of the frame number in an entry. */
  frameLo(lo: number, hi: number): number {
    return this.frameShift === 10
      ? (lo >>> 10) | ((hi & 0x1f) << 22)
      : (lo >>> 12) | ((hi & 0x7f) << 20);
  }

  /** High half of the frame number in an entry. */
  frameHi(hi: number): number {
    return (hi & this.frameHiMask) >> (this.frameShift === 10 ? 5 : 7);
  }

  /** Low word of a big-endian entry, whose first word is the high one. */
  swappedLo(w0: number, w1: number): number {
    return swapBytes(this.entryBytes === 8 ? w1 : w0);
  }

  /** High word of a big-endian entry. */
  swappedHi(w0: number): number {
    return this.entryBytes === 8 ? swapBytes(w0) : 0;
  }

  /** Whether a stage accepts input page (hi, lo): width or canonical form, the context's limit. */
  accepts(hi: number, lo: number, flags: number): boolean {
    if (flags >>> LIMIT_SHIFT !== 0 && !withinLimit(hi, lo, flags)) return false;
    const outsideHi = hi & this.outsideHi;
    const outsideLo = lo & this.outsideLo;
    if (outsideHi === 0 && outsideLo === 0) return true;
    return this.signExtended && outsideHi === this.outsideHi && outsideLo === this.outsideLo;
  }
}

function withinLimit(hi: number, lo: number, flags: number): boolean {
  const bits = (flags >>> LIMIT_SHIFT) & STAGE_INPUT_BITS_MASK;
  if (bits === 0) return true;
  return clearHi(hi, bits - PAGE_SHIFT) === 0 && clearLo(lo, bits - PAGE_SHIFT) === 0;
}
