/**
 * Fetches device and process contexts from memory for the front end. The architecture's resolver
 * says what to read; each read is one event; structures in guest memory go through the second
 * stage first, by a walk of the unit's own. Requests for a context that is being fetched wait.
 */
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import type { MemoryTiming } from '../../memory/timing.ts';
import { ACCESS_READ } from '../access.ts';
import {
  ContextFetch,
  type DeviceRequest,
  FETCH_DONE,
  FETCH_READ,
  FETCH_READ_GUEST,
  type IommuUnit,
  KEY_DEVICE,
  type TranslationContext,
} from '../architecture.ts';
import type { ContextCache } from '../caches/context-cache.ts';
import { WC_S1_FORMAT } from '../walk/context.ts';
import { STEP_DONE, STEP_FAULT, STEP_READ, Walk } from '../walk/walk.ts';
import type { Walker } from '../walk/walker.ts';

/**
 * Told how a fetch ended: `fault` 0 with the context, or the architecture's fault code with the
 * device's part of the context as far as it was found.
 */
export type ResolvedHandler = (
  txn: number,
  context: TranslationContext | null,
  fault: number,
  address2: bigint,
) => void;

interface Job {
  readonly fetch: ContextFetch;
  readonly waiters: number[];
  readonly walk: Walk;
  /** Whether the pending read belongs to the second-stage walk. */
  walking: boolean;
  /** Page that the second stage gave for the structure being read. */
  hi: number;
  lo: number;
  /** The device's part of the context, as it was cached when the fetch began. */
  known: TranslationContext | null;
  /** An invalidation came while the fetch ran: what was read may be old, so it is read again. */
  stale: boolean;
}

export class ContextUnit {
  readonly statistics = { fetches: 0, reads: 0, walkReads: 0, faults: 0, cycles: 0 };
  private readonly events: EventQueue;
  private readonly unit: IommuUnit;
  private readonly walker: Walker;
  private readonly memory: MemoryPort;
  private readonly timing: MemoryTiming;
  private readonly cache: ContextCache;
  private readonly onData: number;
  private readonly jobs: (Job | null)[] = [];
  private readonly started: number[] = [];
  private resolved: ResolvedHandler = () => {};
  private messageResolved: ResolvedHandler = () => {};
  /** Called after each finished fetch. */
  onFinished: (() => void) | null = null;

  constructor(ports: {
    events: EventQueue;
    unit: IommuUnit;
    walker: Walker;
    memory: MemoryPort;
    timing: MemoryTiming;
    cache: ContextCache;
  }) {
    this.events = ports.events;
    this.unit = ports.unit;
    this.walker = ports.walker;
    this.memory = ports.memory;
    this.timing = ports.timing;
    this.cache = ports.cache;
    this.onData = this.events.register(PHASE_UNIT, 'context-read', (index) => this.data(index));
  }

  onResolved(handler: ResolvedHandler): void {
    this.resolved = handler;
  }

  /** As `onResolved`, for messages of devices: told of the number that they were given. */
  onMessageResolved(handler: ResolvedHandler): void {
    this.messageResolved = handler;
  }

  /** Fetches being made. */
  get open(): number {
    let open = 0;
    for (const job of this.jobs) if (job !== null) open++;
    return open;
  }

  /** Fetches whose result was overtaken by an invalidation. */
  get stale(): number {
    let stale = 0;
    for (const job of this.jobs) if (job?.stale) stale++;
    return stale;
  }

  /** As `request`, for a message that is no transaction. */
  requestForMessage(message: number, request: DeviceRequest): void {
    this.request(-1 - message, request);
  }

  request(txn: number, request: DeviceRequest): void {
    for (const job of this.jobs) {
      if (job === null || job.stale) continue;
      const running = job.fetch.request;
      const same = running.deviceId === request.deviceId && running.pasid === request.pasid;
      if (same && running.kind === request.kind) {
        job.waiters.push(txn);
        return;
      }
    }
    const job: Job = {
      fetch: new ContextFetch({ ...request }),
      waiters: [txn],
      walk: new Walk(),
      walking: false,
      hi: 0,
      lo: 0,
      known: null,
      stale: false,
    };
    let index = this.jobs.indexOf(null);
    if (index < 0) index = this.jobs.push(null) - 1;
    this.jobs[index] = job;
    this.started[index] = this.events.now;
    this.statistics.fetches++;
    job.fetch.parent = this.cache.lookup(request.deviceId, KEY_DEVICE);
    job.known = job.fetch.parent;
    this.follow(index, job, this.unit.contexts.begin(job.fetch));
  }

  /** Contexts being fetched now must not be kept: their memory may have been read already. */
  invalidate(): void {
    for (const job of this.jobs) if (job !== null) job.stale = true;
  }

  private follow(index: number, job: Job, firstStep: number): void {
    const fetch = job.fetch;
    let step = firstStep;
    for (;;) {
      if (step === FETCH_READ) {
        job.hi = fetch.hi;
        job.lo = fetch.lo;
        if (this.read(index, job.hi, job.lo, fetch.offset, fetch.bytes)) return;
        step = this.unit.contexts.failRead(fetch, this.readStatus);
      } else if (step === FETCH_READ_GUEST) {
        const walked = this.startWalk(index, job);
        if (walked < 0) return;
        step = walked;
      } else {
        this.finish(index, job, step);
        return;
      }
    }
  }

  private readStatus = MEM_OK;

  /** Schedules a read; false when memory refuses it (see readStatus). */
  private read(index: number, hi: number, lo: number, offset: number, bytes: number): boolean {
    this.readStatus = this.memory.checkRead(hi, lo, offset, bytes);
    if (this.readStatus !== MEM_OK) return false;
    const at = this.timing.tableReadAt(this.events.now, hi, lo, offset, bytes);
    this.events.at(at, this.onData, index, 0);
    return true;
  }

  private startWalk(index: number, job: Job): number {
    const { fetch, walk } = job;
    walk.context.set(fetch.stage2 as Int32Array);
    walk.context[WC_S1_FORMAT] = 0;
    walk.inHi = fetch.hi;
    walk.inLo = fetch.lo;
    walk.offset = fetch.offset;
    walk.access = ACCESS_READ;
    return this.followWalk(index, job, this.walker.begin(walk));
  }

  /** -1 while the walk runs; else the resolver's next step. */
  private followWalk(index: number, job: Job, firstStep: number): number {
    const { fetch, walk } = job;
    let step = firstStep;
    while (step === STEP_READ) {
      if (this.read(index, walk.readHi, walk.readLo, walk.readOffset, walk.readBytes)) {
        job.walking = true;
        this.statistics.walkReads++;
        return -1;
      }
      step = this.walker.failRead(walk, this.readStatus);
    }
    if (step === STEP_FAULT) return this.unit.contexts.failWalk(fetch, walk);
    if (step === STEP_DONE) {
      job.hi = walk.outHi;
      job.lo = walk.outLo;
      if (this.read(index, job.hi, job.lo, fetch.offset, fetch.bytes)) return -1;
      return this.unit.contexts.failRead(fetch, this.readStatus);
    }
    this.memory.or64(walk.readHi, walk.readLo, walk.readOffset, walk.orLo, walk.orHi);
    const { readHi, readLo, readOffset } = walk;
    return this.followWalk(
      index,
      job,
      this.walker.advance(
        walk,
        this.memory.read32(readHi, readLo, readOffset),
        walk.readBytes > 4 ? this.memory.read32(readHi, readLo, readOffset + 4) : 0,
      ),
    );
  }

  private data(index: number): void {
    const job = this.jobs[index] as Job;
    const { fetch, walk } = job;
    if (job.walking) {
      job.walking = false;
      const w0 = this.memory.read32(walk.readHi, walk.readLo, walk.readOffset);
      const w1 =
        walk.readBytes > 4 ? this.memory.read32(walk.readHi, walk.readLo, walk.readOffset + 4) : 0;
      const step = this.followWalk(index, job, this.walker.advance(walk, w0, w1));
      if (step >= 0) this.follow(index, job, step);
      return;
    }
    this.statistics.reads++;
    for (let i = 0; 4 * i < fetch.bytes; i++) {
      fetch.data[i] = this.memory.read32(job.hi, job.lo, fetch.offset + 4 * i);
    }
    this.follow(index, job, this.unit.contexts.next(fetch));
  }

  private finish(index: number, job: Job, step: number): void {
    const { fetch } = job;
    this.jobs[index] = null;
    this.statistics.cycles += this.events.now - this.started[index];
    if (job.stale) {
      for (const txn of job.waiters) this.request(txn, fetch.request);
      this.onFinished?.();
      return;
    }
    const parent = fetch.parent;
    if (parent !== null && parent !== job.known) this.cache.insert(parent);
    const failed = step !== FETCH_DONE;
    if (failed) this.statistics.faults++;
    else if (fetch.result !== parent) this.cache.insert(fetch.result as TranslationContext);
    for (const txn of job.waiters) {
      if (failed) this.tell(txn, parent, fetch.faultCode, fetch.faultAddress2);
      else this.tell(txn, fetch.result, 0, 0n);
    }
    this.onFinished?.();
  }

  /** Negative numbers are those of messages. */
  private tell(
    txn: number,
    context: TranslationContext | null,
    fault: number,
    address2: bigint,
  ): void {
    if (txn >= 0) this.resolved(txn, context, fault, address2);
    else this.messageResolved(-1 - txn, context, fault, address2);
  }
}
