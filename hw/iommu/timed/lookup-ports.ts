/** Lookup ports of the IOTLB: so many lookups start in one cycle, the others in later ones. */

export class LookupPorts {
  private readonly perCycle: number;
  private cycle = -1;
  private used = 0;

  constructor(perCycle: number) {
    this.perCycle = perCycle;
  }

  /** Takes a port; returns the cycle in which the lookup starts, `now` or later. */
  take(now: number): number {
    if (now > this.cycle) {
      this.cycle = now;
      this.used = 1;
    } else if (++this.used > this.perCycle) {
      this.cycle++;
      this.used = 1;
    }
    return this.cycle;
  }
}
