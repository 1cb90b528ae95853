/**
 * The most recent translation invalidations. A walk that was in flight while one was executed may
 * return what the invalidation has outlawed; the front end asks the log before it fills the IOTLB.
 */
import type { Operation } from '../architecture.ts';

const ENTRIES = 256;
const ENTRY_MASK = ENTRIES - 1;

export class InvalidationLog {
  /** Number of invalidations executed so far. */
  count = 0;
  private readonly tag1 = new Int32Array(ENTRIES);
  private readonly tag2 = new Int32Array(ENTRIES);
  private readonly ranged = new Int32Array(ENTRIES);
  private readonly hi = new Int32Array(ENTRIES);
  private readonly lo = new Int32Array(ENTRIES);
  private readonly order = new Int32Array(ENTRIES);

  add(op: Operation): void {
    const i = this.count++ & ENTRY_MASK;
    this.tag1[i] = op.tag1;
    this.tag2[i] = op.tag2;
    this.ranged[i] = op.hasAddress !== 0 && op.guestAddress === 0 ? 1 : 0;
    this.hi[i] = op.hi;
    this.lo[i] = op.lo;
    this.order[i] = op.order;
  }

  /**
   * Whether an invalidation after the first `since` covers a translation of page (hi, lo) that was
   * made by a first-stage leaf of 2^order pages. Old entries are forgotten: then the answer is yes.
   */
  covers(
    since: number,
    tag1: number,
    tag2: number,
    hi: number,
    lo: number,
    order: number,
  ): boolean {
    if (this.count - since > ENTRIES) return true;
    for (let n = since; n < this.count; n++) {
      const i = n & ENTRY_MASK;
      if (this.tag1[i] >= 0 && this.tag1[i] !== tag1) continue;
      if (this.tag2[i] >= 0 && this.tag2[i] !== tag2) continue;
      if (this.ranged[i] === 0) return true;
      if (samePages(hi, lo, this.hi[i], this.lo[i], Math.max(order, this.order[i]))) return true;
    }
    return false;
  }
}

/** Whether two pages lie in the same naturally aligned block of 2^order pages. */
function samePages(hi: number, lo: number, hi2: number, lo2: number, order: number): boolean {
  if (order >= 52) return true;
  if (order >= 27) return hi >>> (order - 27) === hi2 >>> (order - 27);
  return hi === hi2 && lo >>> order === lo2 >>> order;
}
