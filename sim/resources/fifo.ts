/** A queue of integers with a fixed number of places, with its occupancy. */
import { InternalError, invariant } from '../errors.ts';
import { Gauge } from '../stats/gauge.ts';

export class Fifo {
  readonly capacity: number;
  readonly occupancy: Gauge = new Gauge();
  private readonly ring: Int32Array;
  private readonly mask: number;
  private head = 0;
  private count = 0;

  constructor(capacity: number) {
    invariant(capacity > 0, 'a fifo has at least one place');
    this.capacity = capacity;
    const places = 2 ** Math.ceil(Math.log2(capacity));
    this.ring = new Int32Array(places);
    this.mask = places - 1;
  }

  get length(): number {
    return this.count;
  }

  get full(): boolean {
    return this.count === this.capacity;
  }

  push(now: number, value: number): void {
    if (this.count === this.capacity) {
      throw new InternalError('fifo', `a fifo of ${this.capacity} places overflows`);
    }
    this.ring[(this.head + this.count) & this.mask] = value;
    this.count++;
    this.occupancy.add(now, 1);
  }

  /** The oldest value, left in place. */
  peek(): number {
    if (this.count === 0) throw new InternalError('fifo', 'an empty fifo is read');
    return this.ring[this.head];
  }

  /** Removes the oldest value. */
  shift(now: number): number {
    const value = this.peek();
    this.head = (this.head + 1) & this.mask;
    this.count--;
    this.occupancy.add(now, -1);
    return value;
  }

  /** The value at a place counted from the oldest, for dumps. */
  at(index: number): number {
    return this.ring[(this.head + index) & this.mask];
  }
}
