/**
 * The page walker: composes the formats of two stages into one translation. Every address of a
 * stage 1 entry is a guest address and goes through stage 2 first; so does the final address: with
 * n and m levels (n + 1)(m + 1) - 1 references when nothing is cached. A resumable state machine:
 * it says which entry it wants, the driver reads it now or later. The order of checks is that of
 * the RISC-V Privileged specification, "Virtual Address Translation Process" and "Two-Stage
 * Address Translation".
 */

import { PN_LO_BITS, PN_LO_MASK } from '../../address.ts';
import { MEM_POISON } from '../../memory/port.ts';
import { ACCESS_READ, ACCESS_REPORT, ACCESS_WRITE } from '../access.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import {
  WC_REDIRECT,
  WC_S1_FLAGS,
  WC_S1_FORMAT,
  WC_S1_ROOT_HI,
  WC_S1_ROOT_LO,
  WC_S2_FLAGS,
  WC_S2_FORMAT,
  WC_S2_ROOT_HI,
  WC_S2_ROOT_LO,
} from './context.ts';
import {
  ENTRY_FAULT,
  ENTRY_LEAF,
  ENTRY_TABLE,
  FAULT_ACCESS,
  FAULT_INPUT_RANGE,
  FAULT_NONE,
  FAULT_POISON,
  LEAF_DIRTY,
  LEAF_GLOBAL,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_PERMISSIONS,
  LEAF_R,
  LEAF_SET_A,
  LEAF_SET_D,
  LEAF_USER,
  LEAF_W,
  STAGE_BIG_ENDIAN,
} from './format.ts';
import type { Redirect } from './redirect.ts';
import { FORMAT_BARE, FORMAT_RECORDS, type FormatRecord } from './registry.ts';
import {
  CACHE_NONE,
  IMPLICIT_NONE,
  IMPLICIT_READ,
  IMPLICIT_WRITE,
  ORDER_BARE,
  REF_REDIRECT,
  REF_STAGE1,
  REF_STAGE2,
  STEP_DONE,
  STEP_FAULT,
  STEP_READ,
  STEP_UPDATE,
  type Walk,
} from './walk.ts';
import { fillHi, fillLo, indexOf, inputInRange, swapBytes } from './words.ts';

/** What the walk waits for. */
const POS_ENTRY1 = 0;
const POS_ENTRY2 = 1;
const POS_UPDATE1 = 2;
const POS_UPDATE2 = 3;
const POS_REDIRECT = 4;

const KIND_MASK = 0xf;
const REASON_SHIFT = 4;
const REASON_MASK = 0xf;
/** Bits of a word beyond those of the low half of a page number. */
const EXTRA_BITS = 32 - PN_LO_BITS;
/** What a redirected page permits unless the architecture says otherwise. */
const REDIRECT_LEAF = ENTRY_LEAF | LEAF_R | LEAF_W | LEAF_USER | LEAF_DIRTY;

export interface WalkerOptions {
  readonly caches: WalkCaches | null;
  readonly redirect: Redirect | null;
}

export class Walker {
  private readonly caches: WalkCaches | null;
  private readonly redirect: Redirect | null;

  constructor(options: WalkerOptions) {
    this.caches = options.caches;
    this.redirect = options.redirect;
  }

  /** Starts the walk of `inHi/inLo/offset` for `access` under `context`. Returns STEP_*. */
  begin(walk: Walk): number {
    walk.fault = FAULT_NONE;
    walk.redirected = 0;
    walk.refs1 = 0;
    walk.refs2 = 0;
    walk.leaf1 = 0;
    walk.leaf2 = 0;
    walk.order1 = ORDER_BARE;
    walk.order2 = ORDER_BARE;
    walk.cacheKind = CACHE_NONE;
    const context = walk.context;
    if (context[WC_S1_FORMAT] === FORMAT_BARE) {
      walk.guestHi = walk.inHi;
      walk.guestLo = walk.inLo;
      return this.translateFinal(walk);
    }
    const record = FORMAT_RECORDS[context[WC_S1_FORMAT]];
    walk.implicit = IMPLICIT_NONE;
    walk.level1 = record.levels - 1;
    if (!inputInRange(record, walk.inHi, walk.inLo, context[WC_S1_FLAGS])) {
      return fail(walk, FAULT_INPUT_RANGE, REF_STAGE1, walk.level1);
    }
    walk.upper1 = LEAF_PERMISSIONS;
    if (this.caches?.lookupStage1(walk, record)) {
      const index = indexOf(record, walk.inHi, walk.inLo, walk.level1, false);
      walk.gOffset = index * record.entryBytes;
      return this.readEntry1(walk, walk.outHi, walk.outLo);
    }
    return this.locateTable1(walk, record, context[WC_S1_ROOT_HI], context[WC_S1_ROOT_LO]);
  }

  /** Goes on with the words read (or after the update). Returns STEP_*. */
  advance(walk: Walk, w0: number, w1: number, w2 = 0, w3 = 0): number {
    switch (walk.position) {
      case POS_ENTRY2:
        return this.entry2(walk, w0, w1);
      case POS_ENTRY1:
        return this.entry1(walk, w0, w1);
      case POS_UPDATE2:
        return this.leaf2Found(walk);
      case POS_UPDATE1:
        return this.translateFinal(walk);
      default:
        return this.redirectEntry(walk, w0, w1, w2, w3);
    }
  }

  /** The read met MEM_ACCESS_FAULT or MEM_POISON. */
  failRead(walk: Walk, status: number): number {
    const reason = status === MEM_POISON ? FAULT_POISON : FAULT_ACCESS;
    return fail(walk, reason, walk.refKind, walk.refLevel);
  }

  /** The update met an error. */
  failUpdate(walk: Walk, status: number): number {
    return this.failRead(walk, status);
  }

  // -------------------------------------------------------------------------------------------
  // Stage 1

  /** The stage 1 table at guest page (hi, lo) is next: find where it is and read its entry. */
  private locateTable1(walk: Walk, record: FormatRecord, hi: number, lo: number): number {
    const level = walk.level1;
    const root = level === record.levels - 1;
    const byte = indexOf(record, walk.inHi, walk.inLo, level, root) * record.entryBytes;
    const page = lo + (byte >>> 12);
    walk.gOffset = byte & 0xfff;
    walk.gpnHi = hi;
    walk.gpnLo = page;
    if (walk.context[WC_S2_FORMAT] === FORMAT_BARE) {
      walk.outHi = hi;
      walk.outLo = page;
      if (this.caches !== null) this.caches.fillStage1(walk, record);
      return this.readEntry1(walk, hi, page);
    }
    walk.implicit = IMPLICIT_READ;
    return this.translate2(walk, ACCESS_READ);
  }

  /** Asks for the stage 1 entry at gOffset of system page (hi, lo). */
  private readEntry1(walk: Walk, hi: number, lo: number): number {
    const record = FORMAT_RECORDS[walk.context[WC_S1_FORMAT]];
    walk.position = POS_ENTRY1;
    walk.readHi = hi;
    walk.readLo = lo;
    walk.readOffset = walk.gOffset;
    walk.readBytes = record.entryBytes;
    walk.refKind = REF_STAGE1;
    walk.refLevel = walk.level1;
    walk.refs1++;
    return STEP_READ;
  }

  private entry1(walk: Walk, w0: number, w1: number): number {
    walk.cacheKind = CACHE_NONE;
    const context = walk.context;
    const record = FORMAT_RECORDS[context[WC_S1_FORMAT]];
    const flags = context[WC_S1_FLAGS];
    let lo = w0;
    let hi = w1;
    if ((flags & STAGE_BIG_ENDIAN) !== 0) {
      lo = swapBytes(record.entryBytes === 8 ? w1 : w0);
      hi = record.entryBytes === 8 ? swapBytes(w0) : 0;
    }
    const level = walk.level1;
    const decoded = record.format.decode(lo, hi, level, walk.access, flags);
    const kind = decoded & KIND_MASK;
    if (kind === ENTRY_FAULT) {
      walk.implicit = IMPLICIT_NONE;
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, REF_STAGE1, level);
    }
    const shift = record.frameShift;
    const high = hi & record.frameHiMask;
    const frameLo = (lo >>> shift) | ((high << (32 - shift)) & PN_LO_MASK);
    const frameHi = high >>> (shift - EXTRA_BITS);
    const upper = walk.upper1;
    if (kind === ENTRY_TABLE) {
      walk.upper1 = (upper & decoded & LEAF_PERMISSIONS) | ((upper | decoded) & LEAF_GLOBAL);
      walk.level1 = level - 1;
      return this.locateTable1(walk, record, frameHi, frameLo);
    }
    walk.leaf1 = (decoded & (upper | ~LEAF_PERMISSIONS)) | (upper & LEAF_GLOBAL);
    const order = (decoded >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
    walk.order1 = order;
    walk.guestHi = fillHi(frameHi, walk.inHi, order);
    walk.guestLo = fillLo(frameLo, walk.inLo, order);
    if ((decoded & (LEAF_SET_A | LEAF_SET_D)) !== 0) return this.update1(walk);
    return this.translateFinal(walk);
  }

  /**
   * Sets accessed or dirty in the stage 1 leaf. That is an implicit write: the second stage must
   * permit it and have its own dirty bit set (IOMMU specification, "IOMMU updating of PTE accessed
   * (A) and dirty (D) updates"). The read before it only proved that reading is permitted.
   */
  private update1(walk: Walk): number {
    const bare = walk.context[WC_S2_FORMAT] === FORMAT_BARE;
    if (bare || (walk.leaf2 & (LEAF_W | LEAF_DIRTY)) === (LEAF_W | LEAF_DIRTY)) {
      return this.askUpdate1(walk);
    }
    walk.implicit = IMPLICIT_WRITE;
    return this.translate2(walk, ACCESS_WRITE);
  }

  /** Asks for the update of the stage 1 leaf at the address in read*. */
  private askUpdate1(walk: Walk): number {
    const record = FORMAT_RECORDS[walk.context[WC_S1_FORMAT]];
    walk.position = POS_UPDATE1;
    walk.refKind = REF_STAGE1;
    walk.refLevel = walk.level1;
    return askUpdate(walk, record, walk.leaf1, walk.context[WC_S1_FLAGS]);
  }

  // -------------------------------------------------------------------------------------------
  // Stage 2

  /** Stage 1 is through (or bare): the final guest address. */
  private translateFinal(walk: Walk): number {
    const context = walk.context;
    walk.implicit = IMPLICIT_NONE;
    walk.gpnHi = walk.guestHi;
    walk.gpnLo = walk.guestLo;
    walk.gOffset = walk.offset;
    if (context[WC_REDIRECT] !== 0 && this.redirect !== null && this.redirect.matches(walk)) {
      walk.position = POS_REDIRECT;
      walk.refKind = REF_REDIRECT;
      walk.refLevel = 0;
      walk.order2 = 0;
      walk.leaf2 = REDIRECT_LEAF;
      return STEP_READ;
    }
    if (context[WC_S2_FORMAT] === FORMAT_BARE) {
      walk.outHi = walk.guestHi;
      walk.outLo = walk.guestLo;
      walk.leaf2 = 0;
      walk.order = walk.order1;
      return STEP_DONE;
    }
    let access = walk.access;
    // An answer that grants no write anyway must not mark the page dirty.
    const reportOnly = (access & ACCESS_REPORT) !== 0 && walk.order1 !== ORDER_BARE;
    if (reportOnly && (walk.leaf1 & LEAF_W) === 0) access &= ~ACCESS_WRITE;
    return this.translate2(walk, access);
  }

  /** Translates guest page gpn* for `access`; `implicit` says what for. */
  private translate2(walk: Walk, access: number): number {
    const context = walk.context;
    const record = FORMAT_RECORDS[context[WC_S2_FORMAT]];
    const top = record.levels - 1;
    walk.access2 = access;
    if (!inputInRange(record, walk.gpnHi, walk.gpnLo, context[WC_S2_FLAGS])) {
      return fail(walk, FAULT_INPUT_RANGE, REF_STAGE2, top);
    }
    walk.upper2 = LEAF_PERMISSIONS;
    const caches = this.caches;
    if (caches !== null) {
      if (caches.lookupNested(walk)) return this.done2(walk);
      if (caches.lookupStage2(walk, record)) {
        return this.readEntry2(walk, record, walk.outHi, walk.outLo);
      }
    }
    walk.level2 = top;
    return this.readEntry2(walk, record, context[WC_S2_ROOT_HI], context[WC_S2_ROOT_LO]);
  }

  /** Asks for the entry of `level2` in the stage 2 table at system page (hi, lo). */
  private readEntry2(walk: Walk, record: FormatRecord, hi: number, lo: number): number {
    const level = walk.level2;
    const root = level === record.levels - 1;
    const byte = indexOf(record, walk.gpnHi, walk.gpnLo, level, root) * record.entryBytes;
    walk.position = POS_ENTRY2;
    walk.readHi = hi;
    walk.readLo = lo + (byte >>> 12);
    walk.readOffset = byte & 0xfff;
    walk.readBytes = record.entryBytes;
    walk.refKind = REF_STAGE2;
    walk.refLevel = level;
    walk.refs2++;
    return STEP_READ;
  }

  private entry2(walk: Walk, w0: number, w1: number): number {
    walk.cacheKind = CACHE_NONE;
    const context = walk.context;
    const record = FORMAT_RECORDS[context[WC_S2_FORMAT]];
    const flags = context[WC_S2_FLAGS];
    let lo = w0;
    let hi = w1;
    if ((flags & STAGE_BIG_ENDIAN) !== 0) {
      lo = swapBytes(record.entryBytes === 8 ? w1 : w0);
      hi = record.entryBytes === 8 ? swapBytes(w0) : 0;
    }
    const level = walk.level2;
    const decoded = record.format.decode(lo, hi, level, walk.access2, flags);
    const kind = decoded & KIND_MASK;
    if (kind === ENTRY_FAULT) {
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, REF_STAGE2, level);
    }
    const shift = record.frameShift;
    const high = hi & record.frameHiMask;
    const frameLo = (lo >>> shift) | ((high << (32 - shift)) & PN_LO_MASK);
    const frameHi = high >>> (shift - EXTRA_BITS);
    if (kind === ENTRY_TABLE) {
      walk.upper2 &= decoded;
      if (this.caches !== null) this.caches.fillStage2(walk, record, frameHi, frameLo);
      walk.level2 = level - 1;
      return this.readEntry2(walk, record, frameHi, frameLo);
    }
    walk.leaf2 = decoded & (walk.upper2 | ~LEAF_PERMISSIONS);
    const order = (decoded >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
    walk.outHi = fillHi(frameHi, walk.gpnHi, order);
    walk.outLo = fillLo(frameLo, walk.gpnLo, order);
    if ((decoded & (LEAF_SET_A | LEAF_SET_D)) !== 0) {
      walk.position = POS_UPDATE2;
      return askUpdate(walk, record, decoded, flags);
    }
    return this.leaf2Found(walk);
  }

  /** A second-stage leaf is found and needs no (more) update. */
  private leaf2Found(walk: Walk): number {
    if (this.caches !== null) this.caches.fillNested(walk);
    return this.done2(walk);
  }

  /** Stage 2 gave out* and leaf2 for gpn*. */
  private done2(walk: Walk): number {
    if (walk.implicit === IMPLICIT_READ) {
      if (this.caches !== null) {
        this.caches.fillStage1(walk, FORMAT_RECORDS[walk.context[WC_S1_FORMAT]]);
      }
      return this.readEntry1(walk, walk.outHi, walk.outLo);
    }
    if (walk.implicit === IMPLICIT_WRITE) {
      walk.readHi = walk.outHi;
      walk.readLo = walk.outLo;
      walk.readOffset = walk.gOffset;
      return this.askUpdate1(walk);
    }
    const order = (walk.leaf2 >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
    walk.order2 = order;
    walk.order = Math.min(order, walk.order1);
    return STEP_DONE;
  }

  private redirectEntry(walk: Walk, w0: number, w1: number, w2: number, w3: number): number {
    const redirect = this.redirect as Redirect;
    const step = redirect.decode(walk, w0, w1, w2, w3);
    walk.order = Math.min(walk.order2, walk.order1);
    return step;
  }
}

/** Ends the walk with a fault found in a table of `kind` at `level`. */
function fail(walk: Walk, reason: number, kind: number, level: number): number {
  const implicit = kind === REF_STAGE2 ? walk.implicit : IMPLICIT_NONE;
  walk.fault = reason;
  walk.faultKind = kind;
  walk.faultLevel = level;
  walk.faultImplicit = implicit === IMPLICIT_NONE ? 0 : 1;
  walk.faultImplicitWrite = implicit === IMPLICIT_WRITE ? 1 : 0;
  walk.faultDetail = 0;
  return STEP_FAULT;
}

/** Asks the driver to set what `decoded` says in the entry at the address in read*. */
function askUpdate(walk: Walk, record: FormatRecord, decoded: number, flags: number): number {
  let bits = 0;
  if ((decoded & LEAF_SET_A) !== 0) bits |= record.accessedBit;
  if ((decoded & LEAF_SET_D) !== 0) bits |= record.dirtyBit;
  const swapped = (flags & STAGE_BIG_ENDIAN) !== 0;
  const inHigh = swapped && record.entryBytes === 8;
  const word = swapped ? swapBytes(bits) : bits;
  walk.readBytes = record.entryBytes;
  walk.orLo = inHigh ? 0 : word;
  walk.orHi = inHigh ? word : 0;
  return STEP_UPDATE;
}
