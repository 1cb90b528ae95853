/**
 * Simulated physical memory: 4 KiB frames of 32-bit words in one large shared buffer, found through
 * an open-addressing hash of the 52-bit page number. The buffers have the configured size from the
 * start, but the operating system backs only what was touched. A frame is taken when its page is
 * first written; a page never written reads as zero and costs nothing.
 *
 * Only the owner writes, and only while no other thread reads (set-up, window boundaries); other
 * threads attach to the same buffers and read without locks.
 */

import { InputError, InternalError } from '../../sim/errors.ts';
import { addressOf, hex, PAGE_SHIFT, PAGE_SIZE, pageOffsetOf, pnHiOf, pnLoOf } from '../address.ts';
import { type GuardSpec, MemoryGuard } from './guard.ts';
import { MEM_OK, type MemoryPort } from './port.ts';

export interface PhysicalMemoryOptions extends GuardSpec {
  /** How much memory may be touched, in bytes; rounded up to whole frames. */
  readonly bytes: number;
}

/** What another thread needs to attach; a structured clone shares the buffers. */
export interface SharedMemory {
  readonly words: SharedArrayBuffer;
  readonly table: SharedArrayBuffer;
  readonly guard: GuardSpec | null;
}

/** Keeps word indices within 31 bits. */
export const MEMORY_BYTES_MAX: number = 2 ** 33 - PAGE_SIZE;

const FRAME_SHIFT = PAGE_SHIFT - 2;
/**
 * An entry of the table is four words: lo + 1 (0 = empty), hi, frame, unused. The entries of four
 * neighbouring pages share a 64-byte line: a probe touches one line, and neighbours find it warm.
 * Pages spread by any stride still use all entries: a probe goes on to the next entry.
 */
const ENTRY_WORDS = 4;
const LINE_WORDS = 16;
const LINE_SHIFT = 4;
const LINES_MIN = 4;
/** Entries per frame: a sparse table keeps probes short, and lines never used take no memory. */
const ENTRIES_PER_FRAME = 4;

export class PhysicalMemory implements MemoryPort {
  /** Word w of frame f is `words[f * 1024 + w]`. */
  readonly words: Int32Array;
  private readonly table: Int32Array;
  private readonly tableMask: number;
  /** Leaves of a 32-bit hash the number of a line. */
  private readonly hashShift: number;
  private readonly shared: SharedMemory;
  private readonly guard: MemoryGuard | null;
  private readonly owner: boolean;
  private frames = 0;

  private constructor(shared: SharedMemory, owner: boolean) {
    this.shared = shared;
    this.owner = owner;
    this.words = new Int32Array(shared.words);
    this.table = new Int32Array(shared.table);
    this.tableMask = this.table.length - 1;
    this.hashShift = 1 + Math.clz32(this.table.length >>> LINE_SHIFT);
    this.guard = shared.guard === null ? null : new MemoryGuard(shared.guard);
  }

  /** Empty memory, owned by the caller. */
  static create(options: PhysicalMemoryOptions): PhysicalMemory {
    const { bytes, legal, faults = [] } = options;
    if (!Number.isSafeInteger(bytes) || bytes <= 0 || bytes > MEMORY_BYTES_MAX) {
      const message = `memory size ${bytes}: expected 1 to ${MEMORY_BYTES_MAX} bytes`;
      throw new InputError('memory-size', message);
    }
    const frames = Math.ceil(bytes / PAGE_SIZE);
    let lines = LINES_MIN;
    while (lines * LINE_WORDS < frames * ENTRIES_PER_FRAME * ENTRY_WORDS) lines *= 2;
    const guarded = legal !== undefined || faults.length > 0;
    const shared = {
      words: new SharedArrayBuffer(frames * PAGE_SIZE),
      table: new SharedArrayBuffer(lines * LINE_WORDS * 4),
      guard: guarded ? { ...(legal && { legal }), faults } : null,
    };
    return new PhysicalMemory(shared, true);
  }

  /** The same memory seen from elsewhere, for reading only. */
  static attach(shared: SharedMemory): PhysicalMemory {
    return new PhysicalMemory(shared, false);
  }

  share(): SharedMemory {
    return this.shared;
  }

  /** Memory without a store log: for set-up before a run and for functional use. */
  get direct(): MemoryPort {
    return this;
  }

  /** Bytes of the frames taken so far (of the owner). */
  get bytesUsed(): number {
    return this.frames * PAGE_SIZE;
  }

  /** Frame of a page, or -1 when it was never written and so reads as zero. */
  frameOf(hi: number, lo: number): number {
    const table = this.table;
    const key = lo + 1;
    let at = this.entryOf(hi, lo);
    for (;;) {
      const found = table[at];
      if (found === key && table[at + 1] === hi) return table[at + 2];
      if (found === 0) return -1;
      at = (at + ENTRY_WORDS) & this.tableMask;
    }
  }

  /** Where in `words` the word at an address is, or a negative number when its page has no frame. */
  wordOf(hi: number, lo: number, offset: number): number {
    return (this.frameOf(hi, lo) << FRAME_SHIFT) + (offset >> 2);
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    return this.guard === null ? MEM_OK : this.guard.read(hi, lo, offset, bytes);
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    return this.guard === null ? MEM_OK : this.guard.write(hi, lo, offset, bytes);
  }

  read32(hi: number, lo: number, offset: number): number {
    const at = this.wordOf(hi, lo, offset);
    return at < 0 ? 0 : this.words[at];
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    let frame = this.frameOf(hi, lo);
    if (frame < 0) {
      if (value === 0) return;
      frame = this.takeFrame(hi, lo);
    }
    if (!this.owner) throw new InternalError('memory-write', 'attached memory is for reading only');
    this.words[(frame << FRAME_SHIFT) + (offset >> 2)] = value;
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    if (orLo !== 0) this.write32(hi, lo, offset, this.read32(hi, lo, offset) | orLo);
    if (orHi !== 0) this.write32(hi, lo, offset + 4, this.read32(hi, lo, offset + 4) | orHi);
  }

  /** Copies bytes into memory, for images and test set-up. Nothing else on the way to memory. */
  load(address: bigint, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const at = address + BigInt(i);
      const hi = pnHiOf(at);
      const lo = pnLoOf(at);
      const offset = pageOffsetOf(at);
      const shift = (offset & 3) * 8;
      const word = this.read32(hi, lo, offset) & ~(0xff << shift);
      this.write32(hi, lo, offset, word | (bytes[i] << shift));
    }
  }

  private entryOf(hi: number, lo: number): number {
    const hash = Math.imul(lo >>> 2, 0x9e3779b1) ^ Math.imul(hi, 0x85ebca6b);
    return ((hash >>> this.hashShift) << LINE_SHIFT) | ((lo & 3) * ENTRY_WORDS);
  }

  private takeFrame(hi: number, lo: number): number {
    if (!this.owner) throw new InternalError('memory-write', 'attached memory is for reading only');
    const frame = this.frames;
    if (frame << FRAME_SHIFT >= this.words.length) {
      const message = `simulated memory is full: ${this.bytesUsed} bytes touched, and page ${hex(
        addressOf(hi, lo, 0),
      )} is one more; configure a larger memory`;
      throw new InputError('memory-full', message);
    }
    const table = this.table;
    let at = this.entryOf(hi, lo);
    while (table[at] !== 0) at = (at + ENTRY_WORDS) & this.tableMask;
    table[at] = lo + 1;
    table[at + 1] = hi;
    table[at + 2] = frame;
    this.frames = frame + 1;
    return frame;
  }
}
