/**
 * What each partition says after a window, in one shared array: the cycle of its next event, the
 * events it has executed, the cycle it has reached, and messages it sent within its thread. A partition's row fills two cache lines, so
 * that threads do not disturb each other. The main thread lowers `next` when it routes a message.
 */

export const STATUS_ROW = 16;
export const STATUS_NEXT = 0;
const STATUS_EXECUTED = 1;
const STATUS_NOW = 2;
const STATUS_SENT = 3;

export function allocateStatus(partitions: number): SharedArrayBuffer {
  return new SharedArrayBuffer(partitions * STATUS_ROW * 8);
}

/** Who reports: a partition. */
interface Reporter {
  readonly id: number;
  readonly sent: number;
  readonly events: { readonly executed: number; readonly now: number };
  next(): number;
}

export class Status {
  readonly rows: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.rows = new Float64Array(buffer);
  }

  /** What a window changed; `next` only when all partitions of the thread have run. */
  update(partition: Reporter): void {
    const row = partition.id * STATUS_ROW;
    this.rows[row + STATUS_EXECUTED] = partition.events.executed;
    this.rows[row + STATUS_NOW] = partition.events.now;
    this.rows[row + STATUS_SENT] = partition.sent;
  }

  /** Others of its thread may have sent it messages: asked when all of them have run. */
  updateNext(partition: Reporter): void {
    this.rows[partition.id * STATUS_ROW + STATUS_NEXT] = partition.next();
  }

  next(id: number): number {
    return this.rows[id * STATUS_ROW + STATUS_NEXT];
  }

  executed(id: number): number {
    return this.rows[id * STATUS_ROW + STATUS_EXECUTED];
  }

  now(id: number): number {
    return this.rows[id * STATUS_ROW + STATUS_NOW];
  }

  sent(id: number): number {
    return this.rows[id * STATUS_ROW + STATUS_SENT];
  }

  /** Nothing will happen here any more. */
  retire(id: number): void {
    this.rows[id * STATUS_ROW + STATUS_NEXT] = Number.POSITIVE_INFINITY;
  }
}
