/**
 * Builds the partition of a walk shard, in whichever thread carries it. Everything it needs comes
 * as plain data and shared buffers.
 */
import { AddressLimit } from '../../hw/iommu/address-limit.ts';
import type { WalkCaches } from '../../hw/iommu/caches/walk-caches.ts';
import { WalkShard } from '../../hw/iommu/timed/shard.ts';
import type { ShardStatistics } from '../../hw/iommu/timed/shard-statistics.ts';
import { Walker } from '../../hw/iommu/walk/walker.ts';
import { MemoryView } from '../../hw/memory/memory-view.ts';
import { PhysicalMemory, type SharedMemory } from '../../hw/memory/physical-memory.ts';
import { StoreLog } from '../../hw/memory/store-log.ts';
import {
  MemoryTiming,
  type MemoryTimingConfig,
  type MemoryTimingStatistics,
} from '../../hw/memory/timing.ts';
import type { Partition, PartitionHandle } from '../../sim/parallel/partition.ts';
import type { TraceLevel } from '../../sim/probe.ts';
import type { HistogramPlain } from '../../sim/stats/histogram.ts';
import { PHASE_OBSERVE } from '../../sim/time/event-queue.ts';
import { ChunkProbe } from '../../traces/probe.ts';
import type { ResolvedIommu } from '../schema/iommu.ts';
import { createWalkCaches, redirectOf, type WalkCacheGeometries } from './iommu.ts';

export interface ShardConfig {
  readonly arch: ResolvedIommu['arch'];
  readonly addressBits: number;
  readonly slots: number;
  readonly transitCycles: number;
  readonly updateCycles: number;
  /** Cycle at which the figures start, 0 for the beginning. */
  readonly warmupCycle: number;
  readonly caches: WalkCacheGeometries;
  readonly timing: MemoryTimingConfig;
  readonly traceLevel: TraceLevel;
}

/** Memory and the store logs of all partitions, by partition. */
export interface SharedState {
  readonly memory: SharedMemory;
  readonly logs: readonly SharedArrayBuffer[];
}

/** What a shard reports at the end. */
export interface ShardReport {
  readonly shard: ShardStatistics;
  readonly latency: HistogramPlain;
  readonly caches: WalkCaches['statistics'] | null;
  readonly timing: MemoryTimingStatistics;
}

export function buildShard(
  partition: Partition,
  config: ShardConfig,
  shared: SharedState,
): PartitionHandle {
  const memory = PhysicalMemory.attach(shared.memory);
  const log = new StoreLog(shared.logs[partition.id]);
  const view = new MemoryView(memory, log, partition.events);
  const limited = new AddressLimit(view, config.addressBits);
  const caches = createWalkCaches(config.caches);
  const walker = new Walker({ caches, redirect: redirectOf(config.arch) });
  const timing = new MemoryTiming(config.timing);
  const probe = new ChunkProbe(partition.id, config.traceLevel, (bytes) =>
    partition.emitBlob(bytes.slice()),
  );
  const ports = { walker, caches, memory: limited, view, timing, probe };
  const shard = new WalkShard(partition, ports, config);
  // Few rows otherwise: a chunk would not fill before the end, and a trace that is cut have none.
  if (config.traceLevel === 'requests' && shard.totals !== null) {
    shard.totals.onTold = () => probe.flush();
  }
  if (config.warmupCycle > 0) {
    const onWarm = partition.events.register(PHASE_OBSERVE, 'warm', () => {
      shard.resetStatistics();
      timing.resetStatistics();
    });
    partition.events.at(config.warmupCycle, onWarm, 0, 0);
  }
  return {
    finish: () => {
      shard.endTrace();
      probe.flush();
      const report: ShardReport = {
        shard: shard.finish(),
        latency: shard.latency.toPlain(),
        caches: caches === null ? null : caches.statistics,
        timing: timing.statistics(),
      };
      return { ...report };
    },
    dump: () => shard.dump(),
  };
}
