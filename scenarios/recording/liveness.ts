/**
 * What is mapped in one domain of a recording while its events are gone through: per page the place
 * of its map and of its unmap, and which unmaps no invalidation has covered yet.
 */

const NONE = -1;

export interface PageHistory {
  readonly map: number;
  readonly unmap: number;
}

const NO_HISTORY: PageHistory = { map: NONE, unmap: NONE };

export class Liveness {
  /** By page: place of the map that holds now. */
  private readonly live = new Map<number, number>();
  /** By page: the mapping before, ended. */
  private readonly ended = new Map<number, PageHistory>();
  /** By page: place of an unmap that nothing has covered yet. */
  private readonly pending = new Map<number, number>();

  map(first: number, pages: number, place: number): void {
    for (let page = first; page < first + pages; page++) {
      this.live.set(page, place);
      this.pending.delete(page);
    }
  }

  unmap(first: number, pages: number, place: number): void {
    for (let page = first; page < first + pages; page++) {
      const map = this.live.get(page);
      if (map === undefined) continue;
      this.live.delete(page);
      this.ended.set(page, { map, unmap: place });
      this.pending.set(page, place);
    }
  }

  /** Pages [first, end) are covered by an invalidation. */
  invalidate(first: number, end: number): void {
    const { pending } = this;
    if (end - first > pending.size) {
      for (const page of pending.keys()) if (page >= first && page < end) pending.delete(page);
      return;
    }
    for (let page = first; page < end; page++) pending.delete(page);
  }

  mapOf(page: number): number {
    return this.live.get(page) ?? NONE;
  }

  /** The mapping of a page that ended last. */
  lastOf(page: number): PageHistory {
    return this.ended.get(page) ?? NO_HISTORY;
  }

  /** Place of the map that the unmap at `place` ended; -1 when it is not the last one. */
  mapBefore(page: number, place: number): number {
    const { map, unmap } = this.lastOf(page);
    return unmap === place ? map : NONE;
  }

  anyLive(first: number, pages: number): boolean {
    for (let page = first; page < first + pages; page++) if (this.live.has(page)) return true;
    return false;
  }

  /** Places of the unmaps in a range that nothing has covered. */
  pendingIn(first: number, pages: number): Set<number> {
    const places = new Set<number>();
    if (this.pending.size === 0) return places;
    for (let page = first; page < first + pages; page++) {
      const place = this.pending.get(page);
      if (place !== undefined) places.add(place);
    }
    return places;
  }

  pendingUnmaps(): Set<number> {
    return new Set(this.pending.values());
  }
}
