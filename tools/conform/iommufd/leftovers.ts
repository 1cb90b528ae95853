/**
 * What earlier sequences of a recorded run left behind. Generated sequences ran one after the
 * other on one kernel, in the order of their ids, on the same memory. A sequence that maps a file
 * of its own context (the descriptor of /dev/iommu, of an access or of a queue) leaves a context
 * that holds itself: its pins and its charge to the user never go away, and later sequences see
 * them (MD_CHECK_REFS, RLIMIT_MEMLOCK). Of the sequences that are there, it is known what they
 * leave. Only part of them is in a set: what the others left is deduced from the answers. A case
 * agrees when one state explains all of it; what is certain carries over, since leftovers only
 * grow.
 */
import { PAGE_SIZE } from '../../../hw/host/kernel/api.ts';
import { bytesOf, type RecordedCase, type RecordedLayout } from './cases.ts';
import type { Program } from './program.ts';
import type { CaseMismatch } from './replay.ts';
import { layoutOf } from './structs.ts';

const CHECK_REFS = 'TEST_CMD.MD_CHECK_REFS';
/** RLIMIT_MEMLOCK of the recorded sequences. */
const LOCKED_MAX = 16;

export interface Leftovers {
  /** Pins by frame. */
  readonly pins: ReadonlyMap<number, number>;
  /** Pages charged to the user. */
  readonly lockedPages: number;
}

export const NO_LEFTOVERS: Leftovers = { pins: new Map(), lockedPages: 0 };

/** The larger of both, frame by frame. */
export function union(a: Leftovers, b: Leftovers): Leftovers {
  const pins = new Map(a.pins);
  for (const [frame, count] of b.pins) pins.set(frame, Math.max(count, pins.get(frame) ?? 0));
  return { pins, lockedPages: Math.max(a.lockedPages, b.lockedPages) };
}

/** Whether there is more in `a` than in `b`. */
export function exceeds(a: Leftovers, b: Leftovers): boolean {
  if (a.lockedPages > b.lockedPages) return true;
  for (const [frame, count] of a.pins) if (count > (b.pins.get(frame) ?? 0)) return true;
  return false;
}

/** A state that would explain a difference; `certain`: nothing else would. */
export interface Hypothesis {
  readonly leftovers: Leftovers;
  readonly certain: boolean;
}

/** Puts a kernel that has just started into the state. */
export function applyLeftovers({ kernel, process }: Program, leftovers: Leftovers): void {
  for (const [frame, count] of leftovers.pins) {
    for (let i = 0; i < count; i++) kernel.pins.pin(frame);
  }
  process.user.lockedPages += leftovers.lockedPages;
}

/** The state after a case: what was there before, and what its own contexts keep. */
export function leftoversAfter(
  { kernel, process }: Program,
  layout: RecordedLayout,
  before: Leftovers,
): Leftovers {
  const pins = new Map(before.pins);
  for (const { runs } of layout) {
    for (const [, count, first] of runs) {
      for (let frame = first; frame < first + count; frame++) {
        const now = kernel.pins.count(frame);
        if (now > 0) pins.set(frame, now);
      }
    }
  }
  return { pins, lockedPages: process.user.lockedPages };
}

/** States that explain why a call was answered otherwise, likeliest first; none: nothing does. */
export function hypotheses(
  of: RecordedCase,
  program: Program,
  mismatch: CaseMismatch,
  leftovers: Leftovers,
): Hypothesis[] {
  const { op, field, expected, got } = mismatch;
  if (of.src !== 'fuzz' || op?.op !== 'ioctl' || field !== 'errno') return [];
  if (op.name === CHECK_REFS && op.in !== undefined) {
    const { refs, frames } = checkedFrames(program, bytesOf(op.in));
    if (expected === 'success' && got === 'EIO') return exactly(frames, refs, program, leftovers);
    if (expected === 'EIO') return oneMore(frames, leftovers);
    return [];
  }
  if (expected !== 'ENOMEM' || of.memlock === null) return [];
  const states: Hypothesis[] = [];
  for (let lockedPages = leftovers.lockedPages + 1; lockedPages <= LOCKED_MAX; lockedPages++) {
    states.push({ leftovers: { ...leftovers, lockedPages }, certain: true });
  }
  return states;
}

/** The frames that MD_CHECK_REFS looks at, huge pages left out. */
function checkedFrames(
  { kernel, process }: Program,
  bytes: Uint8Array,
): { readonly refs: number; readonly frames: readonly number[] } {
  const at = layoutOf(CHECK_REFS)?.at as Readonly<Record<string, number>>;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const start = Number(view.getBigUint64(at.uptr as number, true));
  const length = Number(view.getBigUint64(at.length as number, true));
  const frames: number[] = [];
  for (let address = start; address < start + length; address += PAGE_SIZE) {
    const frame = process.space.frameAt(BigInt(address));
    if (frame < 0) break;
    if (!kernel.pins.isCompound(frame)) frames.push(frame);
  }
  return { refs: view.getUint32(at.refs as number, true), frames };
}

/** All frames have exactly this many pins. */
function exactly(
  frames: readonly number[],
  refs: number,
  { kernel }: Program,
  { pins, lockedPages }: Leftovers,
): Hypothesis[] {
  const more = new Map(pins);
  for (const frame of frames) {
    const missing = refs - kernel.pins.count(frame);
    if (missing < 0) return [];
    if (missing > 0) more.set(frame, (pins.get(frame) ?? 0) + missing);
  }
  return [{ leftovers: { pins: more, lockedPages }, certain: true }];
}

/** One of the frames has a pin more. */
function oneMore(frames: readonly number[], { pins, lockedPages }: Leftovers): Hypothesis[] {
  return frames.map((frame) => {
    const more = new Map(pins).set(frame, (pins.get(frame) ?? 0) + 1);
    return { leftovers: { pins: more, lockedPages }, certain: frames.length === 1 };
  });
}
