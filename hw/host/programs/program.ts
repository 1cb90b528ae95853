/**
 * A program on its core. A system call happens at one instant, its start; then the core spends what
 * it costs and carries out the invalidations that it asked for, one after the other; then the
 * answer counts. Between steps other work of the core may run.
 */
import { InternalError } from '../../../sim/errors.ts';
import type { Core } from '../core.ts';
import type { PendingSync, Settled } from '../iommufd/hardware-sync.ts';
import { ERRNO, type ErrnoName } from '../kernel/errno.ts';
import type { UserProcess } from '../kernel/process.ts';
import { Actions } from './actions.ts';
import type { Answer } from './answer.ts';
import { carryOut } from './carry-out.ts';
import { type Actual, type Comparison, mismatch } from './comparison.ts';
import type { Environment } from './environment.ts';
import type { CallBook } from './statistics.ts';
import type { FieldValues, Step } from './step.ts';
import { evaluate, isExpression, type Names } from './values.ts';
import { KERNEL_FIGURES, type KernelFigure } from './verbs.ts';

/** Handlers that all programs share; their first argument is the program's index. */
export interface ProgramHandlers {
  readonly next: number;
  readonly returned: number;
}

/** What a program asks of the set that it belongs to. */
export interface ProgramPeers {
  readonly handlers: ProgramHandlers;
  readonly book: CallBook;
  /** After so many cycles, without using a core. */
  wakeAfter(cycles: number, index: number): void;
  fork(parent: Program, step: Step, process: UserProcess): void;
  finished(name: string): boolean;
}

interface Frame {
  readonly steps: readonly Step[];
  at: number;
  readonly times: number;
  round: number;
  readonly index: string;
}

const DEFAULT_WAIT_PS = 10_000_000_000;
const MAX_FAILURES = 20;
const END: Step = {
  verb: 'exit',
  ioctl: '',
  given: {},
  on: '',
  tail: [],
  pointer: '',
  as: {},
  expect: { errno: '', values: {} },
  steps: [],
  when: '',
  at: 'end',
};

export class Program {
  readonly name: string;
  readonly core: Core;
  readonly names: Names;
  /** Steps begun, calls made and refused. */
  steps = 0;
  calls = 0;
  refused = 0;
  checks = 0;
  failedChecks = 0;
  readonly failures: string[] = [];
  finished = false;
  /** Cycle of the end. */
  endedAt = 0;
  private readonly environment: Environment;
  private readonly peers: ProgramPeers;
  private readonly index: number;
  private readonly actions: Actions;
  private readonly comparison: Comparison;
  private readonly stack: Frame[];
  private ending = false;
  // The call under way.
  private issued = 0;
  private answer: Answer | null = null;
  private pending: readonly PendingSync[] = [];
  private settled: readonly Settled[] = [];
  private done = 0;
  // The wait under way: until when, and DMAs that the device is to have done.
  private deadline = -1;
  private target = 0;

  constructor(
    environment: Environment,
    peers: ProgramPeers,
    index: number,
    name: string,
    core: Core,
    process: UserProcess,
    steps: readonly Step[],
    names: Names,
  ) {
    this.environment = environment;
    this.peers = peers;
    this.index = index;
    this.name = name;
    this.core = core;
    this.names = names;
    this.actions = new Actions(environment, process, names, (answer, cycles, invalidations) =>
      this.record(answer, cycles, invalidations),
    );
    this.stack = [{ steps, at: 0, times: 1, round: 0, index: '' }];
    this.comparison = {
      names,
      written: (device, guest) => {
        const written = environment.devices.get(device)?.traffic?.takeWritten();
        if (written === undefined) return [];
        if (guest === '') return written.inputs;
        return this.actions.guests.named(guest)?.guestPages(written.frames) ?? [];
      },
    };
  }

  start(): void {
    this.core.run(0, this.peers.handlers.next, this.index, 0);
  }

  /** On the core: the steps up to one that takes time. */
  next(): void {
    while (!this.finished) {
      const step = this.current();
      if (this.deadline < 0) {
        if (step.when !== '' && this.actions.value(step.when) === 0n) {
          this.advance();
          continue;
        }
        this.steps++;
      }
      if (step === END || this.actions.isCall(step)) {
        this.begin(step);
        return;
      }
      if (this.control(step)) return;
    }
  }

  /** On the core: the cycles of the call, or one of its invalidations, are over. */
  returned(): void {
    if (this.done < this.pending.length) {
      const sync = this.pending[this.done++];
      carryOut(this.environment, this.core, sync, this.peers.handlers.returned, this.index);
      return;
    }
    for (const what of this.settled) what.settle();
    this.actions.completed();
    const cycles = this.environment.events.now - this.issued;
    this.record(this.answer as Answer, cycles, this.pending.length);
    if (this.ending) this.end();
    else this.core.run(0, this.peers.handlers.next, this.index, 0);
  }

  /** One line for the dump of a run that stands still. */
  describe(): string {
    if (this.finished) return `program ${this.name}: finished`;
    const frame = this.stack.at(-1);
    const step = frame?.steps[Math.min(frame.at, frame.steps.length - 1)];
    return `program ${this.name}: at ${step?.at ?? 'its end'}, ${this.done} of ${this.pending.length} invalidations`;
  }

  // -------------------------------------------------------------------------------------------

  /** The step to do; END after the last. */
  private current(): Step {
    for (;;) {
      const frame = this.stack.at(-1);
      if (frame === undefined) return END;
      const step = frame.steps[frame.at];
      if (step !== undefined && frame.round < frame.times) return step;
      frame.round++;
      frame.at = 0;
      if (frame.round < frame.times) {
        if (frame.index !== '') this.names.set(frame.index, BigInt(frame.round));
      } else {
        this.stack.pop();
      }
    }
  }

  private advance(): void {
    const frame = this.stack.at(-1);
    if (frame !== undefined) frame.at++;
  }

  private begin(step: Step): void {
    const { environment } = this;
    environment.work.reset();
    this.advance();
    this.ending = step === END;
    const answer = this.call(step);
    this.issued = environment.events.now;
    this.answer = answer;
    const pending = environment.sync.take();
    this.pending = environment.invalidates ? pending : [];
    this.settled = environment.sync.takeSettled();
    this.done = 0;
    if (!this.ending) this.judge(step, answer);
    const cycles = environment.costs.of(environment.work, answer.entries) + answer.cycles;
    this.core.proceed(cycles, this.peers.handlers.returned, this.index, 0);
  }

  private call(step: Step): Answer {
    if (step === END) return this.actions.exit();
    if (step.verb !== 'fork') return this.actions.run(step);
    const child = this.environment.kernel.forkProcess(this.actions.process);
    this.peers.fork(this, step, child);
    return { call: 'fork', word: 0, entries: 1, cycles: 0, errno: '', rule: '', out: {} };
  }

  /** Books a call, of a step or for a guest, that has come back. */
  private record(answer: Answer, cycles: number, invalidations: number): void {
    const { events, trace } = this.environment;
    this.peers.book.record(answer, cycles);
    const errno = errnoNumber(answer.errno);
    trace?.emit(events.now, this.index, answer.word, errno, cycles, invalidations);
  }

  private end(): void {
    this.finished = true;
    this.endedAt = this.environment.events.now;
  }

  /** Compares the answer with what is expected, and defines the names that it gives. */
  private judge(step: Step, answer: Answer): void {
    const { expect } = step;
    this.calls++;
    if (answer.errno !== '') this.refused++;
    this.checks++;
    if (answer.errno !== expect.errno) {
      const wanted = expect.errno === '' ? 'success' : expect.errno;
      const got = answer.errno === '' ? 'success' : `${answer.errno} (${answer.rule})`;
      this.fail(step, `expected ${wanted}, got ${got}`);
      // What follows stands on this call: a program ends where it did not get what it needs.
      if (answer.errno !== '') this.stack.length = 0;
      return;
    }
    this.compareAll(step, expect.values, (field) => answer.out[field]);
    for (const [name, field] of Object.entries(step.as)) {
      const value = answer.out[field];
      if (typeof value === 'number' || typeof value === 'bigint') {
        this.names.set(name, BigInt(value));
      }
    }
  }

  private compareAll(step: Step, values: FieldValues, actual: (field: string) => Actual): void {
    for (const [field, expected] of Object.entries(values)) {
      this.checks++;
      const found = mismatch(field, expected, actual(field), this.comparison);
      if (found !== '') this.fail(step, found);
    }
  }

  private fail(step: Step, message: string): void {
    this.failedChecks++;
    if (this.failures.length >= MAX_FAILURES) return;
    const what = step.verb === 'ioctl' ? step.ioctl : step.verb;
    this.failures.push(`${step.at}: ${what}: ${message}`);
  }

  /** A step that is no system call; true: it takes time. */
  private control(step: Step): boolean {
    const { given } = step;
    switch (step.verb) {
      case 'repeat':
        this.repeat(step);
        return false;
      case 'check':
        this.compareAll(step, given.that as FieldValues, (name) => this.figure(name));
        break;
      case 'fail_step':
        this.environment.kernel.memory.arm(given.n as number);
        break;
      case 'start': {
        const page = given.at === undefined ? -1 : Number(this.actions.value(given.at) >> 12n);
        this.actions.device(step).traffic?.start(page);
        break;
      }
      case 'stop':
        this.actions.device(step).traffic?.stop();
        break;
      case 'delay':
        this.advance();
        this.peers.wakeAfter(
          Math.max(1, this.environment.cycles(given.time as number)),
          this.index,
        );
        return true;
      case 'wait':
        if (this.wait(step)) return true;
        break;
      default:
        throw new InternalError('program', `unknown step ${step.verb}`);
    }
    this.advance();
    return false;
  }

  private repeat(step: Step): void {
    const times = step.given.times as number;
    const index = (step.given.index ?? '') as string;
    this.advance();
    if (times === 0) return;
    if (index !== '') this.names.set(index, 0n);
    this.stack.push({ steps: step.steps, at: 0, times, round: 0, index });
  }

  /** True while it is to be looked at again later. */
  private wait(step: Step): boolean {
    const { events, costs } = this.environment;
    if (this.deadline < 0) {
      const within = (step.given.within ?? DEFAULT_WAIT_PS) as number;
      this.deadline = events.now + this.environment.cycles(within);
      this.target = this.completed(step) + ((step.given.dmas ?? 0) as number);
    }
    const ready = this.ready(step);
    if (!ready && events.now < this.deadline) {
      this.peers.wakeAfter(costs.pollCycles, this.index);
      return true;
    }
    this.deadline = -1;
    this.checks++;
    if (!ready) this.fail(step, 'it did not come within the time');
    return false;
  }

  private completed({ given }: Step): number {
    const device = this.environment.devices.get(String(given.device));
    return device?.traffic?.completed ?? 0;
  }

  private ready(step: Step): boolean {
    const { readable, program, dmas, responses } = step.given;
    if (readable !== undefined) {
      const file = this.actions.process.file(Number(this.actions.value(readable)));
      return ((file?.poll?.() ?? 0) & 1) !== 0;
    }
    if (program !== undefined) return this.peers.finished(String(program));
    if (responses !== undefined) {
      return (this.actions.device(step).pages?.waiting ?? 0) >= (responses as number);
    }
    if (dmas !== undefined) return this.completed(step) >= this.target;
    return this.actions.device(step).traffic?.idle ?? true;
  }

  private figure(name: string): Actual {
    if (isExpression(name)) return evaluate(name, this.names);
    const { kernel } = this.environment;
    const figures: Readonly<Record<KernelFigure, () => number>> = {
      pinned_pages: () => kernel.pins.total,
      charged_bytes: () => kernel.memory.bytes,
      allocations: () => kernel.memory.allocations,
      locked_pages: () => this.actions.process.user.lockedPages,
      frames_in_use: () => kernel.pins.inUse,
    };
    return KERNEL_FIGURES.includes(name as KernelFigure)
      ? figures[name as KernelFigure]()
      : undefined;
  }
}

function errnoNumber(name: string): number {
  return name === '' ? 0 : (ERRNO[name as ErrnoName] ?? 0);
}
