/** A root complex without an IOMMU: requests go to memory with the address that they carry. */
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import type { TransactionPort, Transactions } from '../../pcie/transactions.ts';
import type { DataAccess } from './data-access.ts';

export class DirectPath implements TransactionPort {
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly data: DataAccess;

  constructor(events: EventQueue, txns: Transactions, data: DataAccess) {
    this.events = events;
    this.txns = txns;
    this.data = data;
  }

  accept(txn: number): void {
    const { txns } = this;
    txns.outHi[txn] = txns.hi[txn];
    txns.outLo[txn] = txns.lo[txn];
    this.data.start(txn, this.events.now);
  }
}
