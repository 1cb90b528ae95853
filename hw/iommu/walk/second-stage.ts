/**
 * The second stage of a walk: translates one guest page (walk.gpn*) for one access (walk.access2).
 * The walker calls it for the address of every stage 1 entry and for the final address. Results
 * are STEP_* codes; STEP_DONE means that out* and leaf2 hold the answer.
 */
import { PAGE_SHIFT, PAGE_SIZE } from '../../address.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import { WC_S2_ROOT_HI, WC_S2_ROOT_LO } from './context.ts';
import {
  ENTRY_FAULT,
  ENTRY_TABLE,
  FAULT_INPUT_RANGE,
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_PERMISSIONS,
  LEAF_SET_A,
  LEAF_SET_D,
  STAGE_BIG_ENDIAN,
} from './format.ts';
import type { FormatRecord } from './format-record.ts';
import { askUpdate, fail, POS_ENTRY2, POS_UPDATE2 } from './steps.ts';
import { REF_STAGE2, STEP_DONE, STEP_READ, type Walk } from './walk.ts';
import { fillHi, fillLo } from './words.ts';

// V8 folds module constants into the code but reads imported bindings on every use: what is needed
// for every entry has a name of its own here.
const ROOT_HI = WC_S2_ROOT_HI;
const ROOT_LO = WC_S2_ROOT_LO;
const PAGE = PAGE_SHIFT;
const OFFSET_MASK = PAGE_SIZE - 1;
const BIG_ENDIAN = STAGE_BIG_ENDIAN;
const TABLE = ENTRY_TABLE;
const FAULT = ENTRY_FAULT;
const SET_AD = LEAF_SET_A | LEAF_SET_D;
const ORDER_SHIFT = LEAF_ORDER_SHIFT;
const ORDER_MASK = LEAF_ORDER_MASK;
const DONE = STEP_DONE;
const joinHi = fillHi;
const joinLo = fillLo;
const PERMISSIONS = LEAF_PERMISSIONS;
const KIND_MASK = 0xf;
const REASON_SHIFT = 4;
const REASON_MASK = 0xf;
const READ = STEP_READ;
const STAGE2 = REF_STAGE2;
const AT_ENTRY2 = POS_ENTRY2;

export class SecondStage {
  private readonly caches: WalkCaches | null;

  constructor(caches: WalkCaches | null) {
    this.caches = caches;
  }

  /** Starts the translation of gpn* for `access`. */
  begin(walk: Walk, access: number): number {
    const format = walk.format2;
    const top = format.levels - 1;
    walk.access2 = access;
    if (!format.accepts(walk.gpnHi, walk.gpnLo, walk.flags2)) {
      return fail(walk, FAULT_INPUT_RANGE, STAGE2, top);
    }
    walk.upper2 = PERMISSIONS;
    walk.readBytes = format.entryBytes;
    walk.position = AT_ENTRY2;
    walk.refKind = STAGE2;
    const caches = this.caches;
    if (caches !== null) {
      if (caches.lookupNested(walk)) return DONE;
      if (caches.lookupStage2(walk, format)) {
        return this.readTable(walk, format, walk.outHi, walk.outLo, walk.refLevel);
      }
    }
    // The root of an x4 form is four pages; the input's two extra bits select one.
    const byte = format.rootOffset(walk.gpnHi, walk.gpnLo);
    const context = walk.context;
    walk.readHi = context[ROOT_HI];
    walk.readLo = context[ROOT_LO] + (byte >>> PAGE);
    walk.readOffset = byte & OFFSET_MASK;
    walk.refLevel = top;
    walk.refs2++;
    return READ;
  }

  /** Consumes the words of the entry that was asked for. */
  entry(walk: Walk, w0: number, w1: number): number {
    const format = walk.format2;
    const flags = walk.flags2;
    let lo = w0;
    let hi = w1;
    if ((flags & BIG_ENDIAN) !== 0) {
      lo = format.swappedLo(w0, w1);
      hi = format.swappedHi(w0);
    }
    const level = walk.refLevel;
    const decoded = format.format.decode(lo, hi, level, walk.access2, flags);
    const frameHi = format.frameHi(hi);
    const frameLo = format.frameLo(lo, hi);
    if ((decoded & KIND_MASK) !== TABLE) {
      walk.expectLo = w0;
      walk.expectHi = w1;
      return this.ended(walk, decoded, frameHi, frameLo);
    }
    walk.upper2 &= decoded;
    if (this.caches !== null) this.caches.fillStage2(walk, format, frameHi, frameLo);
    return this.readTable(walk, format, frameHi, frameLo, level - 1);
  }

  /** The entry is a leaf, or ends the walk. */
  private ended(walk: Walk, decoded: number, frameHi: number, frameLo: number): number {
    if ((decoded & KIND_MASK) === FAULT) {
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, STAGE2, walk.refLevel);
    }
    const order = (decoded >>> ORDER_SHIFT) & ORDER_MASK;
    walk.leaf2 = decoded & (walk.upper2 | ~PERMISSIONS);
    walk.outHi = joinHi(frameHi, walk.gpnHi, order);
    walk.outLo = joinLo(frameLo, walk.gpnLo, order);
    if ((decoded & SET_AD) !== 0) {
      walk.position = POS_UPDATE2;
      return askUpdate(walk, walk.format2, decoded, walk.flags2);
    }
    return this.found(walk);
  }

  /** The leaf is found, and needs no (more) update. */
  found(walk: Walk): number {
    if (this.caches !== null) this.caches.fillNested(walk);
    return DONE;
  }

  /** Asks for the entry of `level`, not the root, in the table at system page (hi, lo). */
  private readTable(
    walk: Walk,
    format: FormatRecord,
    hi: number,
    lo: number,
    level: number,
  ): number {
    walk.readHi = hi;
    walk.readLo = lo;
    walk.readOffset = format.offset(walk.gpnHi, walk.gpnLo, level);
    walk.refLevel = level;
    walk.refs2++;
    return READ;
  }
}
