/**
 * How long a thread polls a shared word before it sleeps. Polling pays when the other thread runs
 * on a core of its own and is nearly done; when both share a core, it only keeps the other from
 * working. Which of the two holds shows in whether polling succeeds, and it may change at any time:
 * so failures shorten it, a success restores it, and now and then the full length is tried.
 */

const POLLS_MIN = 50;
/** Every so many waits get the full length. */
const TRIAL_MASK = 63;

export class Patience {
  private readonly max: number;
  private polls: number;
  private waits = 0;

  /** At most `max` polls per wait, each a few nanoseconds. */
  constructor(max: number) {
    this.max = max;
    this.polls = max;
  }

  /** Waits until the word is no longer (`isEqual` false) or is (`isEqual` true) `value`. */
  poll(words: Int32Array, index: number, value: number, isEqual: boolean): boolean {
    const polls = (++this.waits & TRIAL_MASK) === 0 ? this.max : this.polls;
    for (let i = 0; i < polls; i++) {
      if ((Atomics.load(words, index) === value) === isEqual) {
        this.polls = this.max;
        return true;
      }
    }
    this.polls = Math.max(Math.min(POLLS_MIN, this.max), this.polls >> 1);
    return false;
  }
}
