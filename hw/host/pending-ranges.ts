/**
 * Ranges of pages that software has unmapped and not yet been assured of: still pending, or covered
 * by an invalidation whose fence has not been seen. A range that is covered in part is split.
 */

const STATE_PENDING = 0;
const STATE_COVERED = 1;

export type RangeVisitor = (domain: number, first: number, pages: number) => void;

export class PendingRanges {
  count = 0;
  private domain = new Int32Array(64);
  private first = new Float64Array(64);
  private end = new Float64Array(64);
  private state = new Uint8Array(64);
  private covered = 0;

  add(domain: number, first: number, pages: number): void {
    this.push(domain, first, first + pages, STATE_PENDING);
  }

  /** An invalidation was posted for pages [first, end) of the domains that `matches` names. */
  cover(first: number, end: number, matches: (domain: number) => boolean): void {
    // Pieces that `push` appends lie outside [first, end): they need no second look.
    for (let i = this.count - 1; i >= 0; i--) {
      if (this.state[i] !== STATE_PENDING || !matches(this.domain[i])) continue;
      if (!this.cut(i, first, end)) continue;
      this.state[i] = STATE_COVERED;
      this.covered++;
    }
  }

  /** A fence behind the invalidations was seen: hands out what they covered. */
  takeCovered(visit: RangeVisitor): void {
    for (let i = this.count - 1; i >= 0 && this.covered > 0; i--) {
      if (this.state[i] === STATE_COVERED) this.take(i, visit);
    }
  }

  /** Hands out what there is of pages [first, end) of a domain, covered or not. */
  takeRange(domain: number, first: number, end: number, visit: RangeVisitor): void {
    for (let i = this.count - 1; i >= 0; i--) {
      if (this.domain[i] === domain && this.cut(i, first, end)) this.take(i, visit);
    }
  }

  /** Narrows a range to what it has in common with [first, end), keeping the rest as ranges. */
  private cut(i: number, first: number, end: number): boolean {
    const from = this.first[i];
    const to = this.end[i];
    if (to <= first || from >= end) return false;
    if (from < first) this.push(this.domain[i], from, first, this.state[i]);
    if (to > end) this.push(this.domain[i], end, to, this.state[i]);
    this.first[i] = Math.max(from, first);
    this.end[i] = Math.min(to, end);
    return true;
  }

  private take(i: number, visit: RangeVisitor): void {
    const domain = this.domain[i];
    const first = this.first[i];
    const pages = this.end[i] - first;
    const last = --this.count;
    if (this.state[i] === STATE_COVERED) this.covered--;
    this.domain[i] = this.domain[last];
    this.first[i] = this.first[last];
    this.end[i] = this.end[last];
    this.state[i] = this.state[last];
    visit(domain, first, pages);
  }

  private push(domain: number, first: number, end: number, state: number): void {
    const at = this.count++;
    if (at === this.domain.length) this.grow();
    this.domain[at] = domain;
    this.first[at] = first;
    this.end[at] = end;
    this.state[at] = state;
    if (state === STATE_COVERED) this.covered++;
  }

  private grow(): void {
    const size = this.domain.length * 2;
    const { domain, first, end, state } = this;
    this.domain = new Int32Array(size);
    this.first = new Float64Array(size);
    this.end = new Float64Array(size);
    this.state = new Uint8Array(size);
    this.domain.set(domain);
    this.first.set(first);
    this.end.set(end);
    this.state.set(state);
  }
}
