/**
 * Time-weighted gauge: a level that changes at certain cycles (occupied slots, queue length). Its
 * mean is the exact sum of level times cycles over the time observed.
 */

export interface GaugePlain {
  /** Sum of level * cycles. */
  readonly area: number;
  /** Cycles observed; added up over merged gauges. */
  readonly cycles: number;
  readonly max: number;
}

export class Gauge {
  level = 0;
  max = 0;
  private area = 0;
  private since = 0;

  /** Raises or lowers the level at cycle `now`. */
  add(now: number, change: number): void {
    const before = this.level;
    const level = before + change;
    this.area += before * (now - this.since);
    this.since = now;
    this.level = level;
    if (level > this.max) this.max = level;
  }

  set(now: number, level: number): void {
    this.add(now, level - this.level);
  }

  /** What was observed from cycle 0 up to `now`. */
  plain(now: number): GaugePlain {
    this.add(now, 0);
    return { area: this.area, cycles: now, max: this.max };
  }
}

/** Statistics of several gauges as of one; the mean is over all of them. */
export function mergeGauges(a: GaugePlain, b: GaugePlain): GaugePlain {
  return { area: a.area + b.area, cycles: a.cycles + b.cycles, max: Math.max(a.max, b.max) };
}

/** Mean level; a ratio, for printing. */
export function gaugeMean(gauge: GaugePlain): number {
  return gauge.cycles === 0 ? 0 : gauge.area / gauge.cycles;
}
