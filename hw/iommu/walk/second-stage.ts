/**
 * The second stage of a walk: translates one guest page (walk.gpn*) for one access (walk.access2).
 * The walker calls it for the address of every stage 1 entry and for the final address. Results
 * are STEP_* codes; STEP_DONE means that out* and leaf2 hold the answer.
 */
import { PN_LO_BITS, PN_LO_MASK } from '../../address.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import { WC_S2_FLAGS, WC_S2_FORMAT, WC_S2_ROOT_HI, WC_S2_ROOT_LO } from './context.ts';
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
import { FORMAT_RECORDS, type FormatRecord } from './registry.ts';
import { askUpdate, fail, POS_ENTRY2, POS_UPDATE2 } from './steps.ts';
import { CACHE_NONE, REF_STAGE2, STEP_DONE, STEP_READ, type Walk } from './walk.ts';
import { fillHi, fillLo, indexOf, inputInRange, swapBytes } from './words.ts';

// V8 folds module constants into the code but reads imported bindings on every use: what is needed
// for every entry has a name of its own here.
const RECORDS = FORMAT_RECORDS;
const FORMAT = WC_S2_FORMAT;
const FLAGS = WC_S2_FLAGS;
const BIG_ENDIAN = STAGE_BIG_ENDIAN;
const TABLE = ENTRY_TABLE;
const FAULT = ENTRY_FAULT;
const PERMISSIONS = LEAF_PERMISSIONS;
const SET_AD = LEAF_SET_A | LEAF_SET_D;
const ORDER_SHIFT = LEAF_ORDER_SHIFT;
const ORDER_MASK = LEAF_ORDER_MASK;
const LO_BITS = PN_LO_BITS;
const LO_MASK = PN_LO_MASK;
/** Bits of a word beyond those of the low half of a page number. */
const EXTRA_BITS = 32 - PN_LO_BITS;
const KIND_MASK = 0xf;
const REASON_SHIFT = 4;
const REASON_MASK = 0xf;
const READ = STEP_READ;

export class SecondStage {
  private readonly caches: WalkCaches | null;

  constructor(caches: WalkCaches | null) {
    this.caches = caches;
  }

  /** Starts the translation of gpn* for `access`. */
  begin(walk: Walk, access: number): number {
    const context = walk.context;
    const record = RECORDS[context[FORMAT]];
    const top = record.levels - 1;
    walk.access2 = access;
    if (!inputInRange(record, walk.gpnHi, walk.gpnLo, context[FLAGS])) {
      return fail(walk, FAULT_INPUT_RANGE, REF_STAGE2, top);
    }
    walk.upper2 = PERMISSIONS;
    walk.readBytes = record.entryBytes;
    walk.position = POS_ENTRY2;
    const caches = this.caches;
    if (caches !== null) {
      if (caches.lookupNested(walk)) return STEP_DONE;
      walk.refKind = REF_STAGE2;
      if (caches.lookupStage2(walk, record)) {
        return this.readTable(walk, record, walk.outHi, walk.outLo, walk.refLevel);
      }
    }
    // The root of an x4 form is four pages; the input's two extra bits select one.
    const byte = indexOf(record, walk.gpnHi, walk.gpnLo, top, true) << record.entryShift;
    walk.readHi = context[WC_S2_ROOT_HI];
    walk.readLo = context[WC_S2_ROOT_LO] + (byte >>> 12);
    walk.readOffset = byte & 0xfff;
    walk.refKind = REF_STAGE2;
    walk.refLevel = top;
    walk.refs2++;
    return READ;
  }

  /** Consumes the words of the entry that was asked for. */
  entry(walk: Walk, w0: number, w1: number): number {
    const context = walk.context;
    const record = RECORDS[context[FORMAT]];
    const flags = context[FLAGS];
    let lo = w0;
    let hi = w1;
    if ((flags & BIG_ENDIAN) !== 0) {
      lo = swapBytes(record.entryBytes === 8 ? w1 : w0);
      hi = record.entryBytes === 8 ? swapBytes(w0) : 0;
    }
    const level = walk.refLevel;
    const decoded = record.format.decode(lo, hi, level, walk.access2, flags);
    const kind = decoded & KIND_MASK;
    const shift = record.frameShift;
    const high = hi & record.frameHiMask;
    const frameLo = (lo >>> shift) | ((high << (32 - shift)) & LO_MASK);
    const frameHi = high >> (shift - EXTRA_BITS);
    if (kind === TABLE) {
      walk.upper2 &= decoded;
      if (this.caches !== null) {
        walk.cacheKind = CACHE_NONE;
        this.caches.fillStage2(walk, record, frameHi, frameLo);
      }
      return this.readTable(walk, record, frameHi, frameLo, level - 1);
    }
    if (kind === FAULT) {
      return fail(walk, (decoded >>> REASON_SHIFT) & REASON_MASK, REF_STAGE2, level);
    }
    const order = (decoded >>> ORDER_SHIFT) & ORDER_MASK;
    walk.leaf2 = decoded & (walk.upper2 | ~PERMISSIONS);
    walk.outHi = fillHi(frameHi, walk.gpnHi, order);
    walk.outLo = fillLo(frameLo, walk.gpnLo, order);
    if ((decoded & SET_AD) !== 0) {
      walk.position = POS_UPDATE2;
      return askUpdate(walk, record, decoded, flags);
    }
    return this.found(walk);
  }

  /** The leaf is found, and needs no (more) update. */
  found(walk: Walk): number {
    if (this.caches !== null) {
      walk.cacheKind = CACHE_NONE;
      this.caches.fillNested(walk);
    }
    return STEP_DONE;
  }

  /** Asks for the entry of `level`, not the root, in the table at system page (hi, lo). */
  private readTable(
    walk: Walk,
    record: FormatRecord,
    hi: number,
    lo: number,
    level: number,
  ): number {
    const shift = Math.imul(level, record.indexBits);
    const index =
      shift >= LO_BITS
        ? walk.gpnHi >> (shift - LO_BITS)
        : (walk.gpnLo >> shift) | (walk.gpnHi << (LO_BITS - shift));
    walk.readHi = hi;
    walk.readLo = lo;
    walk.readOffset = (index & record.indexMask) << record.entryShift;
    walk.refLevel = level;
    walk.refs2++;
    return READ;
  }
}
