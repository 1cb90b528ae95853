/** Hardware ids (PSCID, GSCID, domain id) of one unit: ascending, those given back first. */
import { SimError } from '../../../sim/errors.ts';

export class Tags {
  private next: number;
  private readonly limit: number;
  private readonly returned: number[] = [];

  /** Ids from `first` on, below `limit`. */
  constructor(first: number, limit: number) {
    this.next = first;
    this.limit = limit;
  }

  take(): number {
    const tag = this.returned.pop();
    if (tag !== undefined) return tag;
    if (this.next >= this.limit) {
      throw new SimError('out-of-tags', `all hardware ids below ${this.limit} are in use`);
    }
    return this.next++;
  }

  give(tag: number): void {
    this.returned.push(tag);
  }
}
