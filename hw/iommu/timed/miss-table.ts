/**
 * Misses in flight: one row per walk sent to a shard, each with the chain of transactions that
 * wait for it. Later misses to the same page with the same rights join the chain.
 */

export class MissTable {
  readonly capacity: number;
  readonly tag1: Int32Array;
  readonly tag2: Int32Array;
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly access: Int32Array;
  /** Number of invalidations executed before the walk was sent. */
  readonly epoch: Float64Array;
  /** First and last waiting transaction. */
  readonly head: Int32Array;
  readonly tail: Int32Array;
  inFlight = 0;
  private readonly nextWaiter: Int32Array;
  private readonly buckets: Int32Array;
  private readonly bucketMask: number;
  private readonly chain: Int32Array;
  private firstFree = 0;

  /** @param transactions bound on transaction ids */
  constructor(capacity: number, transactions: number) {
    this.capacity = capacity;
    this.tag1 = new Int32Array(capacity);
    this.tag2 = new Int32Array(capacity);
    this.hi = new Int32Array(capacity);
    this.lo = new Int32Array(capacity);
    this.access = new Int32Array(capacity);
    this.epoch = new Float64Array(capacity);
    this.head = new Int32Array(capacity);
    this.tail = new Int32Array(capacity);
    this.nextWaiter = new Int32Array(transactions);
    let size = 16;
    while (size < 2 * capacity) size *= 2;
    this.buckets = new Int32Array(size).fill(-1);
    this.bucketMask = size - 1;
    this.chain = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.chain[i] = i + 1;
    this.chain[capacity - 1] = -1;
  }

  /** The miss that a request may join, or -1. */
  find(tag1: number, tag2: number, hi: number, lo: number, access: number): number {
    let miss = this.buckets[this.bucketOf(tag1, tag2, hi, lo)];
    while (miss >= 0) {
      if (
        this.lo[miss] === lo &&
        this.hi[miss] === hi &&
        this.tag1[miss] === tag1 &&
        this.tag2[miss] === tag2 &&
        this.access[miss] === access
      ) {
        return miss;
      }
      miss = this.chain[miss];
    }
    return -1;
  }

  /** A new miss whose only waiter is `txn`; the caller guarantees a free row. */
  open(
    tag1: number,
    tag2: number,
    hi: number,
    lo: number,
    access: number,
    epoch: number,
    txn: number,
  ): number {
    const miss = this.firstFree;
    this.firstFree = this.chain[miss];
    this.inFlight++;
    this.tag1[miss] = tag1;
    this.tag2[miss] = tag2;
    this.hi[miss] = hi;
    this.lo[miss] = lo;
    this.access[miss] = access;
    this.epoch[miss] = epoch;
    this.head[miss] = txn;
    this.tail[miss] = txn;
    this.nextWaiter[txn] = -1;
    const bucket = this.bucketOf(tag1, tag2, hi, lo);
    this.chain[miss] = this.buckets[bucket];
    this.buckets[bucket] = miss;
    return miss;
  }

  join(miss: number, txn: number): void {
    this.nextWaiter[this.tail[miss]] = txn;
    this.tail[miss] = txn;
    this.nextWaiter[txn] = -1;
  }

  /** The waiter after `txn`, or -1. */
  after(txn: number): number {
    return this.nextWaiter[txn];
  }

  /** Frees the row; read its waiters first. */
  close(miss: number): void {
    const bucket = this.bucketOf(this.tag1[miss], this.tag2[miss], this.hi[miss], this.lo[miss]);
    if (this.buckets[bucket] === miss) this.buckets[bucket] = this.chain[miss];
    else {
      let before = this.buckets[bucket];
      while (this.chain[before] !== miss) before = this.chain[before];
      this.chain[before] = this.chain[miss];
    }
    this.chain[miss] = this.firstFree;
    this.firstFree = miss;
    this.inFlight--;
  }

  private bucketOf(tag1: number, tag2: number, hi: number, lo: number): number {
    const mixed =
      Math.imul(lo, 0x9e3779b1) ^
      Math.imul(hi, 0x85ebca6b) ^
      Math.imul(tag1, 0xc2b2ae35) ^
      Math.imul(tag2, 0x27d4eb2f);
    return (mixed ^ (mixed >>> 15)) & this.bucketMask;
  }
}
