/**
 * The recorded accesses of one device, played by a RecordedMaster up to where the player lets them,
 * each completed translation compared with the recorded one.
 */

import { addressOf, clearHi, clearLo } from '../address.ts';
import type { DmaSurroundings } from '../dma/dma-port.ts';
import type { DmaColumns } from '../dma/recorded.ts';
import { RecordedMaster, type RecordedOptions } from '../dma/recorded.ts';
import { type Transactions, TXN_OK } from '../pcie/transactions.ts';
import type { RecordedAnswers } from './recording.ts';

/** A translation that came out otherwise than recorded. */
export interface Mismatch {
  /** Place in the recording's file, from 0. */
  readonly event: number;
  readonly deviceId: number;
  readonly input: bigint;
  readonly expected: bigint;
  /** Null: the access was refused. */
  readonly got: bigint | null;
}

/** As many as a report shows. */
const MISMATCHES_KEPT = 8;

export class RecordedStream {
  readonly deviceId: number;
  readonly master: RecordedMaster;
  /** Accesses that came back. */
  completed = 0;
  mismatches = 0;
  readonly firstMismatches: Mismatch[] = [];
  /** Told whenever an access has come back. */
  onFreed: (() => void) | null = null;
  /** Accesses that the player has let go. */
  private granted = 0;
  private opened = 0;
  private readonly txns: Transactions;
  private readonly answers: RecordedAnswers;

  constructor(
    around: DmaSurroundings,
    options: RecordedOptions,
    deviceId: number,
    columns: DmaColumns,
    answers: RecordedAnswers,
  ) {
    this.deviceId = deviceId;
    this.txns = around.txns;
    this.answers = answers;
    this.master = new RecordedMaster(around, options, columns, {
      completed: (txn) => this.compare(txn),
      freed: () => {
        this.completed++;
        this.onFreed?.();
      },
    });
    this.master.pause();
  }

  /** The next access may go, once `open` is called. */
  grant(): void {
    this.granted++;
  }

  /** Lets all granted accesses go. */
  open(): void {
    if (this.opened === this.granted) return;
    this.opened = this.granted;
    this.master.allowUpTo(this.granted);
  }

  /** All granted accesses have come back. */
  get quiet(): boolean {
    return this.completed === this.granted;
  }

  private compare(txn: number): void {
    const { txns, answers } = this;
    const place = txns.tag[txn];
    const expectedHi = answers.frameHi[place];
    const expectedLo = answers.frameLo[place];
    const hi = txns.outHi[txn];
    const lo = txns.outLo[txn];
    const ok = txns.status[txn] === TXN_OK;
    if (ok && lo === expectedLo && hi === expectedHi) return;
    const order = answers.order[place];
    if (ok && clearLo(lo, order) === expectedLo && clearHi(hi, order) === expectedHi) return;
    this.mismatches++;
    if (this.firstMismatches.length >= MISMATCHES_KEPT) return;
    this.firstMismatches.push({
      event: answers.event[place],
      deviceId: this.deviceId,
      input: addressOf(txns.hi[txn], txns.lo[txn], 0),
      expected: addressOf(expectedHi, expectedLo, 0),
      got: ok ? addressOf(hi, lo, 0) : null,
    });
  }
}
