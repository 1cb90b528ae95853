/**
 * Drives a walk at once: what is the translation, and which entries were read. No time passes;
 * updates of accessed and dirty bits are made. Conformance, the debug interface, the safety checker
 * and `explain` use this; the timed walk shards drive the same walker by events.
 */
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import { STEP_READ, STEP_UPDATE, type Walk } from './walk.ts';
import type { Walker } from './walker.ts';

/** Told of every memory reference of a walk, before the walker consumes it. */
export interface WalkObserver {
  /**
   * An entry is read: `walk.ref*`, `read*`, `implicit`, `cacheKind` say which and why.
   * @param status MEM_* of the read; w0 and w1 are zero unless MEM_OK
   */
  read(walk: Walk, status: number, w0: number, w1: number): void;
  /** (orLo, orHi) is ORed into the entry at `walk.read*`. */
  update(walk: Walk, status: number): void;
}

/** Runs the walk to its end: STEP_DONE or STEP_FAULT. */
export function walkFunctional(
  walker: Walker,
  walk: Walk,
  memory: MemoryPort,
  observer: WalkObserver | null = null,
): number {
  let step = walker.begin(walk);
  for (;;) {
    if (step === STEP_READ) {
      step = readEntry(walker, walk, memory, observer);
    } else if (step === STEP_UPDATE) {
      step = updateEntry(walker, walk, memory, observer);
    } else {
      return step;
    }
  }
}

function readEntry(
  walker: Walker,
  walk: Walk,
  memory: MemoryPort,
  observer: WalkObserver | null,
): number {
  const hi = walk.readHi;
  const lo = walk.readLo;
  const offset = walk.readOffset;
  const bytes = walk.readBytes;
  const status = memory.checkRead(hi, lo, offset, bytes);
  if (status !== MEM_OK) {
    if (observer !== null) observer.read(walk, status, 0, 0);
    return walker.failRead(walk, status);
  }
  const w0 = memory.read32(hi, lo, offset);
  const w1 = bytes > 4 ? memory.read32(hi, lo, offset + 4) : 0;
  if (observer !== null) observer.read(walk, status, w0, w1);
  if (bytes <= 8) return walker.advance(walk, w0, w1, 0, 0);
  return walker.advance(
    walk,
    w0,
    w1,
    memory.read32(hi, lo, offset + 8),
    memory.read32(hi, lo, offset + 12),
  );
}

function updateEntry(
  walker: Walker,
  walk: Walk,
  memory: MemoryPort,
  observer: WalkObserver | null,
): number {
  const { readHi, readLo, readOffset, readBytes } = walk;
  const status = memory.checkWrite(readHi, readLo, readOffset, readBytes);
  if (observer !== null) observer.update(walk, status);
  if (status !== MEM_OK) return walker.failUpdate(walk, status);
  memory.or64(readHi, readLo, readOffset, walk.orLo, walk.orHi);
  return walker.advance(walk, 0, 0, 0, 0);
}
