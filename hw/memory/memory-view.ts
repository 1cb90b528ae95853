/**
 * Memory as one partition sees it: what was in memory at the start of the window, and over it the
 * partition's own stores of this window. The overlay is a small hash of word addresses whose
 * entries are valid only in the generation of the store log that they were written in, so that the
 * boundary empties it without touching it. During set-up, before anybody else reads, the owner's
 * stores go straight to memory.
 */

import type { PhysicalMemory } from './physical-memory.ts';
import type { MemoryPort } from './port.ts';
import { STORE_OR, STORE_WRITE, type StoreLog } from './store-log.ts';

/** An entry: generation, two words of key, value. */
const ENTRY_SHIFT = 2;
const ENTRY_WORDS = 1 << ENTRY_SHIFT;
const INITIAL_ENTRIES = 64;

/** Where the cycle of a store comes from: the partition's event queue. */
export interface Clock {
  readonly now: number;
}

export class MemoryView implements MemoryPort {
  /** What `readEntry` read. */
  low = 0;
  high = 0;
  private readonly memory: PhysicalMemory;
  private readonly log: StoreLog;
  private readonly clock: Clock;
  private isLogged: boolean;
  private overlay = new Int32Array(INITIAL_ENTRIES * ENTRY_WORDS);
  /** Valid entries of the overlay, in the generation they were counted in. */
  private used = 0;
  private usedGeneration = 0;

  constructor(memory: PhysicalMemory, log: StoreLog, clock: Clock, isLogged = true) {
    this.memory = memory;
    this.log = log;
    this.clock = clock;
    this.isLogged = isLogged;
  }

  /** Ends set-up: from now on stores are logged. */
  start(): void {
    this.isLogged = true;
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    return this.memory.checkRead(hi, lo, offset, bytes);
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    return this.memory.checkWrite(hi, lo, offset, bytes);
  }

  read32(hi: number, lo: number, offset: number): number {
    if (this.log.count !== 0) {
      const generation = this.log.generation;
      const at = this.find(generation, keyLow(lo, offset), keyHigh(hi, offset));
      if (this.overlay[at] === generation) return this.overlay[at + 3];
    }
    return this.memory.read32(hi, lo, offset);
  }

  /** Reads the aligned entry of 4 or 8 bytes at the address into `low` and `high`. */
  readEntry(hi: number, lo: number, offset: number, bytes: number): void {
    const isWide = bytes > 4;
    if (this.log.count !== 0) {
      this.low = this.read32(hi, lo, offset);
      this.high = isWide ? this.read32(hi, lo, offset + 4) : 0;
      return;
    }
    const { memory } = this;
    const at = memory.wordOf(hi, lo, offset);
    this.low = at < 0 ? 0 : memory.words[at];
    this.high = isWide && at >= 0 ? memory.words[at + 1] : 0;
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    if (!this.isLogged) {
      this.memory.write32(hi, lo, offset, value);
      return;
    }
    this.log.append(this.clock.now, STORE_WRITE, hi, lo, offset, value);
    this.keep(hi, lo, offset, value | 0);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    if (orLo !== 0) this.or32(hi, lo, offset, orLo);
    if (orHi !== 0) this.or32(hi, lo, offset + 4, orHi);
  }

  private or32(hi: number, lo: number, offset: number, bits: number): void {
    const value = this.read32(hi, lo, offset) | bits;
    if (!this.isLogged) {
      this.memory.write32(hi, lo, offset, value);
      return;
    }
    this.log.append(this.clock.now, STORE_OR, hi, lo, offset, bits);
    this.keep(hi, lo, offset, value);
  }

  private keep(hi: number, lo: number, offset: number, value: number): void {
    const generation = this.log.generation;
    if (this.usedGeneration !== generation) {
      this.usedGeneration = generation;
      this.used = 0;
    }
    const low = keyLow(lo, offset);
    const high = keyHigh(hi, offset);
    let at = this.find(generation, low, high);
    if (this.overlay[at] !== generation) {
      this.used++;
      if (this.used << (ENTRY_SHIFT + 1) > this.overlay.length) {
        this.grow();
        at = this.find(generation, low, high);
      }
    }
    const overlay = this.overlay;
    overlay[at] = generation;
    overlay[at + 1] = low;
    overlay[at + 2] = high;
    overlay[at + 3] = value;
  }

  /** Entry of a word, or the free entry where it would go. */
  private find(generation: number, low: number, high: number): number {
    const overlay = this.overlay;
    const mask = overlay.length - 1;
    const hash = Math.imul(low, 0x9e3779b1) ^ Math.imul(high, 0x85ebca6b);
    let at = ((hash ^ (hash >>> 15)) << ENTRY_SHIFT) & mask;
    while (overlay[at] === generation && (overlay[at + 1] !== low || overlay[at + 2] !== high)) {
      at = (at + ENTRY_WORDS) & mask;
    }
    return at;
  }

  private grow(): void {
    const old = this.overlay;
    const generation = this.log.generation;
    this.overlay = new Int32Array(old.length * 2);
    for (let from = 0; from < old.length; from += ENTRY_WORDS) {
      if (old[from] !== generation) continue;
      const at = this.find(generation, old[from + 1], old[from + 2]);
      for (let i = 0; i < ENTRY_WORDS; i++) this.overlay[at + i] = old[from + i];
    }
  }
}

/** The 62 bits of a word address: lo and five bits of the word number, hi and the other five. */
function keyLow(lo: number, offset: number): number {
  return (lo << 5) | ((offset >> 2) & 31);
}

function keyHigh(hi: number, offset: number): number {
  return (hi << 5) | (offset >> 7);
}
