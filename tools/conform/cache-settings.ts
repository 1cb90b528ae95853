/** Caches to run vectors with: none, and small ones that hit and evict a lot. */
import { ContextCache } from '../../hw/iommu/caches/context-cache.ts';
import { Iotlb } from '../../hw/iommu/caches/iotlb.ts';
import { WalkCaches } from '../../hw/iommu/caches/walk-caches.ts';
import { type FunctionalCaches, NO_CACHES } from '../../hw/iommu/functional.ts';

export interface CacheSetting {
  readonly name: string;
  create(): FunctionalCaches;
}

export const UNCACHED: CacheSetting = { name: 'no caches', create: () => NO_CACHES };

const SMALL = { sets: 4, ways: 4, policy: 'lru' } as const;

/**
 * Pages below 2 MiB are held as 4 KiB pieces: of a NAPOT group the scenarios write the one entry
 * that they use, but a cache may take the whole group from it (Privileged specification, Svnapot).
 */
const ARRAYS = [
  { ...SMALL, minOrder: 0, maxOrder: 0 },
  { ...SMALL, minOrder: 9, maxOrder: 52 },
] as const;

const LEVELS = [SMALL, SMALL, SMALL, SMALL, SMALL] as const;

export const CACHED: CacheSetting = {
  name: 'caches',
  create: () => ({
    iotlb: new Iotlb(ARRAYS),
    contexts: new ContextCache(SMALL),
    walks: new WalkCaches({
      stage1: LEVELS,
      stage2: LEVELS,
      nested: ARRAYS,
      nestedFinal: true,
    }),
  }),
};
