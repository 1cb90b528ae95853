/**
 * Bandwidth: something that passes one byte after another (a link direction, a memory channel).
 * Transfers are served in order of arrival. What a byte costs is an exact fraction of cycles and
 * the remainder is carried over, so that a transfer of 8.13 cycles is not rounded to 8 or 9.
 */
import { invariant } from '../errors.ts';
import type { CyclesPerByte } from '../time/clock.ts';

/** With these bounds transfers of up to 64 KiB keep the arithmetic within safe integers. */
const NUMERATOR_MAX = 2 ** 36;
const DENOMINATOR_MAX = 2 ** 51;

export class Bandwidth {
  /** Bytes passed, and transfers. */
  bytes = 0;
  transfers = 0;
  /** Longest time that a transfer had to wait for those before it, in cycles. */
  backlogMax = 0;
  private readonly numerator: number;
  private readonly denominator: number;
  /** The channel is free from this cycle plus `fraction / denominator` on. */
  private free = 0;
  private fraction = 0;

  constructor(cost: CyclesPerByte) {
    invariant(
      cost.numerator <= NUMERATOR_MAX && cost.denominator <= DENOMINATOR_MAX,
      'the cost of a byte is a fraction of moderate size',
    );
    this.numerator = cost.numerator;
    this.denominator = cost.denominator;
  }

  /** Passes `bytes` bytes, from `now` on at the earliest; returns the cycle of the end. */
  reserve(now: number, bytes: number): number {
    let whole = this.free;
    let fraction = bytes * this.numerator;
    if (whole < now) whole = now;
    else {
      fraction += this.fraction;
      if (whole - now > this.backlogMax) this.backlogMax = whole - now;
    }
    const denominator = this.denominator;
    if (fraction >= denominator) {
      const carry = Math.floor(fraction / denominator);
      whole += carry;
      fraction -= carry * denominator;
    }
    this.free = whole;
    this.fraction = fraction;
    this.bytes += bytes;
    this.transfers++;
    return fraction === 0 ? whole : whole + 1;
  }

  /** Cycles until a transfer that arrives now would begin, rounded up. */
  backlog(now: number): number {
    const end = this.free + (this.fraction === 0 ? 0 : 1);
    return end > now ? end - now : 0;
  }

  /** Cycles in which bytes were passed, rounded down. */
  busyCycles(): number {
    return Number((BigInt(this.bytes) * BigInt(this.numerator)) / BigInt(this.denominator));
  }
}
