/**
 * References of a shard's walks, for the trace: sums by stage and level since the rows before,
 * every so many walks and at the end, with the references that walk caches made unnecessary.
 */
import type { Channel, Probe, RecordKind } from '../../../sim/probe.ts';
import type { WalkCaches } from '../caches/walk-caches.ts';
import { REF_STAGE1, REF_STAGE2 } from '../walk/walk.ts';
import { STAT_LEVELS } from './shard-statistics.ts';

export const WALK_TOTAL_RECORD: RecordKind = {
  name: 'walk_total',
  level: 'requests',
  columns: [
    {
      name: 'kind',
      type: 'u32',
      doc: '0 walks, 1 stage 1, 2 stage 2, 3 redirect table; | level << 4',
    },
    { name: 'count', type: 'u32', doc: 'Walks, or references, since the rows before.' },
    { name: 'saved', type: 'u32', doc: 'References that a walk cache made unnecessary.' },
    { name: 'cycles', type: 'u32', doc: 'Cycles that the counted ones took, low 32 bits.' },
    { name: 'cycles_hi', type: 'u32', doc: 'The same, high bits.' },
  ],
};

const WALKS_PER_BATCH = 2048;
const KINDS = 4;
const HIGH = 2 ** 32;

/** What the shard counts; sums since its statistics began. */
interface Sums {
  /** By REF_* and level, rows of STAT_LEVELS. */
  readonly references: Float64Array;
  readonly referenceCycles: Float64Array;
  readonly statistics: { readonly walks: number; readonly busyCycles: number };
}

export class WalkTotals {
  /** Called when a batch has been told: a good moment to hand the rows over. */
  onTold: (() => void) | null = null;
  private readonly channel: Channel;
  private readonly caches: WalkCaches | null;
  private readonly sums: Sums;
  private readonly toldReferences = new Float64Array(KINDS * STAT_LEVELS);
  private readonly toldCycles = new Float64Array(KINDS * STAT_LEVELS);
  private readonly toldSaved = new Float64Array(KINDS * STAT_LEVELS);
  private toldWalks = 0;
  private toldBusy = 0;
  /** Highest level of each kind that was ever read: that of the root. */
  private readonly highest = new Int32Array(KINDS);
  private pending = 0;
  private last = 0;

  private constructor(channel: Channel, caches: WalkCaches | null, sums: Sums) {
    this.channel = channel;
    this.caches = caches;
    this.sums = sums;
  }

  /** Null when nobody listens. */
  static on(probe: Probe, caches: WalkCaches | null, sums: Sums): WalkTotals | null {
    const channel = probe.channel(WALK_TOTAL_RECORD);
    return channel === null ? null : new WalkTotals(channel, caches, sums);
  }

  /** A walk has been added to the sums. */
  count(now: number): void {
    this.last = now;
    if (++this.pending < WALKS_PER_BATCH) return;
    this.tell();
    this.onTold?.();
  }

  /** The sums of the shard and of its caches begin anew at zero. */
  restart(): void {
    this.tell();
    this.toldReferences.fill(0);
    this.toldCycles.fill(0);
    this.toldSaved.fill(0);
    this.toldWalks = 0;
    this.toldBusy = 0;
  }

  /** Tells what came since the last time. */
  tell(): void {
    this.pending = 0;
    const { walks, busyCycles } = this.sums.statistics;
    if (walks === this.toldWalks) return;
    this.emit(0, walks - this.toldWalks, 0, busyCycles - this.toldBusy);
    this.toldWalks = walks;
    this.toldBusy = busyCycles;
    for (let kind = 1; kind < KINDS; kind++) {
      for (let level = STAT_LEVELS - 1; level >= 0; level--) this.tellLevel(kind, level);
    }
  }

  private tellLevel(kind: number, level: number): void {
    const at = kind * STAT_LEVELS + level;
    const references = this.sums.references[at];
    const cycles = this.sums.referenceCycles[at];
    if (references > 0 && level > this.highest[kind]) this.highest[kind] = level;
    const saved = level > this.highest[kind] ? 0 : this.savedAt(kind, level);
    const count = references - this.toldReferences[at];
    const more = saved - this.toldSaved[at];
    if (count + more === 0) return;
    this.emit(kind | (level << 4), count, more, cycles - this.toldCycles[at]);
    this.toldReferences[at] = references;
    this.toldCycles[at] = cycles;
    this.toldSaved[at] = saved;
  }

  private emit(kind: number, count: number, saved: number, cycles: number): void {
    this.channel.emit(this.last, kind, count, saved, cycles % HIGH, Math.floor(cycles / HIGH));
  }

  /**
   * Reads of a level that were not made: a hit on an entry of this level or below saved one, in
   * stage 2 also a hit of the nested TLB. What a stage 1 hit saves in stage 2 was never asked for.
   */
  private savedAt(kind: number, level: number): number {
    if (this.caches === null || (kind !== REF_STAGE1 && kind !== REF_STAGE2)) return 0;
    const { stage1, stage2, nestedHits } = this.caches.statistics;
    const { hits } = kind === REF_STAGE1 ? stage1 : stage2;
    let saved = kind === REF_STAGE2 ? nestedHits : 0;
    for (let below = 1; below <= level && below < hits.length; below++) saved += hits[below];
    return saved;
  }
}
