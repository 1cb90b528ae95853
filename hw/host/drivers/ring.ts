/** Software's side of a command ring in simulated memory: 16-byte entries, one always left free. */
import { invariant } from '../../../sim/errors.ts';
import { pnHi, pnLo } from '../../address.ts';
import type { MemoryPort } from '../../memory/port.ts';

const ENTRY_SHIFT = 4;
const ENTRIES_PER_PAGE = 256;

export class CommandRing {
  /** Page of the first entry. */
  readonly base: number;
  readonly entries: number;
  /** Commands ever written, and of them those whose place may be used again. */
  written = 0;
  retired = 0;
  /** Highest number of places taken at a time. */
  usedMax = 0;
  private readonly memory: MemoryPort;
  private readonly mask: number;

  constructor(memory: MemoryPort, base: number, entries: number) {
    invariant((entries & (entries - 1)) === 0, 'a ring has a power of two of entries');
    this.memory = memory;
    this.base = base;
    this.entries = entries;
    this.mask = entries - 1;
  }

  /** Free places, by what `retired` says. */
  get free(): number {
    return this.entries - 1 - (this.written - this.retired);
  }

  /** Index of the entry that is written next: what the tail register gets. */
  get tail(): number {
    return this.written & this.mask;
  }

  /** Index of the entry of the n-th command ever written. */
  slotOf(command: number): number {
    return command & this.mask;
  }

  /** Takes note of the unit's head index. */
  noteHead(head: number): void {
    this.retired += (head - this.retired) & this.mask;
  }

  /** Writes the command held in `words`. */
  push(words: Int32Array): void {
    invariant(this.free > 0, 'a full command ring is not written');
    const slot = this.tail;
    const page = this.base + Math.floor(slot / ENTRIES_PER_PAGE);
    const hi = pnHi(page);
    const lo = pnLo(page);
    const offset = (slot & (ENTRIES_PER_PAGE - 1)) << ENTRY_SHIFT;
    for (let i = 0; i < 4; i++) this.memory.write32(hi, lo, offset + i * 4, words[i]);
    this.written++;
    const used = this.written - this.retired;
    if (used > this.usedMax) this.usedMax = used;
  }
}
