/**
 * RISC-V page-table formats: Sv32, Sv39, Sv48, Sv57 for the first stage and their x4 forms for the
 * second (Privileged specification, "Sv32" to "Sv57", "Two-Stage Address Translation", "Svnapot",
 * "Svpbmt"; IOMMU specification, "Process to translate an IOVA"). Entries of all forms share one
 * layout; the second stage ignores G and demands U.
 */
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../access.ts';
import {
  ENTRY_LEAF,
  ENTRY_TABLE,
  FAULT_ACCESSED_DIRTY,
  FAULT_MISALIGNED,
  FAULT_NOT_PRESENT,
  FAULT_PERMISSION,
  FAULT_RESERVED,
  faultEntry,
  LEAF_DIRTY,
  LEAF_GLOBAL,
  LEAF_MEMTYPE_SHIFT,
  LEAF_ORDER_SHIFT,
  LEAF_PERMISSIONS,
  LEAF_PRIVILEGED_USER,
  LEAF_SET_A,
  LEAF_SET_D,
  type PageTableFormat,
  STAGE_HW_AD,
  STAGE_PRIVILEGED_USER,
} from '../walk/format.ts';

/** Stage flags of this architecture. */
/** The Svpbmt extension is there: bits 62:61 of a leaf are a memory type, else reserved. */
export const RISCV_PBMT: number = 1 << 8;
/** The Svrsw60t59b extension is there: bits 60:59 are software's, else reserved. */
export const RISCV_RSW: number = 1 << 9;

const PTE_V = 1 << 0;
const PTE_R = 1 << 1;
const PTE_W = 1 << 2;
const PTE_X = 1 << 3;
const PTE_U = 1 << 4;
const PTE_G = 1 << 5;
const PTE_A = 1 << 6;
const PTE_D = 1 << 7;
/** Bits of the high word: N, PBMT, the two software bits of Svrsw60t59b, and those always 0. */
const HIGH_N = 1 << 31;
const HIGH_PBMT_SHIFT = 29;
const HIGH_PBMT = 3 << HIGH_PBMT_SHIFT;
const HIGH_RSW = 3 << 27;
const HIGH_RESERVED = 0x1f << 22;
/** Any bit above the frame number, shifted down. */
const HIGH_FLAGS_SHIFT = 22;

const FRAME_SHIFT = 10;
const FRAME_HI_MASK = 0x3fffff;
/** Svnapot knows one size: 16 pages, frame bits 3:0 = 8. */
const NAPOT_ORDER = 4;
const NAPOT_MASK = 0xf << FRAME_SHIFT;
const NAPOT_CODE = 0x8 << FRAME_SHIFT;
/** R, W, X, U and G stand this many places below LEAF_R, LEAF_W, LEAF_X, LEAF_USER, LEAF_GLOBAL. */
const LEAF_SHIFT = 7;
/** And D below LEAF_DIRTY. */
const DIRTY_SHIFT = 8;
const RWXU = PTE_R | PTE_W | PTE_X | PTE_U;
/** A pointer has V and none of the others of these. */
const POINTER_MASK = PTE_V | RWXU | PTE_A | PTE_D;
/** Reserved when only W is set of these. */
const WRITE_ONLY = PTE_R | PTE_W;
/** What an unprivileged access needs; ACCESS_* bits one place up are R, W, X, WRITE six up is D. */
const LEAF_NEEDED = PTE_V | PTE_U | PTE_A;

// Module constants are folded into the machine code, imported bindings are read on every use.
const RWX = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
const WRITE = ACCESS_WRITE;
const POINTER = ENTRY_TABLE | LEAF_PERMISSIONS;
const GLOBAL = LEAF_GLOBAL;
const LEAF = ENTRY_LEAF;
const ORDER_SHIFT = LEAF_ORDER_SHIFT;
const MEMTYPE_SHIFT = LEAF_MEMTYPE_SHIFT;
const SUM = STAGE_PRIVILEGED_USER;
const PRIVILEGED_USER = LEAF_PRIVILEGED_USER;

/** Low and high word of a mask over `bits` frame bits, from the lowest. */
function frameMask(bits: number): [number, number] {
  const mask = ((1n << BigInt(bits)) - 1n) << BigInt(FRAME_SHIFT);
  return [Number(mask & 0xffffffffn) | 0, Number(mask >> 32n) | 0];
}

export class RiscvFormat implements PageTableFormat {
  readonly name: string;
  readonly levels: number;
  readonly entryBytes: 4 | 8;
  readonly indexBits: number;
  readonly rootExtraBits: number;
  readonly inputBits: number;
  readonly signExtended: boolean;
  readonly frameShift: 10 | 12 = FRAME_SHIFT;
  readonly frameHiMask: number = FRAME_HI_MASK;
  readonly accessedBit: number = PTE_A;
  readonly dirtyBit: number = PTE_D;
  /** 1 for the x4 forms. */
  private readonly second: number;
  /** PTE_G where it counts. */
  private readonly globalBit: number;
  /** Access bits that need the whole procedure. */
  private readonly special: number;
  /** Frame bits of a leaf at each level that must be zero, low and high words. */
  private readonly alignLo: Int32Array;
  private readonly alignHi: Int32Array;

  constructor(name: string, levels: number, secondStage: boolean) {
    this.name = name;
    this.levels = levels;
    this.entryBytes = levels === 2 ? 4 : 8;
    this.indexBits = levels === 2 ? 10 : 9;
    this.rootExtraBits = secondStage ? 2 : 0;
    this.inputBits = 12 + levels * this.indexBits + this.rootExtraBits;
    // An IOVA for Sv32 is a 32-bit address, zero above; the wider forms sign-extend.
    this.signExtended = !secondStage && levels > 2;
    this.second = secondStage ? 1 : 0;
    this.globalBit = secondStage ? 0 : PTE_G;
    this.special = secondStage ? ACCESS_REPORT : ACCESS_REPORT | ACCESS_PRIVILEGED;
    this.alignLo = new Int32Array(levels);
    this.alignHi = new Int32Array(levels);
    for (let level = 0; level < levels; level++) {
      [this.alignLo[level], this.alignHi[level]] = frameMask(level * this.indexBits);
    }
  }

  decode(lo: number, hi: number, level: number, access: number, flags: number): number {
    // Most entries read are pointers with nothing else set.
    if ((lo & POINTER_MASK) === PTE_V && hi >>> HIGH_FLAGS_SHIFT === 0 && level !== 0) {
      return (lo & this.globalBit) === 0 ? POINTER : POINTER | GLOBAL;
    }
    return this.decodeLeaf(lo, hi, level, access, flags);
  }

  /** And most others are leaves that simply serve: unprivileged, accessed and dirty set. */
  private decodeLeaf(lo: number, hi: number, level: number, access: number, flags: number): number {
    if (hi >>> HIGH_FLAGS_SHIFT === 0 && (access & this.special) === 0) {
      const needed = LEAF_NEEDED | ((access & RWX) << 1) | ((access & WRITE) << 6);
      if (
        (lo & needed) === needed &&
        (lo & WRITE_ONLY) !== PTE_W &&
        (lo & (PTE_R | PTE_X)) !== 0 &&
        (lo & this.alignLo[level]) === 0 &&
        (hi & this.alignHi[level]) === 0
      ) {
        return this.leafBits(lo, hi, level * this.indexBits, flags);
      }
    }
    return this.examine(lo, hi, level, access, flags);
  }

  /** The whole procedure, in the specification's order. */
  examine(lo: number, hi: number, level: number, access: number, flags: number): number {
    if ((lo & PTE_V) === 0) return faultEntry(FAULT_NOT_PRESENT);
    if ((lo & WRITE_ONLY) === PTE_W) return faultEntry(FAULT_RESERVED);
    const table = (lo & (PTE_R | PTE_X)) === 0;
    if (hi >>> HIGH_FLAGS_SHIFT !== 0 && reservedHigh(hi, level, table, flags)) {
      return faultEntry(FAULT_RESERVED);
    }
    if (table) {
      if (level === 0 || (lo & (PTE_D | PTE_A | PTE_U)) !== 0) return faultEntry(FAULT_RESERVED);
      return (lo & this.globalBit) === 0 ? POINTER : POINTER | GLOBAL;
    }
    if (!this.permits(lo, access, flags)) return faultEntry(FAULT_PERMISSION);
    if ((lo & this.alignLo[level]) !== 0 || (hi & this.alignHi[level]) !== 0) {
      return faultEntry(FAULT_MISALIGNED);
    }
    let order = level * this.indexBits;
    if ((hi & HIGH_N) !== 0) {
      if ((lo & NAPOT_MASK) !== NAPOT_CODE) return faultEntry(FAULT_RESERVED);
      order = NAPOT_ORDER;
    }
    const bits = this.leafBits(lo, hi, order, flags);
    return accessedDirty(bits, lo, access, flags);
  }

  encodeTable(hi: number, lo: number, out: Int32Array): void {
    out[0] = (lo << FRAME_SHIFT) | PTE_V;
    out[1] = (lo >>> (32 - FRAME_SHIFT)) | (hi << (27 + FRAME_SHIFT - 32));
  }

  encodeLeaf(
    hi: number,
    lo: number,
    _level: number,
    access: number,
    user: boolean,
    out: Int32Array,
  ): void {
    this.encodeTable(hi, lo, out);
    let bits = PTE_A | PTE_D;
    if ((access & ACCESS_READ) !== 0) bits |= PTE_R;
    if ((access & ACCESS_WRITE) !== 0) bits |= PTE_W;
    if ((access & ACCESS_EXECUTE) !== 0) bits |= PTE_X;
    if (user || this.second !== 0) bits |= PTE_U;
    out[0] |= bits;
  }

  /** R, W, X and U against the access; the second stage serves everything as user. */
  private permits(lo: number, access: number, flags: number): boolean {
    if ((access & ACCESS_REPORT) === 0) {
      if ((access & ACCESS_READ) !== 0 && (lo & PTE_R) === 0) return false;
      if ((access & ACCESS_WRITE) !== 0 && (lo & PTE_W) === 0) return false;
      if ((access & ACCESS_EXECUTE) !== 0 && (lo & PTE_X) === 0) return false;
    }
    if (this.second !== 0 || (access & ACCESS_PRIVILEGED) === 0) return (lo & PTE_U) !== 0;
    if ((lo & PTE_U) === 0) return true;
    // A supervisor never fetches instructions from user pages, whatever SUM says.
    return (access & ACCESS_EXECUTE) === 0 && (flags & STAGE_PRIVILEGED_USER) !== 0;
  }

  /** What a leaf says, whatever the access. */
  private leafBits(lo: number, hi: number, order: number, flags: number): number {
    const bits =
      LEAF |
      ((lo & (RWXU | this.globalBit)) << LEAF_SHIFT) |
      (order << ORDER_SHIFT) |
      (((hi >>> HIGH_PBMT_SHIFT) & 3) << MEMTYPE_SHIFT) |
      ((lo & PTE_D) << DIRTY_SHIFT);
    return (flags & SUM) !== 0 && (lo & PTE_U) !== 0 ? bits | PRIVILEGED_USER : bits;
  }
}

/** The accessed and dirty rule for a leaf that permits the access. */
function accessedDirty(leaf: number, lo: number, access: number, flags: number): number {
  // Only with ACCESS_REPORT may a write come here that the entry does not permit.
  const needsDirty = (access & ACCESS_WRITE) !== 0 && (lo & (PTE_W | PTE_D)) === PTE_W;
  if (!needsDirty && (lo & PTE_A) !== 0) return leaf;
  if ((flags & STAGE_HW_AD) !== 0) {
    const bits = (lo & PTE_A) === 0 ? leaf | LEAF_SET_A : leaf;
    return needsDirty ? bits | LEAF_SET_D | LEAF_DIRTY : bits;
  }
  return faultEntry(FAULT_ACCESSED_DIRTY);
}

/** Bits above the frame number that an entry must not have. */
function reservedHigh(hi: number, level: number, table: boolean, flags: number): boolean {
  let reserved = HIGH_RESERVED;
  if ((flags & RISCV_RSW) === 0) reserved |= HIGH_RSW;
  if ((flags & RISCV_PBMT) === 0 || table) reserved |= HIGH_PBMT;
  if (level !== 0 || table) reserved |= HIGH_N;
  return (hi & reserved) !== 0 || (hi & HIGH_PBMT) === HIGH_PBMT;
}

export const SV32: RiscvFormat = new RiscvFormat('Sv32', 2, false);
export const SV39: RiscvFormat = new RiscvFormat('Sv39', 3, false);
export const SV48: RiscvFormat = new RiscvFormat('Sv48', 4, false);
export const SV57: RiscvFormat = new RiscvFormat('Sv57', 5, false);
export const SV32X4: RiscvFormat = new RiscvFormat('Sv32x4', 2, true);
export const SV39X4: RiscvFormat = new RiscvFormat('Sv39x4', 3, true);
export const SV48X4: RiscvFormat = new RiscvFormat('Sv48x4', 4, true);
export const SV57X4: RiscvFormat = new RiscvFormat('Sv57x4', 5, true);

export const RISCV_FORMATS: readonly PageTableFormat[] = [
  SV32,
  SV39,
  SV48,
  SV57,
  SV32X4,
  SV39X4,
  SV48X4,
  SV57X4,
];
