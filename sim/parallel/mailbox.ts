/**
 * Mailboxes: where the messages of a partition lie between its window and the boundary (outbox),
 * and between the boundary and the receiver's next window (inbox). Both are shared buffers of one
 * layout, written by one side and read by the other, never at the same time.
 *
 * Word 0 is the index of the first free word. A message is the cycle of delivery (a double), the
 * other partition and the kind, the number of payload words, and the payload, padded to two words.
 */

import { InternalError } from '../errors.ts';
import { STATUS_NEXT, STATUS_ROW } from './status.ts';

/** Where messages begin; a multiple of a cache line. */
export const MAILBOX_FIRST = 16;
export const MESSAGE_HEADER_WORDS = 4;
export const PEER_SHIFT = 16;
export const KIND_MASK = 0xffff;
const DEFAULT_WORDS = 1 << 20;

/** Room for `words` words of messages; only what is used takes memory. */
export function allocateMailbox(words: number = DEFAULT_WORDS): SharedArrayBuffer {
  const buffer = new SharedArrayBuffer((MAILBOX_FIRST + ((words + 1) & ~1)) * 4);
  new Int32Array(buffer)[0] = MAILBOX_FIRST;
  return buffer;
}

export class Mailbox {
  readonly words: Int32Array;
  private readonly doubles: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
  }

  /** Index past the last message. */
  get end(): number {
    return this.words[0];
  }

  clear(): void {
    this.words[0] = MAILBOX_FIRST;
  }

  /** Adds a message without its payload; returns the index where the payload goes. */
  add(cycle: number, peer: number, kind: number, payload: number): number {
    const words = this.words;
    const at = words[0];
    const end = at + MESSAGE_HEADER_WORDS + ((payload + 1) & ~1);
    if (end > words.length) {
      throw new InternalError('mailbox-full', `messages of more than ${words.length} words`);
    }
    this.doubles[at >> 1] = cycle;
    words[at + 2] = (peer << PEER_SHIFT) | kind;
    words[at + 3] = payload;
    words[0] = end;
    return at + MESSAGE_HEADER_WORDS;
  }

  cycleAt(at: number): number {
    return this.doubles[at >> 1];
  }

  /** Index of the message after the one at `at`. */
  after(at: number): number {
    return at + MESSAGE_HEADER_WORDS + ((this.words[at + 3] + 1) & ~1);
  }
}

/**
 * Moves the messages of one partition to the inboxes of their receivers and lowers the receivers'
 * next cycles. Returns the number of messages.
 */
export function route(
  outbox: Mailbox,
  sender: number,
  inboxes: readonly Mailbox[],
  status: Float64Array,
): number {
  const end = outbox.end;
  const words = outbox.words;
  let messages = 0;
  for (let at = MAILBOX_FIRST; at < end; at = outbox.after(at)) {
    const cycle = outbox.cycleAt(at);
    const payload = words[at + 3];
    const to = words[at + 2] >> PEER_SHIFT;
    const inbox = inboxes[to];
    const target = inbox.add(cycle, sender, words[at + 2] & KIND_MASK, payload);
    const from = at + MESSAGE_HEADER_WORDS;
    for (let i = 0; i < payload; i++) inbox.words[target + i] = words[from + i];
    const row = to * STATUS_ROW + STATUS_NEXT;
    if (cycle < status[row]) status[row] = cycle;
    messages++;
  }
  outbox.clear();
  return messages;
}
