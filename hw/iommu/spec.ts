/**
 * Parameters of an IOMMU: one declaration each. Cache geometries are `sets` x `ways`; zero sets or
 * ways means that the cache is absent. A cycle is one of the scenario's base clock.
 */
import {
  choice,
  count,
  duration,
  flag,
  type Param,
  type Range,
  type Values,
} from '../../sim/spec.ts';

export const REPLACEMENT_POLICIES = ['lru', 'plru', 'random'] as const;
export type ReplacementPolicy = (typeof REPLACEMENT_POLICIES)[number];

const GEOMETRY_RANGE: Range = { min: 0, max: 65536 };

interface CacheSpec {
  readonly sets: Param<number>;
  readonly ways: Param<number>;
  readonly policy: Param<ReplacementPolicy>;
  readonly [name: string]: Param<unknown>;
}

function cache(sets: number, ways: number, what: string): CacheSpec {
  return {
    sets: count(sets, `Sets of the ${what}; 0 = absent.`, GEOMETRY_RANGE),
    ways: count(ways, `Ways of the ${what}; 0 = absent.`, { min: 0, max: 1024 }),
    policy: choice('lru', REPLACEMENT_POLICIES, `Replacement policy of the ${what}.`),
  };
}

export const iotlbSpec = {
  ...cache(64, 8, 'IOTLB'),
  page_sizes: choice(
    'unified',
    ['unified', 'separate'],
    'One array for all page sizes, or one array (of this geometry) per size class.',
  ),
  latency: duration('4ns', 'Time of one lookup, hit or miss.'),
  ports: count(1, 'Lookups that can start in one cycle.', { min: 1, max: 16 }),
  merge_misses: flag(true, 'Misses to the same page share one walk.'),
};
export const contextCacheSpec = cache(32, 4, 'context cache (device and process contexts)');
export const nestedTlbSpec = cache(16, 4, 'nested TLB (guest page to system page) of a shard');
export const walkCacheSpec = cache(8, 4, 'walk cache of one stage and level of a shard');

export const walkersSpec = {
  shards: count(2, 'Walk shards: page-walk units with their own caches, slots and memory port.', {
    min: 1,
    max: 64,
  }),
  slots: count(8, 'Walks that one shard runs at the same time.', { min: 1, max: 4096 }),
  transit: duration('25ns', 'Way from the front end to a shard, and back: the lookahead.', {
    min: 1,
  }),
  region_order: count(9, 'Requests are spread over shards by regions of 2^this many 4 KiB pages.', {
    min: 0,
    max: 40,
  }),
  update: duration('20ns', 'Time of an atomic update of accessed/dirty bits.'),
};

export const frontEndSpec = {
  slots: count(64, 'Requests that can wait for a translation at the same time.', {
    min: 1,
    max: 65536,
  }),
  ordering: choice(
    'out-of-order',
    ['out-of-order', 'in-order'],
    'Whether a translated request may overtake an older one that still waits.',
  ),
  fault: duration('100ns', 'Time to write a fault record and abort the request.'),
};

export const commandsSpec = {
  doorbell: duration('50ns', 'From the write of the tail register to the first fetch.'),
  fetch_batch: count(4, 'Commands that one memory read of the queue brings.', { min: 1, max: 16 }),
  execute: duration('10ns', 'Time to decode and execute one command.'),
  complete: duration('60ns', 'Time until the completion store of a fence is visible.'),
};

export type WalkersValues = Values<typeof walkersSpec>;
