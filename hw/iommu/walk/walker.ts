/**
 * The page walker: composes the formats of two stages into one translation. Every address of a
 * stage 1 entry is a guest address and goes through stage 2 first; so does the final address: with
 * n and m levels (n + 1)(m + 1) - 1 references when nothing is cached. A resumable state machine:
 * it says which entry it wants, the driver reads it now or later. The order of checks is that of
 * the RISC-V Privileged specification, "Virtual Address Translation Process" and "Two-Stage
 * Address Translation".
 */

import { PAGE_SHIFT, PAGE_SIZE } from '../../address.ts';
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
import type { FormatRecord } from './format-record.ts';
import type { Redirect } from './redirect.ts';
import { BARE_RECORD, FORMAT_RECORDS } from './registry.ts';
import { SecondStage } from './second-stage.ts';
import { askUpdate, fail, POS_ENTRY1, POS_ENTRY2, POS_REDIRECT, POS_UPDATE1 } from './steps.ts';
import {
  CACHE_NONE,
  IMPLICIT_NONE,
  IMPLICIT_READ,
  IMPLICIT_WRITE,
  ORDER_BARE,
  REF_REDIRECT,
  REF_STAGE1,
  STEP_DONE,
  STEP_READ,
  type Walk,
} from './walk.ts';
import { fillHi, fillLo } from './words.ts';

// V8 folds module constants into the code but reads imported bindings on every use: what is needed
// for every entry has a name of its own here.
const BARE = BARE_RECORD;
const BIG_ENDIAN = STAGE_BIG_ENDIAN;
const TABLE = ENTRY_TABLE;
const FAULT = ENTRY_FAULT;
const PERMISSIONS = LEAF_PERMISSIONS;
const GLOBAL = LEAF_GLOBAL;
const SET_AD = LEAF_SET_A | LEAF_SET_D;
const ORDER_SHIFT = LEAF_ORDER_SHIFT;
const ORDER_MASK = LEAF_ORDER_MASK;
const NO_CACHE = CACHE_NONE;
const READ = STEP_READ;
const DONE = STEP_DONE;
const AT_ENTRY1 = POS_ENTRY1;
const AT_ENTRY2 = POS_ENTRY2;
const STAGE1 = REF_STAGE1;
const FOR_READ = IMPLICIT_READ;
const FOR_WRITE = IMPLICIT_WRITE;
const GUEST_READ = ACCESS_READ;
const OFFSET_MASK = PAGE_SIZE - 1;

const KIND_MASK = 0xf;
const REASON_SHIFT = 4;
const REASON_MASK = 0xf;
/** What a redirected page permits unless the architecture says otherwise. */
const REDIRECT_LEAF = ENTRY_LEAF | LEAF_R | LEAF_W | LEAF_USER | LEAF_DIRTY;

export interface WalkerOptions {
  readonly caches: WalkCaches | null;
  readonly redirect: Redirect | null;
}

export class Walker {
  private readonly caches: WalkCaches | null;
  private readonly redirect: Redirect | null;
  private readonly second: SecondStage;

  constructor(options: WalkerOptions) {
    this.caches = options.caches;
    this.redirect = options.redirect;
    this.second = new SecondStage(options.caches);
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
    const format = FORMAT_RECORDS[context[WC_S1_FORMAT]];
    walk.format1 = format;
    walk.flags1 = context[WC_S1_FLAGS];
    walk.format2 = FORMAT_RECORDS[context[WC_S2_FORMAT]];
    walk.flags2 = context[WC_S2_FLAGS];
    if (format === BARE) {
      walk.guestHi = walk.inHi;
      walk.guestLo = walk.inLo;
      return this.translateFinal(walk);
    }
    walk.level1 = format.levels - 1;
    if (!format.accepts(walk.inHi, walk.inLo, walk.flags1)) {
      return fail(walk, FAULT_INPUT_RANGE, REF_STAGE1, walk.level1);
    }
    walk.upper1 = PERMISSIONS;
    if (this.caches?.lookupStage1(walk, format)) {
      walk.gOffset = format.offset(walk.inHi, walk.inLo, walk.level1);
      return this.readEntry(walk, walk.outHi, walk.outLo);
    }
    const byte = format.rootOffset(walk.inHi, walk.inLo);
    const page = context[WC_S1_ROOT_LO] + (byte >>> PAGE_SHIFT);
    return this.locateEntry(walk, format, context[WC_S1_ROOT_HI], page, byte & OFFSET_MASK);
  }

  /** Goes on with the words read (or after the update). Returns STEP_*. */
  advance(walk: Walk, w0: number, w1: number, w2?: number, w3?: number): number {
    walk.cacheKind = NO_CACHE;
    if (walk.position !== AT_ENTRY2) return this.advanceOther(walk, w0, w1, w2, w3);
    const step = this.second.entry(walk, w0, w1);
    return step === DONE ? this.served(walk) : step;
  }

  private advanceOther(walk: Walk, w0: number, w1: number, w2?: number, w3?: number): number {
    const { position } = walk;
    if (position === AT_ENTRY1) return this.entry(walk, w0, w1);
    if (position === POS_UPDATE1) return this.translateFinal(walk);
    if (position === POS_REDIRECT) return this.redirectEntry(walk, w0, w1, w2 ?? 0, w3 ?? 0);
    this.second.found(walk);
    return this.served(walk);
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

  /** The stage 1 entry at (hi, lo, offset), a guest address, is next: find where it is. */
  private locateEntry(
    walk: Walk,
    format: FormatRecord,
    hi: number,
    lo: number,
    offset: number,
  ): number {
    walk.gpnHi = hi;
    walk.gpnLo = lo;
    walk.gOffset = offset;
    if (walk.format2 !== BARE) return this.translate(walk, FOR_READ, GUEST_READ);
    walk.outHi = hi;
    walk.outLo = lo;
    if (this.caches !== null) this.caches.fillStage1(walk, format);
    return this.readEntry(walk, hi, lo);
  }

  /** Asks for the stage 1 entry at gOffset of system page (hi, lo). */
  private readEntry(walk: Walk, hi: number, lo: number): number {
    walk.position = AT_ENTRY1;
    walk.readHi = hi;
    walk.readLo = lo;
    walk.readOffset = walk.gOffset;
    walk.readBytes = walk.format1.entryBytes;
    walk.refKind = STAGE1;
    walk.refLevel = walk.level1;
    walk.refs1++;
    return READ;
  }

  private entry(walk: Walk, w0: number, w1: number): number {
    const format = walk.format1;
    const flags = walk.flags1;
    let lo = w0;
    let hi = w1;
    if ((flags & BIG_ENDIAN) !== 0) {
      lo = format.swappedLo(w0, w1);
      hi = format.swappedHi(w0);
    }
    const level = walk.level1;
    const decoded = format.format.decode(lo, hi, level, walk.access, flags);
    const kind = decoded & KIND_MASK;
    const frameHi = format.frameHi(hi);
    const frameLo = format.frameLo(lo, hi);
    const upper = walk.upper1;
    if (kind === TABLE) {
      walk.upper1 = (upper & decoded & PERMISSIONS) | ((upper | decoded) & GLOBAL);
      walk.level1 = level - 1;
      const offset = format.offset(walk.inHi, walk.inLo, level - 1);
      return this.locateEntry(walk, format, frameHi, frameLo, offset);
    }
    if (kind === FAULT) {
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, REF_STAGE1, level);
    }
    const order = (decoded >>> ORDER_SHIFT) & ORDER_MASK;
    walk.leaf1 = (decoded & (upper | ~PERMISSIONS)) | (upper & GLOBAL);
    walk.order1 = order;
    walk.guestHi = fillHi(frameHi, walk.inHi, order);
    walk.guestLo = fillLo(frameLo, walk.inLo, order);
    if ((decoded & SET_AD) === 0) return this.translateFinal(walk);
    walk.leafWord0 = w0;
    walk.leafWord1 = w1;
    return this.update(walk);
  }

  /**
   * Sets accessed or dirty in the stage 1 leaf. That is an implicit write: the second stage must
   * permit it and have its own dirty bit set (IOMMU specification, "IOMMU updating of PTE accessed
   * (A) and dirty (D) updates"). The read before it only proved that reading is permitted.
   */
  private update(walk: Walk): number {
    const writable = (walk.leaf2 & LEAF_W) !== 0 && (walk.leaf2 & LEAF_DIRTY) !== 0;
    if (walk.format2 === BARE || writable) return this.askUpdate(walk);
    return this.translate(walk, FOR_WRITE, ACCESS_WRITE);
  }

  /** Asks for the update of the stage 1 leaf at the address in read*. */
  private askUpdate(walk: Walk): number {
    walk.position = POS_UPDATE1;
    walk.refKind = REF_STAGE1;
    walk.refLevel = walk.level1;
    walk.expectLo = walk.leafWord0;
    walk.expectHi = walk.leafWord1;
    return askUpdate(walk, walk.format1, walk.leaf1, walk.flags1);
  }

  /** Stage 1 is through (or bare): the final guest address. */
  private translateFinal(walk: Walk): number {
    walk.gpnHi = walk.guestHi;
    walk.gpnLo = walk.guestLo;
    walk.gOffset = walk.offset;
    if (walk.context[WC_REDIRECT] !== 0 && this.redirect?.matches(walk)) {
      walk.position = POS_REDIRECT;
      walk.refKind = REF_REDIRECT;
      walk.refLevel = 0;
      walk.order2 = 0;
      walk.leaf2 = REDIRECT_LEAF;
      return STEP_READ;
    }
    if (walk.format2 === BARE) {
      walk.outHi = walk.guestHi;
      walk.outLo = walk.guestLo;
      walk.order = walk.order1;
      return STEP_DONE;
    }
    let access = walk.access;
    // An answer that grants no write anyway must not mark the page dirty.
    const reportOnly = (access & ACCESS_REPORT) !== 0 && walk.order1 !== ORDER_BARE;
    if (reportOnly && (walk.leaf1 & LEAF_W) === 0) access &= ~ACCESS_WRITE;
    return this.translate(walk, IMPLICIT_NONE, access);
  }

  /** Second stage for gpn*; `implicit` says what for. */
  private translate(walk: Walk, implicit: number, access: number): number {
    walk.implicit = implicit;
    const step = this.second.begin(walk, access);
    return step === DONE ? this.served(walk) : step;
  }

  /** The second stage gave out* and leaf2 for gpn*. */
  private served(walk: Walk): number {
    if (walk.implicit === FOR_READ) {
      if (this.caches !== null) this.caches.fillStage1(walk, walk.format1);
      return this.readEntry(walk, walk.outHi, walk.outLo);
    }
    if (walk.implicit === FOR_WRITE) {
      walk.readHi = walk.outHi;
      walk.readLo = walk.outLo;
      walk.readOffset = walk.gOffset;
      return this.askUpdate(walk);
    }
    const order = (walk.leaf2 >>> ORDER_SHIFT) & ORDER_MASK;
    walk.order2 = order;
    walk.order = Math.min(order, walk.order1);
    return STEP_DONE;
  }

  private redirectEntry(walk: Walk, w0: number, w1: number, w2: number, w3: number): number {
    const step = (this.redirect as Redirect).decode(walk, w0, w1, w2, w3);
    walk.order = Math.min(walk.order2, walk.order1);
    return step;
  }
}
