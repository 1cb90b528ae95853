/**
 * The DMA engine of one direction (reads or writes) of a NIC: a job is a span of input addresses,
 * cut at 4 KiB pages into transactions, issued in order of arrival as far as the bound on those in
 * flight allows, and done when all of them are back.
 */
import { InternalError } from '../../sim/errors.ts';
import { Fifo } from '../../sim/resources/fifo.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PAGE_SIZE, PN_LO_MASK } from '../address.ts';
import { type Transactions, TXN_OK } from '../pcie/transactions.ts';
import { DmaPort, type DmaSurroundings } from './dma-port.ts';

/** Told when a job is done. `txn` is its last transaction, still open. */
export interface JobOwner {
  jobDone(kind: number, a: number, b: number, failed: boolean, txn: number): void;
}

export class DmaJobs {
  readonly port: DmaPort;
  /** Jobs not wholly issued. */
  readonly waiting: Fifo;
  /** Transactions that came back refused. */
  faults = 0;
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly owner: JobOwner;
  private readonly device: number;
  private readonly access: number;
  // Columns by job.
  private readonly kind: Int32Array;
  private readonly a: Int32Array;
  private readonly b: Int32Array;
  private readonly hi: Int32Array;
  private readonly lo: Int32Array;
  private readonly offset: Int32Array;
  private readonly left: Int32Array;
  private readonly inFlight: Int32Array;
  private readonly failed: Uint8Array;
  private readonly nextFree: Int32Array;
  private firstFree = 0;
  private issuing = false;

  constructor(
    around: DmaSurroundings,
    owner: JobOwner,
    device: number,
    access: number,
    outstandingMax: number,
    capacity: number,
  ) {
    const column = (): Int32Array => new Int32Array(capacity);
    this.events = around.events;
    this.txns = around.txns;
    this.port = new DmaPort(around, outstandingMax);
    this.waiting = new Fifo(capacity);
    this.owner = owner;
    this.device = device;
    this.access = access;
    this.kind = column();
    this.a = column();
    this.b = column();
    this.hi = column();
    this.lo = column();
    this.offset = column();
    this.left = column();
    this.inFlight = column();
    this.failed = new Uint8Array(capacity);
    this.nextFree = column();
    for (let i = 0; i < capacity; i++) this.nextFree[i] = i + 1;
    this.nextFree[capacity - 1] = -1;
  }

  /** Begins a job; `owner.jobDone(kind, a, b, ...)` tells of its end. */
  start(
    kind: number,
    a: number,
    b: number,
    hi: number,
    lo: number,
    offset: number,
    bytes: number,
  ): void {
    const job = this.firstFree;
    if (job < 0) throw new InternalError('nic', 'a NIC has more DMA jobs than it has places for');
    this.firstFree = this.nextFree[job];
    this.kind[job] = kind;
    this.a[job] = a;
    this.b[job] = b;
    this.hi[job] = hi;
    this.lo[job] = lo;
    this.offset[job] = offset;
    this.left[job] = bytes;
    this.inFlight[job] = 0;
    this.failed[job] = 0;
    this.waiting.push(this.events.now, job);
    this.issue();
  }

  /** Jobs not wholly issued, and transactions in flight. */
  get open(): number {
    return this.waiting.length + this.port.outstanding.level;
  }

  /** A transaction of this engine came back. */
  accept(txn: number): void {
    const job = this.txns.tag[txn];
    if (this.txns.status[txn] !== TXN_OK) {
      this.failed[job] = 1;
      this.faults++;
    }
    this.inFlight[job]--;
    if (this.left[job] === 0 && this.inFlight[job] === 0) {
      const kind = this.kind[job];
      this.nextFree[job] = this.firstFree;
      this.firstFree = job;
      this.owner.jobDone(kind, this.a[job], this.b[job], this.failed[job] !== 0, txn);
    }
    this.port.close(txn);
    this.issue();
  }

  private issue(): void {
    // A transaction may come back at once: then the loop that is under way goes on.
    if (this.issuing) return;
    this.issuing = true;
    const { port, waiting } = this;
    while (waiting.length > 0 && port.room) {
      const job = waiting.peek();
      const offset = this.offset[job];
      const left = this.left[job];
      const bytes = Math.min(left, PAGE_SIZE - offset);
      const hi = this.hi[job];
      const lo = this.lo[job];
      this.left[job] = left - bytes;
      this.inFlight[job]++;
      if (left === bytes) {
        waiting.shift(this.events.now);
      } else {
        this.offset[job] = 0;
        this.lo[job] = (lo + 1) & PN_LO_MASK;
        if (lo === PN_LO_MASK) this.hi[job] = hi + 1;
      }
      port.issue(this.device, -1, this.access, hi, lo, offset, bytes, job);
    }
    this.issuing = false;
  }
}
