/**
 * How the invalidations that a call asks for reach the hardware. Without time they are carried out
 * at once; in a simulation the call only notes them, and the core on which it runs posts them and
 * waits (hw/host/programs), for a guest too whose hypervisor made the call.
 */
import { InternalError } from '../../../sim/errors.ts';
import { PN_LO_BITS, PN_LO_MASK } from '../../address.ts';
import { type Domain, type IommuDriver, NO_TOKEN } from '../drivers/driver.ts';

/** In `pages`: everything in the domain. */
export const WHOLE_DOMAIN = -1;

/** Something that is over when the invalidations asked for are complete. */
export interface Settled {
  /** Nothing cached is left: frees tables, tells the observer of mappings. */
  settle(): void;
}

export interface HardwareSync {
  /** Nothing cached of pages [(hi, lo), + pages) of the domain may be used any more. */
  range(driver: IommuDriver, domain: Domain, hi: number, lo: number, pages: number): void;
  /** Likewise for all of the domain. */
  whole(driver: IommuDriver, domain: Domain): void;
  /** The commands posted so far must have been carried out. */
  fence(driver: IommuDriver, domain: Domain): void;
  /** Settles `what` when all that was asked for so far is complete; true: it has been. */
  settle(what: Settled): boolean;
}

/** For a unit that carries out commands when its doorbell rings. */
export class ImmediateSync implements HardwareSync {
  range(driver: IommuDriver, domain: Domain, hi: number, lo: number, pages: number): void {
    let atHi = hi;
    let atLo = lo;
    for (let left = pages; left > 0; ) {
      const covered = driver.postInvalidation(domain, atHi, atLo, left);
      this.finish(driver);
      left -= covered;
      atLo += covered;
      atHi += Math.floor(atLo / 2 ** PN_LO_BITS);
      atLo &= PN_LO_MASK;
    }
  }

  whole(driver: IommuDriver, domain: Domain): void {
    if (!driver.postDomainInvalidation(domain)) refuse();
    this.finish(driver);
  }

  fence(driver: IommuDriver): void {
    this.finish(driver);
  }

  settle(what: Settled): boolean {
    what.settle();
    return true;
  }

  private finish(driver: IommuDriver): void {
    let token = driver.postFence();
    driver.ring();
    if (token === NO_TOKEN) {
      // The commands filled the ring; they have been carried out now.
      token = driver.postFence();
      driver.ring();
    }
    if (token === NO_TOKEN || !driver.fenceReached(token)) {
      throw new InternalError('hardware-sync', 'the unit did not carry out its commands at once');
    }
  }
}

/** One invalidation that a call has asked for. */
export interface PendingSync {
  readonly driver: IommuDriver;
  readonly domain: Domain;
  readonly hi: number;
  readonly lo: number;
  /** 0: only a fence; WHOLE_DOMAIN. */
  readonly pages: number;
}

/** Notes what the call under way asks for. */
export class DeferredSync implements HardwareSync {
  private pending: PendingSync[] = [];
  private waiting: Settled[] = [];

  range(driver: IommuDriver, domain: Domain, hi: number, lo: number, pages: number): void {
    this.pending.push({ driver, domain, hi, lo, pages });
  }

  whole(driver: IommuDriver, domain: Domain): void {
    this.pending.push({ driver, domain, hi: 0, lo: 0, pages: WHOLE_DOMAIN });
  }

  fence(driver: IommuDriver, domain: Domain): void {
    this.pending.push({ driver, domain, hi: 0, lo: 0, pages: 0 });
  }

  settle(what: Settled): boolean {
    this.waiting.push(what);
    return false;
  }

  /** What has been asked for since the last call, in order. */
  take(): readonly PendingSync[] {
    const taken = this.pending;
    this.pending = [];
    return taken;
  }

  /** What waits, in order: to be settled when the invalidations taken with it are complete. */
  takeSettled(): readonly Settled[] {
    const taken = this.waiting;
    this.waiting = [];
    return taken;
  }
}

function refuse(): never {
  throw new InternalError('hardware-sync', 'the command ring stays full');
}
