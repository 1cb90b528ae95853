/**
 * Log-linear histogram (the layout of HdrHistogram): values below 256 are exact, above each power
 * of two is cut into 128 equal buckets, so that a value is known to 0.8 %. Count, sum, minimum and
 * maximum are exact while the sum is below 2^53, and so is merging. The table grows to the largest
 * value recorded.
 */
import { InputError, invariant } from '../errors.ts';

const SUB_BITS = 7;
const SUBS = 1 << SUB_BITS;
/** Values below are their own bucket. */
const LINEAR = SUBS * 2;
const INITIAL_BUCKETS = 512;

export interface HistogramPlain {
  readonly count: number;
  readonly sum: number;
  readonly min: number;
  readonly max: number;
  /** Buckets that are not empty: [lowest value, count], ascending. */
  readonly buckets: readonly (readonly [number, number])[];
}

export class Histogram {
  count = 0;
  sum = 0;
  max = 0;
  private lowest = Number.POSITIVE_INFINITY;
  private buckets: Float64Array = new Float64Array(INITIAL_BUCKETS);

  /** Smallest value recorded; 0 when there is none. */
  get min(): number {
    return this.count === 0 ? 0 : this.lowest;
  }

  /** Records a whole number >= 0. */
  record(value: number): void {
    const bucket = bucketOf(value);
    if (bucket >= this.buckets.length) this.grow(bucket);
    this.buckets[bucket] += 1;
    this.count += 1;
    this.sum += value;
    if (value > this.max) this.max = value;
    if (value < this.lowest) this.lowest = value;
  }

  /** Mean, from the exact sum; 0 when nothing was recorded. */
  mean(): number {
    return this.count === 0 ? 0 : this.sum / this.count;
  }

  /**
   * The value that numerator/denominator of the recorded values do not exceed: the upper end of
   * its bucket, never beyond the maximum. 0 when nothing was recorded.
   */
  percentile(numerator: number, denominator: number): number {
    invariant(numerator >= 0 && numerator <= denominator, 'a percentile is between 0 and 1');
    const rank = Math.max(1, Math.ceil((this.count * numerator) / denominator));
    let seen = 0;
    for (let bucket = 0; bucket < this.buckets.length; bucket++) {
      seen += this.buckets[bucket];
      if (seen >= rank) return Math.min(this.max, lowestOf(bucket + 1) - 1);
    }
    return this.max;
  }

  /** Forgets everything recorded. */
  reset(): void {
    this.buckets.fill(0);
    this.count = 0;
    this.sum = 0;
    this.max = 0;
    this.lowest = Number.POSITIVE_INFINITY;
  }

  merge(other: Histogram): void {
    if (other.buckets.length > this.buckets.length) this.grow(other.buckets.length - 1);
    for (let i = 0; i < other.buckets.length; i++) this.buckets[i] += other.buckets[i];
    this.count += other.count;
    this.sum += other.sum;
    this.max = Math.max(this.max, other.max);
    this.lowest = Math.min(this.lowest, other.lowest);
  }

  toPlain(): HistogramPlain {
    const buckets: [number, number][] = [];
    this.buckets.forEach((count, bucket) => {
      if (count > 0) buckets.push([lowestOf(bucket), count]);
    });
    return { count: this.count, sum: this.sum, min: this.min, max: this.max, buckets };
  }

  static fromPlain(plain: HistogramPlain): Histogram {
    const histogram = new Histogram();
    for (const [value, count] of plain.buckets) {
      const bucket = bucketOf(value);
      if (bucket >= histogram.buckets.length) histogram.grow(bucket);
      histogram.buckets[bucket] += count;
      histogram.count += count;
    }
    if (histogram.count !== plain.count) {
      throw new InputError('histogram', 'the buckets of a histogram do not add up to its count');
    }
    histogram.sum = plain.sum;
    histogram.max = plain.max;
    if (plain.count > 0) histogram.lowest = plain.min;
    return histogram;
  }

  private grow(bucket: number): void {
    const buckets = new Float64Array(Math.max(bucket + 1, this.buckets.length * 2));
    buckets.set(this.buckets);
    this.buckets = buckets;
  }
}

function bucketOf(value: number): number {
  if (value < LINEAR) return value;
  if (value > 0x7fffffff) return bucketOfLarge(value);
  const shift = 31 - SUB_BITS - Math.clz32(value);
  return (shift << SUB_BITS) + (value >>> shift);
}

/** As above for values that are no 32-bit integers: the top 24 bits decide the bucket. */
function bucketOfLarge(value: number): number {
  let high = value;
  let halvings = 0;
  while (high > 0x7fffffff) {
    high = Math.floor(high / 256);
    halvings += 8;
  }
  const shift = 31 - SUB_BITS - Math.clz32(high);
  return ((shift + halvings) << SUB_BITS) + (high >>> shift);
}

/** The lowest value of a bucket. */
function lowestOf(bucket: number): number {
  if (bucket < LINEAR) return bucket;
  const shift = (bucket >> SUB_BITS) - 1;
  return (SUBS + (bucket & (SUBS - 1))) * 2 ** shift;
}
