/**
 * A walk shard: a page-walk unit with walk slots, its own walk caches and its own memory port. It
 * is a partition of its own: requests and invalidations arrive as messages, and every memory
 * reference of a walk is one event.
 */
import type { Partition } from '../../../sim/parallel/partition.ts';
import type { Channel, Probe } from '../../../sim/probe.ts';
import { Histogram } from '../../../sim/stats/histogram.ts';
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import type { MemoryView } from '../../memory/memory-view.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import type { MemoryTiming } from '../../memory/timing.ts';
import { OP_INVALIDATE_CONTEXT, OP_INVALIDATE_TRANSLATIONS, Operation } from '../architecture.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import { WALK_CONTEXT_WORDS } from '../walk/context.ts';
import { STEP_DONE, STEP_FAULT, STEP_READ, Walk } from '../walk/walk.ts';
import type { Walker } from '../walk/walker.ts';
import {
  ACKNOWLEDGE_WORDS,
  MESSAGE_ACKNOWLEDGE,
  MESSAGE_INVALIDATE,
  MESSAGE_REPLY,
  MESSAGE_WALK,
  packResult,
  REPLY_DONE_WORDS,
  REPLY_FAULT_WORDS,
  REPLY_MISS,
  REPLY_STEP,
  REPLY_WALK_CYCLES,
  unpackOperation,
  WALK_ACCESS,
  WALK_CONTEXT,
  WALK_DEVICE,
  WALK_HI,
  WALK_LO,
  WALK_MISS,
  WALK_OFFSET,
} from './messages.ts';
import { REFERENCE_RECORD, WALK_RECORD } from './records.ts';
import {
  emptyStatistics,
  REFERENCE_KINDS,
  type ShardStatistics,
  STAT_LEVELS,
} from './shard-statistics.ts';
import { WalkQueue } from './walk-queue.ts';
import { WalkTotals } from './walk-totals.ts';

export interface ShardOptions {
  readonly slots: number;
  /** Cycles from the shard to the front end. */
  readonly transitCycles: number;
  /** Cycles of an atomic accessed/dirty update. */
  readonly updateCycles: number;
}

export class WalkShard {
  /** Cycles from the arrival of a request to its answer. */
  readonly latency: Histogram = new Histogram();
  private readonly partition: Partition;
  private readonly events: EventQueue;
  private readonly walker: Walker;
  private readonly caches: WalkCaches | null;
  private readonly memory: MemoryPort;
  private readonly view: MemoryView;
  private readonly timing: MemoryTiming;
  private readonly options: ShardOptions;
  private readonly onRead: number;
  private readonly onUpdate: number;
  private readonly walkChannel: Channel | null;
  private readonly referenceChannel: Channel | null;
  readonly totals: WalkTotals | null;

  private readonly walks: Walk[] = [];
  /** Per slot: miss id, device, arrival and start cycle, and cycles of the running reference. */
  private readonly miss: Int32Array;
  private readonly device: Int32Array;
  private readonly arrived: Float64Array;
  private readonly started: Float64Array;
  private readonly pending: Int32Array;
  private readonly freeSlots: Int32Array;
  private free: number;

  private readonly queue = new WalkQueue();
  private starting = false;

  /** Invalidations waiting until the walks older than they are have ended. */
  private readonly waiting: number[] = [];
  /** Bumped by each invalidation; a running walk remembers the value at its start. */
  private epoch = 0;
  /** Infinity while the slot is idle. */
  private readonly walkEpoch: Float64Array;

  private readonly operation = new Operation();
  readonly statistics: ShardStatistics = emptyStatistics();
  readonly references: Float64Array = new Float64Array(4 * STAT_LEVELS);
  readonly referenceCycles: Float64Array = new Float64Array(4 * STAT_LEVELS);

  constructor(
    partition: Partition,
    ports: {
      walker: Walker;
      caches: WalkCaches | null;
      /** Memory as the unit may reach it, which says whether an access is allowed. */
      memory: MemoryPort;
      /** The same memory, for accesses that were allowed. */
      view: MemoryView;
      timing: MemoryTiming;
      probe: Probe;
    },
    options: ShardOptions,
  ) {
    this.partition = partition;
    this.events = partition.events;
    this.walker = ports.walker;
    this.caches = ports.caches;
    this.memory = ports.memory;
    this.view = ports.view;
    this.timing = ports.timing;
    this.options = options;
    const slots = options.slots;
    this.miss = new Int32Array(slots);
    this.device = new Int32Array(slots);
    this.arrived = new Float64Array(slots);
    this.started = new Float64Array(slots);
    this.pending = new Int32Array(slots);
    this.walkEpoch = new Float64Array(slots).fill(Number.POSITIVE_INFINITY);
    this.freeSlots = new Int32Array(slots);
    for (let slot = 0; slot < slots; slot++) {
      this.walks.push(new Walk());
      this.freeSlots[slot] = slots - 1 - slot;
    }
    this.free = slots;
    this.walkChannel = ports.probe.channel(WALK_RECORD);
    this.referenceChannel = ports.probe.channel(REFERENCE_RECORD);
    this.totals = WalkTotals.on(ports.probe, ports.caches, this);
    this.onRead = this.events.register(PHASE_UNIT, 'walk-read', (slot) => this.readDone(slot));
    this.onUpdate = this.events.register(PHASE_UNIT, 'walk-update', (slot) =>
      this.updateDone(slot),
    );
    partition.receive(MESSAGE_WALK, (words, base) => this.request(words, base));
    partition.receive(MESSAGE_INVALIDATE, (words, base) => this.invalidate(words, base));
  }

  /** Walks in slots and in the queue: zero when the shard is at rest. */
  get open(): number {
    return this.options.slots - this.free + this.queue.length + this.waiting.length;
  }

  /** Ends the trace; before the probe is flushed for the last time. */
  endTrace(): void {
    this.totals?.tell();
  }

  /** Statistics as plain data. */
  finish(): ShardStatistics {
    this.statistics.references = [...this.references];
    this.statistics.referenceCycles = [...this.referenceCycles];
    return this.statistics;
  }

  /** Figures count from now on. */
  resetStatistics(): void {
    this.totals?.restart();
    this.caches?.resetStatistics();
    Object.assign(this.statistics, emptyStatistics());
    this.references.fill(0);
    this.referenceCycles.fill(0);
    this.latency.reset();
  }

  /** Who waits for what, for the report of a run that stands still. */
  dump(): string {
    const lines = [
      `${this.queue.length} walks wait for a slot, ${this.waiting.length} invalidations`,
    ];
    for (let slot = 0; slot < this.walks.length; slot++) {
      if (this.walkEpoch[slot] === Number.POSITIVE_INFINITY) continue;
      const walk = this.walks[slot];
      lines.push(
        `slot ${slot}: miss ${this.miss[slot]} of device ${this.device[slot]} since cycle ` +
          `${this.started[slot]}, reads ${REFERENCE_KINDS[walk.refKind]} level ${walk.refLevel}`,
      );
    }
    return lines.join('\n  ');
  }

  private request(words: Int32Array, base: number): void {
    if (this.free > 0) this.start(words, base, this.events.now, false);
    else this.queue.push(words, base, this.events.now);
  }

  private start(words: Int32Array, base: number, arrival: number, stale: boolean): void {
    const slot = this.freeSlots[--this.free];
    const used = this.options.slots - this.free;
    if (used > this.statistics.slotPeak) this.statistics.slotPeak = used;
    const walk = this.walks[slot];
    const now = this.events.now;
    this.miss[slot] = words[base + WALK_MISS];
    this.device[slot] = words[base + WALK_DEVICE];
    this.arrived[slot] = arrival;
    this.started[slot] = now;
    this.walkEpoch[slot] = stale ? this.queue.staleEpoch : this.epoch;
    this.statistics.queuedCycles += now - arrival;
    walk.inHi = words[base + WALK_HI];
    walk.inLo = words[base + WALK_LO];
    walk.offset = words[base + WALK_OFFSET];
    walk.access = words[base + WALK_ACCESS];
    walk.keepCaches = stale ? 0 : 1;
    const context = walk.context;
    for (let i = 0; i < WALK_CONTEXT_WORDS; i++) context[i] = words[base + WALK_CONTEXT + i];
    this.follow(slot, this.walker.begin(walk));
  }

  /** Does what the walker asks for next. */
  private follow(slot: number, firstStep: number): void {
    const walk = this.walks[slot];
    const events = this.events;
    let step = firstStep;
    while (step === STEP_READ) {
      const { readHi, readLo, readOffset, readBytes } = walk;
      const status = this.memory.checkRead(readHi, readLo, readOffset, readBytes);
      if (status === MEM_OK) {
        const cycles = this.timing.entryReadDelay(events, readHi, readLo, readOffset, readBytes);
        this.pending[slot] = cycles;
        events.after(cycles, this.onRead, slot, 0);
        return;
      }
      step = this.walker.failRead(walk, status);
    }
    if (step === STEP_DONE || step === STEP_FAULT) {
      this.finishWalk(slot, step);
      return;
    }
    this.pending[slot] = this.options.updateCycles;
    events.after(this.options.updateCycles, this.onUpdate, slot, 0);
  }

  private readDone(slot: number): void {
    const walk = this.walks[slot];
    const hi = walk.readHi;
    const lo = walk.readLo;
    const offset = walk.readOffset;
    this.countReference(slot, walk, 0);
    const view = this.view;
    view.readEntry(hi, lo, offset, walk.readBytes);
    const w0 = view.low;
    const w1 = view.high;
    if (walk.readBytes <= 8) {
      this.follow(slot, this.walker.advance(walk, w0, w1));
      return;
    }
    view.readEntry(hi, lo, offset + 8, 8);
    this.follow(slot, this.walker.advance(walk, w0, w1, view.low, view.high));
  }

  private updateDone(slot: number): void {
    const walk = this.walks[slot];
    const { readHi, readLo, readOffset, readBytes } = walk;
    this.statistics.updates++;
    this.countReference(slot, walk, 1);
    const status = this.memory.checkWrite(readHi, readLo, readOffset, readBytes);
    if (status !== MEM_OK) {
      this.follow(slot, this.walker.failUpdate(walk, status));
      return;
    }
    const view = this.view;
    view.readEntry(readHi, readLo, readOffset, readBytes);
    const w0 = view.low;
    const w1 = view.high;
    if (w0 !== walk.expectLo || w1 !== walk.expectHi) {
      // Software or another walk changed the entry since it was read: start again.
      this.statistics.restarts++;
      this.follow(slot, this.walker.begin(walk));
      return;
    }
    view.or64(readHi, readLo, readOffset, walk.orLo, walk.orHi);
    this.follow(slot, this.walker.advance(walk, w0 | walk.orLo, w1 | walk.orHi));
  }

  private countReference(slot: number, walk: Walk, update: number): void {
    const cycles = this.pending[slot];
    if (update === 0) {
      const index = walk.refKind * STAT_LEVELS + walk.refLevel;
      this.references[index]++;
      this.referenceCycles[index] += cycles;
    }
    if (this.referenceChannel !== null) {
      this.referenceChannel.emit(
        this.events.now,
        slot,
        walk.refKind | (walk.refLevel << 4),
        walk.readHi,
        walk.readLo,
        walk.readOffset,
        cycles,
        update,
      );
    }
  }

  private finishWalk(slot: number, step: number): void {
    const walk = this.walks[slot];
    const now = this.events.now;
    const cycles = now - this.started[slot];
    this.statistics.walks++;
    this.latency.record(now - this.arrived[slot]);
    this.statistics.busyCycles += cycles;
    if (step === STEP_FAULT) this.statistics.faults++;
    if (this.totals !== null) this.totals.count(now);
    const failed = step === STEP_FAULT;
    const words = failed ? REPLY_FAULT_WORDS : REPLY_DONE_WORDS;
    const base = this.partition.reserve(0, this.options.transitCycles, MESSAGE_REPLY, words);
    const out = this.partition.out;
    out[base + REPLY_MISS] = this.miss[slot];
    out[base + REPLY_STEP] = step;
    out[base + REPLY_WALK_CYCLES] = cycles;
    packResult(walk, out, base, failed);
    if (this.walkChannel !== null) {
      this.walkChannel.emit(
        now,
        this.device[slot],
        walk.inHi,
        walk.inLo,
        walk.refs1 | (walk.refs2 << 16),
        this.started[slot] - this.arrived[slot],
        cycles,
        step === STEP_FAULT ? walk.fault : 0,
        walk.order,
      );
    }
    this.freeSlots[this.free++] = slot;
    this.walkEpoch[slot] = Number.POSITIVE_INFINITY;
    if (this.waiting.length > 0) this.releaseInvalidations();
    this.startQueued();
  }

  /** Starts queued walks while slots are free; a walk may end without any reference. */
  private startQueued(): void {
    if (this.starting) return;
    this.starting = true;
    const queue = this.queue;
    while (queue.length > 0 && this.free > 0) {
      const base = queue.oldestBase;
      const arrival = queue.oldestArrival;
      const stale = queue.stale > 0;
      queue.pop();
      this.start(queue.words, base, arrival, stale);
    }
    this.starting = false;
  }

  /**
   * Cached entries go at once; walks already running may hold old entries, so they no longer fill
   * the caches, and the acknowledgement waits for them. Walks in the queue will read new entries,
   * but hold a context: when contexts are invalidated, they are taken for running ones.
   */
  private invalidate(words: Int32Array, base: number): void {
    this.statistics.invalidations++;
    unpackOperation(words, base, this.operation);
    if (this.operation.kind === OP_INVALIDATE_TRANSLATIONS) {
      this.caches?.invalidate(this.operation);
    }
    if (this.operation.kind === OP_INVALIDATE_CONTEXT) this.queue.markStale(this.epoch);
    this.epoch++;
    if (this.free === this.options.slots) {
      this.acknowledge();
      return;
    }
    for (let slot = 0; slot < this.walks.length; slot++) {
      if (this.walkEpoch[slot] < this.epoch) this.walks[slot].keepCaches = 0;
    }
    this.waiting.push(this.epoch);
  }

  private releaseInvalidations(): void {
    let oldest = this.queue.stale > 0 ? this.queue.staleEpoch : Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.walkEpoch.length; slot++) {
      if (this.walkEpoch[slot] < oldest) oldest = this.walkEpoch[slot];
    }
    while (this.waiting.length > 0 && this.waiting[0] <= oldest) {
      this.waiting.shift();
      this.acknowledge();
    }
  }

  private acknowledge(): void {
    const base = this.partition.reserve(
      0,
      this.options.transitCycles,
      MESSAGE_ACKNOWLEDGE,
      ACKNOWLEDGE_WORDS,
    );
    this.partition.out[base] = this.partition.id;
  }
}
