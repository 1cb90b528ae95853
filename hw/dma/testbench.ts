/** A stand-in for link, IOMMU and memory under test of DMA masters: answers after a fixed time. */
import type { Channel, Probe } from '../../sim/probe.ts';
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { type TransactionPort, Transactions, WAIT_MEMORY } from '../pcie/transactions.ts';
import { DmaAccounting } from './accounting.ts';
import type { DmaSurroundings } from './dma-port.ts';

/** One DMA as the far side saw it. */
export interface SeenDma {
  readonly cycle: number;
  readonly device: number;
  readonly pasid: number;
  readonly access: number;
  readonly address: number;
  readonly bytes: number;
  readonly tag: number;
}

export class TestBench {
  readonly events: EventQueue = new EventQueue();
  readonly txns: Transactions = new Transactions(256);
  readonly accounting: DmaAccounting;
  readonly seen: SeenDma[] = [];
  /** Rows of trace records. */
  readonly records: number[][] = [];
  /** Status of the answers. */
  status = 0;
  private master: TransactionPort | null = null;
  private readonly latency: number;
  private readonly answer: number;

  constructor(latency: number, devices = 4) {
    this.latency = latency;
    const channel: Channel = { emit: (...row: number[]) => this.records.push(row) };
    const probe: Probe = { level: 'requests', channel: () => channel };
    this.accounting = new DmaAccounting(this.txns, devices, probe);
    this.answer = this.events.register(PHASE_UNIT, 'answer', (txn) => {
      this.txns.status[txn] = this.status;
      this.txns.mark(txn, WAIT_MEMORY, this.events.now);
      this.master?.accept(txn);
    });
  }

  get surroundings(): DmaSurroundings {
    const { events, txns, accounting } = this;
    return { events, txns, accounting, link: { accept: (txn) => this.take(txn) }, master: 0 };
  }

  connect(master: TransactionPort): void {
    this.master = master;
  }

  run(limit: number = Number.POSITIVE_INFINITY): void {
    this.events.run(limit);
  }

  private take(txn: number): void {
    const { txns, events } = this;
    const page = (txns.hi[txn] as number) * 2 ** 27 + (txns.lo[txn] as number);
    this.seen.push({
      cycle: events.now,
      device: txns.device[txn] as number,
      pasid: txns.pasid[txn] as number,
      access: txns.access[txn] as number,
      address: page * 4096 + (txns.offset[txn] as number),
      bytes: txns.bytes[txn] as number,
      tag: txns.tag[txn] as number,
    });
    events.after(this.latency, this.answer, txn, 0);
  }
}
