/**
 * VT-d second-stage page tables of 3, 4 and 5 levels, as legacy mode uses them (Intel VT-d
 * specification, "Second-Stage Translation" and "Second-Stage Paging Entries"): R and W in bits
 * 1:0 of every level restrict what is beneath, an entry with neither is not present, page size in
 * bit 7 of the two levels above the last. No accessed or dirty bits in legacy mode.
 */
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_REPORT, ACCESS_WRITE } from '../access.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_RESERVED,
  faultEntry,
  LEAF_DIRTY,
  LEAF_ORDER_SHIFT,
  LEAF_R,
  LEAF_USER,
  LEAF_W,
  LEAF_X,
  type PageTableFormat,
} from '../walk/format.ts';

/** Stage flags of this architecture. */
/** Superpages of 2 MiB and of 1 GiB (capability SLLPS). */
export const VTD_SUPERPAGE_2M: number = 1 << 8;
export const VTD_SUPERPAGE_1G: number = 1 << 9;
/** Snoop bit 11 of leaves is legal (extended capability SC), else reserved. */
export const VTD_SNOOP: number = 1 << 10;
/** Transient-mapping bit 62 of leaves is legal (extended capability DT), else reserved. */
export const VTD_TRANSIENT: number = 1 << 11;
/** Bits 21:16: host address width (0: 52); frame bits above it are reserved. */
export const VTD_ADDRESS_BITS_SHIFT = 16;
const ADDRESS_BITS_MASK = 0x3f;

const PTE_R = 1 << 0;
const PTE_W = 1 << 1;
const PTE_PAGE_SIZE = 1 << 7;
const PTE_SNOOP = 1 << 11;
/** Bit 62, in the high word. */
const HIGH_TRANSIENT = 1 << 30;
const FRAME_SHIFT = 12;
const FRAME_HI_MASK = 0xfffff;
const INDEX_BITS = 9;

export class VtdSecondStage implements PageTableFormat {
  readonly name: string;
  readonly levels: number;
  readonly entryBytes: 4 | 8 = 8;
  readonly indexBits: number = INDEX_BITS;
  readonly rootExtraBits: number = 0;
  readonly inputBits: number;
  readonly signExtended: boolean = false;
  readonly frameShift: 10 | 12 = FRAME_SHIFT;
  readonly frameHiMask: number = FRAME_HI_MASK;
  readonly accessedBit: number = 0;
  readonly dirtyBit: number = 0;

  constructor(levels: number) {
    this.name = `SS${levels}`;
    this.levels = levels;
    this.inputBits = 12 + levels * INDEX_BITS;
  }

  decode(lo: number, hi: number, level: number, access: number, flags: number): number {
    if ((lo & (PTE_R | PTE_W)) === 0) return faultEntry(FAULT_NOT_PRESENT);
    // Permission is tested in every entry on the way, before its reserved bits.
    if ((access & ACCESS_REPORT) === 0) {
      if ((access & (ACCESS_READ | ACCESS_EXECUTE)) !== 0 && (lo & PTE_R) === 0) {
        return faultEntry(FAULT_PERMISSION);
      }
      if ((access & ACCESS_WRITE) !== 0 && (lo & PTE_W) === 0) return faultEntry(FAULT_PERMISSION);
    }
    let bits = LEAF_USER;
    if ((lo & PTE_R) !== 0) bits |= LEAF_R | LEAF_X;
    if ((lo & PTE_W) !== 0) bits |= LEAF_W;
    const leaf = level === 0 || ((lo & PTE_PAGE_SIZE) !== 0 && superpage(level, flags));
    if (reserved(lo, hi, level, leaf, flags)) return faultEntry(FAULT_RESERVED);
    if (!leaf) return ENTRY_TABLE | bits;
    return ENTRY_LEAF | bits | LEAF_DIRTY | ((level * INDEX_BITS) << LEAF_ORDER_SHIFT);
  }

  encodeTable(hi: number, lo: number, out: Int32Array): void {
    out[0] = (lo << FRAME_SHIFT) | PTE_R | PTE_W;
    out[1] = (lo >>> (32 - FRAME_SHIFT)) | (hi << (27 + FRAME_SHIFT - 32));
  }

  encodeLeaf(
    hi: number,
    lo: number,
    level: number,
    access: number,
    _user: boolean,
    out: Int32Array,
  ): void {
    this.encodeTable(hi, lo, out);
    out[0] &= ~(PTE_R | PTE_W);
    if ((access & ACCESS_READ) !== 0) out[0] |= PTE_R;
    if ((access & ACCESS_WRITE) !== 0) out[0] |= PTE_W;
    if (level > 0) out[0] |= PTE_PAGE_SIZE;
  }
}

function superpage(level: number, flags: number): boolean {
  if (level === 1) return (flags & VTD_SUPERPAGE_2M) !== 0;
  return level === 2 && (flags & VTD_SUPERPAGE_1G) !== 0;
}

/** Whether an entry has a bit that is reserved at its place. */
function reserved(lo: number, hi: number, level: number, leaf: boolean, flags: number): boolean {
  let low = PTE_SNOOP;
  let high = HIGH_TRANSIENT;
  const addressBits = (flags >>> VTD_ADDRESS_BITS_SHIFT) & ADDRESS_BITS_MASK || 52;
  high |= FRAME_HI_MASK & ~((1 << (addressBits - 32)) - 1);
  if (leaf) {
    if ((flags & VTD_SNOOP) !== 0) low &= ~PTE_SNOOP;
    if ((flags & VTD_TRANSIENT) !== 0) high &= ~HIGH_TRANSIENT;
    // Frame bits beneath a superpage.
    low |= ((1 << (level * INDEX_BITS)) - 1) << FRAME_SHIFT;
  } else {
    // The page size bit where no page of that size exists.
    low |= PTE_PAGE_SIZE;
  }
  return (lo & low) !== 0 || (hi & high) !== 0;
}

export const SS3: VtdSecondStage = new VtdSecondStage(3);
export const SS4: VtdSecondStage = new VtdSecondStage(4);
export const SS5: VtdSecondStage = new VtdSecondStage(5);

export const VTD_FORMATS: readonly PageTableFormat[] = [SS3, SS4, SS5];
