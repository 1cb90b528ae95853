/**
 * The kernel's DMA API as a device driver sees it: map and unmap run on a core as steps of its
 * work, spend cycles, and hand back an input address. What they do is the policy's choice
 * (hw/host/policies). Every change is told to an observer, with system physical frames.
 */
import { CounterSet } from '../../sim/stats/counters.ts';
import { Histogram } from '../../sim/stats/histogram.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import type { Core, Host } from './core.ts';
import type { Domain, Mapper } from './drivers/driver.ts';
import type { Invalidator } from './invalidation.ts';
import type { IovaAllocator } from './iova.ts';
import type { MappingObserver } from './observer.ts';

export interface MappingCosts {
  /** A call of map: IOVA allocation and the walk to the entry; and each page of it. */
  readonly mapCycles: number;
  readonly mapPageCycles: number;
  /** A call of unmap, likewise; the invalidation is not in it. */
  readonly unmapCycles: number;
  readonly unmapPageCycles: number;
  /** Putting a range on the flush queue (deferred only). */
  readonly queueCycles: number;
  /** A call that changes no table (passthrough, static). */
  readonly lookupCycles: number;
}

/** What a policy does for a device; operations are in DmaApi's columns, one per core. */
export interface MappingPolicy {
  readonly name: string;
  /** From a running step: maps the core's operation, then `finishMap`. */
  map(device: DmaDevice, core: Core): void;
  /** From a running step: unmaps the core's operation, then `finish`. */
  unmap(device: DmaDevice, core: Core): void;
  /** Maps at once and without cost, before the run; returns the input page. */
  mapNow(device: DmaDevice, frame: number, pages: number, access: number): number;
}

/** A device, as the DMA API knows it. */
export interface DmaDevice {
  /** Index of the device in the simulation. */
  readonly index: number;
  readonly domain: Domain;
  readonly driver: Mapper;
  readonly path: Invalidator;
  readonly policy: MappingPolicy;
  /** Shared by the devices of a domain. */
  readonly iova: IovaAllocator;
  /** Told of its mappings instead of the API's observer: frames of a guest are not the host's. */
  readonly observer?: MappingObserver;
}

/** What `install`, `clear` and `acknowledge` change. */
export type MappedSpace = Pick<DmaDevice, 'domain' | 'driver' | 'observer'>;

export const DMA_API_COUNTERS = ['maps', 'unmaps', 'pages-mapped', 'pages-unmapped'] as const;
const COUNT_MAPS = 0;
const COUNT_UNMAPS = 1;
const COUNT_PAGES_MAPPED = 2;
const COUNT_PAGES_UNMAPPED = 3;

export class DmaApi {
  readonly counters: CounterSet = new CounterSet(DMA_API_COUNTERS);
  /** Cycles from a call of map (unmap) to its return: a strict unmap contains its invalidation. */
  readonly mapTime: Histogram = new Histogram();
  readonly unmapTime: Histogram = new Histogram();
  /** Input page of the map that just finished; valid while its handler runs. */
  resultHi = 0;
  resultLo = 0;
  // Operation under way, by core: input and frame pages, size, permissions, what comes after.
  readonly hi: Int32Array;
  readonly lo: Int32Array;
  readonly frameHi: Int32Array;
  readonly frameLo: Int32Array;
  readonly pages: Int32Array;
  readonly access: Int32Array;
  /** Cycles of the caller's own work, spent in the operation's first step. */
  readonly lead: Int32Array;
  private readonly called: Float64Array;
  private readonly handler: Int32Array;
  private readonly token: Int32Array;
  private readonly device: (DmaDevice | null)[];
  private readonly events: EventQueue;
  private readonly host: Host;
  private readonly observer: MappingObserver | null;

  constructor(events: EventQueue, host: Host, observer: MappingObserver | null) {
    const cores = host.cores.length;
    const column = (): Int32Array => new Int32Array(cores);
    this.events = events;
    this.host = host;
    this.observer = observer;
    this.hi = column();
    this.lo = column();
    this.frameHi = column();
    this.frameLo = column();
    this.pages = column();
    this.access = column();
    this.lead = column();
    this.called = new Float64Array(cores);
    this.handler = column();
    this.token = column();
    this.device = new Array<DmaDevice | null>(cores).fill(null);
  }

  /**
   * From a running step of `core`: maps frames for a device, then handler(token, core index).
   * @param lead cycles of the caller's own work before it, so that they need no step of their own
   */
  map(
    core: Core,
    device: DmaDevice,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
    handler: number,
    token: number,
    lead = 0,
  ): void {
    const { index } = core;
    this.device[index] = device;
    this.frameHi[index] = frameHi;
    this.frameLo[index] = frameLo;
    this.pages[index] = pages;
    this.access[index] = access;
    this.handler[index] = handler;
    this.token[index] = token;
    this.lead[index] = lead;
    this.called[index] = this.events.now;
    this.counters.add(COUNT_MAPS, 1);
    device.policy.map(device, core);
  }

  /** From a running step of `core`: unmaps what `map` gave, then handler(token, core index). */
  unmap(
    core: Core,
    device: DmaDevice,
    hi: number,
    lo: number,
    pages: number,
    handler: number,
    token: number,
    lead = 0,
  ): void {
    const { index } = core;
    this.device[index] = device;
    this.hi[index] = hi;
    this.lo[index] = lo;
    this.pages[index] = pages;
    this.handler[index] = handler;
    this.token[index] = token;
    this.lead[index] = lead;
    this.called[index] = this.events.now;
    this.counters.add(COUNT_UNMAPS, 1);
    device.policy.unmap(device, core);
  }

  /** Maps for good, before the run; returns the input page. */
  mapNow(device: DmaDevice, frame: number, pages: number, access: number): number {
    return device.policy.mapNow(device, frame, pages, access);
  }

  resetFigures(): void {
    this.counters.values.fill(0);
    this.mapTime.reset();
    this.unmapTime.reset();
  }

  // -------------------------------------------------------------------------------------------
  // For policies.

  /** Device of a core's operation. */
  deviceOf(index: number): DmaDevice {
    return this.device[index] as DmaDevice;
  }

  /** The core's map is done: calls the handler with the result in place. */
  finishMap(index: number, hi: number, lo: number): void {
    this.mapTime.record(this.events.now - this.called[index]);
    this.resultHi = hi;
    this.resultLo = lo;
    this.host.call(this.handler[index], this.token[index], index);
  }

  /** The core's unmap is done. */
  finish(index: number): void {
    this.unmapTime.record(this.events.now - this.called[index]);
    this.host.call(this.handler[index], this.token[index], index);
  }

  /** Books a map, or an unmap, that did not come through `map` and `unmap`. */
  countMap(cycles: number): void {
    this.counters.add(COUNT_MAPS, 1);
    this.mapTime.record(cycles);
  }

  countUnmap(cycles: number): void {
    this.counters.add(COUNT_UNMAPS, 1);
    this.unmapTime.record(cycles);
  }

  /** Writes entries and tells the observer. */
  install(
    device: MappedSpace,
    hi: number,
    lo: number,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
  ): void {
    const { domain } = device;
    device.driver.map(domain, hi, lo, frameHi, frameLo, pages, access);
    this.counters.add(COUNT_PAGES_MAPPED, pages);
    const observer = device.observer ?? this.observer;
    if (observer === null) return;
    const guest = domain.kind === 'nested' ? domain.guest : null;
    const outHi = guest === null ? frameHi : guest.hostHi(frameHi, frameLo);
    const outLo = guest === null ? frameLo : guest.hostLo(frameLo);
    observer.mapped(domain.index, hi, lo, pages, outHi, outLo, access, this.events.now);
  }

  /** Clears entries and tells the observer. */
  clear(device: MappedSpace, hi: number, lo: number, pages: number): void {
    device.driver.unmap(device.domain, hi, lo, pages);
    this.counters.add(COUNT_PAGES_UNMAPPED, pages);
    const observer = device.observer ?? this.observer;
    observer?.unmapped(device.domain.index, hi, lo, pages, this.events.now);
  }

  /** An invalidation of the pages is known to be complete. */
  acknowledge(device: MappedSpace, hi: number, lo: number, pages: number): void {
    const observer = device.observer ?? this.observer;
    observer?.acknowledged(device.domain.index, hi, lo, pages, this.events.now);
  }

  /** What passthrough devices reach without any map: everything, or their guest's memory. */
  declareLinear(domain: Domain): void {
    const guest = domain.guest;
    if (guest === null) this.observer?.linear(domain.index, 0, 2 ** 52, 0);
    else this.observer?.linear(domain.index, guest.base, guest.pages, guest.hostBase);
  }

  /** Takes an input range and maps frames there. */
  installFresh(
    device: DmaDevice,
    core: number,
    frame: number,
    pages: number,
    access: number,
  ): number {
    const page = device.iova.alloc(core, pages);
    this.install(device, pnHi(page), pnLo(page), pnHi(frame), pnLo(frame), pages, access);
    return page;
  }

  /** Frame of a core's operation as a page number. */
  frameOf(index: number): number {
    return pageNumber(this.frameHi[index], this.frameLo[index]);
  }
}
