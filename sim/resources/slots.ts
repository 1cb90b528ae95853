/** A bounded number of equal places (tags, outstanding requests, walkers), with its occupancy. */
import { InternalError, invariant } from '../errors.ts';
import { Gauge } from '../stats/gauge.ts';

export class Slots {
  readonly capacity: number;
  readonly occupancy: Gauge = new Gauge();

  constructor(capacity: number) {
    invariant(capacity > 0, 'slots have at least one place');
    this.capacity = capacity;
  }

  get free(): number {
    return this.capacity - this.occupancy.level;
  }

  /** Takes `places` places at once, or none. */
  tryTake(now: number, places = 1): boolean {
    if (this.occupancy.level + places > this.capacity) return false;
    this.occupancy.add(now, places);
    return true;
  }

  give(now: number, places = 1): void {
    if (this.occupancy.level < places) {
      throw new InternalError('slots', 'a place is given back that was not taken');
    }
    this.occupancy.add(now, -places);
  }
}
