/**
 * Outstanding ATS invalidation requests: 32 tags (PCIe ATS 10.3), each waiting for as many
 * completions as the device says, or for a time-out.
 */

export const INVALIDATION_TAGS = 32;

interface Outstanding {
  readonly rid: number;
  /** Segment, -1 where the request named none. */
  readonly segment: number;
  received: number;
}

export class InvalidationTags {
  private readonly slots: (Outstanding | null)[] = new Array(INVALIDATION_TAGS).fill(null);
  private count = 0;
  /** A request timed out and no fence has reported it yet. */
  timedOut = false;

  get outstanding(): number {
    return this.count;
  }

  get full(): boolean {
    return this.count === INVALIDATION_TAGS;
  }

  /** Takes the lowest free tag for a request to a device. */
  allocate(rid: number, segment: number): number {
    const tag = this.slots.indexOf(null);
    this.slots[tag] = { rid, segment, received: 0 };
    this.count++;
    return tag;
  }

  /**
   * A device completed the requests of `vector` (bit per tag); each needs `expected` completions
   * (3 bits, 0 means 8).
   * @returns false for an unexpected completion (no such request to that device)
   */
  complete(rid: number, segment: number, vector: number, expected: number): boolean {
    for (let tag = 0; tag < INVALIDATION_TAGS; tag++) {
      if ((vector & (1 << tag)) === 0) continue;
      const slot = this.slots[tag];
      if (slot === null || slot.rid !== rid) return false;
      if (slot.segment >= 0 && slot.segment !== segment) return false;
      slot.received = (slot.received + 1) & 7;
      if (slot.received === (expected & 7)) this.free(tag);
    }
    return true;
  }

  /** The requests of `vector` are given up. */
  timeout(vector: number): void {
    for (let tag = 0; tag < INVALIDATION_TAGS; tag++) {
      if ((vector & (1 << tag)) !== 0) this.free(tag);
    }
    this.timedOut = true;
  }

  private free(tag: number): void {
    if (this.slots[tag] === null) return;
    this.slots[tag] = null;
    this.count--;
  }
}
