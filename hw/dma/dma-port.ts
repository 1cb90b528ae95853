/**
 * A master's side of DMA: issues transactions within a bound on those outstanding, and closes them.
 * Masters (pattern, recorded stream, NIC) differ in what they issue and when; this is what they
 * share.
 */
import { Gauge } from '../../sim/stats/gauge.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import type { TransactionPort, Transactions } from '../pcie/transactions.ts';
import type { DmaAccounting } from './accounting.ts';

/** What a master needs from its surroundings. */
export interface DmaSurroundings {
  readonly events: EventQueue;
  readonly txns: Transactions;
  readonly accounting: DmaAccounting;
  /** The link towards the root complex. */
  readonly link: TransactionPort;
  /** This master's index in the table that the link returns transactions by. */
  readonly master: number;
}

export class DmaPort {
  readonly outstanding: Gauge = new Gauge();
  /** Transactions issued so far. */
  issued = 0;
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly accounting: DmaAccounting;
  private readonly link: TransactionPort;
  private readonly master: number;
  private readonly limit: number;

  constructor(around: DmaSurroundings, outstandingMax: number) {
    this.events = around.events;
    this.txns = around.txns;
    this.accounting = around.accounting;
    this.link = around.link;
    this.master = around.master;
    this.limit = outstandingMax;
  }

  /** Whether one more transaction may be issued. */
  get room(): boolean {
    return this.outstanding.level < this.limit;
  }

  /** Issues a transaction, which must not cross a 4 KiB page. */
  issue(
    device: number,
    pasid: number,
    access: number,
    hi: number,
    lo: number,
    offset: number,
    bytes: number,
    tag: number,
  ): void {
    const now = this.events.now;
    const txns = this.txns;
    const txn = txns.allocate(now);
    txns.device[txn] = device;
    txns.master[txn] = this.master;
    txns.pasid[txn] = pasid;
    txns.access[txn] = access;
    txns.hi[txn] = hi;
    txns.lo[txn] = lo;
    txns.offset[txn] = offset;
    txns.bytes[txn] = bytes;
    txns.tag[txn] = tag;
    this.outstanding.add(now, 1);
    this.issued++;
    this.link.accept(txn);
  }

  /** Books a transaction that came back and gives it up. */
  close(txn: number): void {
    const now = this.events.now;
    this.accounting.complete(txn, now);
    this.txns.release(txn);
    this.outstanding.add(now, -1);
  }
}
