/**
 * Front end of a timed IOMMU: takes requests from the links, finds their context, looks up the
 * IOTLB, sends misses to the walk shards and releases translated requests to memory.
 *
 * A request that hits needs no event here. A request that waits holds one of `slots` places; when
 * all are taken, later requests queue in front (WAIT_INPUT). With in-order release a translated
 * request waits for all older ones (WAIT_ORDER).
 */
import { InternalError } from '../../../sim/errors.ts';
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import {
  type TransactionPort,
  type Transactions,
  TXN_FAULT,
  WAIT_CONTEXT,
  WAIT_INPUT,
  WAIT_IOTLB,
  WAIT_ORDER,
  WAIT_WALK,
  WAIT_WALK_QUEUE,
} from '../../pcie/transactions.ts';
import {
  CONTEXT_BYPASS,
  type DeviceRequest,
  type Operation,
  REQUEST_UNTRANSLATED,
  type TranslationContext,
} from '../architecture.ts';
import { ORDER_BARE, STEP_FAULT, Walk } from '../walk/walk.ts';
import { Admission } from './admission.ts';
import { FaultReporter } from './fault-reporter.ts';
import {
  emptyStatistics,
  type FrontEndOptions,
  type FrontEndPorts,
  type FrontEndStatistics,
  OUTCOME_HIT,
  OUTCOME_MERGED,
  OUTCOME_MISS,
} from './front-end-ports.ts';
import { InvalidationLog } from './invalidation-log.ts';
import { LookupPorts } from './lookup-ports.ts';
import {
  MESSAGE_REPLY,
  MESSAGE_WALK,
  packWalk,
  REPLY_MISS,
  REPLY_STEP,
  REPLY_WALK_CYCLES,
  unpackResult,
  WALK_WORDS,
} from './messages.ts';
import { MissTable } from './miss-table.ts';
import { ReleaseOrder } from './release-order.ts';
import { shardIndex } from './shard-map.ts';

/** log2 of all pages there are. */
const ORDER_ALL = 52;
/** `walk.redirected` of a plain translation; above it the address is not for accesses to reuse. */
const REDIRECT_TRANSLATED = 1;

export class FrontEnd implements TransactionPort {
  readonly log: InvalidationLog = new InvalidationLog();
  readonly misses: MissTable;
  readonly faults: FaultReporter;
  readonly statistics: FrontEndStatistics = emptyStatistics();
  private readonly ports: FrontEndPorts;
  private readonly options: FrontEndOptions;
  private readonly events: EventQueue;
  private readonly txns: Transactions;
  private readonly onLookup: number;
  private readonly checksOutput: boolean;
  private readonly request: DeviceRequest = {
    deviceId: 0,
    pasid: -1,
    kind: REQUEST_UNTRANSLATED,
    access: 0,
    hi: 0,
    lo: 0,
    offset: 0,
  };
  private readonly walk = new Walk();

  private readonly admission: Admission;
  private readonly order: ReleaseOrder;
  /** Contexts of transactions that wait for a walk. */
  private readonly contextOf: (TranslationContext | null)[];
  /** Called after requests were released in order. */
  onReleased: (() => void) | null = null;
  private readonly lookupPorts: LookupPorts;

  constructor(ports: FrontEndPorts, options: FrontEndOptions) {
    this.ports = ports;
    this.options = options;
    this.events = ports.partition.events;
    this.txns = ports.txns;
    const capacity = ports.txns.capacity;
    this.misses = new MissTable(Math.min(options.slots, capacity), capacity);
    this.lookupPorts = new LookupPorts(options.lookupPorts);
    this.admission = new Admission(options.slots, capacity);
    this.order = new ReleaseOrder(capacity);
    this.contextOf = new Array(capacity).fill(null);
    this.checksOutput = ports.unit.checkOutput !== undefined;
    this.faults = new FaultReporter(ports.unit, ports.probe);
    this.onLookup = this.events.register(PHASE_UNIT, 'lookup', (txn) => this.admit(txn));
    ports.partition.receive(MESSAGE_REPLY, (words, base) => this.reply(words, base));
    ports.contextUnit.onResolved((txn, context, fault, address2) =>
      this.contextResolved(txn, context, fault, address2),
    );
  }

  /** Requests that wait here, for any reason. */
  get open(): number {
    return this.admission.held + this.admission.queued;
  }

  /** Most requests that ever waited in places and in front of them. */
  get peaks(): { readonly slots: number; readonly input: number } {
    return { slots: this.admission.peak, input: this.admission.queuePeak };
  }

  /** Number of requests taken in for release in order; see {@link releasedUpTo}. */
  get orderMark(): number {
    return this.order.taken;
  }

  /** Whether every request that was in the unit at the mark has been released. */
  releasedUpTo(mark: number): boolean {
    return this.order.released >= mark;
  }

  accept(txn: number): void {
    this.statistics.requests++;
    const start = this.lookupPorts.take(this.events.now);
    if (start > this.events.now) this.events.at(start, this.onLookup, txn, 0);
    else this.admit(txn);
  }

  private admit(txn: number): void {
    if (!this.admission.admit(txn)) return;
    this.txns.mark(txn, WAIT_INPUT, this.events.now);
    this.findContext(txn);
  }

  private findContext(txn: number): void {
    const { unit, contexts, contextUnit } = this.ports;
    this.fillRequest(txn);
    const { request } = this;
    const context = contexts.lookup(request.deviceId, unit.contexts.cacheKey(request));
    if (context !== null) {
      this.translate(txn, context);
      return;
    }
    this.statistics.contextMisses++;
    this.hold(txn);
    contextUnit.request(txn, request);
  }

  private contextResolved(
    txn: number,
    context: TranslationContext | null,
    fault: number,
    address2: bigint,
  ): void {
    this.txns.mark(txn, WAIT_CONTEXT, this.events.now);
    this.fillRequest(txn);
    if (fault !== 0 || context === null) {
      this.fault(txn, context, fault, address2);
      return;
    }
    this.translate(txn, context);
  }

  private translate(txn: number, context: TranslationContext): void {
    const txns = this.txns;
    const hi = txns.hi[txn];
    const lo = txns.lo[txn];
    const code = this.ports.unit.checkRequest(this.request, context);
    if (code !== 0) {
      this.hold(txn);
      this.fault(txn, context, code, 0n);
      return;
    }
    if (context.mode === CONTEXT_BYPASS) {
      this.statistics.bypassed++;
      this.translated(txn, hi, lo, context);
      return;
    }
    const iotlb = this.ports.iotlb;
    const way = iotlb.lookup(context.tag1, context.tag2, hi, lo);
    if (way >= 0 && iotlb.permits(way, txns.access[txn] & context.accessMask)) {
      this.statistics.hits++;
      txns.outcome[txn] = OUTCOME_HIT;
      iotlb.translate(way, hi, lo);
      this.translated(txn, iotlb.outHi, iotlb.outLo, context);
      return;
    }
    this.miss(txn, context, hi, lo);
  }

  private miss(txn: number, context: TranslationContext, hi: number, lo: number): void {
    const { options, txns, misses } = this;
    this.hold(txn);
    this.contextOf[txn] = context;
    txns.mark(txn, WAIT_IOTLB, this.events.now + options.lookupCycles);
    const access = txns.access[txn] & context.accessMask;
    if (options.mergeMisses) {
      const running = misses.find(context.tag1, context.tag2, hi, lo, access);
      // A walk older than the last invalidation may answer with what is no longer there.
      if (running >= 0 && misses.epoch[running] === this.log.count) {
        this.statistics.merged++;
        txns.outcome[txn] = OUTCOME_MERGED;
        misses.join(running, txn);
        return;
      }
    }
    this.statistics.misses++;
    txns.outcome[txn] = OUTCOME_MISS;
    const row = misses.open(context.tag1, context.tag2, hi, lo, access, this.log.count, txn);
    const { shards, regionOrder } = options;
    const partition = this.ports.partition;
    const base = partition.reserve(
      shards[shardIndex(context.tag1, context.tag2, hi, lo, regionOrder, shards.length)],
      options.lookupCycles + options.transitCycles,
      MESSAGE_WALK,
      WALK_WORDS,
    );
    const { device, offset } = txns;
    packWalk(partition.out, base, row, device[txn], hi, lo, offset[txn], access, context.walk);
  }

  private reply(words: Int32Array, base: number): void {
    const { misses, txns, walk } = this;
    const now = this.events.now;
    const miss = words[base + REPLY_MISS];
    const walkCycles = words[base + REPLY_WALK_CYCLES];
    const failed = words[base + REPLY_STEP] === STEP_FAULT;
    unpackResult(words, base, walk, failed);
    const first = misses.head[miss];
    const context = this.contextOf[first];
    if (context === null) throw new InternalError('front-end', `reply for idle miss ${miss}`);
    const hi = misses.hi[miss];
    const lo = misses.lo[miss];
    const leaf = walk.order1 === ORDER_BARE ? Math.min(walk.order2, ORDER_ALL) : walk.order1;
    const { tag1, tag2 } = context;
    let again = false;
    if (!failed && this.log.covers(misses.epoch[miss], tag1, tag2, hi, lo, leaf)) {
      this.statistics.notFilled++;
      // If it named another region of this leaf, its fence did not wait for us.
      again = leaf > this.options.regionOrder;
    } else if (!failed) this.fill(context, hi, lo);
    misses.close(miss);
    for (let txn = first; txn >= 0; ) {
      const next = misses.after(txn);
      const waited = now - txns.marked[txn];
      if (waited > 0) {
        txns.mark(txn, WAIT_WALK_QUEUE, now - Math.min(walkCycles, waited));
        txns.mark(txn, WAIT_WALK, now);
      }
      const own = this.contextOf[txn] as TranslationContext;
      this.contextOf[txn] = null;
      this.fillRequest(txn);
      if (again) this.findContext(txn);
      else if (failed) this.walkFault(txn, own, hi, lo);
      else this.translated(txn, walk.outHi, walk.outLo, own);
      txn = next;
    }
  }

  private fill(context: TranslationContext, hi: number, lo: number): void {
    const { walk } = this;
    if (walk.redirected > REDIRECT_TRANSLATED) return;
    walk.order = this.ports.unit.reusableOrder(walk, context);
    this.ports.iotlb.insertWalk(context.tag1, context.tag2, hi, lo, walk);
  }

  private walkFault(txn: number, context: TranslationContext, hi: number, lo: number): void {
    const { unit } = this.ports;
    this.walk.inHi = hi;
    this.walk.inLo = lo;
    this.walk.offset = this.txns.offset[txn];
    this.walk.access = this.request.access & context.accessMask;
    const code = unit.faultCodeOf(this.walk, this.request, context);
    this.fault(txn, context, code, unit.faultAddress2Of(this.walk, this.request, context));
  }

  private fault(
    txn: number,
    context: TranslationContext | null,
    code: number,
    address2: bigint,
  ): void {
    this.statistics.faults++;
    const { now } = this.events;
    this.faults.report(now, this.txns.device[txn], this.request, context, code, address2);
    this.txns.status[txn] = TXN_FAULT;
    this.release(txn, now);
  }

  private translated(txn: number, outHi: number, outLo: number, context: TranslationContext): void {
    const txns = this.txns;
    if (this.checksOutput) {
      const code = this.ports.unit.checkOutput?.(outHi, outLo, context) ?? 0;
      if (code !== 0) {
        this.hold(txn);
        this.fault(txn, context, code, 0n);
        return;
      }
    }
    txns.outHi[txn] = outHi;
    txns.outLo[txn] = outLo;
    this.ports.observer?.use(
      txns.device[txn],
      txns.hi[txn],
      txns.lo[txn],
      outHi,
      outLo,
      txns.access[txn],
      this.events.now,
    );
    const at = Math.max(this.events.now, txns.marked[txn]);
    this.release(txn, this.admission.holds(txn) ? at : at + this.options.lookupCycles);
  }

  /** Hands the transaction on, in order if so configured. */
  private release(txn: number, readyAt: number): void {
    if (!this.options.inOrder) {
      this.leave(txn, readyAt);
      this.unhold(txn);
      return;
    }
    if (!this.admission.holds(txn)) {
      if (this.order.empty) {
        this.leave(txn, readyAt);
        return;
      }
      this.hold(txn);
    }
    this.order.ready(txn, readyAt);
    this.drainOrder();
  }

  private drainOrder(): void {
    const { order, txns } = this;
    let released = false;
    for (let txn = order.next(); txn >= 0; txn = order.next()) {
      const ready = Math.max(order.readyAt(txn), txns.marked[txn]);
      txns.mark(txn, WAIT_IOTLB, ready);
      const at = Math.max(ready, this.events.now);
      txns.mark(txn, WAIT_ORDER, at);
      this.leave(txn, at);
      this.unhold(txn);
      released = true;
    }
    if (released) this.onReleased?.();
  }

  private leave(txn: number, at: number): void {
    if (this.txns.status[txn] === TXN_FAULT) {
      this.ports.data.abort(txn, this.options.faultCycles);
      return;
    }
    this.txns.mark(txn, WAIT_IOTLB, at);
    this.ports.data.start(txn, at);
  }

  private hold(txn: number): void {
    if (this.admission.hold(txn) && this.options.inOrder) this.order.take(txn);
  }

  private unhold(txn: number): void {
    if (!this.admission.release(txn)) return;
    for (let next = this.admission.next(); next >= 0; next = this.admission.next()) {
      this.txns.mark(next, WAIT_INPUT, this.events.now);
      this.findContext(next);
    }
  }

  private fillRequest(txn: number): void {
    const { txns, request } = this;
    request.deviceId = this.ports.deviceIds[txns.device[txn]];
    request.pasid = txns.pasid[txn];
    request.access = txns.access[txn];
    request.hi = txns.hi[txn];
    request.lo = txns.lo[txn];
    request.offset = txns.offset[txn];
  }

  /** Executes the IOTLB part of a command; returns the number of entries thrown away. */
  invalidate(op: Operation): number {
    this.log.add(op);
    return this.ports.iotlb.invalidate(op);
  }
}
