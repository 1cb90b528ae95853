/**
 * A spin lock between cores, granted in the order of arrival (a ticket lock). Cores that wait for
 * it spin and do nothing else.
 */
import { invariant } from '../../sim/errors.ts';
import { Histogram } from '../../sim/stats/histogram.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import type { Core } from './core.ts';

export class SpinLock {
  /** Cycles between asking and being granted, zeros of uncontended grants included. */
  readonly waits: Histogram = new Histogram();
  /** Grants that had to wait. */
  contended = 0;
  private readonly events: EventQueue;
  private owner: Core | null = null;
  private readonly waiters: Core[] = [];
  private readonly handlers: Int32Array;
  private readonly since: Float64Array;

  constructor(events: EventQueue, cores: number) {
    this.events = events;
    this.handlers = new Int32Array(cores);
    this.since = new Float64Array(cores);
  }

  /**
   * From a running handler: takes the lock and returns true, or makes the core spin; then
   * handler(core, 0) runs when the lock is granted.
   */
  acquire(core: Core, handler: number): boolean {
    if (this.owner === null) {
      this.owner = core;
      this.waits.record(0);
      return true;
    }
    invariant(this.owner !== core, 'a core does not wait for a lock that it holds');
    this.contended++;
    this.handlers[core.index] = handler;
    this.since[core.index] = this.events.now;
    this.waiters.push(core);
    core.spin();
    return false;
  }

  resetFigures(): void {
    this.waits.reset();
    this.contended = 0;
  }

  /** Hands the lock to the core that waits longest, which notices a cycle later. */
  release(core: Core): void {
    invariant(this.owner === core, 'a lock is released by its owner');
    const next = this.waiters.shift();
    this.owner = next ?? null;
    if (next === undefined) return;
    this.waits.record(this.events.now - this.since[next.index]);
    next.resume(1, this.handlers[next.index], next.index, 0);
  }
}
