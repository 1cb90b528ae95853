/**
 * What software unmaps and when it may rely on it, for the trace: each acknowledged unmap with the
 * time until then, and each use of a translation that should be gone.
 */
import type { Channel, Probe, RecordKind } from '../../sim/probe.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import type { MappingObserver } from './observer.ts';
import type { SafetyChecker } from './safety.ts';

export const INVALIDATION_RECORD: RecordKind = {
  name: 'invalidation',
  level: 'requests',
  columns: [
    { name: 'domain', type: 'u32', doc: 'Number of the domain.' },
    { name: 'hi', type: 'u32', doc: 'First input page number, bits 51:27.' },
    { name: 'lo', type: 'u32', doc: 'First input page number, bits 26:0.' },
    { name: 'pages', type: 'u32', doc: '4 KiB pages.' },
    { name: 'cycles', type: 'u32', doc: 'Cycles from the cleared entry to the acknowledgement.' },
    { name: 'open', type: 'u32', doc: '1: not acknowledged when the run ended, `cycles` so far.' },
  ],
};

export const EXPOSED_USE_RECORD: RecordKind = {
  name: 'exposed_use',
  level: 'requests',
  columns: [
    { name: 'domain', type: 'u32', doc: 'Number of the domain.' },
    { name: 'hi', type: 'u32', doc: 'Input page number, bits 51:27.' },
    { name: 'lo', type: 'u32', doc: 'Input page number, bits 26:0.' },
    {
      name: 'violation',
      type: 'u32',
      doc: '0 unmapped, its invalidation not yet acknowledged; 1 never right, or no longer.',
    },
  ],
};

const DOMAINS = 4096;

interface OpenRanges {
  readonly since: Map<number, number>;
  /** Of ranges that are longer than a page. */
  readonly pages: Map<number, number>;
}

/** Records acknowledged unmaps. */
export class InvalidationRecorder implements MappingObserver {
  private readonly channel: Channel;
  /** Ranges not acknowledged, by first page, per domain: cycle of the unmap, and pages. */
  private readonly domains: (OpenRanges | undefined)[] = new Array(DOMAINS);

  private constructor(channel: Channel) {
    this.channel = channel;
  }

  /** Nothing when nobody listens. */
  static on(probe: Probe): InvalidationRecorder[] {
    const channel = probe.channel(INVALIDATION_RECORD);
    return channel === null ? [] : [new InvalidationRecorder(channel)];
  }

  linear(): void {}

  mapped(): void {}

  unmapped(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    let ranges = this.domains[domain];
    if (ranges === undefined) {
      ranges = { since: new Map(), pages: new Map() };
      this.domains[domain] = ranges;
    }
    const page = pageNumber(hi, lo);
    ranges.since.set(page, cycle);
    if (pages !== 1) ranges.pages.set(page, pages);
  }

  acknowledged(domain: number, hi: number, lo: number, pages: number, cycle: number): void {
    const ranges = this.domains[domain];
    const page = pageNumber(hi, lo);
    const unmapped = ranges?.since.get(page);
    if (ranges === undefined || unmapped === undefined) return;
    ranges.since.delete(page);
    if (pages !== 1) ranges.pages.delete(page);
    this.channel.emit(cycle, domain, hi, lo, pages, cycle - unmapped, 0);
  }

  /** The run ends: what is open has been exposed up to now. */
  finish(cycle: number): void {
    for (const [domain, ranges] of this.domains.entries()) {
      if (ranges === undefined) continue;
      for (const [page, unmapped] of ranges.since) {
        const pages = ranges.pages.get(page) ?? 1;
        this.channel.emit(cycle, domain, pnHi(page), pnLo(page), pages, cycle - unmapped, 1);
      }
    }
  }
}

/** Records what the checker finds, if somebody listens. */
export function recordFindings(probe: Probe, checker: SafetyChecker): void {
  const channel = probe.channel(EXPOSED_USE_RECORD);
  if (channel === null) return;
  checker.onFinding = (cycle, domain, hi, lo, isViolation) =>
    channel.emit(cycle, domain, hi, lo, isViolation ? 1 : 0);
}
