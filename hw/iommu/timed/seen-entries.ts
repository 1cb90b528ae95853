/**
 * The table entry that each walk of a shard read last, of either stage: the hardware update of its
 * accessed and dirty bits is a compare-and-swap, which must find the entry as it was read.
 */

/** Page (hi, lo), offset, two words; an entry per stage. */
const ENTRY_WORDS = 5;
const SLOT_WORDS = 2 * ENTRY_WORDS;

export class SeenEntries {
  private readonly words: Int32Array;

  constructor(slots: number) {
    this.words = new Int32Array(SLOT_WORDS * slots);
  }

  /** A walk's entry of a stage (0 or 1) held these words. */
  keep(
    slot: number,
    stage: number,
    hi: number,
    lo: number,
    offset: number,
    w0: number,
    w1: number,
  ): void {
    const words = this.words;
    const at = slot * SLOT_WORDS + stage * ENTRY_WORDS;
    words[at] = hi;
    words[at + 1] = lo;
    words[at + 2] = offset;
    words[at + 3] = w0;
    words[at + 4] = w1;
  }

  /** Whether these words at the address are what the walk last read there. */
  matches(slot: number, hi: number, lo: number, offset: number, w0: number, w1: number): boolean {
    const words = this.words;
    const begin = slot * SLOT_WORDS;
    for (let at = begin; at < begin + SLOT_WORDS; at += ENTRY_WORDS) {
      if (words[at] === hi && words[at + 1] === lo && words[at + 2] === offset) {
        return words[at + 3] === w0 && words[at + 4] === w1;
      }
    }
    return false;
  }
}
