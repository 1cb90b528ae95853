/**
 * Messages between the front end (partition 0) and the walk shards, as rows of 32-bit words.
 * Walk request: a miss sent to a shard. Walk reply: its result. Invalidate: drop cached entries;
 * answered by Acknowledge once no older walk is running in the shard.
 */
import type { Operation } from '../architecture.ts';
import { WALK_CONTEXT_WORDS } from '../walk/context.ts';
import type { Walk } from '../walk/walk.ts';

export const MESSAGE_WALK = 0;
export const MESSAGE_REPLY = 1;
export const MESSAGE_INVALIDATE = 2;
export const MESSAGE_ACKNOWLEDGE = 3;

// Walk request: miss id, device index, input page, offset, access, then the walk context.
export const WALK_MISS = 0;
export const WALK_DEVICE = 1;
export const WALK_HI = 2;
export const WALK_LO = 3;
export const WALK_OFFSET = 4;
export const WALK_ACCESS = 5;
export const WALK_CONTEXT = 6;
export const WALK_WORDS: number = WALK_CONTEXT + WALK_CONTEXT_WORDS;

// Walk reply: miss id, STEP_DONE or STEP_FAULT, cycles spent in the slot, then the result.
export const REPLY_MISS = 0;
export const REPLY_STEP = 1;
export const REPLY_WALK_CYCLES = 2;
const REPLY_RESULT = 3;
/** A translation, and what a fault has in addition. */
export const REPLY_DONE_WORDS: number = REPLY_RESULT + 14;
export const REPLY_FAULT_WORDS: number = REPLY_DONE_WORDS + 9;

/** Writes a walk request. */
export function packWalk(
  out: Int32Array,
  base: number,
  miss: number,
  device: number,
  hi: number,
  lo: number,
  offset: number,
  access: number,
  context: Int32Array,
): void {
  out[base + WALK_MISS] = miss;
  out[base + WALK_DEVICE] = device;
  out[base + WALK_HI] = hi;
  out[base + WALK_LO] = lo;
  out[base + WALK_OFFSET] = offset;
  out[base + WALK_ACCESS] = access;
  for (let i = 0; i < WALK_CONTEXT_WORDS; i++) out[base + WALK_CONTEXT + i] = context[i];
}

/** Copies the outcome of a finished walk into a reply; the end of a fault where it failed. */
export function packResult(walk: Walk, out: Int32Array, base: number, failed: boolean): void {
  let i = base + REPLY_RESULT;
  out[i++] = walk.outHi;
  out[i++] = walk.outLo;
  out[i++] = walk.guestHi;
  out[i++] = walk.guestLo;
  out[i++] = walk.order;
  out[i++] = walk.order1;
  out[i++] = walk.order2;
  out[i++] = walk.leaf1;
  out[i++] = walk.leaf2;
  out[i++] = walk.redirected;
  for (let w = 0; w < 4; w++) out[i++] = walk.redirectData[w];
  if (!failed) return;
  out[i++] = walk.fault;
  out[i++] = walk.faultKind;
  out[i++] = walk.faultLevel;
  out[i++] = walk.faultImplicit;
  out[i++] = walk.faultImplicitWrite;
  out[i++] = walk.faultDetail;
  out[i++] = walk.gpnHi;
  out[i++] = walk.gpnLo;
  out[i] = walk.gOffset;
}

/** Rebuilds the outcome part of a walk from a reply. */
export function unpackResult(words: Int32Array, base: number, walk: Walk, failed: boolean): void {
  let i = base + REPLY_RESULT;
  walk.outHi = words[i++];
  walk.outLo = words[i++];
  walk.guestHi = words[i++];
  walk.guestLo = words[i++];
  walk.order = words[i++];
  walk.order1 = words[i++];
  walk.order2 = words[i++];
  walk.leaf1 = words[i++];
  walk.leaf2 = words[i++];
  walk.redirected = words[i++];
  for (let w = 0; w < 4; w++) walk.redirectData[w] = words[i++];
  if (!failed) return;
  walk.fault = words[i++];
  walk.faultKind = words[i++];
  walk.faultLevel = words[i++];
  walk.faultImplicit = words[i++];
  walk.faultImplicitWrite = words[i++];
  walk.faultDetail = words[i++];
  walk.gpnHi = words[i++];
  walk.gpnLo = words[i++];
  walk.gOffset = words[i];
}

export const INVALIDATE_WORDS = 11;
export const ACKNOWLEDGE_WORDS = 1;

/** Packs the parts of an operation that walk caches look at. */
export function packOperation(op: Operation, out: Int32Array, base: number): void {
  out[base] = op.kind;
  out[base + 1] = op.tag1;
  out[base + 2] = op.tag2;
  out[base + 3] = op.stage;
  out[base + 4] = op.hasAddress;
  out[base + 5] = op.hi;
  out[base + 6] = op.lo;
  out[base + 7] = op.order;
  out[base + 8] = op.guestAddress;
  out[base + 9] = op.includeGlobal;
  out[base + 10] = op.leafOnly;
}

export function unpackOperation(words: Int32Array, base: number, op: Operation): void {
  op.kind = words[base];
  op.tag1 = words[base + 1];
  op.tag2 = words[base + 2];
  op.stage = words[base + 3];
  op.hasAddress = words[base + 4];
  op.hi = words[base + 5];
  op.lo = words[base + 6];
  op.order = words[base + 7];
  op.guestAddress = words[base + 8];
  op.includeGlobal = words[base + 9];
  op.leafOnly = words[base + 10];
}
