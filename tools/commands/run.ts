/** `iommusim run`: scenarios in, report (or JSON), trace and statistics out. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, parse } from 'node:path';
import type { Command } from 'commander';
import type { ExpectationResult } from '../../scenarios/expect.ts';
import { loadScenario, type ScenarioPoint } from '../../scenarios/loader.ts';
import type { RunOptions, RunOutcome } from '../../scenarios/run-api.ts';
import { InputError, MismatchError } from '../../sim/errors.ts';
import type { Engine } from '../engine.ts';
import type { Io } from '../io.ts';
import {
  jsonOption,
  loadOptionsOf,
  type RunFlags,
  seedOption,
  setOption,
  splitOverrides,
  threadsOption,
  traceLevelOption,
} from '../options.ts';
import { ProgressLine } from '../progress.ts';
import { type PointStats, renderPoints } from '../report/points.ts';
import { renderExpectations, renderReport } from '../report/report.ts';
import { renderSheet } from '../report/sheet/sheet.ts';

const EXAMPLES = `
Examples:
  $ iommusim run scenarios/quickstart.yaml
  $ iommusim run scenarios/quickstart.yaml --set iommu.caches.iotlb.ways=16 --seed 7
  $ iommusim run scenarios/tenants-64.yaml --threads 2 --json
  $ iommusim run scenarios/pcie-bench.yaml --trace-level off
  $ iommusim run scenarios/quickstart.yaml --svg quickstart.svg

DIR receives trace.msgpack and stats.json; with several scenarios or a sweep, one folder each.
--svg FILE.svg draws the result; of several runs each one, as FILE-<scenario>-<point>.svg.
Exit code 1 when a figure of the scenario's expect: is not met.`;

/** One point of one scenario, to be run. */
export interface Job {
  readonly label: string;
  readonly description: string;
  readonly folder: string;
  readonly point: ScenarioPoint;
}

export function addRun(program: Command, io: Io, engine: Engine): void {
  program
    .command('run')
    .description('run scenarios and report where the time of every DMA went')
    .argument('<file...>', 'scenario files, and key=value overrides')
    .addOption(threadsOption())
    .addOption(seedOption())
    .option('--out <dir>', 'folder for trace and statistics (default: out/<scenario>)')
    .option('--svg <file>', 'draw the result as an SVG picture')
    .addOption(traceLevelOption())
    .addOption(setOption())
    .addOption(jsonOption('the statistics'))
    .addHelpText('after', EXAMPLES)
    .action(async (words: string[], flags: RunFlags) => {
      const jobs = planJobs(words, flags);
      const outcomes: RunOutcome[] = [];
      for (const job of jobs) outcomes.push(await runJob(job, flags, io, engine));
      if (flags.svg !== undefined) drawSheets(jobs, outcomes, flags.svg);
      report(jobs, outcomes, flags, io);
    });
}

/** Loads everything first: a mistake in the last file should not show after an hour. */
export function planJobs(words: readonly string[], flags: RunFlags): Job[] {
  const { files, set } = splitOverrides(words);
  if (files.length === 0) throw new InputError('usage', 'no scenario file given');
  const loaded = files.map((file) => loadScenario(file, loadOptionsOf(flags, set)));
  const several = loaded.length > 1;
  return loaded.flatMap((scenario) => {
    const base = flags.out ?? 'out';
    const folder = several || flags.out === undefined ? join(base, scenario.name) : base;
    return scenario.points.map((point): Job => {
      const own = point.name === null ? folder : join(folder, fileName(point.name));
      const label = point.name === null ? scenario.name : `${scenario.name} ${point.name}`;
      return { label, description: scenario.description, folder: own, point };
    });
  });
}

function fileName(point: string): string {
  return point.replace(/[^\w.,=-]+/g, '-');
}

async function runJob(job: Job, flags: RunFlags, io: Io, engine: Engine): Promise<RunOutcome> {
  mkdirSync(job.folder, { recursive: true });
  const progress = new ProgressLine(io, job.label);
  const options: RunOptions = {
    threads: flags.threads,
    traceLevel: flags.traceLevel,
    onProgress: (now) => progress.update(now),
    ...(flags.traceLevel !== 'off' && { tracePath: join(job.folder, 'trace.msgpack') }),
    ...(job.point.name !== null && { point: job.point.name }),
  };
  try {
    const outcome = await engine.run(job.point.scenario, options);
    writeFileSync(join(job.folder, 'stats.json'), jsonText(statsJson(outcome)));
    return outcome;
  } finally {
    progress.end();
  }
}

/** One picture; of several runs one each, beside each other and named after the run. */
function drawSheets(jobs: readonly Job[], outcomes: readonly RunOutcome[], file: string): void {
  const { dir, name, ext } = parse(file);
  mkdirSync(dir === '' ? '.' : dir, { recursive: true });
  for (const [i, { label, description }] of jobs.entries()) {
    const path = jobs.length === 1 ? file : join(dir, `${name}-${fileName(label)}${ext || '.svg'}`);
    writeFileSync(path, renderSheet(outcomes[i].stats, description));
  }
}

/** What `stats.json` holds and `--json` prints: the statistics and how expectations fared. */
function statsJson(outcome: RunOutcome): unknown {
  return { ...outcome.stats, expectations: outcome.expectations };
}

function jsonText(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function report(
  jobs: readonly Job[],
  outcomes: readonly RunOutcome[],
  flags: RunFlags,
  io: Io,
): void {
  if (flags.json === true) {
    const all = outcomes.map(statsJson);
    io.out(jsonText(all.length === 1 ? all[0] : { schema: 'iommusim.runs/1', runs: all }));
  } else {
    printReports(jobs, outcomes, io);
  }
  const failed = outcomes.flatMap(({ expectations }) => expectations.filter((e) => !e.pass));
  if (failed.length > 0) {
    throw new MismatchError('expect', `${failed.length} expectation(s) failed: ${names(failed)}`);
  }
}

function names(failed: readonly ExpectationResult[]): string {
  const shown = [...new Set(failed.map(({ path }) => path))];
  return shown.length > 4 ? `${shown.slice(0, 4).join(', ')}, ...` : shown.join(', ');
}

/** A full report for each scenario; the points of a sweep are compared in one table instead. */
function printReports(jobs: readonly Job[], outcomes: readonly RunOutcome[], io: Io): void {
  const { palette } = io;
  const rows: { readonly label: string; readonly result: ExpectationResult }[] = [];
  const points: PointStats[] = [];
  const oneScenario = new Set(jobs.map(({ point }) => point.scenario.name)).size === 1;
  for (const [i, { stats, expectations }] of outcomes.entries()) {
    const job = jobs[i];
    const label = oneScenario ? (job.point.name ?? '') : job.label;
    if (job.point.name !== null && outcomes.length > 1) points.push({ label, stats });
    else io.out(`${renderReport(stats, palette, job.description)}\n`);
    for (const result of expectations) {
      rows.push({ label: outcomes.length === 1 ? '' : label, result });
    }
  }
  if (points.length > 0) io.out(`${renderPoints(points, palette)}\n`);
  if (rows.length > 0) io.out(`${renderExpectations(rows, palette)}\n`);
  const folders = jobs.length === 1 ? jobs[0].folder : `${jobs.length} folders`;
  const files = outcomes.some(({ tracePath }) => tracePath !== null)
    ? 'trace.msgpack and stats.json'
    : 'stats.json';
  io.out(palette.dim(`${files} in ${folders}\n`));
}
