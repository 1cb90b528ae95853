/**
 * MSI page tables (spec "Process to translate addresses of MSIs", AIA "IOMMU support for MSIs"):
 * guest pages of virtual interrupt files are translated by a flat table of 16-byte entries instead
 * of the second stage. Everything it needs travels in the walk context.
 */
import { ACCESS_EXECUTE, ACCESS_REPORT } from '../access.ts';
import { WC_ARCH } from '../walk/context.ts';
import { FAULT_ARCHITECTURE, LEAF_DIRTY, LEAF_R, LEAF_USER, LEAF_W } from '../walk/format.ts';
import type { Redirect } from '../walk/redirect.ts';
import { REF_REDIRECT, STEP_DONE, STEP_FAULT, type Walk } from '../walk/walk.ts';
import {
  CAUSE_INSTRUCTION_ACCESS,
  CAUSE_MSI_PTE_INVALID,
  CAUSE_MSI_PTE_MISCONFIGURED,
} from './causes.ts';
import { entryHi, entryLo, swapDoublewords } from './words.ts';

/** Words of a walk context that describe the MSI page table. */
export const WC_MSI_FLAGS: number = WC_ARCH;
export const WC_MSI_HI: number = WC_ARCH + 1;
export const WC_MSI_LO: number = WC_ARCH + 2;
export const WC_MSI_MASK_HI: number = WC_ARCH + 3;
export const WC_MSI_MASK_LO: number = WC_ARCH + 4;
export const WC_MSI_PATTERN_HI: number = WC_ARCH + 5;
export const WC_MSI_PATTERN_LO: number = WC_ARCH + 6;

/** Flags: entries are big-endian; MRIF mode is supported. */
export const MSI_BIG_ENDIAN = 1;
export const MSI_MRIF = 2;

/** `walk.redirected`: entry in basic translate mode, or in MRIF mode. */
export const REDIRECT_BASIC = 1;
export const REDIRECT_MRIF = 2;
/** Words of `walk.redirectData` in MRIF mode; `outHi/outLo` is the page of the notice MSI. */
export const MRIF_HI = 0;
export const MRIF_LO = 1;
export const MRIF_OFFSET = 2;
export const MRIF_NOTICE_ID = 3;

const ENTRY_BYTES = 16;
const MODE_MRIF = 1;
const MODE_BASIC = 3;
/** Bits 9:3 and 62:54 of an entry in basic mode. */
const BASIC_RESERVED_LOW = 0x3f8;
const RESERVED_HIGH = 0x7fc00000;
/** Bits 6:3 of the first, 63:61 and 59:54 of the second doubleword in MRIF mode. */
const MRIF_RESERVED_LOW = 0x78;
const MRIF_RESERVED_NOTICE = 0xefc00000;

const words = new Int32Array(4);

/** Bits in which a guest page differs from the pattern, outside the mask: high half. */
function differHi(walk: Walk, context: Int32Array): number {
  return (walk.guestHi ^ context[WC_MSI_PATTERN_HI]) & ~context[WC_MSI_MASK_HI];
}

function differLo(walk: Walk, context: Int32Array): number {
  return (walk.guestLo ^ context[WC_MSI_PATTERN_LO]) & ~context[WC_MSI_MASK_LO];
}

/**
 * log2 of the pages around the walk's guest page, at most its order, that contain no interrupt
 * file: a range contains one if it agrees with the pattern in all unmasked bits above its size.
 */
export function orderWithoutInterruptFiles(walk: Walk, context: Int32Array): number {
  const hi = differHi(walk, context);
  const highest = hi !== 0 ? 58 - Math.clz32(hi) : 31 - Math.clz32(differLo(walk, context));
  return Math.min(walk.order, highest);
}

class MsiPageTable implements Redirect {
  matches(walk: Walk): boolean {
    const { context } = walk;
    if (differHi(walk, context) !== 0 || differLo(walk, context) !== 0) return false;
    // The interrupt file number: the guest page's bits under the mask, packed.
    let bit = 0;
    let offset = 0;
    let lo = 0;
    let hi = 0;
    for (let position = 0; position < 52; position++) {
      const low = position < 27;
      const shift = low ? position : position - 27;
      const mask = low ? context[WC_MSI_MASK_LO] : context[WC_MSI_MASK_HI];
      if (((mask >>> shift) & 1) === 0) continue;
      if ((((low ? walk.guestLo : walk.guestHi) >>> shift) & 1) !== 0) {
        if (bit < 8) offset |= ENTRY_BYTES << bit;
        else if (bit < 35) lo |= 1 << (bit - 8);
        else hi |= 1 << (bit - 35);
      }
      bit++;
    }
    walk.readHi = context[WC_MSI_HI] | hi;
    walk.readLo = context[WC_MSI_LO] | lo;
    walk.readOffset = offset;
    walk.readBytes = ENTRY_BYTES;
    return true;
  }

  decode(walk: Walk, w0: number, w1: number, w2: number, w3: number): number {
    words[0] = w0;
    words[1] = w1;
    words[2] = w2;
    words[3] = w3;
    const flags = walk.context[WC_MSI_FLAGS];
    if ((flags & MSI_BIG_ENDIAN) !== 0) swapDoublewords(words, 2);
    const cause = misconfiguration(words, (flags & MSI_MRIF) !== 0);
    if (cause !== 0) return fail(walk, cause);
    // An MSI entry permits R and W, never X.
    const execute = ACCESS_EXECUTE | ACCESS_REPORT;
    if ((walk.access & execute) === ACCESS_EXECUTE) return fail(walk, CAUSE_INSTRUCTION_ACCESS);
    walk.leaf2 = LEAF_R | LEAF_W | LEAF_USER | LEAF_DIRTY;
    walk.order2 = 0;
    walk.order = 0;
    if (((words[0] >>> 1) & 3) === MODE_BASIC) {
      walk.redirected = REDIRECT_BASIC;
      walk.outHi = entryHi(words[0], words[1]);
      walk.outLo = entryLo(words[0], words[1]);
    } else {
      decodeMrif(walk);
    }
    return STEP_DONE;
  }
}

/** Cause for which the entry cannot be used, 0 if it can. C = 1 (custom) is not supported. */
function misconfiguration(entry: Int32Array, mrif: boolean): number {
  if ((entry[0] & 1) === 0) return CAUSE_MSI_PTE_INVALID;
  const mode = (entry[0] >>> 1) & 3;
  const custom = entry[1] < 0;
  let legal = false;
  if (mode === MODE_BASIC) {
    legal = (entry[0] & BASIC_RESERVED_LOW) === 0 && (entry[1] & RESERVED_HIGH) === 0;
  } else if (mode === MODE_MRIF && mrif) {
    legal =
      (entry[0] & MRIF_RESERVED_LOW) === 0 &&
      (entry[1] & RESERVED_HIGH) === 0 &&
      (entry[3] & MRIF_RESERVED_NOTICE) === 0;
  }
  return legal && !custom ? 0 : CAUSE_MSI_PTE_MISCONFIGURED;
}

/** MRIF address bits 55:9 are bits 53:7 of the entry, so its page is where a PPN would be. */
function decodeMrif(walk: Walk): void {
  const data = walk.redirectData;
  walk.redirected = REDIRECT_MRIF;
  data[MRIF_HI] = entryHi(words[0], words[1]);
  data[MRIF_LO] = entryLo(words[0], words[1]);
  data[MRIF_OFFSET] = ((words[0] >>> 7) & 7) << 9;
  data[MRIF_NOTICE_ID] = (words[2] & 0x3ff) | (((words[3] >>> 28) & 1) << 10);
  walk.outHi = entryHi(words[2], words[3]);
  walk.outLo = entryLo(words[2], words[3]);
}

function fail(walk: Walk, cause: number): number {
  walk.fault = FAULT_ARCHITECTURE;
  walk.faultDetail = cause;
  walk.faultKind = REF_REDIRECT;
  walk.faultLevel = 0;
  return STEP_FAULT;
}

export const MSI_PAGE_TABLE: Redirect = new MsiPageTable();
