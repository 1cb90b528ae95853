/**
 * The base clock of a scenario: the only place where times and rates become cycles and back.
 * Conversions are exact (BigInt) and happen when units are built or results are printed, never in
 * between.
 */
import { InputError } from '../errors.ts';
import { formatDuration } from '../units.ts';

const PS_PER_SECOND = 1_000_000_000_000n;

/** Cycles that one byte takes, as an exact fraction. */
export interface CyclesPerByte {
  readonly numerator: number;
  readonly denominator: number;
}

export class Clock {
  /** Cycles per second. */
  readonly hertz: number;

  constructor(hertz: number) {
    if (!Number.isSafeInteger(hertz) || hertz <= 0) {
      throw new InputError('clock', `base clock of ${hertz} Hz: expected a whole number above 0`);
    }
    this.hertz = hertz;
  }

  /** Cycles of a span of time, rounded to the nearest (half up). For latencies. */
  nearest(ps: number): number {
    return safe((BigInt(ps) * BigInt(this.hertz) * 2n + PS_PER_SECOND) / (PS_PER_SECOND * 2n), ps);
  }

  /** Cycles that contain a span of time whole. For limits, periods and minimum latencies. */
  ceil(ps: number): number {
    return safe((BigInt(ps) * BigInt(this.hertz) + PS_PER_SECOND - 1n) / PS_PER_SECOND, ps);
  }

  /** Picoseconds of a number of cycles, rounded to the nearest. */
  ps(cycles: number): number {
    const hertz = BigInt(this.hertz);
    return Number((BigInt(cycles) * PS_PER_SECOND * 2n + hertz) / (hertz * 2n));
  }

  /** Text of a number of cycles as time, rounded to `digits` significant digits. */
  text(cycles: number, digits = 4): string {
    return formatDuration(this.ps(cycles), digits);
  }

  /** What one byte costs at a rate in bits per second. */
  cyclesPerByte(bitsPerSecond: number): CyclesPerByte {
    const numerator = BigInt(this.hertz) * 8n;
    const denominator = BigInt(bitsPerSecond);
    const divisor = gcd(numerator, denominator);
    return {
      numerator: Number(numerator / divisor),
      denominator: Number(denominator / divisor),
    };
  }

  /** Rate in bits per second of `bytes` bytes in `cycles` cycles, rounded down. */
  bitsPerSecond(bytes: number, cycles: number): number {
    if (cycles === 0) return 0;
    return Number((BigInt(bytes) * 8n * BigInt(this.hertz)) / BigInt(cycles));
  }
}

function safe(cycles: bigint, ps: number): number {
  if (cycles > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InputError('clock', `${formatDuration(ps)} is more cycles than can be counted`);
  }
  return Number(cycles);
}

function gcd(a: bigint, b: bigint): bigint {
  let [x, y] = [a, b];
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}
