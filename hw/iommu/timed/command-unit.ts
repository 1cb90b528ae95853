/**
 * Takes commands from the unit's queue in memory: doorbell, fetch (one read brings a batch),
 * decode, execute, complete. Invalidations reach the caches here at once and the walk shards by
 * message; a fence completes when all shards have acknowledged what came before it, no request
 * holds an older translation and, if asked for, earlier accesses have reached memory.
 */
import type { Partition } from '../../../sim/parallel/partition.ts';
import type { Channel, Probe } from '../../../sim/probe.ts';
import { Histogram } from '../../../sim/stats/histogram.ts';
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_RETRY, PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import type { MemoryTiming } from '../../memory/timing.ts';
import {
  type IommuUnit,
  OP_FENCE,
  OP_ILLEGAL,
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  OP_WAIT,
  Operation,
} from '../architecture.ts';
import type { ContextCache } from '../caches/context-cache.ts';
import type { ContextUnit } from './context-unit.ts';
import type { DataAccess } from './data-access.ts';
import type { FrontEnd } from './front-end.ts';
import {
  INVALIDATE_WORDS,
  MESSAGE_ACKNOWLEDGE,
  MESSAGE_INVALIDATE,
  packOperation,
} from './messages.ts';
import { COMMAND_RECORD } from './records.ts';
import { shardIndex } from './shard-map.ts';

export interface CommandOptions {
  readonly doorbellCycles: number;
  readonly fetchBatch: number;
  readonly executeCycles: number;
  readonly completeCycles: number;
  readonly shards: readonly number[];
  readonly regionOrder: number;
  readonly transitCycles: number;
  /** Cycles that walk requests spend in the IOTLB before they leave for a shard. */
  readonly lookupCycles: number;
}

export interface CommandPorts {
  readonly partition: Partition;
  readonly unit: IommuUnit;
  readonly memory: MemoryPort;
  readonly timing: MemoryTiming;
  readonly frontEnd: FrontEnd;
  readonly contexts: ContextCache;
  readonly contextUnit: ContextUnit;
  readonly data: DataAccess;
  readonly probe: Probe;
}

export interface CommandStatistics {
  doorbells: number;
  commands: number;
  fences: number;
  invalidations: number;
  illegal: number;
  fetches: number;
  entriesDropped: number;
}

const IDLE = 0;
const BUSY = 1;
const WAITING_FENCE = 2;

export class CommandUnit {
  readonly statistics: CommandStatistics = {
    doorbells: 0,
    commands: 0,
    fences: 0,
    invalidations: 0,
    illegal: 0,
    fetches: 0,
    entriesDropped: 0,
  };
  /** Cycles from a fence's fetch to its completion. */
  readonly fenceLatency: Histogram = new Histogram();
  private readonly ports: CommandPorts;
  private readonly options: CommandOptions;
  private readonly events: EventQueue;
  private readonly operation = new Operation();
  private readonly words = new Int32Array(16);
  private readonly channel: Channel | null;
  private readonly onFetch: number;
  private readonly onExecute: number;
  private readonly onFenceCheck: number;
  private readonly onComplete: number;
  /** Called after a fence has completed, with its status in memory. */
  onFence: (() => void) | null = null;
  private state = IDLE;
  /** Commands that the last read of the queue still provides. */
  private fetched = 0;
  private fetchedAt = 0;
  private sent = 0;
  private acknowledged = 0;
  private orderMark = 0;
  /** The fence under way, or an invalidation before it, is to drain accesses (VT-d 6.5.2.3). */
  private drains = false;
  private fenceScheduled = false;

  constructor(ports: CommandPorts, options: CommandOptions) {
    this.ports = ports;
    this.options = options;
    const events = ports.partition.events;
    this.events = events;
    this.channel = ports.probe.channel(COMMAND_RECORD);
    this.onFetch = events.register(PHASE_UNIT, 'command-fetch', () => this.fetch());
    this.onExecute = events.register(PHASE_UNIT, 'command-execute', () => this.execute());
    this.onFenceCheck = events.register(PHASE_RETRY, 'command-fence', () => this.checkFence());
    this.onComplete = events.register(PHASE_UNIT, 'command-complete', () => this.completeFence());
    ports.partition.receive(MESSAGE_ACKNOWLEDGE, () => this.acknowledge());
    ports.frontEnd.onReleased = () => this.scheduleFenceCheck();
    ports.contextUnit.onFinished = () => this.scheduleFenceCheck();
  }

  /** Commands and acknowledgements outstanding. */
  get open(): number {
    return (this.state === IDLE ? 0 : 1) + this.sent - this.acknowledged;
  }

  /** The tail moved, or the queue was switched on. */
  doorbell(): void {
    this.statistics.doorbells++;
    if (this.state !== IDLE) return;
    this.state = BUSY;
    this.fetched = 0;
    this.events.after(this.options.doorbellCycles, this.onFetch, 0, 0);
  }

  /** Drops every cached context and translation (a root pointer or mode changed). */
  flush(everything: Operation): void {
    this.ports.contexts.clear();
    this.ports.contextUnit.invalidate();
    this.invalidate(everything);
    const contexts = new Operation();
    contexts.kind = OP_INVALIDATE_CONTEXT;
    this.broadcast(contexts);
  }

  private fetch(): void {
    const { unit, memory, timing } = this.ports;
    const queue = unit.commands;
    if (!queue.pending()) {
      this.state = IDLE;
      this.fetched = 0;
      return;
    }
    const now = this.events.now;
    if (this.fetched > 0) {
      this.fetched--;
      this.events.after(this.options.executeCycles, this.onExecute, 0, 0);
      return;
    }
    const status = memory.checkRead(queue.hi, queue.lo, queue.offset, queue.bytes);
    if (status !== MEM_OK) {
      this.state = IDLE;
      queue.failFetch(status);
      return;
    }
    this.statistics.fetches++;
    this.fetched = this.options.fetchBatch - 1;
    this.fetchedAt = now;
    const at = timing.tableReadAt(now, queue.hi, queue.lo, queue.offset, queue.bytes);
    this.events.at(at + this.options.executeCycles, this.onExecute, 0, 0);
  }

  private execute(): void {
    const { unit, memory } = this.ports;
    const queue = unit.commands;
    if (!queue.pending()) {
      this.state = IDLE;
      return;
    }
    for (let i = 0; 4 * i < queue.bytes; i++) {
      this.words[i] = memory.read32(queue.hi, queue.lo, queue.offset + 4 * i);
    }
    const op = this.operation;
    queue.decode(this.words, op);
    this.statistics.commands++;
    if (op.drainReads !== 0 || op.drainWrites !== 0) this.drains = true;
    if (op.kind === OP_FENCE) {
      this.statistics.fences++;
      this.state = WAITING_FENCE;
      this.orderMark = this.ports.frontEnd.orderMark;
      this.checkFence();
      return;
    }
    let dropped = 0;
    if (op.kind === OP_INVALIDATE_TRANSLATIONS) dropped = this.invalidate(op);
    else if (op.kind === OP_INVALIDATE_CONTEXT) {
      this.ports.contexts.invalidate(op);
      this.ports.contextUnit.invalidate();
      this.broadcast(op);
    } else if (op.kind === OP_ILLEGAL || op.kind === OP_WAIT) {
      if (op.kind === OP_ILLEGAL) this.statistics.illegal++;
      this.state = IDLE;
      queue.complete(op);
      return;
    }
    queue.complete(op);
    this.record(op, dropped);
    this.fetch();
  }

  private invalidate(op: Operation): number {
    const dropped = this.ports.frontEnd.invalidate(op);
    this.statistics.entriesDropped += dropped;
    this.broadcast(op);
    return dropped;
  }

  /**
   * The one shard that an invalidation concerns, or -1: leaves of input pages within one region and
   * one address space are only ever read by the shard of that region.
   */
  private onlyShard(op: Operation): number {
    const { shards, regionOrder } = this.options;
    if (op.kind !== OP_INVALIDATE_TRANSLATIONS || op.leafOnly === 0) return -1;
    if (op.hasAddress === 0 || op.guestAddress !== 0 || op.order > regionOrder) return -1;
    if (op.tag1 === -1 || op.tag2 === -1) return -1;
    const tag1 = Math.max(op.tag1, -1);
    const tag2 = Math.max(op.tag2, -1);
    return shards[shardIndex(tag1, tag2, op.hi, op.lo, regionOrder, shards.length)];
  }

  /**
   * Shards drop what they cached and answer once no older walk is running. The message takes as
   * long as a walk request, so that it overtakes none: what arrives after it is younger.
   */
  private broadcast(op: Operation): void {
    this.statistics.invalidations++;
    const { partition } = this.ports;
    const only = this.onlyShard(op);
    for (const shard of this.options.shards) {
      if (only >= 0 && shard !== only) continue;
      const base = partition.reserve(
        shard,
        this.options.lookupCycles + this.options.transitCycles,
        MESSAGE_INVALIDATE,
        INVALIDATE_WORDS,
      );
      packOperation(op, partition.out, base);
      this.sent++;
    }
  }

  private acknowledge(): void {
    this.acknowledged++;
    this.scheduleFenceCheck();
  }

  private scheduleFenceCheck(): void {
    if (this.state !== WAITING_FENCE || this.fenceScheduled) return;
    this.fenceScheduled = true;
    this.events.after(0, this.onFenceCheck, 0, 0);
  }

  private checkFence(): void {
    this.fenceScheduled = false;
    const { frontEnd, contextUnit, data } = this.ports;
    if (this.acknowledged < this.sent) return;
    if (!frontEnd.releasedUpTo(this.orderMark) || contextUnit.stale > 0) return;
    const now = this.events.now;
    const drained = this.drains ? data.drainedAt : now;
    this.drains = false;
    this.state = BUSY;
    // The store takes a cycle at least: this check may be the last that happens in its cycle.
    const store = Math.max(1, this.options.completeCycles);
    this.events.at(Math.max(now, drained) + store, this.onComplete, 0, 0);
  }

  private completeFence(): void {
    const op = this.operation;
    this.ports.unit.commands.complete(op);
    this.fenceLatency.record(this.events.now - this.fetchedAt);
    this.onFence?.();
    this.record(op, 0);
    this.fetch();
  }

  private record(op: Operation, dropped: number): void {
    this.channel?.emit(
      this.events.now,
      op.code,
      op.kind,
      dropped,
      this.events.now - this.fetchedAt,
    );
  }
}
