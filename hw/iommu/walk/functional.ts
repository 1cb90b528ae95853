/**
 * Drives a walk at once: what is the translation, and which entries were read. No time passes;
 * updates of accessed and dirty bits are made. Conformance, the debug interface, the safety checker
 * and `explain` use this; the timed walk shards drive the same walker by events.
 */
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import { STEP_READ, STEP_UPDATE, type Walk } from './walk.ts';
import type { Walker } from './walker.ts';

// V8 folds module constants into the code but reads imported bindings on every use.
const OK = MEM_OK;
const READ = STEP_READ;
const FRAME_SHIFT = 10;
const ENTRY_BYTES = 8;

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
  const plain = observer === null && memory instanceof PhysicalMemory;
  let step = walker.begin(walk);
  for (;;) {
    if (plain && step === READ && walk.readBytes === ENTRY_BYTES) {
      step = readPlain(walker, walk, memory);
    }
    if (step === READ) {
      step = readEntry(walker, walk, memory, observer);
    } else if (step === STEP_UPDATE) {
      step = updateEntry(walker, walk, memory, observer);
    } else {
      return step;
    }
  }
}

/**
 * Reads 8-byte entries from plain memory as long as the walk asks for them; the frame of an entry
 * is looked up once for both words. Returns STEP_READ where there is something else to read.
 */
function readPlain(walker: Walker, walk: Walk, memory: PhysicalMemory): number {
  const words = memory.words;
  let step = READ;
  while (step === READ && walk.readBytes === ENTRY_BYTES) {
    const hi = walk.readHi;
    const lo = walk.readLo;
    const offset = walk.readOffset;
    const status = memory.checkRead(hi, lo, offset, ENTRY_BYTES);
    if (status !== OK) return walker.failRead(walk, status);
    const frame = memory.frameOf(hi, lo);
    // A page never written reads as zero.
    if (frame < 0) return readEntry(walker, walk, memory, null);
    const at = (frame << FRAME_SHIFT) | (offset >> 2);
    step = walker.advance(walk, words[at], words[at | 1]);
  }
  return step;
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
  if (status !== OK) {
    if (observer !== null) observer.read(walk, status, 0, 0);
    return walker.failRead(walk, status);
  }
  const w0 = memory.read32(hi, lo, offset);
  const w1 = bytes > 4 ? memory.read32(hi, lo, offset + 4) : 0;
  if (observer !== null) observer.read(walk, status, w0, w1);
  if (bytes <= 8) return walker.advance(walk, w0, w1);
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
  return walker.advance(walk, 0, 0);
}
