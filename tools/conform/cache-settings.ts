/** Caches to run vectors with: none, and small ones that hit and evict a lot. */
import { ContextCache } from '../../hw/iommu/caches/context-cache.ts';
import { Iotlb, iotlbArrays } from '../../hw/iommu/caches/iotlb.ts';
import { WalkCaches } from '../../hw/iommu/caches/walk-caches.ts';
import { type FunctionalCaches, NO_CACHES } from '../../hw/iommu/functional.ts';

export interface CacheSetting {
  readonly name: string;
  create(): FunctionalCaches;
}

export const UNCACHED: CacheSetting = { name: 'no caches', create: () => NO_CACHES };

const SMALL = { sets: 4, ways: 4, policy: 'lru' } as const;

const LEVELS = [SMALL, SMALL, SMALL, SMALL, SMALL] as const;

export const CACHED: CacheSetting = {
  name: 'caches',
  create: () => ({
    iotlb: new Iotlb(iotlbArrays(SMALL, 'unified')),
    contexts: new ContextCache(SMALL),
    walks: new WalkCaches({
      stage1: LEVELS,
      stage2: LEVELS,
      nested: iotlbArrays(SMALL, 'unified'),
      nestedFinal: true,
    }),
  }),
};
