/**
 * Books of finished DMAs, per device: what was moved, how long it took and where the time went. All
 * masters close their transactions here, so that reports and the trace see every DMA once, and the
 * rule that wait reasons tile a transaction's whole life is checked on each.
 */
import { InternalError } from '../../sim/errors.ts';
import type { Channel, Probe, RecordKind } from '../../sim/probe.ts';
import { Histogram, type HistogramPlain } from '../../sim/stats/histogram.ts';
import { ACCESS_WRITE } from '../iommu/access.ts';
import { type Transactions, TXN_OK, WAIT_COUNT, WAIT_REASONS } from '../pcie/transactions.ts';
import { WAIT_RECORD, WaitTotals } from './wait-totals.ts';

/** One finished DMA; its cycle is that of completion. */
export const DMA_RECORD: RecordKind = {
  name: 'dma',
  level: 'requests',
  columns: [
    { name: 'device', type: 'u32', doc: 'Index of the device.' },
    {
      name: 'flags',
      type: 'u32',
      doc: 'Access in bits 0-4, abort in bit 5, IOTLB outcome in bits 6-7, PASID plus one from bit 8.',
    },
    { name: 'hi', type: 'u32', doc: 'Input page number, bits above 27.' },
    { name: 'lo', type: 'u32', doc: 'Input page number, low 27 bits.' },
    { name: 'extent', type: 'u32', doc: 'Offset in the page in bits 0-11, bytes from bit 12.' },
    { name: 'latency', type: 'u32', doc: 'Cycles from issue to completion.' },
  ],
};

export function packDmaFlags(
  access: number,
  status: number,
  outcome: number,
  pasid: number,
): number {
  return access | (status << 5) | (outcome << 6) | ((pasid + 1) << 8);
}

/** What is in the flags of a DMA record. */
export interface DmaFlags {
  readonly access: number;
  readonly status: number;
  readonly outcome: number;
  readonly pasid: number;
}

export function unpackDmaFlags(flags: number): DmaFlags {
  return {
    access: flags & 31,
    status: (flags >>> 5) & 1,
    outcome: (flags >>> 6) & 3,
    pasid: (flags >>> 8) - 1,
  };
}

/** What the IOTLB had to say, by the `outcome` column of a transaction. */
export const OUTCOME_NAMES = ['none', 'hit', 'miss', 'merged'] as const;
const OUTCOMES = OUTCOME_NAMES.length;

/** Figures of one device, or of all together. */
export interface DmaPlain {
  readonly reads: number;
  readonly writes: number;
  readonly faults: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
  readonly latency: HistogramPlain;
  /** Cycles by wait reason, summed over all DMAs. */
  readonly waits: Readonly<Record<string, number>>;
  readonly outcomes: Readonly<Record<string, number>>;
}

const READS = 0;
const WRITES = 1;
const FAULTS = 2;
const BYTES_READ = 3;
const BYTES_WRITTEN = 4;
const FIGURES = 5;

export class DmaAccounting {
  readonly devices: number;
  /** DMAs finished, of all devices. */
  finished = 0;
  /** The same by device. */
  readonly finishedBy: Float64Array;
  readonly latency: readonly Histogram[];
  private readonly txns: Transactions;
  private readonly trace: Channel | null;
  private readonly figures: Float64Array;
  private readonly waits: Float64Array;
  private readonly outcomes: Float64Array;
  private readonly waitTotals: WaitTotals | null;

  constructor(txns: Transactions, devices: number, probe: Probe) {
    this.txns = txns;
    this.devices = devices;
    this.trace = probe.channel(DMA_RECORD);
    this.finishedBy = new Float64Array(devices);
    this.figures = new Float64Array(devices * FIGURES);
    this.waits = new Float64Array(devices * WAIT_COUNT);
    this.outcomes = new Float64Array(devices * OUTCOMES);
    const totals = probe.channel(WAIT_RECORD);
    this.waitTotals = totals === null ? null : new WaitTotals(totals, this.waits);
    this.latency = Array.from({ length: devices }, () => new Histogram());
  }

  /** Books a transaction that its master got back at cycle `now`. */
  complete(txn: number, now: number): void {
    const txns = this.txns;
    const device = txns.device[txn];
    const latency = now - txns.issued[txn];
    const bytes = txns.bytes[txn];
    const access = txns.access[txn];
    const status = txns.status[txn];
    const outcome = txns.outcome[txn];
    this.finished++;
    this.finishedBy[device] += 1;
    this.addWaits(txn, device, latency);
    const figures = device * FIGURES;
    const write = (access & ACCESS_WRITE) !== 0 ? 1 : 0;
    this.figures[figures + READS + write] += 1;
    if (status === TXN_OK) this.figures[figures + BYTES_READ + write] += bytes;
    else this.figures[figures + FAULTS] += 1;
    this.outcomes[device * OUTCOMES + outcome] += 1;
    this.latency[device].record(latency);
    if (this.trace !== null) {
      this.trace.emit(
        now,
        device,
        packDmaFlags(access, status, outcome, txns.pasid[txn]),
        txns.hi[txn],
        txns.lo[txn],
        txns.offset[txn] | (bytes << 12),
        latency,
      );
    }
    if (this.waitTotals !== null) this.waitTotals.count(device, now);
  }

  /** Ends the trace of waits; before the probe is flushed for the last time. */
  endTrace(): void {
    this.waitTotals?.tellAll();
  }

  /** Figures count from now on; `finished` and `finishedBy` go on. */
  reset(): void {
    this.waitTotals?.restart();
    this.figures.fill(0);
    this.waits.fill(0);
    this.outcomes.fill(0);
    for (const latency of this.latency) latency.reset();
  }

  /** Figures of one device. */
  device(index: number): DmaPlain {
    return this.plain([index]);
  }

  /** Figures of all devices together. */
  total(): DmaPlain {
    return this.plain(Array.from({ length: this.devices }, (_, index) => index));
  }

  private addWaits(txn: number, device: number, latency: number): void {
    const waits = this.txns.waits;
    const totals = this.waits;
    const from = txn * WAIT_COUNT;
    const to = device * WAIT_COUNT;
    let sum = 0;
    for (let reason = 0; reason < WAIT_COUNT; reason++) {
      const cycles = waits[from + reason];
      if (cycles === 0) continue;
      sum += cycles;
      totals[to + reason] += cycles;
    }
    if (sum !== latency) {
      throw new InternalError(
        'waits',
        `a DMA of device ${device} took ${latency} cycles, of which ${sum} have a reason`,
      );
    }
  }

  private plain(devices: readonly number[]): DmaPlain {
    const sum = (table: Float64Array, width: number, index: number): number =>
      devices.reduce((total, device) => total + (table[device * width + index] as number), 0);
    const named = (names: readonly string[], table: Float64Array): Record<string, number> =>
      Object.fromEntries(names.map((name, i) => [name, sum(table, names.length, i)]));
    const latency = new Histogram();
    for (const device of devices) latency.merge(this.latency[device]);
    return {
      reads: sum(this.figures, FIGURES, READS),
      writes: sum(this.figures, FIGURES, WRITES),
      faults: sum(this.figures, FIGURES, FAULTS),
      bytesRead: sum(this.figures, FIGURES, BYTES_READ),
      bytesWritten: sum(this.figures, FIGURES, BYTES_WRITTEN),
      latency: latency.toPlain(),
      waits: named(WAIT_REASONS, this.waits),
      outcomes: named(OUTCOME_NAMES, this.outcomes),
    };
  }
}
