/**
 * In-flight DMA transactions as columns of typed arrays; a transaction is an integer id. A unit
 * that holds an id owns it until it hands it to the next unit through a TransactionPort. Every
 * cycle of a transaction's life is charged to exactly one wait reason (`mark`).
 */
import { InternalError } from '../../sim/errors.ts';

/** Where a transaction's time goes: a closed list that tiles its whole life. */
export const WAIT_REASONS = [
  'issue', // held by the master: read tags, outstanding limit
  'link-up', // serialisation and flight towards the root complex
  'input', // waiting for a place in the IOMMU
  'context', // device/process context being fetched
  'iotlb', // lookup ports and latency
  'walk-queue', // transit to a walk shard and waiting for a walk slot
  'walk', // memory references of the walk
  'order', // translated, waiting for older transactions
  'fault', // fault handling before the abort is returned
  'memory', // data access in the host's memory
  'link-down', // completion towards the device
] as const;
export const WAIT_ISSUE = 0;
export const WAIT_LINK_UP = 1;
export const WAIT_INPUT = 2;
export const WAIT_CONTEXT = 3;
export const WAIT_IOTLB = 4;
export const WAIT_WALK_QUEUE = 5;
export const WAIT_WALK = 6;
export const WAIT_ORDER = 7;
export const WAIT_FAULT = 8;
export const WAIT_MEMORY = 9;
export const WAIT_LINK_DOWN = 10;
export const WAIT_COUNT = 11;

/** Outcome of a transaction. */
export const TXN_OK = 0;
/** Aborted by the IOMMU (unsupported request / completer abort). */
export const TXN_FAULT = 1;

/** Takes over a transaction. */
export interface TransactionPort {
  accept(txn: number): void;
}

export class Transactions {
  readonly capacity: number;
  /** Index of the device (function) that issued it. */
  readonly device: Int32Array;
  /** Index of the port that is told of the end. */
  readonly master: Int32Array;
  /** ACCESS_* bits. */
  readonly access: Int32Array;
  /** Process address space id, -1 none. */
  readonly pasid: Int32Array;
  /** Input address; a transaction never crosses a 4 KiB page. */
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly offset: Int32Array;
  readonly bytes: Int32Array;
  /** Output page, valid from the IOMMU on. */
  readonly outHi: Int32Array;
  readonly outLo: Int32Array;
  /** TXN_*. */
  readonly status: Int32Array;
  /** IOMMU's note: 1 IOTLB hit, 2 miss, 3 merged with a miss, 0 not looked up. */
  readonly outcome: Int32Array;
  /** The master's own word. */
  readonly tag: Int32Array;
  /** Cycle of issue and of the last mark. */
  readonly issued: Float64Array;
  readonly marked: Float64Array;
  /** Cycles per wait reason: row of WAIT_COUNT per transaction. */
  readonly waits: Int32Array;
  inFlight = 0;
  private readonly nextFree: Int32Array;
  private firstFree = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    const column = (): Int32Array => new Int32Array(capacity);
    this.device = column();
    this.master = column();
    this.access = column();
    this.pasid = column();
    this.hi = column();
    this.lo = column();
    this.offset = column();
    this.bytes = column();
    this.outHi = column();
    this.outLo = column();
    this.status = column();
    this.outcome = column();
    this.tag = column();
    this.issued = new Float64Array(capacity);
    this.marked = new Float64Array(capacity);
    this.waits = new Int32Array(capacity * WAIT_COUNT);
    this.nextFree = column();
    for (let i = 0; i < capacity; i++) this.nextFree[i] = i + 1;
    this.nextFree[capacity - 1] = -1;
  }

  /** A fresh transaction issued now; the caller fills in its columns. */
  allocate(now: number): number {
    const txn = this.firstFree;
    if (txn < 0) {
      throw new InternalError('transactions', `more than ${this.capacity} transactions in flight`);
    }
    this.firstFree = this.nextFree[txn];
    this.issued[txn] = now;
    this.marked[txn] = now;
    this.pasid[txn] = -1;
    this.status[txn] = TXN_OK;
    this.outcome[txn] = 0;
    // A call of fill() costs more than these few stores.
    const waits = this.waits;
    const from = txn * WAIT_COUNT;
    for (let i = 0; i < WAIT_COUNT; i++) waits[from + i] = 0;
    this.inFlight++;
    return txn;
  }

  release(txn: number): void {
    this.nextFree[txn] = this.firstFree;
    this.firstFree = txn;
    this.inFlight--;
  }

  /** Charges the time since the last mark to a wait reason. */
  mark(txn: number, reason: number, now: number): void {
    this.waits[txn * WAIT_COUNT + reason] += now - this.marked[txn];
    this.marked[txn] = now;
  }
}
