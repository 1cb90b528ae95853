/**
 * Recorded stream: a DMA master that issues a given sequence of DMAs in order, a bounded number at
 * a time. Whoever plays a recording can hold the stream at a place, let it go on to another, or
 * issue single DMAs, so that host actions fall between the same DMAs as when they were recorded.
 */
import { invariant } from '../../sim/errors.ts';
import { type EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { PAGE_SIZE } from '../address.ts';
import type { TransactionPort } from '../pcie/transactions.ts';
import { DmaPort, type DmaSurroundings } from './dma-port.ts';

/** DMAs as columns of equal length. */
export interface DmaColumns {
  readonly device: Int32Array;
  readonly pasid: Int32Array;
  readonly access: Int32Array;
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly offset: Int32Array;
  readonly bytes: Int32Array;
  /** Cycles since the DMA before was issued, at the earliest. */
  readonly gap: Float64Array;
}

export interface RecordedOptions {
  /** Most DMAs in flight. */
  readonly outstanding: number;
  /** Keep the recorded distances between issues; otherwise issue as soon as there is room. */
  readonly keepGaps: boolean;
}

/** Told of progress; may issue, hold and let go from within. */
export interface RecordedObserver {
  /** A DMA came back; its columns are still valid, its `tag` is its place in the sequence. */
  completed(txn: number): void;
  /** The transaction of it has been given up, so there is room. */
  freed(): void;
}

export function dmaColumns(length: number): DmaColumns {
  const column = (): Int32Array => new Int32Array(length);
  return {
    device: column(),
    pasid: column().fill(-1),
    access: column(),
    hi: column(),
    lo: column(),
    offset: column(),
    bytes: column(),
    gap: new Float64Array(length),
  };
}

export class RecordedMaster implements TransactionPort {
  readonly port: DmaPort;
  /** Place in the sequence of the next DMA. */
  position = 0;
  readonly length: number;
  private readonly columns: DmaColumns;
  private readonly options: RecordedOptions;
  private readonly events: EventQueue;
  private readonly observer: RecordedObserver | null;
  private readonly wake: number;
  private waking = false;
  /** Place that the stream does not go beyond. */
  private gate: number;
  /** Cycle of the last issue of the sequence. */
  private last = 0;

  constructor(
    around: DmaSurroundings,
    options: RecordedOptions,
    columns: DmaColumns,
    observer: RecordedObserver | null,
  ) {
    this.port = new DmaPort(around, options.outstanding);
    this.events = around.events;
    this.options = options;
    this.columns = columns;
    this.observer = observer;
    this.length = columns.device.length;
    this.gate = this.length;
    this.wake = around.events.register(PHASE_UNIT, 'recorded stream', () => {
      this.waking = false;
      this.pump();
    });
  }

  /** Begins, or goes on after a pause, in this cycle. */
  resume(): void {
    this.allowUpTo(this.length);
  }

  /** Issues nothing more; what is in flight comes back. */
  pause(): void {
    this.gate = this.position;
  }

  /** Goes on, and holds before the DMA at `place` of the sequence. */
  allowUpTo(place: number): void {
    invariant(place <= this.length, 'a recorded stream ends at its length');
    this.gate = place;
    this.wakeAt(this.events.now);
  }

  /** Nothing is in flight. */
  get idle(): boolean {
    return this.port.outstanding.level === 0;
  }

  /** The whole sequence has been issued and has come back. */
  get finished(): boolean {
    return this.position === this.length && this.idle;
  }

  /** Issues one DMA that is not part of the sequence. False, and nothing happens, without room. */
  issueOne(
    device: number,
    pasid: number,
    access: number,
    hi: number,
    lo: number,
    offset: number,
    bytes: number,
    tag: number,
  ): boolean {
    if (!this.port.room) return false;
    invariant(offset + bytes <= PAGE_SIZE, 'a DMA stays within a page');
    this.port.issue(device, pasid, access, hi, lo, offset, bytes, tag);
    return true;
  }

  /** A DMA came back. */
  accept(txn: number): void {
    if (this.observer !== null) this.observer.completed(txn);
    this.port.close(txn);
    if (this.observer !== null) this.observer.freed();
    this.pump();
  }

  dump(): string {
    const { level } = this.port.outstanding;
    return `recorded stream: at ${this.position} of ${this.length}, ${level} DMAs in flight`;
  }

  private pump(): void {
    const { columns } = this;
    const now = this.events.now;
    while (this.position < this.gate && this.port.room) {
      const place = this.position;
      const due = this.last + columns.gap[place];
      if (this.options.keepGaps && due > now) {
        this.wakeAt(due);
        return;
      }
      this.position = place + 1;
      this.last = now;
      this.issueOne(
        columns.device[place],
        columns.pasid[place],
        columns.access[place],
        columns.hi[place],
        columns.lo[place],
        columns.offset[place],
        columns.bytes[place],
        place,
      );
    }
  }

  private wakeAt(cycle: number): void {
    if (this.waking) return;
    this.waking = true;
    this.events.at(cycle, this.wake, 0, 0);
  }
}
