/**
 * Payloads of messages that have arrived at a partition and wait, as events of its queue, for their
 * cycle: slots in struct-of-arrays form with a free list.
 */

/** Longest payload, in words. */
export const PAYLOAD_WORDS_MAX = 64;
const INITIAL_SLOTS = 64;

export class MessageHold {
  /** Payload of slot s is at `words[s * PAYLOAD_WORDS_MAX]`. */
  words: Int32Array = new Int32Array(INITIAL_SLOTS * PAYLOAD_WORDS_MAX);
  kinds: Int32Array = new Int32Array(INITIAL_SLOTS);
  private freeSlots: Int32Array = new Int32Array(INITIAL_SLOTS);
  private free = 0;
  private slots = 0;

  /** Messages waiting. */
  get length(): number {
    return this.slots - this.free;
  }

  /** A slot for a message. */
  take(kind: number): number {
    const slot = this.free > 0 ? this.freeSlots[--this.free] : this.newSlot();
    this.kinds[slot] = kind;
    return slot;
  }

  release(slot: number): void {
    this.freeSlots[this.free++] = slot;
  }

  private newSlot(): number {
    if (this.slots === this.kinds.length) this.grow();
    return this.slots++;
  }

  private grow(): void {
    const slots = this.kinds.length * 2;
    this.words = widened(this.words, slots * PAYLOAD_WORDS_MAX);
    this.kinds = widened(this.kinds, slots);
    this.freeSlots = widened(this.freeSlots, slots);
  }
}

function widened(old: Int32Array, length: number): Int32Array {
  const wide = new Int32Array(length);
  wide.set(old);
  return wide;
}
