/** What a walk shard counts. */
import { REF_REDIRECT, REF_STAGE1, REF_STAGE2 } from '../walk/walk.ts';

/** Levels that the reference statistics distinguish (5 levels and one spare). */
export const STAT_LEVELS = 6;

/** Names of the reference kinds, indexed by REF_*. */
export const REFERENCE_KINDS: readonly string[] = (() => {
  const names = ['none', '', '', ''];
  names[REF_STAGE1] = 'stage1';
  names[REF_STAGE2] = 'stage2';
  names[REF_REDIRECT] = 'redirect';
  return names;
})();

export interface ShardStatistics {
  walks: number;
  faults: number;
  updates: number;
  /** Walks begun again because the entry to update had changed. */
  restarts: number;
  invalidations: number;
  /** References by kind (REF_*) and level: row of STAT_LEVELS per kind. */
  references: number[];
  /** Cycles spent waiting for those references. */
  referenceCycles: number[];
  queuedCycles: number;
  busyCycles: number;
  /** Most walk slots in use at a time. */
  slotPeak: number;
}

export function emptyStatistics(): ShardStatistics {
  return {
    walks: 0,
    faults: 0,
    updates: 0,
    restarts: 0,
    invalidations: 0,
    references: [],
    referenceCycles: [],
    queuedCycles: 0,
    busyCycles: 0,
    slotPeak: 0,
  };
}
