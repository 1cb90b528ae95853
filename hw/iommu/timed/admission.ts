/**
 * Places for requests that wait in the unit, and the queue of those that found none. A request
 * that hits never takes a place.
 */

export class Admission {
  held = 0;
  peak = 0;
  queued = 0;
  queuePeak = 0;
  private readonly slots: number;
  private readonly isHeld: Uint8Array;
  /** Ring of transaction ids. */
  private readonly queue: Int32Array;
  private head = 0;

  /** @param transactions bound on transaction ids */
  constructor(slots: number, transactions: number) {
    this.slots = slots;
    this.isHeld = new Uint8Array(transactions);
    this.queue = new Int32Array(transactions);
  }

  /** Whether a new request may proceed; else it is queued. */
  admit(txn: number): boolean {
    if (this.queued === 0 && this.held < this.slots) return true;
    this.queue[(this.head + this.queued++) % this.queue.length] = txn;
    if (this.queued > this.queuePeak) this.queuePeak = this.queued;
    return false;
  }

  /** The next queued request that may proceed, or -1. */
  next(): number {
    if (this.queued === 0 || this.held >= this.slots) return -1;
    const txn = this.queue[this.head];
    this.head = (this.head + 1) % this.queue.length;
    this.queued--;
    return txn;
  }

  holds(txn: number): boolean {
    return this.isHeld[txn] === 1;
  }

  /** Takes a place; true when the request had none. */
  hold(txn: number): boolean {
    if (this.isHeld[txn] === 1) return false;
    this.isHeld[txn] = 1;
    if (++this.held > this.peak) this.peak = this.held;
    return true;
  }

  /** Gives the place back; true when the request had one. */
  release(txn: number): boolean {
    if (this.isHeld[txn] === 0) return false;
    this.isHeld[txn] = 0;
    this.held--;
    return true;
  }
}
