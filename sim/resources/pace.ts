/**
 * Pace of a source: bytes may begin no faster than at a given rate. Unlike bandwidth, where the
 * next transfer begins in the cycle it arrives, a source that begins in the first whole cycle it
 * may keeps the fraction of a cycle, so that its long-term rate is exact. One that begins later
 * does not catch up.
 */
import type { CyclesPerByte } from '../time/clock.ts';

export class Pace {
  /** Cycle from which the next bytes may begin. */
  due = 0;
  private readonly numerator: number;
  private readonly denominator: number;
  /** By how much `due` was rounded up, in parts of the denominator. */
  private early = 0;

  constructor(cost: CyclesPerByte) {
    this.numerator = cost.numerator;
    this.denominator = cost.denominator;
  }

  /** Begins `bytes` bytes at cycle `now`, which is not before `due`. */
  begin(now: number, bytes: number): void {
    const parts = bytes * this.numerator - (now === this.due ? this.early : 0);
    const cycles = Math.ceil(parts / this.denominator);
    this.due = now + cycles;
    this.early = cycles * this.denominator - parts;
  }
}
