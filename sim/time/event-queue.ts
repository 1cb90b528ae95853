/**
 * Event queue of a partition: a timing wheel of 4096 cycles times 4 phases, each slot a FIFO list
 * of events threaded through one typed array, and a heap for events further ahead. An event is a
 * handler id and two integers. The order is total: (cycle, phase, order of scheduling);
 * messages of a cycle are in the order of their senders first.
 *
 * Layout of `pool`: first the list of each slot, two words [first, last], then nodes of four words
 * [next, handler, a, b]. A list's `first` word stands where a node's `next` stands, so that an empty
 * list is one whose last node is the list itself and appending needs no case for the empty list.
 * Slots are numbered by (cycle, phase), their lists are laid out by (phase, cycle): nearly all
 * events are of one phase, and so eight cycles of them share a cache line.
 */
import { InternalError } from '../errors.ts';
import { FarHeap } from './far-heap.ts';

/** Messages of other partitions arrive before anything acts: they were sent in earlier cycles. */
export const PHASE_MESSAGE = 0;
/** Units act. */
export const PHASE_UNIT = 1;
/** Those that wait for something which a unit freed in this very cycle try again. */
export const PHASE_RETRY = 2;
/** Sampling and watchdogs see the cycle when all that happens in it has happened. */
export const PHASE_OBSERVE = 3;
export const PHASE_NAMES = ['message', 'unit', 'retry', 'observe'] as const;

export type EventHandler = (a: number, b: number) => void;

const PHASE_BITS = 2;
const PHASE_MASK = 3;
const WHEEL_CYCLES = 4096;
const CYCLE_MASK = WHEEL_CYCLES - 1;
const SLOTS = WHEEL_CYCLES << PHASE_BITS;
const LIST_WORDS = 2;
/** Words of the lists of one phase. */
const PHASE_SHIFT = 13;
const NODE_WORDS = 4;
const FIRST_NODE = SLOTS * LIST_WORDS;
const BITMAP_WORDS = SLOTS >> 5;
const SUMMARY_WORDS = BITMAP_WORDS >> 5;
const INITIAL_NODES = 1024;

export class EventQueue {
  /** Cycle of the event being executed, or of the last one executed. */
  now = 0;
  /** Events executed so far. */
  executed = 0;

  private scheduled = 0;
  private pool: Int32Array = new Int32Array(FIRST_NODE);
  /** First node of the list of free nodes, 0 when there is none. */
  private free = 0;
  /** One bit per slot that is not empty, and one per word of the bitmap that is not zero. */
  private readonly bitmap = new Int32Array(BITMAP_WORDS);
  private readonly summary = new Int32Array(SUMMARY_WORDS);
  /** Slot of the event being executed: its cycle modulo the wheel, and its phase. */
  private position = 0;
  private readonly far = new FarHeap();
  private readonly handlers: EventHandler[] = [];
  private readonly names: string[] = [];

  constructor() {
    for (let list = 0; list < FIRST_NODE; list += LIST_WORDS) this.pool[list + 1] = list;
    this.grow(INITIAL_NODES * NODE_WORDS);
  }

  /** Events scheduled and not yet executed. */
  get pending(): number {
    return this.scheduled - this.executed;
  }

  /** Makes a handler known; all its events are of one phase. Returns its id. */
  register(phase: number, name: string, fn: EventHandler): number {
    this.handlers.push(fn);
    this.names.push(name);
    return ((this.handlers.length - 1) << PHASE_BITS) | phase;
  }

  /** Schedules an event `delay` cycles from now. */
  after(delay: number, handler: number, a: number, b: number): void {
    const position = this.position;
    const near = delay | 0;
    const phase = handler & PHASE_MASK;
    if (near !== delay || near >= WHEEL_CYCLES || near < Number(phase < (position & PHASE_MASK))) {
      this.afterFar(delay, handler, a, b);
      return;
    }
    let node = this.free;
    if (node === 0) node = this.grow(this.pool.length - FIRST_NODE);
    const pool = this.pool;
    this.free = pool[node];
    pool[node + 1] = handler;
    pool[node + 2] = a;
    pool[node + 3] = b;
    this.scheduled++;
    const cycle = ((position >> PHASE_BITS) + near) & CYCLE_MASK;
    const slot = (cycle << PHASE_BITS) | phase;
    const last = ((phase << PHASE_SHIFT) | (cycle << 1)) + 1;
    pool[pool[last]] = node;
    pool[last] = node;
    this.bitmap[slot >> 5] |= 1 << slot;
    this.summary[slot >> 10] |= 1 << (slot >> 5);
  }

  /** Schedules an event for a given cycle, not before now. */
  at(cycle: number, handler: number, a: number, b: number): void {
    this.after(cycle - this.now, handler, a, b);
  }

  /**
   * Schedules an event of PHASE_MESSAGE: before those of its cycle with a higher `b`, whenever they
   * were scheduled.
   */
  atInOrder(cycle: number, handler: number, a: number, b: number): void {
    const delay = cycle - this.now;
    if (!(delay > 0 && delay < WHEEL_CYCLES)) {
      this.afterFar(delay, handler, a, b);
      return;
    }
    const node = this.take(handler, a, b);
    this.append(cycle, node);
  }

  /** Cycle of the earliest pending event, Infinity when there is none. */
  next(): number {
    const slot = this.findSlot(this.position);
    return slot < 0 ? this.far.top : this.now + this.distance(slot);
  }

  /** Executes, in order, all events before the cycle `limit`. */
  run(limit: number): void {
    let slot = this.findSlot(this.position);
    for (;;) {
      if (slot < 0) {
        // The wheel is empty: jump to the first far event and turn the wheel there.
        const cycle = this.far.top;
        if (!(cycle < limit)) return;
        this.moveTo(cycle, (cycle & CYCLE_MASK) << PHASE_BITS);
        slot = this.findSlot(this.position);
      }
      const ahead = this.distance(slot);
      if (ahead !== 0) {
        const cycle = this.now + ahead;
        if (cycle >= limit) return;
        this.moveTo(cycle, slot);
      } else {
        if (this.now >= limit) return;
        this.position = slot;
      }
      this.drain(slot);
      slot = this.findSlot(slot);
    }
  }

  /** Pending events by handler, for reports of a run that stands still. */
  dump(): string {
    const counts = new Map<number, { count: number; first: number }>();
    const note = (cycle: number, node: number): void => {
      const handler = this.pool[node + 1];
      const entry = counts.get(handler);
      if (entry === undefined) counts.set(handler, { count: 1, first: cycle });
      else {
        entry.count++;
        entry.first = Math.min(entry.first, cycle);
      }
    };
    for (let slot = 0; slot < SLOTS; slot++) {
      const cycle = this.now + this.distance(slot);
      const list = listOf(slot);
      const last = this.pool[list + 1];
      for (let node = list; node !== last; ) {
        node = this.pool[node];
        note(cycle, node);
      }
    }
    this.far.forEach(note);
    const lines = [...counts].sort(([a, x], [b, y]) => x.first - y.first || a - b);
    const title = `cycle ${this.now}: ${this.pending} pending events`;
    return [
      title,
      ...lines.map(
        ([handler, { count, first }]) =>
          `  ${this.names[handler >> PHASE_BITS]} (${PHASE_NAMES[handler & PHASE_MASK]}): ` +
          `${count}, first at cycle ${first}`,
      ),
    ].join('\n');
  }

  /** Executes the events of a slot, in the order of scheduling, until it is empty. */
  private drain(slot: number): void {
    const handlers = this.handlers;
    const first = listOf(slot);
    for (;;) {
      const pool = this.pool;
      const node = pool[first];
      const handler = pool[node + 1];
      const a = pool[node + 2];
      const b = pool[node + 3];
      const last = node === pool[first + 1];
      pool[first] = pool[node];
      if (last) {
        pool[first + 1] = first;
        this.clear(slot);
      }
      pool[node] = this.free;
      this.free = node;
      this.executed++;
      handlers[handler >> PHASE_BITS](a, b);
      // What the handler added to this very slot is found again by the bitmap.
      if (last) return;
    }
  }

  private clear(slot: number): void {
    const word = slot >> 5;
    const rest = this.bitmap[word] & ~(1 << slot);
    this.bitmap[word] = rest;
    if (rest === 0) this.summary[word >> 5] &= ~(1 << word);
  }

  /** The first slot that is not empty, from `from` on round the wheel; -1 when all are empty. */
  private findSlot(from: number): number {
    const word = from >> 5;
    const bits = this.bitmap[word] & (-1 << from);
    if (bits !== 0) return (word << 5) | lowestBit(bits);
    return this.findWord(word);
  }

  /** As findSlot, in the words after `word`; last of all in `word` itself. */
  private findWord(word: number): number {
    const summary = this.summary;
    let index = word >> 5;
    // Two shifts, because a shift by 32 is none.
    let bits = summary[index] & ((-1 << word) << 1);
    for (let turn = 0; bits === 0; turn++) {
      if (turn === SUMMARY_WORDS) return -1;
      index = (index + 1) & (SUMMARY_WORDS - 1);
      bits = summary[index];
    }
    const found = (index << 5) | lowestBit(bits);
    return (found << 5) | lowestBit(this.bitmap[found]);
  }

  /** Cycles from now to the next time the wheel stands at `slot`. */
  private distance(slot: number): number {
    return ((slot >> PHASE_BITS) - (this.position >> PHASE_BITS)) & CYCLE_MASK;
  }

  /** Turns the wheel and takes in the far events that are now in reach, before any near one. */
  private moveTo(cycle: number, slot: number): void {
    this.now = cycle;
    this.position = slot;
    const horizon = cycle + WHEEL_CYCLES;
    while (this.far.top < horizon) this.append(this.far.top, this.far.pop());
  }

  private append(cycle: number, node: number): void {
    const pool = this.pool;
    const phase = pool[node + 1] & PHASE_MASK;
    const slot = ((cycle & CYCLE_MASK) << PHASE_BITS) | phase;
    const list = listOf(slot);
    const last = pool[list + 1];
    const b = pool[node + 3];
    if (phase === PHASE_MESSAGE && last !== list && pool[last + 3] > b) {
      let before = list;
      while (pool[pool[before] + 3] <= b) before = pool[before];
      pool[node] = pool[before];
      pool[before] = node;
      return;
    }
    pool[last] = node;
    pool[list + 1] = node;
    this.bitmap[slot >> 5] |= 1 << slot;
    this.summary[slot >> 10] |= 1 << (slot >> 5);
  }

  /** Schedules what the wheel cannot take, or refuses it. */
  private afterFar(delay: number, handler: number, a: number, b: number): void {
    const cycle = this.now + delay;
    if (!(delay >= WHEEL_CYCLES) || !Number.isSafeInteger(cycle)) this.refuse(cycle, handler);
    this.far.push(cycle, this.take(handler, a, b));
  }

  private take(handler: number, a: number, b: number): number {
    let node = this.free;
    if (node === 0) node = this.grow(this.pool.length - FIRST_NODE);
    const pool = this.pool;
    this.free = pool[node];
    pool[node + 1] = handler;
    pool[node + 2] = a;
    pool[node + 3] = b;
    this.scheduled++;
    return node;
  }

  private refuse(cycle: number, handler: number): never {
    const name = this.names[handler >> PHASE_BITS];
    const phase = PHASE_NAMES[handler & PHASE_MASK];
    const here = PHASE_NAMES[this.position & PHASE_MASK];
    throw new InternalError(
      'schedule',
      `${name} scheduled for cycle ${cycle}, phase ${phase}, at cycle ${this.now}, phase ${here}`,
    );
  }

  /** Adds `words` words of nodes and returns the first free one. */
  private grow(words: number): number {
    const begin = this.pool.length;
    const pool = new Int32Array(begin + words);
    pool.set(this.pool);
    this.pool = pool;
    for (let node = begin; node < pool.length; node += NODE_WORDS) {
      pool[node] = node + NODE_WORDS < pool.length ? node + NODE_WORDS : 0;
    }
    this.free = begin;
    return begin;
  }
}

/** Where the list of a slot is. */
function listOf(slot: number): number {
  return ((slot & PHASE_MASK) << PHASE_SHIFT) | ((slot >> PHASE_BITS) << 1);
}

/** Number of the lowest bit set. */
function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}
