/**
 * A PCIe link between DMA masters and the root complex. Each direction passes one TLP after another
 * at the link's rate and then takes a fixed flight time. Reads hold tags until their completion has
 * arrived, writes are posted: they hold room in the root complex until memory has taken them.
 * One event per direction and transaction.
 */
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import { Fifo } from '../../sim/resources/fifo.ts';
import { Slots } from '../../sim/resources/slots.ts';
import { type GaugePlain, gaugeMean } from '../../sim/stats/gauge.ts';
import { type EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { ACCESS_WRITE } from '../iommu/access.ts';
import type { LinkOptions } from './spec.ts';
import {
  type TransactionPort,
  type Transactions,
  TXN_OK,
  WAIT_ISSUE,
  WAIT_LINK_DOWN,
  WAIT_LINK_UP,
} from './transactions.ts';

export interface LinkStats {
  readonly up: DirectionStats;
  readonly down: DirectionStats;
  /** Read tags in use and reads waiting for tags. */
  readonly tags: GaugePlain;
  readonly tagWaiters: GaugePlain;
  /** Posted writes in the root complex and those waiting for room there. */
  readonly posted: GaugePlain;
  readonly postedWaiters: GaugePlain;
}

export interface DirectionStats {
  /** Data, headers and framing. */
  readonly bytes: number;
  readonly transactions: number;
  readonly busyCycles: number;
  readonly backlogMaxCycles: number;
}

export class Link {
  /** Where masters send requests. */
  readonly up: TransactionPort = { accept: (txn) => this.acceptRequest(txn) };
  /** Where the root complex returns what it has finished. */
  readonly down: TransactionPort = { accept: (txn) => this.acceptCompletion(txn) };
  /** Who takes the requests at the other end. */
  rootComplex: TransactionPort;

  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly masters: readonly TransactionPort[];
  private readonly options: LinkOptions;
  private readonly upward: Bandwidth;
  private readonly downward: Bandwidth;
  private readonly tags: Slots;
  private readonly posted: Slots;
  private readonly tagWaiters: Fifo;
  private readonly postedWaiters: Fifo;
  private readonly payloadShift: number;
  private readonly readShift: number;
  private readonly arriveUp: number;
  private readonly arriveDown: number;

  /** `masters` is indexed by the `master` column of a transaction; it may be filled later. */
  constructor(
    events: EventQueue,
    txns: Transactions,
    options: LinkOptions,
    rootComplex: TransactionPort,
    masters: readonly TransactionPort[],
  ) {
    this.events = events;
    this.txns = txns;
    this.options = options;
    this.rootComplex = rootComplex;
    this.masters = masters;
    this.upward = new Bandwidth(options.cost);
    this.downward = new Bandwidth(options.cost);
    this.tags = new Slots(options.readTags);
    this.posted = new Slots(options.postedWrites);
    this.tagWaiters = new Fifo(txns.capacity);
    this.postedWaiters = new Fifo(txns.capacity);
    this.payloadShift = Math.log2(options.maxPayload);
    this.readShift = Math.log2(options.maxReadRequest);
    this.arriveUp = events.register(PHASE_UNIT, 'link up', (txn) => this.deliverUp(txn));
    this.arriveDown = events.register(PHASE_UNIT, 'link down', (txn) => this.deliverDown(txn));
  }

  stats(): LinkStats {
    const now = this.events.now;
    return {
      up: directionStats(this.upward),
      down: directionStats(this.downward),
      tags: this.tags.occupancy.plain(now),
      tagWaiters: this.tagWaiters.occupancy.plain(now),
      posted: this.posted.occupancy.plain(now),
      postedWaiters: this.postedWaiters.occupancy.plain(now),
    };
  }

  /** What the link holds and what it waits for, for reports of a run that stands still. */
  dump(): string {
    const { tags, posted, tagWaiters, postedWaiters } = this;
    const mean = gaugeMean(tags.occupancy.plain(this.events.now)).toFixed(1);
    return (
      `link: ${tags.capacity - tags.free} of ${tags.capacity} read tags taken (mean ${mean}), ` +
      `${tagWaiters.length} reads wait for a tag; ` +
      `${posted.capacity - posted.free} of ${posted.capacity} posted writes not yet in memory, ` +
      `${postedWaiters.length} writes wait for room`
    );
  }

  private acceptRequest(txn: number): void {
    const now = this.events.now;
    if ((this.txns.access[txn] & ACCESS_WRITE) !== 0) {
      if (this.postedWaiters.length > 0 || !this.posted.tryTake(now)) {
        this.postedWaiters.push(now, txn);
      } else this.sendUp(txn, now);
    } else if (this.tagWaiters.length > 0 || !this.tags.tryTake(now, this.tagsOf(txn))) {
      this.tagWaiters.push(now, txn);
    } else this.sendUp(txn, now);
  }

  /** One tag per read request TLP; a read that needs more than there are takes all. */
  private tagsOf(txn: number): number {
    const requests = ((this.txns.bytes[txn] - 1) >> this.readShift) + 1;
    return Math.min(requests, this.tags.capacity);
  }

  private sendUp(txn: number, now: number): void {
    const { txns, options } = this;
    txns.mark(txn, WAIT_ISSUE, now);
    const bytes = txns.bytes[txn];
    const length =
      (txns.access[txn] & ACCESS_WRITE) !== 0
        ? bytes + (((bytes - 1) >> this.payloadShift) + 1) * options.requestOverhead
        : (((bytes - 1) >> this.readShift) + 1) * options.requestOverhead;
    const end = this.upward.reserve(now, length);
    this.events.after(end - now + options.propagation, this.arriveUp, txn, 0);
  }

  private deliverUp(txn: number): void {
    this.txns.mark(txn, WAIT_LINK_UP, this.events.now);
    this.rootComplex.accept(txn);
  }

  private acceptCompletion(txn: number): void {
    const { txns, options } = this;
    const now = this.events.now;
    if ((txns.access[txn] & ACCESS_WRITE) !== 0) {
      this.posted.give(now);
      if (this.postedWaiters.length > 0) this.sendWaitingWrites(now);
      this.deliver(txn, now);
      return;
    }
    const bytes = txns.bytes[txn];
    // An aborted read is answered by one completion without data.
    const length =
      txns.status[txn] === TXN_OK
        ? bytes + (((bytes - 1) >> this.payloadShift) + 1) * options.completionOverhead
        : options.completionOverhead;
    const end = this.downward.reserve(now, length);
    this.events.after(end - now + options.propagation, this.arriveDown, txn, 0);
  }

  private deliverDown(txn: number): void {
    const now = this.events.now;
    this.tags.give(now, this.tagsOf(txn));
    if (this.tagWaiters.length > 0) this.sendWaitingReads(now);
    this.deliver(txn, now);
  }

  private deliver(txn: number, now: number): void {
    this.txns.mark(txn, WAIT_LINK_DOWN, now);
    this.masters[this.txns.master[txn]].accept(txn);
  }

  private sendWaitingWrites(now: number): void {
    while (this.postedWaiters.length > 0 && this.posted.tryTake(now)) {
      this.sendUp(this.postedWaiters.shift(now), now);
    }
  }

  private sendWaitingReads(now: number): void {
    while (this.tagWaiters.length > 0) {
      if (!this.tags.tryTake(now, this.tagsOf(this.tagWaiters.peek()))) return;
      this.sendUp(this.tagWaiters.shift(now), now);
    }
  }
}

function directionStats(direction: Bandwidth): DirectionStats {
  return {
    bytes: direction.bytes,
    transactions: direction.transfers,
    busyCycles: direction.busyCycles(),
    backlogMaxCycles: direction.backlogMax,
  };
}
