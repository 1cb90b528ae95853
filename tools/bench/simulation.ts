/**
 * Benchmarks of whole simulations. Each first runs its scenario to warm up the compiler, then
 * measures a longer run of the same; the engine's own clock leaves set-up out.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RunOptions, RunOutcome } from '../../scenarios/run-api.ts';
import { runScenario } from '../../scenarios/runner.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';
import { InternalError } from '../../sim/errors.ts';
import {
  benchScenario,
  HIT,
  MILLION_PAGES,
  MIXED,
  manyDevices,
  NESTED_COLD,
  ownScenario,
} from './scenarios.ts';

const WARM_SHARE = 10;
const WARM_RUNS = 2;
/** Far beyond what any benchmark simulates. */
const FOREVER_PS = 1e15;
const PAIRS = 3;

/** The scenario, ended by its number of DMAs alone and without a warm-up of its own. */
function bounded(scenario: ResolvedScenario, dmas: number): ResolvedScenario {
  return { ...scenario, run: { ...scenario.run, for: FOREVER_PS, max_dmas: dmas, warmup: 0 } };
}

function run(scenario: ResolvedScenario, options: Partial<RunOptions> = {}): Promise<RunOutcome> {
  return runScenario(scenario, { threads: 1, traceLevel: 'off', ...options });
}

async function dmaRate(scenario: ResolvedScenario, dmas: number): Promise<RunOutcome> {
  await run(bounded(scenario, Math.ceil(dmas / WARM_SHARE)));
  return run(bounded(scenario, dmas));
}

function check(condition: boolean, what: string): void {
  if (!condition) throw new InternalError('bench', what);
}

/** DMAs per second when the IOTLB hits. */
export async function benchHit(dmas: number): Promise<number> {
  const { stats } = await dmaRate(benchScenario(HIT), dmas);
  check(stats.dma.iotlb_hit_rate > 0.999, `hit rate ${stats.dma.iotlb_hit_rate}`);
  return stats.engine.dmas_per_s;
}

/** DMAs per second of the quickstart scenario as it stands, run again and again. */
export async function benchQuickstart(runs: number): Promise<number> {
  const scenario = ownScenario('quickstart');
  // The compiler drops what it made of the first machine when it meets a second one.
  for (let i = 0; i < WARM_RUNS; i++) await run(scenario);
  let dmas = 0;
  let wall = 0;
  for (let i = 0; i < runs; i++) {
    const { engine } = (await run(scenario)).stats;
    dmas += engine.dmas_per_s * engine.wall_seconds;
    wall += engine.wall_seconds;
  }
  return dmas / wall;
}

/** DMAs per second when every one of them walks 24 references. */
export async function benchNestedCold(dmas: number): Promise<number> {
  const { stats } = await dmaRate(benchScenario(NESTED_COLD), dmas);
  const perWalk = stats.iommu?.walks.references_per_walk ?? 0;
  // Walks under way at the end have read some already.
  check(Math.floor(perWalk) === 24, `${perWalk} references per walk`);
  check(stats.dma.iotlb_hit_rate === 0, `hit rate ${stats.dma.iotlb_hit_rate}`);
  return stats.engine.dmas_per_s;
}

async function inFolder<T>(use: (tracePath: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'iommusim-bench-'));
  try {
    return await use(join(folder, 'trace.msgpack'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const seconds = ({ stats }: RunOutcome): number => stats.engine.wall_seconds;

/** Median ratio of two runs of the same work, made in turn so that both see the same machine. */
async function pairedRatio(
  over: () => Promise<number>,
  under: () => Promise<number>,
): Promise<number> {
  await over();
  await under();
  const ratios: number[] = [];
  for (let pair = 0; pair < PAIRS; pair++) {
    const first = pair % 2 === 0 ? await over() : 0;
    const below = await under();
    ratios.push((pair % 2 === 0 ? first : await over()) / below);
  }
  return ratios.sort((a, b) => a - b)[PAIRS >> 1];
}

/** Time with a trace of level `requests` over the time without, on the quickstart scenario. */
export function benchTraceOverhead(dmas: number): Promise<number> {
  return tracedOver(bounded(ownScenario('quickstart'), dmas));
}

/** The same where a DMA costs least: when the IOTLB hits. */
export function benchTraceOverheadHit(dmas: number): Promise<number> {
  return tracedOver(bounded(benchScenario(HIT), dmas));
}

function tracedOver(scenario: ResolvedScenario): Promise<number> {
  return inFolder((tracePath) =>
    pairedRatio(
      async () => seconds(await run(scenario, { traceLevel: 'requests', tracePath })),
      async () => seconds(await run(scenario)),
    ),
  );
}

/** Bytes of the whole trace file at level `requests` per DMA of the quickstart scenario. */
export function benchTraceBytes(dmas: number): Promise<number> {
  return inFolder(async (tracePath) => {
    const scenario = bounded(ownScenario('quickstart'), dmas);
    const { stats } = await run(scenario, { traceLevel: 'requests', tracePath });
    return statSync(tracePath).size / stats.dma.count;
  });
}

/** Time of `tenants-64` on one thread over its time on two. */
export async function benchSpeedup(dmas: number): Promise<number> {
  const scenario = bounded(ownScenario('tenants-64'), dmas);
  await run(bounded(scenario, Math.ceil(dmas / WARM_SHARE)), { threads: 1 });
  const alone = seconds(await run(scenario, { threads: 1 }));
  return alone / seconds(await run(scenario, { threads: 2 }));
}

/** Most memory of the process above that before, with a million 4 KiB pages mapped. */
export async function benchMillionPages(): Promise<number> {
  const before = process.memoryUsage.rss();
  const { stats } = await run(benchScenario(MILLION_PAGES));
  check(stats.dma.aborted === 0, `${stats.dma.aborted} DMAs aborted`);
  return process.resourceUsage().maxRSS * 1024 - before;
}

/** Growth of the process between a tenth of a long run and its end. */
export async function benchMemoryGrowth(dmas: number): Promise<number> {
  let early = 0;
  const onProgress: RunOptions['onProgress'] = (now) => {
    if (early === 0 && now.dmas >= dmas / 10) early = process.memoryUsage.rss();
  };
  await run(bounded(benchScenario(MIXED), dmas), { onProgress });
  check(early > 0, 'the run was too short to see its memory');
  return Math.max(0, process.memoryUsage.rss() - early);
}

/** Time per DMA with many devices over that with one of the same rate. */
export function benchManyDevices(devices: number, dmas: number): Promise<number> {
  const many = bounded(benchScenario(manyDevices(devices)), dmas);
  const one = bounded(benchScenario(manyDevices(1)), dmas);
  const perDma = async (scenario: ResolvedScenario): Promise<number> => {
    const { stats } = await run(scenario);
    return stats.engine.wall_seconds / stats.dma.count;
  };
  return pairedRatio(
    () => perDma(many),
    () => perDma(one),
  );
}
