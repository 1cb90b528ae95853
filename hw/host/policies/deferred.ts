/**
 * Deferred (Linux iommu.strict=0, drivers/iommu/dma-iommu.c): an unmap clears the entries and puts
 * the range on its core's flush queue. When a queue is full (250 ranges), and 10 ms after the first
 * range, the whole domain is invalidated; what was queued before that is free then. Until then the
 * device may still reach the pages.
 */
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import type { Core, Host } from '../core.ts';
import type { DmaApi, DmaDevice, MappingCosts, MappingPolicy } from '../dma-api.ts';

export interface DeferredOptions {
  readonly queueEntries: number;
  readonly timeoutCycles: number;
}

/** Ranges of one core that wait for a flush: a ring. */
class FlushQueue {
  count = 0;
  readonly page: Float64Array;
  readonly pages: Int32Array;
  /** Flushes begun before the range was queued: a later one covers it. */
  readonly flush: Float64Array;
  private head = 0;

  constructor(entries: number) {
    this.page = new Float64Array(entries);
    this.pages = new Int32Array(entries);
    this.flush = new Float64Array(entries);
  }

  push(page: number, pages: number, flush: number): void {
    const at = (this.head + this.count++) % this.page.length;
    this.page[at] = page;
    this.pages[at] = pages;
    this.flush[at] = flush;
  }

  /** Place of the oldest range. */
  get oldest(): number {
    return this.head;
  }

  shift(): void {
    this.head = (this.head + 1) % this.page.length;
    this.count--;
  }
}

/** One instance serves one domain. */
export class DeferredPolicy implements MappingPolicy {
  readonly name = 'deferred';
  /** Flushes because a queue was full, and because of the timer. */
  fullFlushes = 0;
  timerFlushes = 0;
  private readonly events: EventQueue;
  private readonly host: Host;
  private readonly api: DmaApi;
  private readonly costs: MappingCosts;
  private readonly options: DeferredOptions;
  private readonly queues: readonly FlushQueue[];
  private readonly onMap: number;
  private readonly onUnmap: number;
  private readonly onFlushed: number;
  private readonly onTimeout: number;
  private readonly onTimerWork: number;
  private readonly onTimerFlushed: number;
  /** Device in whose name the domain is flushed: any of the domain. */
  private device: DmaDevice | null = null;
  private flushes = 0;
  private finished = 0;
  private readonly flushOf: Float64Array;
  private timerOn = false;

  constructor(
    events: EventQueue,
    host: Host,
    api: DmaApi,
    costs: MappingCosts,
    options: DeferredOptions,
  ) {
    this.events = events;
    this.host = host;
    this.api = api;
    this.costs = costs;
    this.options = options;
    this.queues = host.cores.map(() => new FlushQueue(options.queueEntries));
    this.flushOf = new Float64Array(host.cores.length);
    this.onMap = host.register((core) => this.mapped(core));
    this.onUnmap = host.register((core) => this.unmapped(core));
    this.onFlushed = host.register((core) => this.flushed(core));
    this.onTimerWork = host.register((core) => this.flush(core, this.onTimerFlushed));
    this.onTimerFlushed = host.register((core) => this.settle(this.flushOf[core]));
    this.onTimeout = events.register(PHASE_UNIT, 'flush-timeout', (core) => this.timeout(core));
  }

  map(_device: DmaDevice, core: Core): void {
    const { costs, api } = this;
    const cycles = costs.mapCycles + api.pages[core.index] * costs.mapPageCycles;
    core.proceed(cycles + api.lead[core.index], this.onMap, core.index, 0);
  }

  unmap(device: DmaDevice, core: Core): void {
    const { costs } = this;
    this.device = device;
    const pages = this.api.pages[core.index] * costs.unmapPageCycles;
    const cycles = costs.unmapCycles + pages + costs.queueCycles;
    core.proceed(cycles + this.api.lead[core.index], this.onUnmap, core.index, 0);
  }

  mapNow(device: DmaDevice, frame: number, pages: number, access: number): number {
    return this.api.installFresh(device, 0, frame, pages, access);
  }

  /** Ranges that wait for a flush. */
  get queued(): number {
    return this.queues.reduce((sum, queue) => sum + queue.count, 0);
  }

  private mapped(core: number): void {
    const { api } = this;
    const device = api.deviceOf(core);
    const page = api.installFresh(
      device,
      core,
      api.frameOf(core),
      api.pages[core],
      api.access[core],
    );
    api.finishMap(core, pnHi(page), pnLo(page));
  }

  private unmapped(core: number): void {
    const { api } = this;
    api.clear(api.deviceOf(core), api.hi[core], api.lo[core], api.pages[core]);
    if (this.queues[core].count < this.options.queueEntries) {
      this.enqueue(core);
      return;
    }
    this.fullFlushes++;
    this.flush(core, this.onFlushed);
  }

  private flushed(core: number): void {
    this.settle(this.flushOf[core]);
    this.enqueue(core);
  }

  private enqueue(core: number): void {
    const { api } = this;
    const page = pageNumber(api.hi[core], api.lo[core]);
    this.queues[core].push(page, api.pages[core], this.flushes);
    if (!this.timerOn) {
      this.timerOn = true;
      this.events.after(this.options.timeoutCycles, this.onTimeout, core, 0);
    }
    api.finish(core);
  }

  /** The timer runs on the core that started it. */
  private timeout(core: number): void {
    this.timerOn = false;
    this.timerFlushes++;
    this.host.cores[core].run(0, this.onTimerWork, core, 0);
  }

  private flush(core: number, then: number): void {
    const device = this.device as DmaDevice;
    this.flushOf[core] = ++this.flushes;
    device.path.whole(this.host.cores[core], device.domain, then, core, 0);
  }

  /** Flush number `flush` is complete, and so all before it: frees what it covers. */
  private settle(flush: number): void {
    if (flush > this.finished) this.finished = flush;
    const { api } = this;
    const device = this.device as DmaDevice;
    for (let core = 0; core < this.queues.length; core++) {
      const queue = this.queues[core];
      while (queue.count > 0 && queue.flush[queue.oldest] < this.finished) {
        const page = queue.page[queue.oldest];
        const pages = queue.pages[queue.oldest];
        api.acknowledge(device, pnHi(page), pnLo(page), pages);
        device.iova.release(core, page, pages);
        queue.shift();
      }
    }
  }
}
