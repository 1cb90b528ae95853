/** What a front end is built from: options in cycles, the units around it, what it counts. */
import type { Partition } from '../../../sim/parallel/partition.ts';
import type { Probe } from '../../../sim/probe.ts';
import type { Transactions } from '../../pcie/transactions.ts';
import type { IommuUnit } from '../architecture.ts';
import type { ContextCache } from '../caches/context-cache.ts';
import type { Iotlb } from '../caches/iotlb.ts';
import type { ContextUnit } from './context-unit.ts';
import type { DataAccess } from './data-access.ts';

export interface FrontEndOptions {
  readonly slots: number;
  readonly inOrder: boolean;
  readonly lookupCycles: number;
  readonly lookupPorts: number;
  readonly mergeMisses: boolean;
  readonly faultCycles: number;
  /** Partition ids of the walk shards. */
  readonly shards: readonly number[];
  readonly transitCycles: number;
  readonly regionOrder: number;
}

/** Told of every translation that a DMA uses (the safety checker). */
export interface UseObserver {
  use(
    device: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    access: number,
    cycle: number,
  ): void;
}

export interface FrontEndPorts {
  readonly partition: Partition;
  readonly txns: Transactions;
  readonly unit: IommuUnit;
  readonly iotlb: Iotlb;
  readonly contexts: ContextCache;
  readonly contextUnit: ContextUnit;
  readonly data: DataAccess;
  readonly observer: UseObserver | null;
  readonly probe: Probe;
  /** Requester id of each device index. */
  readonly deviceIds: Int32Array;
}

/** Transaction outcomes (Transactions.outcome). */
export const OUTCOME_NONE = 0;
export const OUTCOME_HIT = 1;
export const OUTCOME_MISS = 2;
export const OUTCOME_MERGED = 3;

export interface FrontEndStatistics {
  requests: number;
  bypassed: number;
  hits: number;
  misses: number;
  merged: number;
  contextMisses: number;
  faults: number;
  /** Walks whose result was outlawed by an invalidation while they ran. */
  notFilled: number;
}

export function emptyStatistics(): FrontEndStatistics {
  return {
    requests: 0,
    bypassed: 0,
    hits: 0,
    misses: 0,
    merged: 0,
    contextMisses: 0,
    faults: 0,
    notFilled: 0,
  };
}
