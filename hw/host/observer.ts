/** Who wants to know what software has mapped: the safety checker, a recording. */

export interface MappingObserver {
  /** Pages [first, first + pages) are mapped to the frames from `frame` on, for good. */
  linear(domain: number, first: number, pages: number, frame: number): void;
  /** Pages are mapped from now on; frames are system physical. */
  mapped(
    domain: number,
    hi: number,
    lo: number,
    pages: number,
    frameHi: number,
    frameLo: number,
    access: number,
    cycle: number,
  ): void;
  /** The entries are cleared; cached translations may live on. */
  unmapped(domain: number, hi: number, lo: number, pages: number, cycle: number): void;
  /** Software has seen that an invalidation covering the pages is complete. */
  acknowledged(domain: number, hi: number, lo: number, pages: number, cycle: number): void;
}
