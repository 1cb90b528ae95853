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
import type { Redirect } from './redirect.ts';
import { FORMAT_BARE, FORMAT_RECORDS, type FormatRecord } from './registry.ts';
import { SecondStage } from './second-stage.ts';
import {
  askUpdate,
  fail,
  POS_ENTRY1,
  POS_ENTRY2,
  POS_REDIRECT,
  POS_UPDATE1,
  POS_UPDATE2,
} from './steps.ts';
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
import { fillHi, fillLo, indexOf, inputInRange, swapBytes } from './words.ts';

// V8 folds module constants into the code but reads imported bindings on every use: what is needed
// for every entry has a name of its own here.
const RECORDS = FORMAT_RECORDS;
const FORMAT = WC_S1_FORMAT;
const FORMAT2 = WC_S2_FORMAT;
const FLAGS = WC_S1_FLAGS;
const BARE = FORMAT_BARE;
const BIG_ENDIAN = STAGE_BIG_ENDIAN;
const TABLE = ENTRY_TABLE;
const FAULT = ENTRY_FAULT;
const PERMISSIONS = LEAF_PERMISSIONS;
const GLOBAL = LEAF_GLOBAL;
const SET_AD = LEAF_SET_A | LEAF_SET_D;
const ORDER_SHIFT = LEAF_ORDER_SHIFT;
const ORDER_MASK = LEAF_ORDER_MASK;
const LO_MASK = PN_LO_MASK;
/** Bits of a word beyond those of the low half of a page number. */
const EXTRA_BITS = 32 - PN_LO_BITS;
const READ = STEP_READ;
const DONE = STEP_DONE;
const AT_ENTRY1 = POS_ENTRY1;
const AT_ENTRY2 = POS_ENTRY2;
const STAGE1 = REF_STAGE1;
const FOR_READ = IMPLICIT_READ;
const FOR_WRITE = IMPLICIT_WRITE;

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
    if (context[FORMAT] === BARE) {
      walk.guestHi = walk.inHi;
      walk.guestLo = walk.inLo;
      return this.translateFinal(walk);
    }
    const record = RECORDS[context[FORMAT]];
    walk.level1 = record.levels - 1;
    if (!inputInRange(record, walk.inHi, walk.inLo, context[FLAGS])) {
      return fail(walk, FAULT_INPUT_RANGE, REF_STAGE1, walk.level1);
    }
    walk.upper1 = PERMISSIONS;
    if (this.caches?.lookupStage1(walk, record)) {
      const index = indexOf(record, walk.inHi, walk.inLo, walk.level1, false);
      walk.gOffset = index << record.entryShift;
      return this.readEntry(walk, walk.outHi, walk.outLo);
    }
    return this.locateTable(walk, record, context[WC_S1_ROOT_HI], context[WC_S1_ROOT_LO]);
  }

  /** Goes on with the words read (or after the update). Returns STEP_*. */
  advance(walk: Walk, w0: number, w1: number, w2 = 0, w3 = 0): number {
    const position = walk.position;
    if (position === AT_ENTRY2) {
      const step = this.second.entry(walk, w0, w1);
      return step === DONE ? this.served(walk) : step;
    }
    if (position === AT_ENTRY1) return this.entry(walk, w0, w1);
    if (position === POS_UPDATE2) {
      this.second.found(walk);
      return this.served(walk);
    }
    if (position === POS_UPDATE1) return this.translateFinal(walk);
    return this.redirectEntry(walk, w0, w1, w2, w3);
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

  /** The stage 1 table at guest page (hi, lo) is next: find where it is and read its entry. */
  private locateTable(walk: Walk, record: FormatRecord, hi: number, lo: number): number {
    const level = walk.level1;
    const root = level === record.levels - 1;
    const byte = indexOf(record, walk.inHi, walk.inLo, level, root) << record.entryShift;
    const page = lo + (byte >>> 12);
    walk.gOffset = byte & 0xfff;
    walk.gpnHi = hi;
    walk.gpnLo = page;
    if (walk.context[FORMAT2] !== BARE) return this.translate(walk, FOR_READ, ACCESS_READ);
    walk.outHi = hi;
    walk.outLo = page;
    if (this.caches !== null) this.caches.fillStage1(walk, record);
    return this.readEntry(walk, hi, page);
  }

  /** Asks for the stage 1 entry at gOffset of system page (hi, lo). */
  private readEntry(walk: Walk, hi: number, lo: number): number {
    const record = RECORDS[walk.context[FORMAT]];
    walk.position = AT_ENTRY1;
    walk.readHi = hi;
    walk.readLo = lo;
    walk.readOffset = walk.gOffset;
    walk.readBytes = record.entryBytes;
    walk.refKind = STAGE1;
    walk.refLevel = walk.level1;
    walk.refs1++;
    return READ;
  }

  private entry(walk: Walk, w0: number, w1: number): number {
    const context = walk.context;
    const record = RECORDS[context[FORMAT]];
    const flags = context[FLAGS];
    let lo = w0;
    let hi = w1;
    if ((flags & BIG_ENDIAN) !== 0) {
      lo = swapBytes(record.entryBytes === 8 ? w1 : w0);
      hi = record.entryBytes === 8 ? swapBytes(w0) : 0;
    }
    const level = walk.level1;
    const decoded = record.format.decode(lo, hi, level, walk.access, flags);
    const kind = decoded & KIND_MASK;
    const shift = record.frameShift;
    const high = hi & record.frameHiMask;
    const frameLo = (lo >>> shift) | ((high << (32 - shift)) & LO_MASK);
    const frameHi = high >> (shift - EXTRA_BITS);
    const upper = walk.upper1;
    walk.cacheKind = CACHE_NONE;
    if (kind === TABLE) {
      walk.upper1 = (upper & decoded & PERMISSIONS) | ((upper | decoded) & GLOBAL);
      walk.level1 = level - 1;
      return this.locateTable(walk, record, frameHi, frameLo);
    }
    if (kind === FAULT) {
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, REF_STAGE1, level);
    }
    const order = (decoded >>> ORDER_SHIFT) & ORDER_MASK;
    walk.leaf1 = (decoded & (upper | ~PERMISSIONS)) | (upper & GLOBAL);
    walk.order1 = order;
    walk.guestHi = fillHi(frameHi, walk.inHi, order);
    walk.guestLo = fillLo(frameLo, walk.inLo, order);
    return (decoded & SET_AD) === 0 ? this.translateFinal(walk) : this.update(walk);
  }

  /**
   * Sets accessed or dirty in the stage 1 leaf. That is an implicit write: the second stage must
   * permit it and have its own dirty bit set (IOMMU specification, "IOMMU updating of PTE accessed
   * (A) and dirty (D) updates"). The read before it only proved that reading is permitted.
   */
  private update(walk: Walk): number {
    const writable = (walk.leaf2 & LEAF_W) !== 0 && (walk.leaf2 & LEAF_DIRTY) !== 0;
    if (walk.context[FORMAT2] === BARE || writable) return this.askUpdate(walk);
    return this.translate(walk, FOR_WRITE, ACCESS_WRITE);
  }

  /** Asks for the update of the stage 1 leaf at the address in read*. */
  private askUpdate(walk: Walk): number {
    const { context } = walk;
    walk.position = POS_UPDATE1;
    walk.refKind = REF_STAGE1;
    walk.refLevel = walk.level1;
    return askUpdate(walk, RECORDS[context[FORMAT]], walk.leaf1, context[FLAGS]);
  }

  /** Stage 1 is through (or bare): the final guest address. */
  private translateFinal(walk: Walk): number {
    const context = walk.context;
    walk.gpnHi = walk.guestHi;
    walk.gpnLo = walk.guestLo;
    walk.gOffset = walk.offset;
    if (context[WC_REDIRECT] !== 0 && this.redirect?.matches(walk)) {
      walk.position = POS_REDIRECT;
      walk.refKind = REF_REDIRECT;
      walk.refLevel = 0;
      walk.order2 = 0;
      walk.leaf2 = REDIRECT_LEAF;
      return STEP_READ;
    }
    if (context[FORMAT2] === BARE) {
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
      if (this.caches !== null) this.caches.fillStage1(walk, RECORDS[walk.context[FORMAT]]);
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
