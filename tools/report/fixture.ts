/** Statistics of a run that never was, with every section filled, for tests of what is printed. */
import {
  type CacheFigures,
  type DeviceFigures,
  type IommuFigures,
  type LatencyFigures,
  type RunStats,
  STATS_SCHEMA,
} from '../../scenarios/stats.ts';

export function latency(count: number, mean_ps: number): LatencyFigures {
  return {
    count,
    min_ps: mean_ps / 2,
    mean_ps,
    p50_ps: mean_ps,
    p90_ps: mean_ps * 2,
    p95_ps: mean_ps * 3,
    p99_ps: mean_ps * 4,
    p999_ps: mean_ps * 8,
    max_ps: mean_ps * 16,
  };
}

function cache(hits: number, misses: number): CacheFigures {
  const lookups = hits + misses;
  return {
    lookups,
    hits,
    misses,
    merged: 3,
    evictions: 10,
    invalidated: 2,
    hit_rate: lookups === 0 ? 0 : hits / lookups,
  };
}

function device(count: number): DeviceFigures {
  return {
    domain: 'guest0',
    count,
    reads: count / 4,
    writes: (count * 3) / 4,
    bytes: count * 1500,
    aborted: 0,
    throughput_bps: 187_300_000_000,
    rate_per_s: 15_600_000,
    latency: latency(count, 1_240_000),
    waits_ps: {
      'link-up': count * 240_000,
      iotlb: count * 4_000,
      walk: count * 700_000,
      memory: count * 90_000,
      'link-down': count * 206_000,
    },
    iotlb_hit_rate: 0.62,
    master: { packets_received: 12_345, packets_dropped: 0, descriptor_fetches: 400 },
  };
}

const occupancy = { capacity: 64, mean: 11.25, max: 64 };

const IOMMU: IommuFigures = {
  arch: 'riscv',
  requests: 40_000,
  outstanding: occupancy,
  contexts: cache(39_990, 10),
  iotlb: cache(24_800, 15_200),
  walks: {
    count: 15_197,
    faults: 0,
    references: 68_000,
    references_per_walk: 4.47,
    latency: latency(15_197, 390_000),
    levels: [
      {
        stage: 'stage1',
        level: 0,
        name: 'pte',
        references: 15_197,
        skipped: 0,
        mean_ps: 91_000,
      },
      {
        stage: 'stage2',
        level: 3,
        name: 'gpte',
        references: 120,
        skipped: 15_000,
        mean_ps: 89_000,
      },
    ],
    caches: { 'stage1.l1': cache(9_000, 6_197), 'stage2.l1': cache(0, 0) },
    slots: occupancy,
  },
  commands: {
    count: 900,
    by_name: { 'IOTINVAL.VMA': 450, 'IOFENCE.C': 450 },
    latency: latency(900, 310_000),
    invalidation: latency(450, 800_000),
  },
  faults: { count: 2, recorded: 2, overflowed: 0, by_cause: { 'read page fault': 2 } },
};

export function sampleStats(devices = 1): RunStats {
  const each = device(40_000);
  return {
    schema: STATS_SCHEMA,
    version: '0.1.0',
    scenario: 'sample',
    point: null,
    seed: 1,
    time: {
      simulated_ps: 3e9,
      measured_ps: 2.9e9,
      cycles: 6_000_000,
      clock_hz: 2e9,
      end: 'time',
    },
    dma: device(40_000 * devices),
    devices: Object.fromEntries(Array.from({ length: devices }, (_, i) => [`nic.${i}`, each])),
    iommu: IOMMU,
    memory: {
      reads: 80_000,
      writes: 30_000,
      llc: cache(60_000, 20_000),
      dram_reads: 20_000,
      dram_writes: 9_000,
      dram_busy_rate: 0.21,
    },
    host: {
      maps: 450,
      unmaps: 450,
      flushes: 450,
      map: latency(450, 500_000),
      unmap: latency(450, 1_500_000),
      busy_rate: 0.4,
    },
    safety: {
      stale_uses: 0,
      exposed_uses: 3,
      exposure_page_ps: 4_500_000,
      exposed_pages: 7,
      exposure_max_ps: 900_000,
    },
    engine: {
      threads: 2,
      wall_seconds: 0.21,
      events: 1_000_000,
      events_per_s: 4_760_000,
      dmas_per_s: 190_000,
      partitions: 3,
      windows: 12_000,
      wait_seconds: 0.02,
      speedup: 1.6,
    },
  };
}
