/**
 * A partition (logical process): a part of the simulated system with its own event queue, which
 * meets the other partitions only through messages and through memory. Within a window it runs on
 * its own; what it sends is delivered in a later window, at the exact cycle that it asked for.
 *
 *     const base = partition.reserve(to, latency, KIND, 3);   // latency >= window
 *     partition.out[base] = ...;                              // three payload words
 *     partition.receive(KIND, (words, base) => ...);          // valid during the handler only
 *
 * A message to a partition of the same thread goes straight into the receiver's event queue; one to
 * another thread lies in a mailbox until the boundary.
 *
 * Messages of one cycle are delivered in (sender, sequence) order, in PHASE_MESSAGE, before the
 * partition's own events of that cycle. The window is the lookahead: `latency` may be no shorter.
 */

import { InternalError } from '../errors.ts';
import { EventQueue, PHASE_MESSAGE } from '../time/event-queue.ts';
import { KIND_MASK, MAILBOX_FIRST, Mailbox, MESSAGE_HEADER_WORDS, PEER_SHIFT } from './mailbox.ts';
import { MessageHold, PAYLOAD_WORDS_MAX } from './message-hold.ts';

/** Handles one message: payload word i is `words[base + i]`. */
export type MessageHandler = (words: Int32Array, base: number) => void;

/** What a partition's builder returns. */
export interface PartitionHandle {
  /** Called once, after the last window; blobs may still be emitted. Returns plain data. */
  finish?(): Record<string, unknown>;
  /** Queues and who waits for whom, for the report of a run that stands still. */
  dump?(): string;
}

/** Builds the units of a partition, in whichever thread carries it. */
export type PartitionBuilder<Config = never, Shared = never> = (
  partition: Partition,
  config: Config,
  shared: Shared,
) => PartitionHandle | Promise<PartitionHandle>;

/** The buffers of one partition, shared between its thread and the main thread. */
export interface PartitionBuffers {
  readonly outbox: SharedArrayBuffer;
  readonly inbox: SharedArrayBuffer;
}

export class Partition {
  readonly id: number;
  /** Cycles of a window, which is also the shortest latency of a message. */
  readonly window: number;
  readonly events: EventQueue = new EventQueue();
  /** Takes the payload words of the message that was reserved last. */
  out: Int32Array;
  /** Messages sent to partitions of the same thread. */
  sent = 0;
  private readonly partitions: number;
  private readonly outbox: Mailbox;
  private readonly inbox: Mailbox;
  private readonly hold = new MessageHold();
  /** By number: the partitions that the same thread carries. */
  private readonly peers: (Partition | null)[];
  private readonly handlers: MessageHandler[] = [];
  private readonly onMessage: number;
  private blobs: Uint8Array[] = [];

  constructor(id: number, partitions: number, window: number, buffers: PartitionBuffers) {
    this.id = id;
    this.window = window;
    this.partitions = partitions;
    this.outbox = new Mailbox(buffers.outbox);
    this.inbox = new Mailbox(buffers.inbox);
    this.out = this.outbox.words;
    this.peers = new Array(partitions).fill(null);
    this.onMessage = this.events.register(PHASE_MESSAGE, 'message', (slot) => this.deliver(slot));
  }

  /** Sends a message; the caller writes its payload to `out` from the returned index on. */
  reserve(to: number, latency: number, kind: number, words: number): number {
    if (!(latency >= this.window)) this.refuseLatency(to, latency, kind);
    if (to >>> 0 >= this.partitions || kind >>> 0 > KIND_MASK || words >>> 0 > PAYLOAD_WORDS_MAX) {
      throw new InternalError(
        'message',
        `partition ${this.id}: message of kind ${kind}, ${words} words, to partition ${to}`,
      );
    }
    const peer = this.peers[to];
    const cycle = this.events.now + latency;
    if (peer === null) {
      this.out = this.outbox.words;
      return this.outbox.add(cycle, to, kind, words);
    }
    // What came through the mailbox was sent before.
    peer.takeIn();
    this.sent++;
    const base = peer.expect(cycle, this.id, kind);
    this.out = peer.hold.words;
    return base;
  }

  /** Makes a partition known that the same thread carries. */
  meet(peer: Partition): void {
    this.peers[peer.id] = peer;
  }

  /** Makes `fn` the handler of a kind of messages. */
  receive(kind: number, fn: MessageHandler): void {
    if (this.handlers[kind] !== undefined) {
      throw new InternalError('message', `partition ${this.id}: two handlers of kind ${kind}`);
    }
    this.handlers[kind] = fn;
  }

  /**
   * Hands bytes (a trace chunk) to the owner of the engine, at the window boundary, in partition
   * order. The bytes now belong to the engine: the caller does not touch them again.
   */
  emitBlob(bytes: Uint8Array): void {
    this.blobs.push(bytes);
  }

  /** Runs all that happens before the cycle `end`, which ends a window. */
  runWindow(end: number): void {
    this.takeIn();
    this.events.run(end);
  }

  /** Earliest cycle at which something happens here, Infinity when nothing is pending. */
  next(): number {
    this.takeIn();
    return this.events.next();
  }

  get hasBlobs(): boolean {
    return this.blobs.length > 0;
  }

  /** The blobs emitted since the last call. */
  takeBlobs(): Uint8Array[] {
    const blobs = this.blobs;
    this.blobs = [];
    return blobs;
  }

  dump(): string {
    return `partition ${this.id}: ${this.events.dump()}\n  ${this.hold.length} messages held`;
  }

  /** Takes all messages out of the inbox. */
  private takeIn(): void {
    const { inbox } = this;
    const end = inbox.end;
    if (end === MAILBOX_FIRST) return;
    const { words } = inbox;
    for (let at = MAILBOX_FIRST; at < end; at = inbox.after(at)) {
      const who = words[at + 2];
      const from = at + MESSAGE_HEADER_WORDS;
      const to = this.expect(inbox.cycleAt(at), who >> PEER_SHIFT, who & KIND_MASK);
      const own = this.hold.words;
      for (let i = 0; i < words[at + 3]; i++) own[to + i] = words[from + i];
    }
    inbox.clear();
  }

  /** Takes a message in without its payload; returns where in the hold the payload goes. */
  private expect(cycle: number, sender: number, kind: number): number {
    const slot = this.hold.take(kind);
    this.events.atInOrder(cycle, this.onMessage, slot, sender);
    return slot * PAYLOAD_WORDS_MAX;
  }

  private deliver(slot: number): void {
    const hold = this.hold;
    const handler = this.handlers[hold.kinds[slot]];
    if (handler === undefined) {
      const message = `partition ${this.id}: nobody receives messages of kind ${hold.kinds[slot]}`;
      throw new InternalError('message', message);
    }
    handler(hold.words, slot * PAYLOAD_WORDS_MAX);
    hold.release(slot);
  }

  private refuseLatency(to: number, latency: number, kind: number): never {
    throw new InternalError(
      'lookahead',
      `partition ${this.id}: message of kind ${kind} to partition ${to} with a latency of ` +
        `${latency} cycles, shorter than the window of ${this.window}`,
    );
  }
}
