/**
 * The way of an invalidation from a core to the unit and back: the lock of the command queue, the
 * commands and their fence, the doorbell (which traps when a guest rings it), and the spinning
 * until the fence's status is seen in memory. One path per IOMMU; its queue is one serial resource.
 */

import { CounterSet } from '../../sim/stats/counters.ts';
import { Histogram } from '../../sim/stats/histogram.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PHASE_RETRY } from '../../sim/time/event-queue.ts';
import { PN_LO_BITS, PN_LO_MASK } from '../address.ts';
import type { Core, Host } from './core.ts';
import { type Domain, type IommuDriver, NO_TOKEN } from './drivers/driver.ts';
import { SpinLock } from './lock.ts';

export interface InvalidationCosts {
  /** Making and writing one command, the fence too. */
  readonly commandCycles: number;
  /** The doorbell's register write, as the core sees it. */
  readonly doorbellCycles: number;
  /** Leaving the guest and coming back, when a guest's kernel rings. */
  readonly guestExitCycles: number;
  /** Time between two looks at the status word or the head register. */
  readonly pollCycles: number;
}

export const INVALIDATION_COUNTERS = [
  'commands',
  'fences',
  'doorbells',
  'guest-exits',
  'queue-full',
] as const;
const COUNT_COMMANDS = 0;
const COUNT_FENCES = 1;
const COUNT_DOORBELLS = 2;
const COUNT_EXITS = 3;
const COUNT_FULL = 4;

const WAIT_NONE = 0;
const WAIT_FENCE = 1;
const WAIT_ROOM = 2;
/** In `pages`: the whole domain. */
const WHOLE_DOMAIN = -1;

/** How a core has what is cached of a domain invalidated. */
export interface Invalidator {
  /**
   * From a running step: invalidates pages of a domain and waits for the end, then calls
   * handler(a, b) on the same core.
   */
  range(
    core: Core,
    domain: Domain,
    hi: number,
    lo: number,
    pages: number,
    handler: number,
    a: number,
    b: number,
  ): void;
  /** As `range`, for everything in the domain. */
  whole(core: Core, domain: Domain, handler: number, a: number, b: number): void;
  /**
   * Where new entries have to be made known too (Linux iotlb_sync_map): from the running step that
   * wrote them; then handler(a, b).
   */
  mapped?(core: Core, handler: number, a: number, b: number): void;
}

export class InvalidationPath implements Invalidator {
  readonly lock: SpinLock;
  /** Cycles from the doorbell behind a fence to the core's seeing it done. */
  readonly latency: Histogram = new Histogram();
  /** Cycles from the request for an invalidation (lock not yet asked for) to its end. */
  readonly total: Histogram = new Histogram();
  readonly counters: CounterSet = new CounterSet(INVALIDATION_COUNTERS);
  private readonly events: EventQueue;
  private readonly host: Host;
  private readonly driver: IommuDriver;
  private readonly costs: InvalidationCosts;
  /** Without a hook that calls `wake`, waiting cores are looked after by polling. */
  private readonly hooked: boolean;
  private polling = false;
  private readonly onPoll: number;
  private readonly onLocked: number;
  private readonly onPost: number;
  private readonly onDone: number;
  // One invalidation per core at a time: columns by core.
  private readonly domain: (Domain | null)[];
  private readonly hi: Int32Array;
  private readonly lo: Int32Array;
  private readonly pages: Int32Array;
  private readonly handler: Int32Array;
  private readonly a: Int32Array;
  private readonly b: Int32Array;
  private readonly token: Float64Array;
  private readonly waits: Int32Array;
  private readonly asked: Float64Array;
  private readonly posted: Float64Array;
  /** Cores that wait for a fence or for room, in the order in which they began. */
  private readonly waiting: Int32Array;
  private waitingCount = 0;
  private roomWaiters = 0;

  constructor(
    events: EventQueue,
    host: Host,
    driver: IommuDriver,
    costs: InvalidationCosts,
    hooked: boolean,
  ) {
    const cores = host.cores.length;
    const column = (): Int32Array => new Int32Array(cores);
    this.events = events;
    this.host = host;
    this.driver = driver;
    this.costs = costs;
    this.hooked = hooked;
    this.lock = new SpinLock(events, cores);
    this.onPoll = events.register(PHASE_RETRY, 'invalidation-poll', () => this.poll());
    this.onLocked = host.register((core) => this.locked(core));
    this.onPost = host.register((core) => this.post(core));
    this.onDone = host.register((core) => this.done(core));
    this.domain = new Array<Domain | null>(cores).fill(null);
    this.hi = column();
    this.lo = column();
    this.pages = column();
    this.handler = column();
    this.a = column();
    this.b = column();
    this.waits = column();
    this.waiting = column();
    this.token = new Float64Array(cores);
    this.asked = new Float64Array(cores);
    this.posted = new Float64Array(cores);
  }

  range(
    core: Core,
    domain: Domain,
    hi: number,
    lo: number,
    pages: number,
    handler: number,
    a: number,
    b: number,
  ): void {
    const { index } = core;
    this.domain[index] = domain;
    this.hi[index] = hi;
    this.lo[index] = lo;
    this.pages[index] = pages;
    this.handler[index] = handler;
    this.a[index] = a;
    this.b[index] = b;
    this.asked[index] = this.events.now;
    if (this.lock.acquire(core, this.onLocked)) this.locked(index);
  }

  whole(core: Core, domain: Domain, handler: number, a: number, b: number): void {
    this.range(core, domain, 0, 0, WHOLE_DOMAIN, handler, a, b);
  }

  /** The unit completed a fence: cores that wait look again. */
  wake(): void {
    const { waiting } = this;
    let kept = 0;
    for (let i = 0; i < this.waitingCount; i++) {
      const index = waiting[i];
      if (!this.release(index)) waiting[kept++] = index;
    }
    this.waitingCount = kept;
  }

  resetFigures(): void {
    this.latency.reset();
    this.total.reset();
    this.counters.values.fill(0);
    this.lock.resetFigures();
  }

  /** One line per waiting core, for the dump of a run that stands still. */
  describe(): readonly string[] {
    return Array.from(this.waiting.subarray(0, this.waitingCount), (index) =>
      this.waits[index] === WAIT_FENCE
        ? `core${index} waits for fence ${this.token[index]}, posted at ${this.posted[index]}`
        : `core${index} waits for room in the command queue`,
    );
  }

  // -------------------------------------------------------------------------------------------

  /** The queue is this core's: spend the time that writing the commands takes. */
  private locked(index: number): void {
    const { costs, driver } = this;
    const domain = this.domain[index] as Domain;
    const pages = this.pages[index];
    const commands = 1 + (pages === WHOLE_DOMAIN ? 1 : driver.commandsFor(domain, pages));
    let cycles = commands * costs.commandCycles + costs.doorbellCycles;
    if (domain.guest !== null) {
      cycles += costs.guestExitCycles;
      this.counters.add(COUNT_EXITS, 1);
    }
    this.host.cores[index].proceed(cycles, this.onPost, index, 0);
  }

  /** Writes what there is room for; waits for more room when that was not all. */
  private post(index: number): void {
    const { driver, counters } = this;
    const token = this.write(index) ? driver.postFence() : NO_TOKEN;
    counters.add(COUNT_DOORBELLS, 1);
    driver.ring();
    if (token === NO_TOKEN) {
      counters.add(COUNT_FULL, 1);
      this.wait(index, WAIT_ROOM);
      return;
    }
    counters.add(COUNT_COMMANDS, 1);
    counters.add(COUNT_FENCES, 1);
    this.token[index] = token;
    this.posted[index] = this.events.now;
    this.lock.release(this.host.cores[index]);
    this.wait(index, WAIT_FENCE);
  }

  /** Writes the commands still due; false when the ring filled up. */
  private write(index: number): boolean {
    const { driver } = this;
    const domain = this.domain[index] as Domain;
    const pages = this.pages[index];
    if (pages === WHOLE_DOMAIN) {
      if (!driver.postDomainInvalidation(domain)) return false;
      this.counters.add(COUNT_COMMANDS, 1);
    } else if (pages > 0) {
      const covered = driver.postInvalidation(domain, this.hi[index], this.lo[index], pages);
      if (covered > 0) this.counters.add(COUNT_COMMANDS, driver.commandsFor(domain, covered));
      const lo = this.lo[index] + covered;
      this.hi[index] += lo >>> PN_LO_BITS;
      this.lo[index] = lo & PN_LO_MASK;
      this.pages[index] = pages - covered;
      return covered === pages;
    }
    this.pages[index] = 0;
    return true;
  }

  private wait(index: number, kind: number): void {
    this.waits[index] = kind;
    this.waiting[this.waitingCount++] = index;
    if (kind === WAIT_ROOM) this.roomWaiters++;
    this.host.cores[index].spin();
    if (!this.polling) this.pollIfNeeded();
  }

  /** The hook tells of fences only: room appears as the unit fetches, without a sign. */
  private pollIfNeeded(): void {
    this.polling = this.hooked ? this.roomWaiters > 0 : this.waitingCount > 0;
    if (this.polling) this.events.after(this.costs.pollCycles, this.onPoll, 0, 0);
  }

  private poll(): void {
    this.wake();
    this.pollIfNeeded();
  }

  /** Lets a core go on that has what it waits for, at its next look. */
  private release(index: number): boolean {
    const forFence = this.waits[index] === WAIT_FENCE;
    const ready = forFence ? this.driver.fenceReached(this.token[index]) : this.driver.room() > 0;
    if (!ready) return false;
    if (!forFence) this.roomWaiters--;
    this.waits[index] = WAIT_NONE;
    const core = this.host.cores[index];
    const late = core.spinningFor % this.costs.pollCycles;
    const delay = late === 0 ? 1 : this.costs.pollCycles - late;
    core.resume(delay, forFence ? this.onDone : this.onPost, index, 0);
    return true;
  }

  private done(index: number): void {
    const { now } = this.events;
    this.latency.record(now - this.posted[index]);
    this.total.record(now - this.asked[index]);
    this.domain[index] = null;
    this.host.call(this.handler[index], this.a[index], this.b[index]);
  }
}
