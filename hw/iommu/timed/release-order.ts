/**
 * In-order release: requests that wait leave in the order in which they came. Holds one ring of
 * transaction ids and which of them are ready.
 */

export class ReleaseOrder {
  /** Requests taken in and released so far; their difference is waiting. */
  taken = 0;
  released = 0;
  private readonly ring: Int32Array;
  private readonly isReady: Uint8Array;
  private readonly readyCycle: Float64Array;

  /** @param transactions bound on transaction ids */
  constructor(transactions: number) {
    this.ring = new Int32Array(transactions);
    this.isReady = new Uint8Array(transactions);
    this.readyCycle = new Float64Array(transactions);
  }

  get empty(): boolean {
    return this.taken === this.released;
  }

  take(txn: number): void {
    this.ring[this.taken++ % this.ring.length] = txn;
  }

  ready(txn: number, cycle: number): void {
    this.isReady[txn] = 1;
    this.readyCycle[txn] = cycle;
  }

  /** The oldest request if it is ready (it is then released), or -1. */
  next(): number {
    if (this.released === this.taken) return -1;
    const txn = this.ring[this.released % this.ring.length];
    if (this.isReady[txn] === 0) return -1;
    this.isReady[txn] = 0;
    this.released++;
    return txn;
  }

  readyAt(txn: number): number {
    return this.readyCycle[txn];
  }
}
