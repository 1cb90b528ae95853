/**
 * Page request messages on their way into a timed unit: the sender's context is looked up (from
 * the context cache, or fetched), then the architecture records the message in its queue in memory,
 * or answers it itself. Messages of one device stay in order; they wait for nothing but contexts.
 */
import { type EventQueue, PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import type { DeviceRequest, TranslationContext } from '../architecture.ts';
import type { ContextUnit } from './context-unit.ts';
import type { FaultReporter } from './fault-reporter.ts';

/** The architecture's side; `M` is a message as it has them. */
export interface PageRequestTarget<M> {
  /** A request by which the context of the message is found. */
  pageRequestLookup(message: M): DeviceRequest;
  /** The message with what was found, or the cause for which it is refused. */
  pageRequest(message: M, context: TranslationContext | null, cause: number): void;
}

interface Pending<M> {
  readonly message: M;
  /** Index of the device, for traces. */
  readonly device: number;
  readonly lookup: DeviceRequest;
  context: TranslationContext | null;
  cause: number;
}

export interface PageRequestPorts<M> {
  readonly events: EventQueue;
  readonly target: PageRequestTarget<M>;
  readonly contextUnit: ContextUnit;
  readonly faults: FaultReporter;
}

export class PageRequestUnit<M> {
  readonly statistics = { messages: 0, refused: 0 };
  private readonly ports: PageRequestPorts<M>;
  private readonly recordCycles: number;
  private readonly pending: (Pending<M> | null)[] = [];
  private readonly onRecord: number;

  /** @param recordCycles until a record is in memory and software can be told */
  constructor(ports: PageRequestPorts<M>, recordCycles: number) {
    this.ports = ports;
    this.recordCycles = recordCycles;
    this.onRecord = ports.events.register(PHASE_UNIT, 'page-request', (slot) => this.record(slot));
    ports.contextUnit.onMessageResolved((slot, context, cause, address2) =>
      this.resolved(slot, context, cause, address2),
    );
  }

  /** Messages that are not recorded yet. */
  get open(): number {
    let open = 0;
    for (const pending of this.pending) if (pending !== null) open++;
    return open;
  }

  /** A message arrives at the unit. */
  accept(message: M, device: number): void {
    this.statistics.messages++;
    const lookup = this.ports.target.pageRequestLookup(message);
    const pending = { message, device, lookup, context: null, cause: 0 };
    let slot = this.pending.indexOf(null);
    if (slot < 0) slot = this.pending.push(null) - 1;
    this.pending[slot] = pending;
    this.ports.contextUnit.requestForMessage(slot, lookup);
  }

  private resolved(
    slot: number,
    context: TranslationContext | null,
    cause: number,
    address2: bigint,
  ): void {
    const pending = this.pending[slot] as Pending<M>;
    pending.context = context;
    pending.cause = cause;
    const { events, faults } = this.ports;
    if (cause !== 0) {
      this.statistics.refused++;
      faults.report(events.now, pending.device, pending.lookup, context, cause, address2);
    }
    events.after(this.recordCycles, this.onRecord, slot, 0);
  }

  private record(slot: number): void {
    const { message, context, cause } = this.pending[slot] as Pending<M>;
    this.pending[slot] = null;
    this.ports.target.pageRequest(message, cause === 0 ? context : null, cause);
  }
}
