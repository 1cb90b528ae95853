/**
 * The host side of a DMA after its translation: the access to memory, then the way back to the
 * device. One event per access.
 */
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { DEVICE_DATA, type MemoryTiming } from '../../memory/timing.ts';
import {
  type TransactionPort,
  type Transactions,
  WAIT_FAULT,
  WAIT_MEMORY,
} from '../../pcie/transactions.ts';
import { ACCESS_WRITE } from '../access.ts';

export class DataAccess {
  /** Latest completion of any access started so far: what a draining fence waits for. */
  drainedAt = 0;
  /** Completions to devices; indexed by device. */
  readonly returns: TransactionPort[] = [];
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly timing: MemoryTiming;
  private readonly onDone: number;
  private readonly onAbort: number;

  constructor(events: EventQueue, txns: Transactions, timing: MemoryTiming) {
    this.events = events;
    this.txns = txns;
    this.timing = timing;
    this.onDone = events.register(PHASE_UNIT, 'data-done', (txn) => this.finish(txn, WAIT_MEMORY));
    this.onAbort = events.register(PHASE_UNIT, 'abort', (txn) => this.finish(txn, WAIT_FAULT));
  }

  /** Starts the access of a translated transaction at cycle `start` (now or later). */
  start(txn: number, start: number): void {
    const txns = this.txns;
    const at = this.timing.completeAt(
      start,
      txns.outHi[txn],
      txns.outLo[txn],
      txns.offset[txn],
      txns.bytes[txn],
      (txns.access[txn] & ACCESS_WRITE) !== 0,
      DEVICE_DATA,
    );
    if (at > this.drainedAt) this.drainedAt = at;
    this.events.at(at, this.onDone, txn, 0);
  }

  /** Returns a refused transaction to its device after `cycles`. */
  abort(txn: number, cycles: number): void {
    this.events.after(cycles, this.onAbort, txn, 0);
  }

  private finish(txn: number, reason: number): void {
    this.txns.mark(txn, reason, this.events.now);
    this.returns[this.txns.device[txn]].accept(txn);
  }
}
