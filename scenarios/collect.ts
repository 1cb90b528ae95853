/** From a machine at the end of its run, and what its shards reported, to the statistics. */

import type { DmaPlain } from '../hw/dma/accounting.ts';
import { REFERENCE_KINDS, STAT_LEVELS } from '../hw/iommu/timed/shard-statistics.ts';
import { REF_REDIRECT, REF_STAGE1, REF_STAGE2 } from '../hw/iommu/walk/walk.ts';
import type { MemoryTimingStatistics } from '../hw/memory/timing.ts';
import { Histogram } from '../sim/stats/histogram.ts';
import type { Clock } from '../sim/time/clock.ts';
import type { Device } from './machine/devices.ts';
import type { Machine } from './machine/machine.ts';
import type { ShardReport } from './machine/shard.ts';
import { requesterText } from './recording/source.ts';
import type {
  CacheFigures,
  CommandFigures,
  DeviceFigures,
  DmaFigures,
  HostFigures,
  IommuFigures,
  LatencyFigures,
  MemoryFigures,
  RecordingFigures,
  SafetyFigures,
  WalkFigures,
  WalkLevelFigures,
} from './stats.ts';

/** Percentiles of a histogram of cycles, in picoseconds. */
export function latencyFigures(histogram: Histogram, clock: Clock): LatencyFigures {
  const at = (numerator: number, denominator: number): number =>
    clock.ps(histogram.percentile(numerator, denominator));
  return {
    count: histogram.count,
    min_ps: clock.ps(histogram.min),
    mean_ps: histogram.count === 0 ? 0 : Math.round(clock.ps(histogram.sum) / histogram.count),
    p50_ps: at(50, 100),
    p90_ps: at(90, 100),
    p95_ps: at(95, 100),
    p99_ps: at(99, 100),
    p999_ps: at(999, 1000),
    max_ps: clock.ps(histogram.max),
  };
}

export function share(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}

export function dmaFigures(plain: DmaPlain, clock: Clock, cycles: number): DmaFigures {
  const count = plain.reads + plain.writes;
  const bytes = plain.bytesRead + plain.bytesWritten;
  const { hit = 0, miss = 0, merged = 0 } = plain.outcomes;
  return {
    count,
    reads: plain.reads,
    writes: plain.writes,
    bytes,
    aborted: plain.faults,
    throughput_bps: clock.bitsPerSecond(bytes, cycles),
    rate_per_s: cycles === 0 ? 0 : Math.round((count * clock.hertz) / cycles),
    latency: latencyFigures(Histogram.fromPlain(plain.latency), clock),
    waits_ps: Object.fromEntries(
      Object.entries(plain.waits).map(([reason, sum]) => [reason, clock.ps(sum)]),
    ),
    iotlb_hit_rate: share(hit, hit + miss + merged),
  };
}

export function deviceFigures(machine: Machine, device: Device, cycles: number): DeviceFigures {
  const plain = machine.accounting.device(device.index);
  const { up, down } = device.link.stats();
  const { now } = machine.partition.events;
  return {
    ...dmaFigures(plain, machine.clock, cycles),
    domain: device.domain.name,
    master: device.figures(),
    link_up_rate: share(up.busyCycles, now),
    link_down_rate: share(down.busyCycles, now),
  };
}

function lookupFigures(hits: number, misses: number): CacheFigures {
  const lookups = hits + misses;
  return { lookups, hits, misses, hit_rate: share(hits, lookups) };
}

function cacheFigures(
  hits: number,
  misses: number,
  evictions: number,
  invalidated: number,
): CacheFigures {
  return { ...lookupFigures(hits, misses), evictions, invalidated };
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);

function walkFigures(machine: Machine, shards: readonly ShardReport[]): WalkFigures {
  const { clock, scenario } = machine;
  const latency = new Histogram();
  for (const { latency: plain } of shards) latency.merge(Histogram.fromPlain(plain));
  const count = sum(shards.map(({ shard }) => shard.walks));
  const references = sum(shards.flatMap(({ shard }) => shard.references));
  const levels: WalkLevelFigures[] = [];
  for (const kind of [REF_STAGE1, REF_STAGE2, REF_REDIRECT]) {
    for (let level = deepestLevel(machine, shards, kind); level >= 0; level--) {
      const figures = levelFigures(shards, kind, level, clock);
      if (figures.references + figures.skipped > 0) levels.push(figures);
    }
  }
  const slots = scenario.iommu.walkers.slots * scenario.iommu.walkers.shards;
  const busy = sum(shards.map(({ shard }) => shard.busyCycles));
  return {
    count,
    faults: sum(shards.map(({ shard }) => shard.faults)),
    references,
    references_per_walk: share(references, count),
    latency: latencyFigures(latency, clock),
    levels,
    caches: walkCacheFigures(machine, shards),
    slots: {
      capacity: slots,
      mean: share(busy, machine.measuredCycles),
      max: sum(shards.map(({ shard }) => shard.slotPeak)),
    },
  };
}

/**
 * Root level of the deepest table of a stage that the scenario has. The tables of user domains come
 * and go: theirs is the highest level that was read, since the first walk reads the root.
 */
function deepestLevel(machine: Machine, shards: readonly ShardReport[], kind: number): number {
  const { domains } = machine.scenario;
  let deepest = 0;
  if (domains.some(({ translation }) => translation === 'user')) {
    for (let level = 0; level < STAT_LEVELS; level++) {
      const at = kind * STAT_LEVELS + level;
      if (shards.some(({ shard }) => shard.references[at] > 0)) deepest = level;
    }
  }
  for (const { domain } of machine.software.domains.values()) {
    const first = domain.kind === 'stage2' ? null : domain.tables;
    const second = domain.kind === 'stage2' ? domain.tables : domain.stage2;
    const tables = kind === REF_STAGE1 ? first : second;
    if (kind !== REF_REDIRECT && tables !== null) {
      deepest = Math.max(deepest, tables.format.levels - 1);
    }
  }
  return deepest;
}

function levelFigures(
  shards: readonly ShardReport[],
  kind: number,
  level: number,
  clock: Clock,
): WalkLevelFigures {
  const at = kind * STAT_LEVELS + level;
  const references = sum(shards.map(({ shard }) => shard.references[at]));
  const cycles = sum(shards.map(({ shard }) => shard.referenceCycles[at]));
  return {
    stage: REFERENCE_KINDS[kind],
    level,
    name: kind === REF_REDIRECT ? 'MSI page table entry' : `level ${level} entry`,
    references,
    skipped: sum(shards.map(({ caches }) => skippedAt(caches, kind, level))),
    mean_ps: references === 0 ? 0 : Math.round(clock.ps(cycles) / references),
  };
}

/**
 * Reads of a level that were not made: every hit at this level or below saved one, in stage 2 also
 * every hit of the nested TLB.
 */
function skippedAt(caches: ShardReport['caches'], kind: number, level: number): number {
  if (caches === null || kind === REF_REDIRECT) return 0;
  const { hits } = kind === REF_STAGE1 ? caches.stage1 : caches.stage2;
  let skipped = kind === REF_STAGE2 ? caches.nestedHits : 0;
  for (let below = 1; below <= level && below < hits.length; below++) skipped += hits[below];
  return skipped;
}

function walkCacheFigures(
  machine: Machine,
  shards: readonly ShardReport[],
): Record<string, CacheFigures> {
  const figures: Record<string, CacheFigures> = {};
  const present = shards.flatMap(({ caches }) => (caches === null ? [] : [caches]));
  for (const stage of ['stage1', 'stage2'] as const) {
    for (let level = STAT_LEVELS - 1; level >= 1; level--) {
      const hits = sum(present.map((caches) => caches[stage].hits[level] ?? 0));
      const misses = sum(present.map((caches) => caches[stage].misses[level] ?? 0));
      if (hits + misses > 0) figures[`${stage}.l${level}`] = lookupFigures(hits, misses);
    }
  }
  const { nested } = machine.scenario.iommu.caches;
  if (nested.sets * nested.ways > 0 && present.length > 0) {
    const hits = sum(present.map((caches) => caches.nestedHits));
    const misses = sum(present.map((caches) => caches.nestedMisses));
    if (hits + misses > 0) figures.nested = lookupFigures(hits, misses);
  }
  return figures;
}

function commandFigures(machine: Machine): CommandFigures {
  const { clock, iommu, software } = machine;
  const { commands, fences, invalidations, illegal } = iommu.commandUnit.statistics;
  return {
    count: commands,
    by_name: { invalidations, fences, illegal },
    latency: latencyFigures(iommu.commandUnit.fenceLatency, clock),
    invalidation: latencyFigures(software.path.total, clock),
  };
}

export function iommuFigures(machine: Machine, shards: readonly ShardReport[]): IommuFigures {
  const { scenario, iommu, contexts, iotlb } = machine;
  const { statistics, peaks } = iommu.frontEnd;
  const merged = statistics.merged;
  const lookups = statistics.hits + statistics.misses + merged;
  return {
    arch: scenario.iommu.arch,
    requests: statistics.requests,
    outstanding: { capacity: scenario.iommu.front_end.slots, max: peaks.slots },
    contexts: cacheFigures(
      contexts.statistics.hits,
      contexts.statistics.misses,
      contexts.evictions,
      contexts.statistics.dropped,
    ),
    iotlb: {
      lookups,
      hits: statistics.hits,
      misses: statistics.misses + merged,
      merged,
      evictions: iotlb.evictions,
      invalidated: iotlb.statistics.dropped,
      hit_rate: share(statistics.hits, lookups),
    },
    walks: walkFigures(machine, shards),
    commands: commandFigures(machine),
    faults: {
      count: statistics.faults,
      recorded: iommu.frontEnd.faults.recorded,
      overflowed: iommu.frontEnd.faults.lost,
      by_cause: Object.fromEntries(
        [...iommu.frontEnd.faults.codes].map(([code, count]) => [`${code}`, count]),
      ),
    },
  };
}

export function memoryFigures(
  machine: Machine,
  shards: readonly ShardReport[],
  cycles: number,
): MemoryFigures {
  const all: MemoryTimingStatistics[] = [
    machine.timing.statistics(),
    ...shards.map(({ timing }) => timing),
  ];
  const total = (pick: (figures: MemoryTimingStatistics) => number): number => sum(all.map(pick));
  const hits = total((figures) => sum(figures.hits));
  const misses = total((figures) => sum(figures.misses));
  return {
    reads: total(({ reads }) => reads),
    writes: total(({ writes }) => writes),
    llc: cacheFigures(
      hits,
      misses,
      total(({ evictions }) => evictions),
      total(({ invalidated }) => invalidated),
    ),
    dram_reads: total(({ dramReads }) => dramReads),
    dram_writes: total(({ dramWrites }) => dramWrites),
    dram_busy_rate: share(
      total(({ dramBusyCycles }) => dramBusyCycles),
      cycles * all.length,
    ),
  };
}

export function hostFigures(machine: Machine, cycles: number): HostFigures {
  const { clock, software } = machine;
  const { api, host, path } = software;
  const counters = api.counters.toPlain();
  const busy = sum(host.cores.map((core) => core.busyUntil(machine.partition.events.now)));
  return {
    maps: counters.maps,
    unmaps: counters.unmaps,
    flushes: path.counters.toPlain().fences,
    map: latencyFigures(api.mapTime, clock),
    unmap: latencyFigures(api.unmapTime, clock),
    busy_rate: share(busy, cycles * host.cores.length),
  };
}

export function safetyFigures(machine: Machine): SafetyFigures {
  const { safety } = machine.software;
  return {
    stale_uses: safety.violations,
    exposed_uses: safety.exposedUses,
    exposed_pages: safety.exposedPages,
    exposure_page_ps: machine.clock.ps(safety.exposedPageCycles),
    exposure_max_ps: machine.clock.ps(safety.exposureMax),
  };
}

export function recordingFigures({ recording, scenario }: Machine): RecordingFigures | null {
  if (recording === null) return null;
  const address = (value: bigint): string => `0x${value.toString(16)}`;
  return {
    folder: scenario.recording.folder,
    events: recording.events,
    not_played: recording.open + recording.order.unknown_domains,
    ...recording.statistics,
    translations: recording.translations,
    mismatches: recording.mismatches,
    first_mismatches: recording.firstMismatches.map((mismatch) => ({
      event: mismatch.event,
      requester: requesterText(mismatch.deviceId),
      iova: address(mismatch.input),
      expected: address(mismatch.expected),
      got: mismatch.got === null ? null : address(mismatch.got),
    })),
    order: { ...recording.order },
  };
}
