/**
 * Messages that have arrived at a partition and wait for their cycle: a heap ordered by (cycle,
 * sender, sequence) over slots in struct-of-arrays form. Arrival order stands for the sequence:
 * messages of one sender arrive in the order in which it sent them.
 */
import {
  KIND_MASK,
  MAILBOX_FIRST,
  type Mailbox,
  MESSAGE_HEADER_WORDS,
  PEER_SHIFT,
} from './mailbox.ts';

/** Longest payload, in words. */
export const PAYLOAD_WORDS_MAX = 64;
/** A rank is sender * 2^40 + arrival: exact for fewer than 2^13 senders and 2^40 messages. */
const RANK_SENDER = 2 ** 40;
const INITIAL_SLOTS = 64;

export class MessageHold {
  /** Payload of slot s is at `words[s * PAYLOAD_WORDS_MAX]`. */
  words: Int32Array = new Int32Array(INITIAL_SLOTS * PAYLOAD_WORDS_MAX);
  kinds: Int32Array = new Int32Array(INITIAL_SLOTS);
  private cycles = new Float64Array(INITIAL_SLOTS);
  private ranks = new Float64Array(INITIAL_SLOTS);
  private freeSlots = new Int32Array(INITIAL_SLOTS);
  private free = 0;
  private slots = 0;
  private heap = new Int32Array(INITIAL_SLOTS);
  private size = 0;
  private arrivals = 0;

  /** Messages waiting. */
  get length(): number {
    return this.size;
  }

  /** Cycle of the earliest message, Infinity when there is none. */
  get top(): number {
    return this.size === 0 ? Number.POSITIVE_INFINITY : this.cycles[this.heap[0]];
  }

  /** Takes all messages out of an inbox. */
  take(inbox: Mailbox): void {
    const end = inbox.end;
    if (end === MAILBOX_FIRST) return;
    const words = inbox.words;
    for (let at = MAILBOX_FIRST; at < end; at = inbox.after(at)) {
      const who = words[at + 2];
      const payload = words[at + 3];
      const from = at + MESSAGE_HEADER_WORDS;
      const to = this.add(inbox.cycleAt(at), who >> PEER_SHIFT, who & KIND_MASK);
      const own = this.words;
      for (let i = 0; i < payload; i++) own[to + i] = words[from + i];
    }
    inbox.clear();
  }

  /** Adds a message without its payload; returns the index in `words` where the payload goes. */
  add(cycle: number, sender: number, kind: number): number {
    const slot = this.free > 0 ? this.freeSlots[--this.free] : this.newSlot();
    this.kinds[slot] = kind;
    this.cycles[slot] = cycle;
    this.ranks[slot] = sender * RANK_SENDER + this.arrivals++;
    this.push(slot);
    return slot * PAYLOAD_WORDS_MAX;
  }

  /** Removes the earliest message from the order; its slot stays taken until released. */
  pop(): number {
    const heap = this.heap;
    const result = heap[0];
    const moved = heap[--this.size];
    const size = this.size;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= size) break;
      if (child + 1 < size && this.before(heap[child + 1], heap[child])) child++;
      if (!this.before(heap[child], moved)) break;
      heap[hole] = heap[child];
      hole = child;
    }
    heap[hole] = moved;
    return result;
  }

  release(slot: number): void {
    this.freeSlots[this.free++] = slot;
  }

  private push(slot: number): void {
    const heap = this.heap;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.before(slot, heap[parent])) break;
      heap[hole] = heap[parent];
      hole = parent;
    }
    heap[hole] = slot;
  }

  private before(a: number, b: number): boolean {
    const first = this.cycles[a];
    const second = this.cycles[b];
    return first < second || (first === second && this.ranks[a] < this.ranks[b]);
  }

  private newSlot(): number {
    if (this.slots === this.kinds.length) this.grow();
    return this.slots++;
  }

  private grow(): void {
    const slots = this.kinds.length * 2;
    this.words = widened(this.words, new Int32Array(slots * PAYLOAD_WORDS_MAX));
    this.kinds = widened(this.kinds, new Int32Array(slots));
    this.cycles = widened(this.cycles, new Float64Array(slots));
    this.ranks = widened(this.ranks, new Float64Array(slots));
    this.freeSlots = widened(this.freeSlots, new Int32Array(slots));
    this.heap = widened(this.heap, new Int32Array(slots));
  }
}

function widened<T extends Int32Array | Float64Array>(old: T, wide: T): T {
  wide.set(old);
  return wide;
}
