/**
 * The engine: runs partitions window by window. A window is [kW, (k+1)W), W the shortest latency
 * between partitions, so that nothing sent within a window can arrive in it (conservative, no
 * rollback). All partitions with work run the window, on their own; then, at the boundary, the main
 * thread routes messages, lets hooks exchange stores, and hands out blobs, all in partition order.
 * Windows without any event are skipped in one step.
 *
 * The number of threads only says who carries which partition. Results, messages and blobs are the
 * same for any number; only the host times in the statistics differ.
 */

import { availableParallelism } from 'node:os';
import { InternalError, invariant } from '../errors.ts';
import { assignPartitions } from './assign.ts';
import { Carrier, type FinishedPartition, load } from './carrier.ts';
import { ORDER_FINISH, ORDER_FINISH_WITH_DUMP, ORDER_WINDOW } from './control.ts';
import { Crew, turn } from './crew.ts';
import { type Failure, failureFrom } from './failure.ts';
import { allocateMailbox, MAILBOX_FIRST, Mailbox, route } from './mailbox.ts';
import type { EngineOptions, RunOptions, RunResult, ThreadResult } from './options.ts';
import { Partition, type PartitionBuffers } from './partition.ts';
import { allocateStatus, Status } from './status.ts';
import { buildAll, type PartitionPlan, type Post } from './worker.ts';

const PARTITIONS_MAX = 4096;
/** Most polls before a thread sleeps: about 0.1 ms, or hardly any without a core for each. */
const POLLS = 20_000;
const POLLS_CROWDED = 50;
/** The event loop gets a turn, and progress is told, after so many windows or events. */
const BATCH_WINDOWS = 4096;
/** Rounds of the loop between two counts of the events. */
const COUNT_ROUNDS = 64;
/** Windows of partition 0 alone between two boundaries: bounds the stores that wait. */
const ALONE_WINDOWS = 64;
const BATCH_EVENTS = 400_000;

export class Engine {
  /** Partition 0. */
  readonly main: Partition;
  private readonly options: EngineOptions;
  private readonly count: number;
  private readonly buffers: PartitionBuffers[];
  private readonly outboxes: Mailbox[];
  private readonly inboxes: Mailbox[];
  private readonly statusBuffer: SharedArrayBuffer;
  private readonly status: Status;
  private readonly carrier: Carrier;
  private readonly assignment: readonly number[];
  private readonly threads: number;
  private crew: Crew | null = null;
  private clock: (() => number) | null = null;
  private started = false;
  private finishing = false;

  /** End of the window that is running or was run last. */
  private end = 0;
  private inWindow = false;
  private windows = 0;
  private windowsSkipped = 0;
  /** Messages that went through mailboxes. */
  private messages = 0;
  private mainWaited = 0;
  private events = 0;
  /** Blobs of the current boundary by partition, and how many. */
  private readonly blobs: Uint8Array[][];
  private blobCount = 0;
  private readonly failures: Failure[] = [];
  private readonly finished: (FinishedPartition | undefined)[] = [];

  constructor(options: EngineOptions) {
    const others = options.others ?? [];
    this.options = options;
    this.count = 1 + others.length;
    if (!Number.isSafeInteger(options.window) || options.window < 1) {
      throw new InternalError('window', `window of ${options.window} cycles`);
    }
    invariant(this.count <= PARTITIONS_MAX, `at most ${PARTITIONS_MAX} partitions`);
    this.buffers = Array.from({ length: this.count }, () => ({
      outbox: allocateMailbox(options.mailboxWords),
      inbox: allocateMailbox(options.mailboxWords),
    }));
    this.outboxes = this.buffers.map((buffers) => new Mailbox(buffers.outbox));
    this.inboxes = this.buffers.map((buffers) => new Mailbox(buffers.inbox));
    this.statusBuffer = allocateStatus(this.count);
    this.status = new Status(this.statusBuffer);
    this.blobs = this.buffers.map(() => []);
    const weights = [options.mainWeight ?? 1, ...others.map((source) => source.weight ?? 1)];
    this.assignment = assignPartitions(weights, options.threads ?? 0);
    this.threads = 1 + Math.max(...this.assignment);
    this.carrier = new Carrier(this.status);
    this.main = new Partition(0, this.count, options.window, this.buffers[0]);
    this.carrier.add(this.main, options.main(this.main));
  }

  /** Builds the other partitions, runs until nothing is left to do, and finishes all. Once. */
  async run(options: RunOptions = {}): Promise<RunResult> {
    invariant(!this.started, 'an engine runs once');
    this.started = true;
    try {
      await this.build();
      options.onStart?.();
      this.boundary();
      const reason = await this.runWindows(options);
      const open = reason === 'idle' ? (this.options.openWork?.() ?? 0) : 0;
      await this.finish(open > 0);
      this.throwFailure();
      if (open > 0) throw this.standstill(open);
      return this.result(reason);
    } catch (error) {
      await this.salvage();
      throw error;
    } finally {
      await this.crew?.stop();
    }
  }

  private async build(): Promise<void> {
    const { hostClock, shared, others = [] } = this.options;
    if (hostClock !== undefined) this.clock = await load<() => number>(hostClock);
    const plans: PartitionPlan[][] = Array.from({ length: this.threads }, () => []);
    others.forEach(({ module, export: name, config }, index) => {
      const id = index + 1;
      plans[this.assignment[id]].push({
        module,
        export: name,
        config,
        id,
        buffers: this.buffers[id],
      });
    });
    const common = { partitions: this.count, window: this.options.window, shared };
    if (this.threads > 1) {
      this.crew = await Crew.start({
        ...common,
        polls: this.threads > availableParallelism() ? POLLS_CROWDED : POLLS,
        status: this.statusBuffer,
        hostClock: hostClock ?? null,
        plans: plans.slice(1),
      });
    }
    await buildAll({ ...common, plans: plans[0] }, this.carrier);
    await this.crew?.settle();
    this.takeIn();
    this.throwFailure();
  }

  private async runWindows(options: RunOptions): Promise<RunResult['reason']> {
    for (;;) {
      const reason = this.runBatch(options);
      if (reason !== null) return reason;
      // A window that is not done after some milliseconds may be waiting for a dead worker.
      await turn();
      this.throwFailure();
      if (!this.inWindow) options.onProgress?.(this.end, this.events);
    }
  }

  /** Runs windows; null when the event loop should have a turn before going on. */
  private runBatch(options: RunOptions): RunResult['reason'] | null {
    const { until = Number.POSITIVE_INFINITY, shouldStop } = options;
    const windowLimit = this.windows + BATCH_WINDOWS;
    const eventLimit = this.countEvents() + BATCH_EVENTS;
    for (let round = 1; this.windows < windowLimit; round++) {
      if (round % COUNT_ROUNDS === 0 && this.countEvents() >= eventLimit) return null;
      if (!this.inWindow) {
        if (shouldStop?.()) return 'stopped';
        const othersNext = this.nextOfOthers();
        const next = Math.min(othersNext, this.status.next(0));
        if (next >= until) return next === Number.POSITIVE_INFINITY ? 'idle' : 'until';
        this.openWindow(next, until);
        if (othersNext >= this.end) this.goOnAlone(until, shouldStop);
      }
      if (!this.awaitCrew()) return null;
      this.inWindow = false;
      this.takeIn();
      if (this.failures.length > 0) return null;
      this.boundary();
    }
    return null;
  }

  /** Events executed so far by all partitions. */
  private countEvents(): number {
    let events = 0;
    for (let id = 0; id < this.count; id++) events += this.status.executed(id);
    this.events = events;
    return events;
  }

  /** Earliest cycle at which a partition other than 0 has something to do. */
  private nextOfOthers(): number {
    let next = Number.POSITIVE_INFINITY;
    for (let id = 1; id < this.count; id++) {
      const cycle = this.status.next(id);
      if (cycle < next) next = cycle;
    }
    return next;
  }

  /** Begins the window that contains cycle `next`: orders it and runs this thread's part. */
  private openWindow(next: number, until: number): void {
    const window = this.options.window;
    const begin = next < this.end + window ? this.end : next - (next % window);
    this.windowsSkipped += (begin - this.end) / window;
    this.windows++;
    // A run ends with a window cut short by `until`, so windows stay aligned until then.
    this.end = begin + window;
    const limit = Math.min(this.end, until);
    this.inWindow = true;
    this.crew?.orderWindow(ORDER_WINDOW, limit, this.status);
    this.carrier.runWindow(limit);
  }

  /**
   * After a window in which only partition 0 had work and nothing is to be routed, its next window
   * may follow at once: nobody reads the stores that wait for the boundary.
   */
  private goOnAlone(until: number, shouldStop: RunOptions['shouldStop']): void {
    const outbox = this.outboxes[0];
    for (let windows = 1; windows < ALONE_WINDOWS; windows++) {
      if (outbox.end !== MAILBOX_FIRST || this.carrier.hasNews) return;
      const next = this.status.next(0);
      // The window must end before anybody else has something to do.
      const limit = Math.min(until, this.nextOfOthers());
      if (next === Number.POSITIVE_INFINITY || next + this.options.window > limit) return;
      if (shouldStop?.()) return;
      this.openWindow(next, until);
    }
  }

  private awaitCrew(): boolean {
    const crew = this.crew;
    if (crew === null || crew.done) return true;
    const since = this.clock === null ? 0 : this.clock();
    const done = crew.await();
    if (this.clock !== null) this.mainWaited += this.clock() - since;
    return done;
  }

  /** Takes in what the partitions of this thread and the workers left, besides messages. */
  private takeIn(): void {
    if (this.carrier.hasNews) {
      this.carrier.takeBlobs((partition, bytes) => this.keepBlob(partition, bytes));
      this.failures.push(...this.carrier.failures.splice(0));
    }
    this.crew?.collect(this.takePost);
  }

  private readonly takePost = (post: Post): void => {
    for (const { partition, bytes } of post.blobs) this.keepBlob(partition, bytes);
    this.failures.push(...post.failures.map(failureFrom));
    for (const finished of post.finished) this.finished[finished.partition] = finished;
  };

  private keepBlob(partition: number, bytes: Uint8Array): void {
    this.blobs[partition].push(bytes);
    this.blobCount++;
  }

  /** All that happens between two windows, while no partition runs. */
  private boundary(): void {
    for (let id = 0; id < this.count; id++) {
      const outbox = this.outboxes[id];
      if (outbox.end === MAILBOX_FIRST) continue;
      this.messages += route(outbox, id, this.inboxes, this.status.rows);
    }
    const hooks = this.options.hooks;
    if (hooks !== undefined) for (const hook of hooks) hook.applyBoundary(this.end);
    if (this.blobCount > 0) this.deliverBlobs();
  }

  private deliverBlobs(): void {
    this.blobCount = 0;
    for (let id = 0; id < this.count; id++) {
      for (const bytes of this.blobs[id].splice(0)) this.options.onBlob?.(id, bytes);
    }
  }

  /** Ends the run when a partition failed or a worker died. Of several, the lowest partition's. */
  private throwFailure(): void {
    const failure = this.failures.sort((a, b) => a.partition - b.partition)[0];
    if (failure !== undefined) throw failure.error;
    if (this.crew?.death) throw this.crew.death;
  }

  private async finish(withDump: boolean): Promise<void> {
    this.finishing = true;
    this.crew?.orderAll(withDump ? ORDER_FINISH_WITH_DUMP : ORDER_FINISH);
    for (const done of this.carrier.finish(withDump)) this.finished[done.partition] = done;
    await this.crew?.settle();
    this.takeIn();
    this.deliverBlobs();
  }

  /** After an error: lets every partition finish that still can, for the sake of its blobs. */
  private async salvage(): Promise<void> {
    if (this.finishing) return;
    try {
      await this.crew?.settle();
      this.takeIn();
      await this.finish(false);
    } catch {
      // The error that ended the run is the one to report.
    }
  }

  private standstill(open: number): InternalError {
    const dumps = this.finished.map((finished) => finished?.dump ?? '').join('\n');
    return new InternalError(
      'standstill',
      `nothing is left to happen after cycle ${this.lastCycle()}, but work is open (${open})\n${dumps}`,
    );
  }

  private lastCycle(): number {
    let cycle = 0;
    for (let id = 0; id < this.count; id++) cycle = Math.max(cycle, this.status.now(id));
    return cycle;
  }

  private result(reason: RunResult['reason']): RunResult {
    const ids = this.assignment.map((_, id) => id);
    const threads = Array.from({ length: this.threads }, (_, thread): ThreadResult => {
      const partitions = ids.filter((id) => this.assignment[id] === thread);
      if (thread === 0) return { partitions, windows: this.windows, waitNs: this.mainWaited };
      const { windows, waited } = (this.crew as Crew).statisticsOf(thread);
      return { partitions, windows, waitNs: waited };
    });
    return {
      reason,
      cycle: this.lastCycle(),
      events: ids.map((id) => this.status.executed(id)),
      windows: this.windows,
      windowsSkipped: this.windowsSkipped,
      messages: ids.reduce((sum, id) => sum + this.status.sent(id), this.messages),
      finished: ids.map((id) => this.finished[id]?.result ?? {}),
      threads,
    };
  }
}
