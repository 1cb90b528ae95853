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

/** Tells several observers. */
export class ObserverGroup implements MappingObserver {
  private readonly observers: readonly MappingObserver[];

  constructor(observers: readonly MappingObserver[]) {
    this.observers = observers;
  }

  linear(domain: number, first: number, pages: number, frame: number): void {
    for (const observer of this.observers) observer.linear(domain, first, pages, frame);
  }

  mapped(
    domain: number,
    hi: number,
    lo: number,
    pages: number,
    frameHi: number,
    frameLo: number,
    access: number,
    cycle: number,
  ): void {
    for (const observer of this.observers) {
      observer.mapped(domain, hi, lo, pages, frameHi, frameLo, access, cycle);
    }
  }

  unmapped(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    for (const observer of this.observers) observer.unmapped(domain, hi, lo, pages, cycle);
  }

  acknowledged(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    for (const observer of this.observers) observer.acknowledged(domain, hi, lo, pages, cycle);
  }
}
