/** How a walk stops: what it waits for, its faults, and its updates of accessed and dirty bits. */

import { LEAF_SET_A, LEAF_SET_D, STAGE_BIG_ENDIAN } from './format.ts';
import type { FormatRecord } from './format-record.ts';
import type { Walk } from './walk.ts';
import { IMPLICIT_NONE, IMPLICIT_WRITE, REF_STAGE2, STEP_FAULT, STEP_UPDATE } from './walk.ts';
import { swapBytes } from './words.ts';

/** What the words are that a walk waits for, or which update: `walk.position`. */
export const POS_ENTRY1 = 0;
export const POS_ENTRY2 = 1;
export const POS_UPDATE1 = 2;
export const POS_UPDATE2 = 3;
export const POS_REDIRECT = 4;

/** Ends the walk with a fault found in a table of `kind` at `level`. */
export function fail(walk: Walk, reason: number, kind: number, level: number): number {
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
export function askUpdate(
  walk: Walk,
  record: FormatRecord,
  decoded: number,
  flags: number,
): number {
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
