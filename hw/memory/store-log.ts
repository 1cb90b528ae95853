/**
 * Stores of one partition on their way to memory. Within a window memory is immutable; what a
 * partition stores is logged and becomes visible to the others at the window boundary, where one
 * thread applies the logs of all partitions in the order (cycle, partition, sequence). Hardware
 * updates of accessed and dirty bits are OR operations, so that two walkers never undo each other.
 */

import { InternalError } from '../../sim/errors.ts';
import type { PhysicalMemory } from './physical-memory.ts';

export const STORE_WRITE = 0;
export const STORE_OR = 1;

/** A log's buffer: a header, then entries of 8 words [cycle (2), hi, lo, offset, op, value, -]. */
const ENTRY_SHIFT = 3;
const ENTRY_WORDS = 1 << ENTRY_SHIFT;
const HEADER_ENTRIES = 1;
/** Words of the header: entries in the log, and how often it was applied. */
const COUNT = 0;
const GENERATION = 1;
const DEFAULT_ENTRIES = 1 << 20;

export class StoreLog {
  private readonly ints: Int32Array;
  private readonly cycles: Float64Array;
  private readonly capacity: number;

  constructor(buffer: SharedArrayBuffer) {
    this.ints = new Int32Array(buffer);
    this.cycles = new Float64Array(buffer);
    this.capacity = (this.ints.length >> ENTRY_SHIFT) - HEADER_ENTRIES;
  }

  /** Room for `entries` stores in one window; only what is used takes memory. */
  static allocate(entries: number = DEFAULT_ENTRIES): SharedArrayBuffer {
    const buffer = new SharedArrayBuffer((entries + HEADER_ENTRIES) * ENTRY_WORDS * 4);
    new Int32Array(buffer)[GENERATION] = 1;
    return buffer;
  }

  /** Stores of this window; 0 again after each boundary. */
  get count(): number {
    return this.ints[COUNT];
  }

  /** Changes whenever the log has been applied and emptied; never 0. */
  get generation(): number {
    return this.ints[GENERATION];
  }

  /** Adds one 32-bit store; cycles never decrease within a window. */
  append(cycle: number, op: number, hi: number, lo: number, offset: number, value: number): void {
    const ints = this.ints;
    const index = ints[COUNT];
    if (index >= this.capacity) {
      const message = `more than ${this.capacity} stores by one partition in one window`;
      throw new InternalError('store-log-full', message);
    }
    const at = (index + HEADER_ENTRIES) << ENTRY_SHIFT;
    this.cycles[at >> 1] = cycle;
    ints[at + 2] = hi;
    ints[at + 3] = lo;
    ints[at + 4] = offset;
    ints[at + 5] = op;
    ints[at + 6] = value;
    ints[COUNT] = index + 1;
  }

  cycleOf(index: number): number {
    return this.cycles[(index + HEADER_ENTRIES) << (ENTRY_SHIFT - 1)];
  }

  apply(index: number, memory: PhysicalMemory): void {
    const ints = this.ints;
    const at = (index + HEADER_ENTRIES) << ENTRY_SHIFT;
    const hi = ints[at + 2];
    const lo = ints[at + 3];
    const offset = ints[at + 4];
    const value = ints[at + 6];
    if (ints[at + 5] === STORE_WRITE) memory.write32(hi, lo, offset, value);
    else memory.or64(hi, lo, offset, value, 0);
  }

  /** Empties the log after all of it was applied. */
  clear(): void {
    const generation = this.ints[GENERATION];
    this.ints[GENERATION] = generation === 0x7fffffff ? 1 : generation + 1;
    this.ints[COUNT] = 0;
  }
}

/** Applies the logs of all partitions at a window boundary. Belongs to the owner of the memory. */
export class StoreExchange {
  /** Stores applied so far. */
  applied = 0;
  private readonly memory: PhysicalMemory;
  private readonly logs: readonly StoreLog[];
  /** Logs with entries left, in partition order, and the position in each. */
  private readonly active: Int32Array;
  private readonly position: Int32Array;

  /** `logs` in the order of their partitions. */
  constructor(memory: PhysicalMemory, logs: readonly StoreLog[]) {
    this.memory = memory;
    this.logs = logs;
    this.active = new Int32Array(logs.length);
    this.position = new Int32Array(logs.length);
  }

  applyBoundary(): void {
    let actives = 0;
    for (let i = 0; i < this.logs.length; i++) {
      if (this.logs[i].count === 0) continue;
      this.active[actives++] = i;
      this.position[i] = 0;
    }
    while (actives > 1) actives = this.applyEarliest(actives);
    if (actives === 1) this.applyFrom(this.active[0], Number.POSITIVE_INFINITY);
  }

  /** Applies the run of stores that comes first of all logs; returns how many logs remain. */
  private applyEarliest(actives: number): number {
    let best = 0;
    let bestCycle = Number.POSITIVE_INFINITY;
    // The run ends where another log comes first: at its cycle, or before it when the other
    // partition has the lower number.
    let limit = Number.POSITIVE_INFINITY;
    for (let i = 0; i < actives; i++) {
      const log = this.active[i];
      const cycle = this.logs[log].cycleOf(this.position[log]);
      if (cycle < bestCycle) {
        limit = bestCycle;
        bestCycle = cycle;
        best = i;
      } else if (cycle + 1 < limit) {
        limit = cycle + 1;
      }
    }
    const done = this.applyFrom(this.active[best], limit);
    if (!done) return actives;
    this.active.copyWithin(best, best + 1, actives);
    return actives - 1;
  }

  /** Applies the stores of one log that come before cycle `limit`; true when none are left. */
  private applyFrom(index: number, limit: number): boolean {
    const log = this.logs[index];
    const count = log.count;
    let at = this.position[index];
    for (; at < count && log.cycleOf(at) < limit; at++) log.apply(at, this.memory);
    this.applied += at - this.position[index];
    this.position[index] = at;
    if (at < count) return false;
    log.clear();
    return true;
  }
}
