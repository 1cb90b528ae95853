/**
 * The host's handler of a unit's page-request interrupt: a core takes the records off the queue in
 * memory and hands them on one by one, as Linux' threaded handlers do.
 */
import { type EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import type { Core, Host } from './core.ts';

export interface PageRequestServicePorts<R> {
  readonly events: EventQueue;
  readonly host: Host;
  readonly core: Core;
  /** Takes all records off the queue, so that the unit goes on recording and interrupting. */
  take(): R[];
  /** Finds whose request it is and puts it there, or answers it. */
  report(request: R): void;
}

export class PageRequestService<R> {
  readonly statistics = { interrupts: 0, requests: 0 };
  private readonly ports: PageRequestServicePorts<R>;
  private readonly interruptCycles: number;
  private readonly requestCycles: number;
  private readonly taken: R[] = [];
  private readonly onInterrupt: number;
  private readonly takes: number;
  private readonly reports: number;

  /**
   * @param interruptCycles from the interrupt until its handler runs
   * @param requestCycles on the core, for each request
   */
  constructor(ports: PageRequestServicePorts<R>, interruptCycles: number, requestCycles: number) {
    const { events, host, core } = ports;
    this.ports = ports;
    this.interruptCycles = interruptCycles;
    this.requestCycles = requestCycles;
    this.takes = host.register(() => this.take());
    this.reports = host.register(() => this.report());
    this.onInterrupt = events.register(PHASE_UNIT, 'page-request-interrupt', () =>
      core.run(0, this.takes, 0, 0),
    );
  }

  /** Requests that were taken off the queue and are not handed on. */
  get open(): number {
    return this.taken.length;
  }

  /** The unit interrupts. */
  interrupt(): void {
    this.statistics.interrupts++;
    this.ports.events.after(this.interruptCycles, this.onInterrupt, 0, 0);
  }

  resetFigures(): void {
    this.statistics.interrupts = 0;
    this.statistics.requests = 0;
  }

  private take(): void {
    this.taken.push(...this.ports.take());
    this.next();
  }

  private report(): void {
    this.statistics.requests++;
    this.ports.report(this.taken.shift() as R);
    this.next();
  }

  private next(): void {
    if (this.taken.length === 0) return;
    this.ports.core.proceed(this.requestCycles, this.reports, 0, 0);
  }
}
