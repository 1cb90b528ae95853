/**
 * CPU cores as far as drivers need them: a core runs one piece of work at a time, first come first
 * served. A piece of work is a chain of steps, each a number of cycles and then a handler; between
 * steps the core may spin (wait for a lock or for the IOMMU), and then nothing else runs on it.
 */
import { InternalError, invariant } from '../../sim/errors.ts';
import { Gauge } from '../../sim/stats/gauge.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../sim/time/event-queue.ts';

export type Work = (a: number, b: number) => void;

const ITEM_WORDS = 4;
const INITIAL_ITEMS = 64;
/** Nothing comes after the step that runs now. */
const NEXT_NONE = 0;
const NEXT_STEP = 1;
const NEXT_SPIN = 2;

export class Core {
  readonly index: number;
  /** Work that waits for the core. */
  readonly waiting: Gauge = new Gauge();
  /** Cycles in which the core was busy (spinning counts), and those in which it spun. */
  busyCycles = 0;
  spinCycles = 0;
  /** Pieces of work begun. */
  items = 0;
  private readonly events: EventQueue;
  private readonly handlers: readonly Work[];
  private readonly onStep: number;
  private queue: Int32Array = new Int32Array(INITIAL_ITEMS * ITEM_WORDS);
  private head = 0;
  private count = 0;
  private busy = false;
  private busySince = 0;
  private spinning = false;
  private spinSince = 0;
  /** The step under way, and what its handler asked for. */
  private handler = 0;
  private a = 0;
  private b = 0;
  private next = NEXT_NONE;
  private nextCost = 0;
  private running = false;

  constructor(events: EventQueue, handlers: readonly Work[], index: number) {
    this.events = events;
    this.handlers = handlers;
    this.index = index;
    this.onStep = events.register(PHASE_UNIT, `core${index}`, () => this.step());
  }

  /** Queues a piece of work: `cost` cycles, then handler(a, b). */
  run(cost: number, handler: number, a: number, b: number): void {
    if (this.busy) {
      this.push(cost, handler, a, b);
      return;
    }
    this.busy = true;
    this.busySince = this.events.now;
    this.begin(cost, handler, a, b);
  }

  /** From a running handler: this work goes on with another step. */
  proceed(cost: number, handler: number, a: number, b: number): void {
    invariant(this.running && this.next === NEXT_NONE, 'a step has one successor');
    this.next = NEXT_STEP;
    this.nextCost = cost;
    this.handler = handler;
    this.a = a;
    this.b = b;
  }

  /** From a running handler: the core spins until `resume`. */
  spin(): void {
    invariant(this.running && this.next === NEXT_NONE, 'a step has one successor');
    this.next = NEXT_SPIN;
    this.spinning = true;
    this.spinSince = this.events.now;
  }

  /** Ends the spinning; after `cost` cycles more (at least one) the work goes on. */
  resume(cost: number, handler: number, a: number, b: number): void {
    invariant(this.spinning && !this.running, 'only a spinning core is resumed');
    this.spinning = false;
    this.spinCycles += this.events.now - this.spinSince;
    this.handler = handler;
    this.a = a;
    this.b = b;
    this.events.after(cost > 0 ? cost : 1, this.onStep, 0, 0);
  }

  /** Cycles that the current spin has lasted. */
  get spinningFor(): number {
    return this.spinning ? this.events.now - this.spinSince : 0;
  }

  /** Counts from now on: the warm-up is over. */
  resetFigures(): void {
    this.busyCycles = 0;
    this.busySince = this.events.now;
    this.spinCycles = 0;
    this.items = 0;
  }

  get idle(): boolean {
    return !this.busy;
  }

  /** Busy cycles up to now. */
  busyUntil(now: number): number {
    return this.busyCycles + (this.busy ? now - this.busySince : 0);
  }

  /** One line on what the core does, for the dump of a run that stands still. */
  describe(): string {
    const state = !this.busy ? 'idle' : this.spinning ? `spinning since ${this.spinSince}` : 'busy';
    return `core${this.index}: ${state}, ${this.count} waiting`;
  }

  private begin(cost: number, handler: number, a: number, b: number): void {
    this.items++;
    this.handler = handler;
    this.a = a;
    this.b = b;
    this.events.after(cost, this.onStep, 0, 0);
  }

  private step(): void {
    for (;;) {
      this.next = NEXT_NONE;
      this.running = true;
      this.handlers[this.handler](this.a, this.b);
      this.running = false;
      if (this.next === NEXT_SPIN) return;
      if (this.next === NEXT_STEP) {
        if (this.nextCost === 0) continue;
        this.events.after(this.nextCost, this.onStep, 0, 0);
        return;
      }
      break;
    }
    if (this.count > 0) {
      this.shift();
      return;
    }
    this.busy = false;
    this.busyCycles += this.events.now - this.busySince;
  }

  private push(cost: number, handler: number, a: number, b: number): void {
    if (this.count * ITEM_WORDS === this.queue.length) this.grow();
    const { queue } = this;
    const place = (this.head + this.count * ITEM_WORDS) % queue.length;
    queue[place] = cost;
    queue[place + 1] = handler;
    queue[place + 2] = a;
    queue[place + 3] = b;
    this.count++;
    this.waiting.add(this.events.now, 1);
  }

  private shift(): void {
    const { queue, head } = this;
    this.head = (head + ITEM_WORDS) % queue.length;
    this.count--;
    this.waiting.add(this.events.now, -1);
    this.begin(queue[head], queue[head + 1], queue[head + 2], queue[head + 3]);
  }

  private grow(): void {
    const { queue } = this;
    if (queue.length > 2 ** 20) {
      throw new InternalError('core', `core${this.index} has ${this.count} pieces of work waiting`);
    }
    const larger = new Int32Array(queue.length * 2);
    larger.set(queue.subarray(this.head));
    larger.set(queue.subarray(0, this.head), queue.length - this.head);
    this.queue = larger;
    this.head = 0;
  }
}

/** The cores of a host and the handlers of the work that runs on them. */
export class Host {
  readonly cores: readonly Core[];
  private readonly handlers: Work[] = [];

  constructor(events: EventQueue, cores: number) {
    this.cores = Array.from({ length: cores }, (_, i) => new Core(events, this.handlers, i));
  }

  /** Makes a handler known to all cores; returns its id. */
  register(handler: Work): number {
    this.handlers.push(handler);
    return this.handlers.length - 1;
  }

  resetFigures(): void {
    for (const core of this.cores) core.resetFigures();
  }

  /** Calls a handler at once, as part of the step that runs. */
  call(handler: number, a: number, b: number): void {
    this.handlers[handler](a, b);
  }
}
