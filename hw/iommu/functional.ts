/**
 * An IOMMU without time: drives an architecture's unit, the walker and the caches at once over a
 * memory port. Answers what the hardware would answer; used by conformance vectors, captures,
 * `explain` and the safety checker. The timed unit drives the same machines by events.
 */
import { MEM_OK, type MemoryPort } from '../memory/port.ts';
import { ACCESS_PRIVILEGED, ACCESS_READ } from './access.ts';
import { AddressLimit } from './address-limit.ts';
import {
  CONTEXT_BYPASS,
  ContextFetch,
  type DeviceRequest,
  FETCH_DONE,
  FETCH_FAULT,
  FETCH_READ,
  type IommuUnit,
  KEY_DEVICE,
  OP_FENCE,
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  OP_WAIT,
  Operation,
  REQUEST_ATS,
  REQUEST_PAGE,
  type TranslationContext,
} from './architecture.ts';
import type { ContextCache } from './caches/context-cache.ts';
import type { Iotlb } from './caches/iotlb.ts';
import type { WalkCaches } from './caches/walk-caches.ts';
import { WC_S1_FLAGS } from './walk/context.ts';
import {
  LEAF_ORDER_MASK,
  LEAF_ORDER_SHIFT,
  LEAF_USER,
  STAGE_PRIVILEGED_USER,
} from './walk/format.ts';
import { type WalkObserver, walkFunctional } from './walk/functional.ts';
import { ORDER_BARE, STEP_DONE, Walk } from './walk/walk.ts';
import { Walker } from './walk/walker.ts';
import { fillHi, fillLo } from './walk/words.ts';

/** How a request was answered. */
export const OUTCOME_BYPASS = 0;
export const OUTCOME_HIT = 1;
export const OUTCOME_WALK = 2;
export const OUTCOME_FAULT = 3;

/** The answer to a request; reused by the next one. */
export class Outcome {
  /** OUTCOME_*. */
  kind: number = OUTCOME_FAULT;
  /** The context used, or (on a fault) as far as it was found. */
  context: TranslationContext | null = null;
  /** The architecture's fault code and second address, where kind is OUTCOME_FAULT. */
  code = 0;
  address2: bigint = 0n;
  outHi = 0;
  outLo = 0;
  /** Page after the first stage. */
  guestHi = 0;
  guestLo = 0;
  /** log2 of 4 KiB pages for which the translation holds; that of each stage's leaf. */
  order = 0;
  order1 = 0;
  order2 = 0;
  leaf1 = 0;
  leaf2 = 0;
  redirected = 0;
  readonly redirectData: Int32Array = new Int32Array(4);
}

/** Each may be absent. */
export interface FunctionalCaches {
  readonly iotlb: Iotlb | null;
  readonly contexts: ContextCache | null;
  readonly walks: WalkCaches | null;
}

export const NO_CACHES: FunctionalCaches = { iotlb: null, contexts: null, walks: null };

/** Told of what happens on the way, for explaining and for conformance. */
export interface FunctionalObserver {
  /** A context structure is read at system page (hi, lo). */
  contextRead?(fetch: ContextFetch, hi: number, lo: number, status: number): void;
  readonly walk?: WalkObserver;
  /** A fence asks that earlier accesses of devices be globally visible. */
  drain?(reads: boolean, writes: boolean): void;
}

const COMMAND_WORDS = 16;
/** `walk.redirected` of a plain translation; above it the address is not for accesses. */
const REDIRECT_TRANSLATED = 1;

export class FunctionalIommu {
  readonly unit: IommuUnit;
  readonly caches: FunctionalCaches;
  readonly walker: Walker;
  /** State of the walk made last, with every detail of its end. */
  readonly walk: Walk = new Walk();
  readonly outcome: Outcome = new Outcome();
  observer: FunctionalObserver | null = null;
  private readonly memory: MemoryPort;
  private readonly operation = new Operation();
  private readonly command = new Int32Array(COMMAND_WORDS);

  constructor(unit: IommuUnit, memory: MemoryPort, caches: FunctionalCaches) {
    this.unit = unit;
    this.memory = new AddressLimit(memory, unit.addressBits);
    this.caches = caches;
    this.walker = new Walker({ caches: caches.walks, redirect: unit.redirect });
  }

  /** Translates one request and reports its fault, if any. */
  translate(request: DeviceRequest): Outcome {
    const { outcome } = this;
    if (!this.findContext(request)) return this.fault(request);
    const context = outcome.context as TranslationContext;
    const code = this.unit.checkRequest(request, context);
    if (code !== 0) {
      outcome.code = code;
      outcome.address2 = 0n;
      return this.fault(request);
    }
    if (context.mode === CONTEXT_BYPASS) return this.pass(request);
    const hit = request.kind !== REQUEST_ATS && this.lookup(request, context);
    if (!hit && this.walkFor(request, context).kind === OUTCOME_FAULT) return outcome;
    const refused = this.unit.checkOutput?.(outcome.outHi, outcome.outLo, context) ?? 0;
    if (refused === 0) return outcome;
    outcome.code = refused;
    outcome.address2 = 0n;
    return this.fault(request);
  }

  /**
   * Finds the context of a request: from the cache, or by reading its structures. On failure
   * `outcome` holds the fault code; it is not reported here.
   */
  findContext(request: DeviceRequest): boolean {
    const { outcome, unit } = this;
    const cache = this.caches.contexts;
    const key = unit.contexts.cacheKey(request);
    const cached = cache?.lookup(request.deviceId, key) ?? null;
    if (cached !== null && request.kind !== REQUEST_PAGE) {
      outcome.context = cached;
      return true;
    }
    const fetch = new ContextFetch(request);
    fetch.parent = cache?.lookup(request.deviceId, KEY_DEVICE) ?? null;
    const parent = fetch.parent;
    let step = unit.contexts.begin(fetch);
    while (step !== FETCH_DONE && step !== FETCH_FAULT) step = this.fetchStep(fetch, step);
    if (fetch.parent !== null && fetch.parent !== parent) cache?.insert(fetch.parent);
    if (step === FETCH_FAULT) {
      outcome.context = fetch.parent;
      outcome.code = fetch.faultCode;
      outcome.address2 = fetch.faultAddress2;
      return false;
    }
    outcome.context = fetch.result as TranslationContext;
    if (outcome.context !== fetch.parent) cache?.insert(outcome.context);
    return true;
  }

  /** Reports the fault that `outcome` holds. */
  report(request: DeviceRequest): void {
    const { context, code, address2 } = this.outcome;
    this.unit.reportFault({ request, context, code, address2 });
  }

  /** Runs the command queue until nothing moves. */
  processCommands(): void {
    const queue = this.unit.commands;
    const { command, operation } = this;
    while (queue.pending()) {
      const { hi, lo, offset, bytes } = queue;
      const status = this.memory.checkRead(hi, lo, offset, bytes);
      if (status !== MEM_OK) {
        queue.failFetch(status);
        return;
      }
      for (let i = 0; 4 * i < bytes; i++) command[i] = this.memory.read32(hi, lo, offset + 4 * i);
      queue.decode(command, operation);
      this.execute(operation);
      queue.complete(operation);
      if (operation.kind === OP_WAIT) return;
    }
  }

  /** Empties every cache. */
  flushAll(): void {
    this.caches.contexts?.clear();
    this.caches.iotlb?.clear();
    this.caches.walks?.clear();
  }

  private execute(operation: Operation): void {
    switch (operation.kind) {
      case OP_INVALIDATE_CONTEXT:
        this.caches.contexts?.invalidate(operation);
        break;
      case OP_INVALIDATE_TRANSLATIONS:
        this.caches.iotlb?.invalidate(operation);
        this.caches.walks?.invalidate(operation);
        break;
      case OP_FENCE:
        if (operation.drainReads !== 0 || operation.drainWrites !== 0) {
          this.observer?.drain?.(operation.drainReads !== 0, operation.drainWrites !== 0);
        }
        break;
    }
  }

  private fetchStep(fetch: ContextFetch, step: number): number {
    const { contexts } = this.unit;
    let { hi, lo } = fetch;
    if (step !== FETCH_READ) {
      const { walk } = this;
      walk.context.set(fetch.stage2 as Int32Array);
      if (this.run(hi, lo, fetch.offset, ACCESS_READ) !== STEP_DONE) {
        return contexts.failWalk(fetch, walk);
      }
      hi = walk.outHi;
      lo = walk.outLo;
    }
    const status = this.memory.checkRead(hi, lo, fetch.offset, fetch.bytes);
    this.observer?.contextRead?.(fetch, hi, lo, status);
    if (status !== MEM_OK) return contexts.failRead(fetch, status);
    for (let i = 0; 4 * i < fetch.bytes; i++) {
      fetch.data[i] = this.memory.read32(hi, lo, fetch.offset + 4 * i);
    }
    return contexts.next(fetch);
  }

  private run(hi: number, lo: number, offset: number, access: number): number {
    const { walk } = this;
    walk.inHi = hi;
    walk.inLo = lo;
    walk.offset = offset;
    walk.access = access;
    return walkFunctional(this.walker, walk, this.memory, this.observer?.walk ?? null);
  }

  private walkFor(request: DeviceRequest, context: TranslationContext): Outcome {
    const { walk, outcome } = this;
    walk.context.set(context.walk);
    const access = request.access & context.accessMask;
    if (this.run(request.hi, request.lo, request.offset, access) !== STEP_DONE) {
      outcome.code = this.unit.faultCodeOf(walk, request, context);
      outcome.address2 = this.unit.faultAddress2Of(walk, request, context);
      return this.fault(request);
    }
    walk.order = this.unit.reusableOrder(walk, context);
    if (request.kind !== REQUEST_ATS) this.fill(request, context);
    outcome.kind = OUTCOME_WALK;
    outcome.outHi = walk.outHi;
    outcome.outLo = walk.outLo;
    outcome.guestHi = walk.guestHi;
    outcome.guestLo = walk.guestLo;
    outcome.order = walk.order;
    outcome.order1 = walk.order1;
    outcome.order2 = walk.order2;
    outcome.leaf1 = walk.leaf1;
    outcome.leaf2 = walk.leaf2;
    outcome.redirected = walk.redirected;
    outcome.redirectData.set(walk.redirectData);
    return outcome;
  }

  private pass(request: DeviceRequest): Outcome {
    const { outcome } = this;
    outcome.kind = OUTCOME_BYPASS;
    outcome.outHi = request.hi;
    outcome.outLo = request.lo;
    outcome.guestHi = request.hi;
    outcome.guestLo = request.lo;
    outcome.order = ORDER_BARE;
    outcome.order1 = ORDER_BARE;
    outcome.order2 = ORDER_BARE;
    outcome.leaf1 = 0;
    outcome.leaf2 = 0;
    outcome.redirected = 0;
    return outcome;
  }

  private fault(request: DeviceRequest): Outcome {
    this.outcome.kind = OUTCOME_FAULT;
    this.outcome.redirected = 0;
    this.report(request);
    return this.outcome;
  }

  /** Answers from the IOTLB, if an entry permits the access. */
  private lookup(request: DeviceRequest, context: TranslationContext): boolean {
    const { iotlb } = this.caches;
    if (iotlb === null) return false;
    const { hi, lo } = request;
    const slot = iotlb.lookup(context.tag1, context.tag2, hi, lo);
    if (slot < 0) return false;
    const access = request.access & context.accessMask;
    if (!iotlb.permits(slot, access)) return false;
    const { outcome } = this;
    const leaf1 = iotlb.leaf1(slot);
    const leaf2 = iotlb.leaf2(slot);
    if (!privilegeSuits(leaf1, access, context)) return false;
    iotlb.translate(slot, hi, lo);
    const order = iotlb.order(slot);
    outcome.kind = OUTCOME_HIT;
    outcome.outHi = iotlb.outHi;
    outcome.outLo = iotlb.outLo;
    outcome.guestHi = fillHi(iotlb.guestHi(slot), hi, order);
    outcome.guestLo = fillLo(iotlb.guestLo(slot), lo, order);
    outcome.order = order;
    outcome.order1 = leafOrder(leaf1);
    outcome.order2 = leafOrder(leaf2);
    outcome.leaf1 = leaf1;
    outcome.leaf2 = leaf2;
    outcome.redirected = iotlb.redirected(slot);
    return true;
  }

  /** Keeps a walk's result, if it is a plain translation that others may use. */
  private fill(request: DeviceRequest, context: TranslationContext): void {
    const { walk } = this;
    if (walk.redirected > REDIRECT_TRANSLATED) return;
    this.caches.iotlb?.insertWalk(context.tag1, context.tag2, request.hi, request.lo, walk);
  }
}

/** Contexts that share tags may still differ in what privileged requests may do to user pages. */
function privilegeSuits(leaf1: number, access: number, context: TranslationContext): boolean {
  if ((access & ACCESS_PRIVILEGED) === 0 || (leaf1 & LEAF_USER) === 0) return true;
  return (context.walk[WC_S1_FLAGS] & STAGE_PRIVILEGED_USER) !== 0;
}

function leafOrder(leaf: number): number {
  return leaf === 0 ? ORDER_BARE : (leaf >>> LEAF_ORDER_SHIFT) & LEAF_ORDER_MASK;
}
