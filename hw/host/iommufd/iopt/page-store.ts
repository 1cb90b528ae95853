/**
 * Frames of a pages object's pinned pages, and how many hold each (areas that are in domains,
 * in-kernel pins). Sparse: a range may be as long as the address space while only a page of it is
 * pinned. A single page, the usual case, costs no array.
 */
const CHUNK = 512;
const NONE = -1;

export class PageStore {
  private readonly pages: number;
  /** The frame where there is only one page. */
  private only: number = NONE;
  private first: number[] | null = null;
  private others: Map<number, number[]> | null = null;
  /** Holders of a page beyond the first. */
  private shared: Map<number, number> | null = null;

  constructor(pages: number) {
    this.pages = pages;
  }

  /** Frame of a page; -1 where it is not pinned. */
  frame(index: number): number {
    if (this.pages === 1) return this.only;
    const chunk = this.chunkOf(index);
    return chunk === null ? NONE : chunk[index % CHUNK];
  }

  /** One holder more of a pinned page. */
  share(index: number): void {
    this.shared ??= new Map();
    this.shared.set(index, (this.shared.get(index) ?? 0) + 1);
  }

  /** A page has been pinned: its first holder. */
  put(index: number, frame: number): void {
    if (this.pages === 1) {
      this.only = frame;
      return;
    }
    (this.chunkOf(index) ?? this.newChunk(index))[index % CHUNK] = frame;
  }

  /** One holder less; the frame to unpin where it was the last, otherwise -1. */
  drop(index: number): number {
    if (this.shared !== null) {
      const more = this.shared.get(index);
      if (more !== undefined) {
        if (more > 1) this.shared.set(index, more - 1);
        else this.shared.delete(index);
        return NONE;
      }
    }
    const frame = this.frame(index);
    this.put(index, NONE);
    return frame;
  }

  private chunkOf(index: number): number[] | null {
    if (index < CHUNK) return this.first;
    return this.others?.get(Math.floor(index / CHUNK)) ?? null;
  }

  private newChunk(index: number): number[] {
    const number = Math.floor(index / CHUNK);
    const size = Math.min(CHUNK, this.pages - number * CHUNK);
    const chunk: number[] = new Array(size).fill(NONE);
    if (number === 0) {
      this.first = chunk;
    } else {
      this.others ??= new Map();
      this.others.set(number, chunk);
    }
    return chunk;
  }
}
