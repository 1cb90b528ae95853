/**
 * Orders of the main thread to its workers and their answers, as words in shared memory. Each side
 * waits by polling, because a window takes microseconds and a wake-up far longer, and sleeps when
 * nothing comes; who sleeps is woken by the other side. Every order has a number, and the answer
 * repeats it.
 */

import { Patience } from './patience.ts';

/** What a worker is told to do. */
export const ORDER_BUILD = 0;
export const ORDER_WINDOW = 1;
export const ORDER_FINISH = 2;
export const ORDER_FINISH_WITH_DUMP = 3;

/** Line 0 belongs to the main thread; each worker has one line that main writes, one of its own. */
const LINE_WORDS = 32;
const MAIN_ASLEEP = 0;
/** End of the window, a double. */
const WINDOW_END = 2;
/** In the line that main writes: number and kind of the last order. */
const ORDER = 0;
const ORDER_KIND = 1;
/** In the worker's line: number of the last order done, asleep or not, posts sent with it. */
const DONE = 0;
const ASLEEP = 1;
const POSTS = 2;
/** Time the worker has waited for orders, a double. */
const WAITED = 4;

export function allocateControl(threads: number): SharedArrayBuffer {
  return new SharedArrayBuffer((1 + 2 * threads) * LINE_WORDS * 4);
}

/** Main thread's side. Workers are numbered from 1. */
export class MainControl {
  private readonly words: Int32Array;
  private readonly doubles: Float64Array;
  private readonly patience: Patience;

  constructor(buffer: SharedArrayBuffer, polls: number) {
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.patience = new Patience(polls);
  }

  order(worker: number, kind: number, end: number): void {
    const order = orderLine(worker);
    this.doubles[WINDOW_END >> 1] = end;
    this.words[order + ORDER_KIND] = kind;
    Atomics.add(this.words, order + ORDER, 1);
    if (Atomics.load(this.words, workerLine(worker) + ASLEEP) !== 0) {
      Atomics.notify(this.words, order + ORDER);
    }
  }

  isDone(worker: number): boolean {
    const order = this.words[orderLine(worker) + ORDER];
    return Atomics.load(this.words, workerLine(worker) + DONE) === order;
  }

  /** Waits until the worker's last order is done, or for about `ms` milliseconds. */
  await(worker: number, ms: number): boolean {
    const words = this.words;
    const order = words[orderLine(worker) + ORDER];
    const done = workerLine(worker) + DONE;
    if (this.patience.poll(words, done, order, true)) return true;
    Atomics.store(words, MAIN_ASLEEP, 1);
    const seen = Atomics.load(words, done);
    if (seen !== order) Atomics.wait(words, done, seen, ms);
    Atomics.store(words, MAIN_ASLEEP, 0);
    return Atomics.load(words, done) === order;
  }

  /** Posts that came with the order that is done. */
  posts(worker: number): number {
    return this.words[workerLine(worker) + POSTS];
  }

  /** Host time the worker has spent waiting for orders. */
  waited(worker: number): number {
    return this.doubles[(workerLine(worker) + WAITED) >> 1];
  }
}

/** A worker's side. */
export class WorkerControl {
  private readonly words: Int32Array;
  private readonly doubles: Float64Array;
  private readonly patience: Patience;
  private readonly order: number;
  private readonly line: number;
  private readonly clock: (() => number) | null;
  private last = 0;

  constructor(
    buffer: SharedArrayBuffer,
    worker: number,
    polls: number,
    clock: (() => number) | null,
  ) {
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.patience = new Patience(polls);
    this.order = orderLine(worker);
    this.line = workerLine(worker);
    this.clock = clock;
  }

  /** End of the window that is ordered. */
  get end(): number {
    return this.doubles[WINDOW_END >> 1];
  }

  /** Says that the last order is done; `posts` messages were sent on the port before. */
  answer(posts: number): void {
    this.words[this.line + POSTS] = posts;
    Atomics.store(this.words, this.line + DONE, this.last);
    if (Atomics.load(this.words, MAIN_ASLEEP) !== 0) {
      Atomics.notify(this.words, this.line + DONE);
    }
  }

  /** Waits for the next order and returns its kind. */
  next(): number {
    const since = this.clock === null ? 0 : this.clock();
    this.last = this.waitForOrder();
    if (this.clock !== null) this.doubles[(this.line + WAITED) >> 1] += this.clock() - since;
    return this.words[this.order + ORDER_KIND];
  }

  private waitForOrder(): number {
    const words = this.words;
    if (this.patience.poll(words, this.order, this.last, false)) {
      return Atomics.load(words, this.order);
    }
    Atomics.store(words, this.line + ASLEEP, 1);
    while (Atomics.load(words, this.order) === this.last) {
      Atomics.wait(words, this.order, this.last);
    }
    Atomics.store(words, this.line + ASLEEP, 0);
    return Atomics.load(words, this.order);
  }
}

function orderLine(worker: number): number {
  return (2 * worker - 1) * LINE_WORDS;
}

function workerLine(worker: number): number {
  return 2 * worker * LINE_WORDS;
}
