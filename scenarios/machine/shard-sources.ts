/** The walk shards of a scenario, as the engine builds them in whichever thread carries them. */
import { memoryTimingConfig } from '../../hw/memory/spec.ts';
import type { PartitionSource } from '../../sim/parallel/options.ts';
import type { TraceLevel } from '../../sim/probe.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';
import { transitCycles, walkCacheGeometries } from './iommu.ts';
import type { ShardConfig } from './shard.ts';

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const SHARD_MODULE = new URL(`./shard${EXTENSION}`, import.meta.url).href;

export function shardSources(
  scenario: ResolvedScenario,
  clock: Clock,
  traceLevel: TraceLevel,
): PartitionSource[] {
  const { iommu } = scenario;
  const { walkers } = iommu;
  const config: ShardConfig = {
    arch: iommu.arch,
    addressBits: iommu.arch === 'riscv' ? iommu.riscv.address_bits : iommu.vtd.host_address_bits,
    slots: walkers.slots,
    transitCycles: transitCycles(iommu, clock),
    updateCycles: clock.nearest(walkers.update),
    warmupCycle: clock.ceil(scenario.run.warmup),
    caches: walkCacheGeometries(iommu),
    timing: memoryTimingConfig(scenario.memory, clock, 2 * walkers.shards),
    traceLevel,
  };
  return Array.from({ length: walkers.shards }, () => ({
    module: SHARD_MODULE,
    export: 'buildShard',
    config,
  }));
}
