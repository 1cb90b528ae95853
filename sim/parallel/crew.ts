/**
 * The workers as the main thread sees them: a piscina pool in which every thread has one long-lived
 * task. Windows are ordered and answered through shared words; what is larger (trace chunks,
 * failures, results) comes through a message port and is taken in when the answer is there. A
 * worker that dies is noticed whenever the main thread gives its event loop a turn.
 */

import { scheduler } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { invariant, type SimError } from '../errors.ts';
import type { ModuleRef } from './carrier.ts';
import { allocateControl, MainControl, ORDER_BUILD } from './control.ts';
import { workerDied } from './failure.ts';
import type { Status } from './status.ts';
import type { PartitionPlan, Post, WorkerTask } from './worker.ts';

/** Longest sleep of the main thread before it looks for dead workers, and while they start. */
const SLEEP_MS = 20;
const START_SLEEP_MS = 1;

export interface CrewOptions {
  readonly partitions: number;
  readonly window: number;
  /** Polls of a shared word before a thread goes to sleep. */
  readonly polls: number;
  readonly status: SharedArrayBuffer;
  readonly shared: unknown;
  readonly hostClock: ModuleRef | null;
  /** What each worker carries; worker i + 1 is the i-th. */
  readonly plans: readonly (readonly PartitionPlan[])[];
}

interface Member {
  readonly worker: number;
  readonly partitions: readonly number[];
  readonly port: MessagePort;
  /** An order was given and its answer not yet taken in. */
  busy: boolean;
  dead: SimError | null;
  windows: number;
}

export class Crew {
  private readonly pool: Piscina;
  private readonly control: MainControl;
  private readonly members: Member[];

  private constructor(pool: Piscina, control: MainControl, members: Member[]) {
    this.pool = pool;
    this.control = control;
    this.members = members;
  }

  /** Starts the workers and lets them build; the answers are awaited with `settle`. */
  static async start(options: CrewOptions): Promise<Crew> {
    const { plans, ...common } = options;
    const { Piscina } = await import('piscina');
    const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
    const pool = new Piscina({
      filename: fileURLToPath(new URL(`./worker.${extension}`, import.meta.url)),
      minThreads: plans.length,
      maxThreads: plans.length,
    });
    const buffer = allocateControl(plans.length);
    const control = new MainControl(buffer, options.polls);
    const members = plans.map((own, index): Member => {
      const worker = index + 1;
      const { port1, port2 } = new MessageChannel();
      const partitions = own.map((plan) => plan.id);
      const member = { worker, partitions, port: port1, busy: true, dead: null, windows: 0 };
      const task: WorkerTask = { ...common, worker, control: buffer, plans: own, port: port2 };
      control.order(worker, ORDER_BUILD, 0);
      watch(member, pool.run(task, { transferList: [port2] }));
      return member;
    });
    return new Crew(pool, control, members);
  }

  /** Gives an order to all workers that live. */
  orderAll(kind: number): void {
    for (const member of this.members) {
      if (member.dead === null) this.order(member, kind, 0);
    }
  }

  /** Orders a window from the workers that have work before its end. */
  orderWindow(kind: number, end: number, status: Status): boolean {
    let ordered = false;
    for (const member of this.members) {
      for (const id of member.partitions) {
        if (status.next(id) >= end) continue;
        this.order(member, kind, end);
        member.windows++;
        ordered = true;
        break;
      }
    }
    return ordered;
  }

  /** True when no worker is asked for an answer any more; false after a while without one. */
  await(sleepMs: number = SLEEP_MS): boolean {
    for (const member of this.members) {
      if (!member.busy) continue;
      if (!this.control.await(member.worker, sleepMs)) {
        if (member.dead === null) return false;
        // The dead give no answers.
        member.busy = false;
      }
    }
    return true;
  }

  /** Waits for all answers while the event loop turns; for phases other than windows. */
  async settle(): Promise<void> {
    while (!this.await(START_SLEEP_MS)) await turn();
  }

  /** All answers are there without waiting. */
  get done(): boolean {
    for (const member of this.members) {
      if (member.busy && !this.control.isDone(member.worker)) return false;
    }
    return true;
  }

  /** Takes in what came with the answers, in order of workers. */
  collect(take: (post: Post) => void): void {
    for (const member of this.members) {
      if (!member.busy) continue;
      member.busy = false;
      for (let posts = this.control.posts(member.worker); posts > 0; posts--) {
        const received = receiveMessageOnPort(member.port);
        invariant(received !== undefined, 'a post is there before the answer that announces it');
        take(received.message as Post);
      }
    }
  }

  /** The first worker that died, if any. */
  get death(): SimError | null {
    return this.members.find((member) => member.dead !== null)?.dead ?? null;
  }

  /** Windows and host time waited of a worker. */
  statisticsOf(worker: number): { windows: number; waited: number } {
    const { windows } = this.members[worker - 1];
    return { windows, waited: this.control.waited(worker) };
  }

  async stop(): Promise<void> {
    for (const member of this.members) member.port.close();
    await this.pool.destroy();
  }

  private order(member: Member, kind: number, end: number): void {
    member.busy = true;
    this.control.order(member.worker, kind, end);
  }
}

/** Lets the event loop take its turn: messages arrive, deaths are noticed, signals handled. */
export function turn(): Promise<void> {
  return scheduler.yield();
}

/** Notes when a worker's task ends other than by an order. */
function watch(member: Member, task: Promise<unknown>): void {
  const { worker, partitions } = member;
  task.then(undefined, (error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    member.dead = workerDied(
      `worker ${worker}, which carried partitions ${partitions.join(', ')}, died: ${reason}`,
    );
  });
}
