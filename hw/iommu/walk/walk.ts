/**
 * One translation in progress. The walker (walker.ts) advances it; whoever drives it performs the
 * memory accesses that it asks for, at once (functional) or as timed events. Plain integers, but
 * for the two formats.
 */
import { WALK_CONTEXT_WORDS } from './context.ts';
import type { FormatRecord } from './format-record.ts';
import { BARE_RECORD } from './registry.ts';

/** What the driver must do next. */
/** Read `readBytes` at (readHi, readLo, readOffset), then call `advance` with the words. */
export const STEP_READ = 0;
/** OR (orLo, orHi) into the entry at the same address, then call `advance`. */
export const STEP_UPDATE = 1;
/** `outHi/outLo`, `order`, `leaf*` hold the result. */
export const STEP_DONE = 2;
/** `fault*` say why not. */
export const STEP_FAULT = 3;

/** What kind of memory reference the walk asks for (for explaining, statistics and costs). */
export const REF_STAGE1 = 1;
export const REF_STAGE2 = 2;
/** Architecture's redirect table (RISC-V MSI page table entry). */
export const REF_REDIRECT = 3;

/** The access for which stage 2 translates. */
/** The request itself, at the final guest address. */
export const IMPLICIT_NONE = 0;
/** Reading a stage 1 entry. */
export const IMPLICIT_READ = 1;
/** Setting accessed or dirty in a stage 1 entry. */
export const IMPLICIT_WRITE = 2;

/** Walk caches, as named in {@link Walk.cacheKind}. */
export const CACHE_NONE = 0;
/** Cached pointer to a table of stage 1 / stage 2. */
export const CACHE_STAGE1 = 1;
export const CACHE_STAGE2 = 2;
/** Nested TLB: guest page to system page. */
export const CACHE_NESTED = 3;

/** Order of a stage that is bare: it does not bound the page size. */
export const ORDER_BARE = 63;

export class Walk {
  // Request.
  inHi = 0;
  inLo = 0;
  offset = 0;
  /** ACCESS_* bits. */
  access = 0;
  readonly context: Int32Array = new Int32Array(WALK_CONTEXT_WORDS);
  /** 0: an invalidation came while the walk ran, so it must not fill the walk caches any more. */
  keepCaches = 1;

  // Position (owned by the walker).
  /** What the words that `advance` is called with are: a POS_* of steps.ts. */
  position = 0;
  /** Formats and flags of the stages, taken from the context when the walk begins. */
  format1: FormatRecord = BARE_RECORD;
  format2: FormatRecord = BARE_RECORD;
  flags1 = 0;
  flags2 = 0;
  /** Level where stage 1 stands, also while stage 2 serves it. */
  level1 = 0;
  /** IMPLICIT_*: for what stage 2 translates. */
  implicit = 0;
  /** Guest page being translated by stage 2 and its byte offset. */
  gpnHi = 0;
  gpnLo = 0;
  gOffset = 0;
  /** ACCESS_* bits that stage 2 must permit. */
  access2 = 0;
  /** Permissions left by the upper entries of each stage (LEAF_R/W/X/USER), LEAF_GLOBAL if any. */
  upper1 = 0;
  upper2 = 0;

  // The memory access asked for.
  readHi = 0;
  readLo = 0;
  readOffset = 0;
  readBytes = 0;
  /** REF_* kind and level of the access asked for. */
  refKind = 0;
  refLevel = 0;
  orLo = 0;
  orHi = 0;
  /** Words that the entry to update must still hold (the update is a compare-and-swap). */
  expectLo = 0;
  expectHi = 0;
  /** The stage 1 leaf as it was read, while stage 2 is asked whether it may be written. */
  leafWord0 = 0;
  leafWord1 = 0;
  /** CACHE_* of the walk cache that shortened the way to this access, and the level it gave. */
  cacheKind = 0;
  cacheLevel = 0;

  // Result.
  /** Translated page number (of the page that holds the input). */
  outHi = 0;
  outLo = 0;
  /** Guest page number of the input (after stage 1), valid where stage 1 succeeded. */
  guestHi = 0;
  guestLo = 0;
  /** log2 of 4 KiB pages for which the whole translation holds: min of the stages. */
  order = 0;
  /** log2 pages of each stage's leaf (ORDER_BARE where bare). */
  order1 = 0;
  order2 = 0;
  /** Decoded leaves of each stage (LEAF_* bits; 0 where bare). */
  leaf1 = 0;
  leaf2 = 0;
  /** Architecture's answer of the redirect step (RISC-V: 1 basic MSI PTE, 2 MRIF), else 0. */
  redirected = 0;
  readonly redirectData: Int32Array = new Int32Array(4);

  // Fault.
  /** FAULT_* reason. */
  fault = 0;
  /** REF_* kind of table in which the walk ended. */
  faultKind = 0;
  faultLevel = 0;
  /** 1 when stage 2 failed for the address of a stage 1 entry (gpn* and gOffset hold it). */
  faultImplicit = 0;
  /** 1 when the failing implicit access was to update (write) the stage 1 entry. */
  faultImplicitWrite = 0;
  faultDetail = 0;

  // Statistics of this walk: entries read of each stage.
  refs1 = 0;
  refs2 = 0;
}
