/**
 * Named random streams. A stream belongs to one unit and depends on (seed, name) only, so that a
 * new unit does not shift the numbers of another. seedrandom turns the name into a state; numbers
 * are drawn from xoshiro128** (Blackman and Vigna, https://prng.di.unimi.it/xoshiro128starstar.c),
 * which is integers throughout and cheap enough for the hot path.
 */
import seedrandom from 'seedrandom';
import { invariant } from '../errors.ts';

/** State of a stream: four 32-bit words. */
export type StreamState = readonly [number, number, number, number];

const RANGE = 2 ** 32;
/** Up to here the product with a 32-bit number is exact in a double. */
const PRODUCT_MAX = 2 ** 21;

export class RandomStream {
  private s0 = 0;
  private s1 = 0;
  private s2 = 0;
  private s3 = 0;

  constructor(seed: number | string, name: string) {
    const source = seedrandom.xor128(`${seed}/${name}`);
    this.restore([source.int32(), source.int32(), source.int32(), source.int32()]);
    // The seeding of similar names is linear; let its differences spread before the first draw.
    for (let i = 0; i < 20; i++) this.next32();
  }

  /** 32 random bits, as a signed integer. */
  next32(): number {
    const s1 = this.s1;
    const product = Math.imul(s1, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9);
    const s2 = this.s2 ^ this.s0;
    const s3 = this.s3 ^ s1;
    this.s1 = s1 ^ s2;
    this.s0 ^= s3;
    this.s2 = s2 ^ (s1 << 9);
    this.s3 = (s3 << 11) | (s3 >>> 21);
    return result;
  }

  /** A whole number 0..n-1, each equally likely; 1 <= n <= 2^32. */
  below(n: number): number {
    if (n > PRODUCT_MAX) return this.belowLarge(n);
    // Lemire, "Fast random integer generation in an interval" (2019): the high word of the product,
    // unless the low word says that this value would come up once too often.
    let product = (this.next32() >>> 0) * n;
    let low = product >>> 0;
    if (low < n) {
      const threshold = (RANGE - n) % n;
      while (low < threshold) {
        product = (this.next32() >>> 0) * n;
        low = product >>> 0;
      }
    }
    return (product - low) / RANGE;
  }

  /** True with probability numerator / denominator. */
  chance(numerator: number, denominator: number): boolean {
    return this.below(denominator) < numerator;
  }

  /** Brings the items into a random order, each order equally likely (Fisher-Yates). */
  shuffle(items: { [index: number]: number; readonly length: number }): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      const item = items[i] as number;
      items[i] = items[j] as number;
      items[j] = item;
    }
  }

  save(): StreamState {
    return [this.s0, this.s1, this.s2, this.s3];
  }

  restore(state: StreamState): void {
    const [s0, s1, s2, s3] = state;
    invariant((s0 | s1 | s2 | s3) !== 0, 'the state of a random stream is not all zero');
    this.s0 = s0 | 0;
    this.s1 = s1 | 0;
    this.s2 = s2 | 0;
    this.s3 = s3 | 0;
  }

  private belowLarge(n: number): number {
    invariant(n <= RANGE, `a random number below ${n} needs more than 32 bits`);
    const shift = Math.clz32(n - 1);
    let value = this.next32() >>> shift;
    while (value >= n) value = this.next32() >>> shift;
    return value;
  }
}
