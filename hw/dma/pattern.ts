/**
 * Pattern generator: a DMA master whose requests follow a simple rule (sequential, random, strided,
 * hot/cold) in a window of addresses, as fast as they come back or at a given pace. A request that
 * crosses 4 KiB pages becomes one DMA per page.
 */
import { InternalError } from '../../sim/errors.ts';
import type { RandomStream } from '../../sim/random/stream.ts';
import { Pace } from '../../sim/resources/pace.ts';
import { type EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import { PAGE_SHIFT, PAGE_SIZE, PN_LO_BITS, PN_LO_MASK } from '../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import type { TransactionPort } from '../pcie/transactions.ts';
import { DmaPort, type DmaSurroundings } from './dma-port.ts';
import type { PatternOptions } from './spec.ts';

/** Who issues and where the window lies: known when the device's memory has been mapped. */
export interface PatternPlace {
  readonly device: number;
  /** -1 for none. */
  readonly pasid: number;
  /** Page number of the window's start. */
  readonly hi: number;
  readonly lo: number;
}

export class PatternMaster implements TransactionPort {
  readonly port: DmaPort;
  /** Requests begun. */
  requests = 0;
  private readonly options: PatternOptions;
  private place: PatternPlace;
  private readonly random: RandomStream;
  private readonly events: EventQueue;
  private readonly pace: Pace | null;
  private readonly wake: number;
  private waking = false;
  /** Between `stop` and the next `move`: no request begins. */
  private halted = false;
  /** Requests after which it has done what it was to do. */
  private quota: number;
  /** Cycle from which the next request may begin. */
  private due: number;
  /** Position of the next sequential or strided request. */
  private next = 0;
  /** What is left of the request begun: position in the window, bytes, access. */
  private position = 0;
  private left = 0;
  private access = ACCESS_READ;

  constructor(
    around: DmaSurroundings,
    options: PatternOptions,
    place: PatternPlace,
    random: RandomStream,
  ) {
    this.port = new DmaPort(around, options.outstanding);
    this.events = around.events;
    this.options = options;
    this.place = place;
    this.random = random;
    this.pace = options.pace === null ? null : new Pace(options.pace);
    this.due = options.startCycle;
    this.quota = options.requests;
    this.wake = around.events.register(PHASE_UNIT, `pattern ${place.device}`, () => {
      this.waking = false;
      this.pump();
    });
  }

  /** Schedules the first request. */
  start(): void {
    this.wakeAt(Math.max(this.events.now, this.due));
  }

  /** Begins no further request; what is in flight comes back. */
  stop(): void {
    this.halted = true;
  }

  /** Goes on, with as many requests as at first, in a window at another place. */
  move(hi: number, lo: number): void {
    this.place = { ...this.place, hi, lo };
    this.next = 0;
    this.quota = this.requests + this.options.requests;
    this.halted = false;
    this.start();
  }

  /** Nothing is in flight. */
  get idle(): boolean {
    return this.left === 0 && this.port.outstanding.level === 0;
  }

  /** No request will follow and none is in flight. */
  get finished(): boolean {
    return this.idle && this.exhausted();
  }

  /** A DMA came back. */
  accept(txn: number): void {
    this.port.close(txn);
    this.pump();
  }

  dump(): string {
    const { device } = this.place;
    const { level } = this.port.outstanding;
    return `pattern ${device}: ${this.requests} requests begun, ${level} DMAs in flight`;
  }

  private exhausted(): boolean {
    if (this.halted || this.requests >= this.quota) return true;
    return Math.max(this.due, this.events.now) >= this.options.stopCycle;
  }

  private pump(): void {
    while (this.port.room) {
      if (this.left === 0) {
        if (this.exhausted()) return;
        if (this.due > this.events.now) {
          this.wakeAt(this.due);
          return;
        }
        this.begin();
      }
      this.issuePage();
    }
  }

  private wakeAt(cycle: number): void {
    if (this.waking) return;
    this.waking = true;
    this.events.at(cycle, this.wake, 0, 0);
  }

  /** Chooses address and access of the next request. */
  private begin(): void {
    const { size, readParts, writeParts } = this.options;
    this.position = this.choosePosition();
    this.left = size;
    if (writeParts === 0) this.access = ACCESS_READ;
    else if (readParts === 0) this.access = ACCESS_WRITE;
    else {
      const read = this.random.chance(readParts, readParts + writeParts);
      this.access = read ? ACCESS_READ : ACCESS_WRITE;
    }
    this.requests++;
  }

  private choosePosition(): number {
    const { pattern, window, hotWindow, hotParts, coldParts } = this.options;
    switch (pattern) {
      case 'sequential':
        return this.advance(this.options.size);
      case 'strided':
        return this.advance(this.options.stride);
      case 'random':
        return this.anywhere(0, window);
      case 'hot-cold':
        return this.random.chance(hotParts, hotParts + coldParts)
          ? this.anywhere(0, hotWindow)
          : this.anywhere(hotWindow, window - hotWindow);
      default:
        throw new InternalError('pattern', `unknown pattern ${pattern}`);
    }
  }

  /** The next position; after the last that fits, the window's start follows. */
  private advance(step: number): number {
    const position = this.next;
    const following = position + step;
    this.next = following + this.options.size > this.options.window ? 0 : following;
    return position;
  }

  private anywhere(start: number, length: number): number {
    const { size, alignment } = this.options;
    const places = Math.floor((length - size) / alignment) + 1;
    return start + this.random.below(places) * alignment;
  }

  /** Issues the part of the request that lies in one page. */
  private issuePage(): void {
    const { place, position } = this;
    const page = Math.floor(position / PAGE_SIZE);
    const offset = position & (PAGE_SIZE - 1);
    const bytes = Math.min(this.left, PAGE_SIZE - offset);
    const lo = place.lo + page;
    this.position = position + bytes;
    this.left -= bytes;
    if (this.pace !== null) {
      this.pace.begin(this.events.now, bytes);
      this.due = this.pace.due;
    }
    this.port.issue(
      place.device,
      place.pasid,
      this.access,
      place.hi + (lo >>> PN_LO_BITS),
      lo & PN_LO_MASK,
      offset,
      bytes,
      0,
    );
  }
}

/** Pages that a window covers, for those who map it. */
export function windowPages(options: PatternOptions): number {
  return Math.ceil(options.window / 2 ** PAGE_SHIFT);
}
