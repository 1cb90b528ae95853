/**
 * A page-table format as a description: how an input address is cut into indexes, and how one entry
 * reads. A format is stateless; walkers and table builders of all architectures share these.
 */

/** What a decoded entry is, bits 3:0 of a decoded value. */
export const ENTRY_TABLE = 0;
export const ENTRY_LEAF = 1;
/** The entry ends the walk; the reason is in bits 7:4. */
export const ENTRY_FAULT = 2;

/** Reasons a walk ends without a translation (also used for faults not found in an entry). */
export const FAULT_NONE = 0;
/** The entry is not valid/present. */
export const FAULT_NOT_PRESENT = 1;
/** A reserved bit or encoding is used. */
export const FAULT_RESERVED = 2;
/** The entry does not permit the access. */
export const FAULT_PERMISSION = 3;
/** A superpage's frame is not aligned to its size. */
export const FAULT_MISALIGNED = 4;
/** Accessed (or dirty, on a write) is clear and hardware must not set it. */
export const FAULT_ACCESSED_DIRTY = 5;
/** The input address is wider than the format, or not canonical. */
export const FAULT_INPUT_RANGE = 6;
/** Memory refused the access to the entry. */
export const FAULT_ACCESS = 7;
/** The entry's data is corrupt. */
export const FAULT_POISON = 8;
/** An architecture's own reason; the number is in the walk's `faultDetail`. */
export const FAULT_ARCHITECTURE = 9;

/**
 * Bits of a decoded entry (see {@link PageTableFormat.decode}). R, W, X and USER of a table entry
 * are what it leaves to the entries beneath it; GLOBAL of a table entry holds for all beneath it.
 */
export const LEAF_R: number = 1 << 8;
export const LEAF_W: number = 1 << 9;
export const LEAF_X: number = 1 << 10;
export const LEAF_USER: number = 1 << 11;
export const LEAF_GLOBAL: number = 1 << 12;
/** Hardware must set accessed before the translation may be used. */
export const LEAF_SET_A: number = 1 << 13;
/** Hardware must set dirty before the translation may be used. */
export const LEAF_SET_D: number = 1 << 14;
/** The entry's dirty bit is set (or will be): a write through a cached copy needs no update. */
export const LEAF_DIRTY: number = 1 << 15;
/** Bits 21:16: log2 of the number of 4 KiB pages that the leaf maps. */
export const LEAF_ORDER_SHIFT = 16;
export const LEAF_ORDER_MASK = 0x3f;
/** Bits 25:22: memory type attribute of the entry, in the format's own encoding. */
export const LEAF_MEMTYPE_SHIFT = 22;
export const LEAF_MEMTYPE_MASK = 0xf;
/** A user page that privileged data accesses may use too (STAGE_PRIVILEGED_USER was set). */
export const LEAF_PRIVILEGED_USER: number = 1 << 26;

export interface PageTableFormat {
  /** Name as its specification writes it: `Sv48`, `Sv48x4`, `SS4`. */
  readonly name: string;
  /** Number of levels; level `levels - 1` is the root, level 0 the last. */
  readonly levels: number;
  readonly entryBytes: 4 | 8;
  /** Index bits of every level but the root: 9 (10 for Sv32). */
  readonly indexBits: number;
  /** Additional index bits of the root: 2 for the x4 forms, else 0. */
  readonly rootExtraBits: number;
  /** Legal width of an input address, page offset included. */
  readonly inputBits: number;
  /** Bits above the width must repeat its top bit (else they must be zero). */
  readonly signExtended: boolean;
  /** Position of the frame number in an entry: 10 (RISC-V) or 12. */
  readonly frameShift: 10 | 12;
  /** Mask on the high word of an entry that leaves only frame-number bits. */
  readonly frameHiMask: number;
  /** Bits that hardware sets for accessed and for dirty, in the low word; 0: there are none. */
  readonly accessedBit: number;
  readonly dirtyBit: number;

  /**
   * Reads one entry for one access. A format whose entries have no dirty bit reports LEAF_DIRTY.
   * With ACCESS_REPORT a leaf never fails for a missing R, W or X; accessed and dirty are as for a
   * write if ACCESS_WRITE is set and the leaf permits writing.
   * @param lo,hi the entry's words (hi 0 for 4-byte entries), in the walk's byte order already
   * @param level level of the table that the entry is in
   * @param access ACCESS_* bits
   * @param flags the stage's flags from the walk context (STAGE_* bits and the format's own)
   * @returns kind (bits 3:0) | reason (7:4) for faults | LEAF_* bits for tables and leaves
   */
  decode(lo: number, hi: number, level: number, access: number, flags: number): number;

  /** Words of an entry that points to the next table at page (hi, lo), into out[0], out[1]. */
  encodeTable(hi: number, lo: number, out: Int32Array): void;
  /**
   * Words of a leaf for page (hi, lo) at `level` (order = level * indexBits unless NAPOT).
   * @param access ACCESS_* bits that it permits
   * @param user unprivileged requests may use it
   */
  encodeLeaf(
    hi: number,
    lo: number,
    level: number,
    access: number,
    user: boolean,
    out: Int32Array,
  ): void;
}

/** Stage flags common to all formats (bits 0..7 of a stage's flags; a format may use 8..23). */
/** Hardware sets accessed and dirty bits. */
export const STAGE_HW_AD = 1;
/** Entries are big-endian in memory. */
export const STAGE_BIG_ENDIAN = 2;
/** Privileged data accesses may use pages that are open to unprivileged ones (RISC-V SUM). */
export const STAGE_PRIVILEGED_USER = 4;
/**
 * Bits 29:24: narrower limit on the width of the stage's input address than the format's own, in
 * bits, page offset included; 0 = none. The bits above must be zero.
 */
export const STAGE_INPUT_BITS_SHIFT = 24;
export const STAGE_INPUT_BITS_MASK = 0x3f;

/** All permissions, as LEAF_* bits. */
export const LEAF_PERMISSIONS: number = LEAF_R | LEAF_W | LEAF_X | LEAF_USER;

/** Value of `decode` for an entry that ends the walk. */
export function faultEntry(reason: number): number {
  return ENTRY_FAULT | (reason << 4);
}
