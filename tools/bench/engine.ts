/**
 * Hold model of event kernels: a fixed number of events pending, each handler schedules its
 * successor 1..1000 cycles ahead, one in a hundred far beyond the wheel. The wheel of the simulator
 * against the structure it replaces, a branch-free binary heap over typed arrays.
 */
import { EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';

const DELAY_MAX = 1000;
const FAR_DELAY = 100_000;
/** Events executed before the clock starts: compiles the code and spreads the pending events. */
const WARM_UP_ROUNDS = 4;

/** xorshift32 (Marsaglia 2003): cheap, so that it measures the queue and not the generator. */
let random = 0;

function nextDelay(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  const bits = random >>> 0;
  const delay = 1 + ((bits >>> 7) % DELAY_MAX);
  return bits % 100 === 0 ? delay + FAR_DELAY : delay;
}

/** Events per second of the timing wheel. */
export function holdWheel(pending: number, events: number): number {
  random = 2463534242;
  const queue = new EventQueue();
  const handler = queue.register(PHASE_UNIT, 'hold', (a, b) => {
    queue.after(nextDelay(), handler, a, b);
  });
  for (let i = 0; i < pending; i++) queue.after(nextDelay(), handler, i, 0);
  const step = (): void => queue.run(queue.now + DELAY_MAX);
  return rate(queue, pending, events, step);
}

/** Events per second of the heap. */
export function holdHeap(pending: number, events: number): number {
  random = 2463534242;
  const queue = new HeapQueue(pending + 1);
  queue.handler = (a, b) => {
    queue.after(nextDelay(), 0, a, b);
  };
  for (let i = 0; i < pending; i++) queue.after(nextDelay(), 0, i, 0);
  const step = (): void => queue.run(queue.now + DELAY_MAX);
  return rate(queue, pending, events, step);
}

function rate(
  queue: { readonly executed: number },
  pending: number,
  events: number,
  step: () => void,
): number {
  const warm = Math.max(pending * WARM_UP_ROUNDS, events >> 3);
  while (queue.executed < warm) step();
  const executed = queue.executed;
  const start = process.hrtime.bigint();
  while (queue.executed - executed < events) step();
  const ns = Number(process.hrtime.bigint() - start);
  return ((queue.executed - executed) / ns) * 1e9;
}

/** Room for the order of scheduling in a key; cycles take the bits above. */
const SEQUENCES = 2 ** 23;

/**
 * The peer: key = cycle * 2^23 + sequence in one double, which limits a run to 2^30 cycles and 2^23
 * events; the fastest heap of those compared.
 */
class HeapQueue {
  now = 0;
  executed = 0;
  handler: (a: number, b: number) => void = () => {};
  private readonly keys: Float64Array;
  private readonly slots: Int32Array;
  private readonly nodes: Int32Array;
  private readonly free: Int32Array;
  private freeCount: number;
  private size = 0;
  private sequence = 0;

  constructor(capacity: number) {
    this.keys = new Float64Array(capacity + 1);
    this.slots = new Int32Array(capacity + 1);
    this.nodes = new Int32Array(capacity * 4);
    this.free = Int32Array.from({ length: capacity }, (_, i) => i * 4);
    this.freeCount = capacity;
  }

  after(delay: number, handler: number, a: number, b: number): void {
    const { keys, slots, nodes } = this;
    const node = this.free[--this.freeCount];
    nodes[node] = handler;
    nodes[node + 1] = a;
    nodes[node + 2] = b;
    const key = (this.now + delay) * SEQUENCES + this.sequence;
    this.sequence = (this.sequence + 1) % SEQUENCES;
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (keys[parent] <= key) break;
      keys[hole] = keys[parent];
      slots[hole] = slots[parent];
      hole = parent;
    }
    keys[hole] = key;
    slots[hole] = node;
  }

  run(limit: number): void {
    const { keys, slots, nodes } = this;
    const end = limit * SEQUENCES;
    while (this.size > 0 && keys[0] < end) {
      this.now = Math.floor(keys[0] / SEQUENCES);
      const node = slots[0];
      this.removeTop();
      this.free[this.freeCount++] = node;
      this.executed++;
      this.handler(nodes[node + 1], nodes[node + 2]);
    }
  }

  private removeTop(): void {
    const { keys, slots } = this;
    const size = --this.size;
    const key = keys[size];
    const slot = slots[size];
    keys[size] = Number.POSITIVE_INFINITY;
    let hole = 0;
    for (let child = 1; child < size; child = 2 * hole + 1) {
      child += Number(keys[child + 1] < keys[child]);
      if (keys[child] >= key) break;
      keys[hole] = keys[child];
      slots[hole] = slots[child];
      hole = child;
    }
    keys[hole] = key;
    slots[hole] = slot;
  }
}
