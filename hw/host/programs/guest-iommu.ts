/**
 * The IOMMU of a guest as its kernel's DMA API sees it: requests to it trap, and the VMM answers
 * them by system calls on the same core, whose cycles and invalidations the guest waits for. The
 * guest's lock of the request queue is held all the while, as a trapping doorbell returns only when
 * the VMM is done.
 */
import { InputError } from '../../../sim/errors.ts';
import { pageNumber } from '../../address.ts';
import type { Core } from '../core.ts';
import type { Domain, Mapper, PageRange } from '../drivers/driver.ts';
import type { Invalidator } from '../invalidation.ts';
import { callByName } from '../iommufd/client/call.ts';
import { KernelProcess } from '../iommufd/client/kernel-process.ts';
import { Scratch } from '../iommufd/client/process.ts';
import { type PendingSync, type Settled, WHOLE_DOMAIN } from '../iommufd/hardware-sync.ts';
import type { UserProcess } from '../kernel/process.ts';
import { Syscalls } from '../kernel/syscalls.ts';
import { SpinLock } from '../lock.ts';
import type { MappingObserver } from '../observer.ts';
import { type Answer, ofReport } from './answer.ts';
import { carryOut } from './carry-out.ts';
import type { Environment } from './environment.ts';
import type { GuestTranslation, VmmCall } from './guest-translation.ts';

/** Books a call that has returned, and the invalidations that it waited for. */
export type CallRecorder = (answer: Answer, cycles: number, invalidations: number) => void;

/** A request writes itself and a fence. */
const COMMANDS = 2;

/** What a core is at. */
interface Request {
  page: number;
  /** 0: entries are to be made known. */
  pages: number;
  handler: number;
  a: number;
  b: number;
  cycles: number;
  issued: number;
  answer: Answer | null;
  pending: readonly PendingSync[];
  settled: readonly Settled[];
  done: number;
}

export class GuestIommu implements Mapper, Invalidator {
  readonly reserved: readonly PageRange[];
  /** Stands for whatever the translation changes. */
  readonly domain: Domain;
  readonly lock: SpinLock;
  private readonly environment: Environment;
  private readonly translation: GuestTranslation;
  private readonly record: CallRecorder;
  private readonly fd: number;
  private readonly caller: KernelProcess;
  private readonly scratch: Scratch;
  private readonly requests: readonly Request[];
  /** The VMM is gone, and so is the guest: what its driver still does has no effect. */
  private gone = false;
  /** Cycles of maps that nobody has waited for. */
  private owed = 0;
  private readonly onLocked: number;
  private readonly onTrapped: number;
  private readonly onReturned: number;
  private readonly onMapped: number;

  constructor(
    environment: Environment,
    process: UserProcess,
    fd: number,
    translation: GuestTranslation,
    record: CallRecorder,
  ) {
    const { host, events, reserved } = environment;
    this.environment = environment;
    this.translation = translation;
    this.record = record;
    this.fd = fd;
    this.reserved = reserved;
    this.caller = new KernelProcess(new Syscalls(environment.kernel, process));
    this.scratch = new Scratch(this.caller);
    this.lock = new SpinLock(events, host.cores.length);
    this.requests = host.cores.map(emptyRequest);
    this.onLocked = host.register((core) => this.locked(core));
    this.onTrapped = host.register((core) => this.trapped(core));
    this.onReturned = host.register((core) => this.returned(core));
    this.onMapped = host.register((core) => this.finish(core));
    const none = { tables: null, stage2: null, guest: null, tag1: -1, tag2: -1 };
    this.domain = { index: -1, kind: 'nested', ...none };
  }

  /** Told of what the guest's DMA API does; the rest is told where tables change. */
  get observer(): MappingObserver {
    const { translation } = this;
    return {
      linear: () => {},
      mapped: () => {},
      unmapped: () => {},
      acknowledged: (_domain, hi, lo, pages) => translation.acknowledged(pageNumber(hi, lo), pages),
    };
  }

  end(): void {
    this.gone = true;
  }

  /** Cycles of the maps so far that are not waited for otherwise: set-up. */
  takeOwed(): number {
    const { owed } = this;
    this.owed = 0;
    return owed;
  }

  map(
    _domain: Domain,
    hi: number,
    lo: number,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
  ): void {
    if (this.gone) return;
    const guestPage = pageNumber(frameHi, frameLo);
    const call = this.translation.map(pageNumber(hi, lo), guestPage, pages, access);
    if (call === null) return;
    const { invalidation } = this.environment.options;
    const answer = this.perform(call);
    const cycles = this.environment.costs.of(this.environment.work, answer.entries);
    this.record(answer, cycles, 0);
    this.owed += this.requestCycles + invalidation.guestExitCycles + cycles;
  }

  unmap(_domain: Domain, hi: number, lo: number, pages: number): number {
    return this.gone ? pages : this.translation.unmap(pageNumber(hi, lo), pages);
  }

  range(
    core: Core,
    _domain: Domain,
    hi: number,
    lo: number,
    pages: number,
    handler: number,
    a: number,
    b: number,
  ): void {
    const { guestExitCycles } = this.environment.options.invalidation;
    const cycles = this.requestCycles + guestExitCycles;
    this.begin(core, pageNumber(hi, lo), pages, cycles, handler, a, b);
  }

  whole(core: Core, domain: Domain, handler: number, a: number, b: number): void {
    this.range(core, domain, 0, 0, WHOLE_DOMAIN, handler, a, b);
  }

  mapped(core: Core, handler: number, a: number, b: number): void {
    const cycles = this.takeOwed();
    if (cycles === 0) this.environment.host.call(handler, a, b);
    else this.begin(core, 0, 0, cycles, handler, a, b);
  }

  // -------------------------------------------------------------------------------------------

  private get requestCycles(): number {
    const { commandCycles, doorbellCycles } = this.environment.options.invalidation;
    return COMMANDS * commandCycles + doorbellCycles;
  }

  private begin(
    core: Core,
    page: number,
    pages: number,
    cycles: number,
    handler: number,
    a: number,
    b: number,
  ): void {
    Object.assign(this.requests[core.index], { page, pages, cycles, handler, a, b });
    if (this.lock.acquire(core, this.onLocked)) this.locked(core.index);
  }

  private locked(index: number): void {
    const { cycles, pages } = this.requests[index];
    const next = pages === 0 ? this.onMapped : this.onTrapped;
    this.environment.host.cores[index].proceed(cycles, next, index, 0);
  }

  /** The VMM runs, on the guest's core. */
  private trapped(index: number): void {
    const { environment, translation } = this;
    const request = this.requests[index];
    const call = this.gone ? null : translation.invalidate(request.page, request.pages);
    if (call === null) {
      this.finish(index);
      return;
    }
    request.answer = this.perform(call);
    request.issued = environment.events.now;
    const pending = environment.sync.take();
    const drops = translation.dropsInvalidations || !environment.invalidates;
    request.pending = drops ? [] : pending;
    request.settled = environment.sync.takeSettled();
    request.done = 0;
    const cycles = environment.costs.of(environment.work, request.answer.entries);
    environment.host.cores[index].proceed(cycles, this.onReturned, index, 0);
  }

  /** The cycles of the call, or one of its invalidations, are over. */
  private returned(index: number): void {
    const { environment, onReturned } = this;
    const request = this.requests[index];
    if (request.done < request.pending.length) {
      const sync = request.pending[request.done++];
      carryOut(environment, environment.host.cores[index], sync, onReturned, index);
      return;
    }
    for (const what of request.settled) what.settle();
    const cycles = environment.events.now - request.issued;
    this.record(request.answer as Answer, cycles, request.pending.length);
    this.finish(index);
  }

  private finish(index: number): void {
    const { host } = this.environment;
    const { handler, a, b } = this.requests[index];
    this.lock.release(host.cores[index]);
    host.call(handler, a, b);
  }

  /** The system call at its instant. */
  private perform({ ioctl, fields }: VmmCall): Answer {
    this.environment.work.reset();
    const report = callByName(this.caller, this.scratch, this.fd, ioctl, fields);
    const { error: errno, rule } = report;
    if (errno !== '') {
      throw new InputError(
        'guest-call',
        `the VMM's ${ioctl} for its guest's driver was refused: ${errno} (${rule})`,
      );
    }
    return ofReport(ioctl, 1, report);
  }
}

function emptyRequest(): Request {
  const nothing = { page: 0, pages: 0, handler: 0, a: 0, b: 0, cycles: 0, issued: 0, done: 0 };
  return { ...nothing, answer: null, pending: [], settled: [] };
}
