/** Walk requests that wait for a slot: a ring of message rows, grown by doubling. */
import { WALK_WORDS } from './messages.ts';

const INITIAL_ROWS = 64;

export class WalkQueue {
  length = 0;
  /** The oldest requests, whose contexts were invalidated since, and an epoch before that. */
  stale = 0;
  staleEpoch = 0;
  private rows: Int32Array = new Int32Array(INITIAL_ROWS * WALK_WORDS);
  private arrival: Float64Array = new Float64Array(INITIAL_ROWS);
  private head = 0;

  push(words: Int32Array, base: number, cycle: number): void {
    if (this.length === this.arrival.length) this.grow();
    const row = (this.head + this.length) % this.arrival.length;
    const target = row * WALK_WORDS;
    for (let i = 0; i < WALK_WORDS; i++) this.rows[target + i] = words[base + i];
    this.arrival[row] = cycle;
    this.length++;
  }

  /** Words of the oldest request, at `oldestBase`. */
  get words(): Int32Array {
    return this.rows;
  }

  get oldestBase(): number {
    return this.head * WALK_WORDS;
  }

  get oldestArrival(): number {
    return this.arrival[this.head];
  }

  pop(): void {
    this.head = (this.head + 1) % this.arrival.length;
    this.length--;
    if (this.stale > 0) this.stale--;
  }

  /** All requests in the queue hold contexts that are no longer to be kept. */
  markStale(epoch: number): void {
    if (this.stale === 0) this.staleEpoch = epoch;
    this.stale = this.length;
  }

  private grow(): void {
    const count = this.arrival.length;
    const rows = new Int32Array(2 * count * WALK_WORDS);
    const arrival = new Float64Array(2 * count);
    for (let i = 0; i < count; i++) {
      const row = (this.head + i) % count;
      rows.set(this.rows.subarray(row * WALK_WORDS, (row + 1) * WALK_WORDS), i * WALK_WORDS);
      arrival[i] = this.arrival[row];
    }
    this.rows = rows;
    this.arrival = arrival;
    this.head = 0;
  }
}
