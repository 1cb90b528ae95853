/** `iommusim replay` and `iommusim analyze`: what can be done with a trace. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { WAIT_REASONS } from '../../hw/pcie/transactions.ts';
import { loadScenario } from '../../scenarios/loader.ts';
import { faultName } from '../../scenarios/machine/iommu.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';
import { InputError, MismatchError } from '../../sim/errors.ts';
import { renderAnalysis } from '../../traces/analysis-text.ts';
import { analyzeTrace } from '../../traces/analyze.ts';
import type { TraceRow } from '../../traces/chunk.ts';
import type { Comparison } from '../../traces/compare.ts';
import type { TraceHeader } from '../../traces/format/message.ts';
import { TraceReader } from '../../traces/reader.ts';
import { extractDmaStream } from '../../traces/stream.ts';
import { verifyReplay } from '../../traces/verify.ts';
import type { Engine } from '../engine.ts';
import type { Io } from '../io.ts';
import {
  jsonOption,
  loadOptionsOf,
  pointNamed,
  pointOption,
  type ScenarioOptions,
  seedOption,
  setOption,
  threadsOption,
} from '../options.ts';
import { ProgressLine } from '../progress.ts';
import { renderExpectations, renderReport } from '../report/report.ts';
import { count } from '../report/text.ts';

const REPLAY_EXAMPLES = `
Examples:
  $ iommusim replay out/quickstart/trace.msgpack
  $ iommusim replay out/quickstart/trace.msgpack --threads 2
  $ iommusim replay out/quickstart/trace.msgpack --with other.yaml --set clock=3GHz

Without --with, runs the scenario that the trace holds again and compares record by record; the
first divergence is printed with both records and its cycle, and the exit code is 1. With --with,
drives the recorded DMAs into another scenario and reports on that.`;

const ANALYZE_EXAMPLES = `
Examples:
  $ iommusim analyze out/quickstart/trace.msgpack
  $ iommusim analyze out/quickstart/trace.msgpack --json

What can be told depends on the level at which the trace was recorded (run --trace-level).`;

/** What commands ask for, by OP_* of hw/iommu/architecture.ts. */
const OPERATION_NAMES = ['none', 'context', 'translations', 'fence', 'message', 'illegal', 'wait'];

/** Fault codes of all architectures are below. */
const FAULT_CODES = 512;

interface ReplayFlags extends ScenarioOptions {
  readonly with?: string;
  readonly point?: string;
  readonly threads: number;
  readonly json?: boolean;
  readonly out?: string;
}

export function addReplay(program: Command, io: Io, engine: Engine): void {
  program
    .command('replay')
    .description('run a trace again and compare, or drive its DMAs into another scenario')
    .argument('<trace>', 'trace file')
    .option('--with <file>', 'scenario that receives the recorded DMAs')
    .addOption(pointOption())
    .option('--out <dir>', 'folder for the statistics of --with')
    .addOption(threadsOption())
    .addOption(setOption())
    .addOption(seedOption())
    .addOption(jsonOption('the outcome'))
    .addHelpText('after', REPLAY_EXAMPLES)
    .action((trace: string, flags: ReplayFlags) =>
      flags.with === undefined
        ? verify(trace, flags, io, engine)
        : whatIf(trace, flags.with, flags, io, engine),
    );

  program
    .command('analyze')
    .description('statistics from a trace alone')
    .argument('<trace>', 'trace file')
    .addOption(jsonOption('the analysis'))
    .addHelpText('after', ANALYZE_EXAMPLES)
    .action((trace: string, flags: { readonly json?: boolean }) => analyze(trace, flags, io));
}

function openTrace(path: string, io: Io): TraceReader {
  const reader = TraceReader.open(path);
  if (!reader.complete) io.err(`warning: ${path} is not complete: ${reader.reason}\n`);
  return reader;
}

/** Names of devices by their index in records. */
function deviceNames(header: TraceHeader): string[] {
  const { devices } = header.scenario as Partial<ResolvedScenario>;
  return (devices ?? []).map(({ name }) => name);
}

/** Names for numbers in records, by field of the recipes. */
function labelsOf(header: TraceHeader): Readonly<Record<string, readonly string[]>> {
  const { iommu } = header.scenario as Partial<ResolvedScenario>;
  const causes = Array.from({ length: FAULT_CODES }, (_, code) =>
    iommu === undefined ? `${code}` : `${code} ${faultName(iommu.arch, code)}`,
  );
  return {
    device: deviceNames(header),
    reason: WAIT_REASONS,
    cause: causes,
    kind: OPERATION_NAMES,
  };
}

function analyze(path: string, flags: { readonly json?: boolean }, io: Io): void {
  const reader = openTrace(path, io);
  try {
    const analysis = analyzeTrace(reader, {
      labels: labelsOf(reader.header),
      onDamage: (damage) => io.err(`warning: ${damage.message}\n`),
    });
    const text = flags.json === true ? JSON.stringify(analysis, null, 2) : renderAnalysis(analysis);
    io.out(`${text}\n`);
  } finally {
    reader.close();
  }
}

async function verify(path: string, flags: ReplayFlags, io: Io, engine: Engine): Promise<void> {
  if (flags.set.length > 0 || flags.seed !== undefined) {
    throw new InputError('usage', '--set and --seed change the scenario; use them with --with');
  }
  const folder = mkdtempSync(join(tmpdir(), 'iommusim-'));
  const progress = new ProgressLine(io, 'replay');
  try {
    const comparison = await verifyReplay(openTrace(path, io), async (header) => {
      const tracePath = join(folder, 'trace.msgpack');
      await engine.run(header.scenario as ResolvedScenario, {
        threads: flags.threads,
        traceLevel: header.level,
        tracePath,
        onProgress: (now) => progress.update(now),
      });
      progress.end();
      return tracePath;
    });
    io.out(flags.json === true ? `${JSON.stringify(comparison, null, 2)}\n` : verdict(comparison));
    if (!comparison.identical) throw new MismatchError('replay', `${path}: the replay differs`);
  } finally {
    progress.end();
    rmSync(folder, { recursive: true, force: true });
  }
}

function verdict(comparison: Comparison): string {
  const lines = comparison.notes.map((note) => `note: ${note}`);
  const { divergence } = comparison;
  const records = `${count(comparison.records)} records`;
  lines.push(comparison.identical ? `identical, ${records}` : `${records} are equal`);
  if (divergence !== null) {
    const { cycle, kind, partition, row, left, right } = divergence;
    lines.push(
      `first divergence at cycle ${count(cycle)}: record ${row} of "${kind}", partition ${partition}`,
      `  recorded  ${rowText(left)}`,
      `  replayed  ${rowText(right)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function rowText(row: TraceRow | null): string {
  return row === null ? 'no such record' : JSON.stringify(row);
}

async function whatIf(
  path: string,
  file: string,
  flags: ReplayFlags,
  io: Io,
  engine: Engine,
): Promise<void> {
  const { points, description } = loadScenario(file, loadOptionsOf(flags, []));
  if (points.length !== 1 && flags.point === undefined) {
    throw new InputError('usage', `${file} is a sweep; choose one of its points with --point`);
  }
  const point = flags.point === undefined ? points[0] : pointNamed(points, flags.point);
  const reader = openTrace(path, io);
  const stream = extractDmaStream(reader);
  const streamDevices = deviceNames(reader.header);
  reader.close();
  const progress = new ProgressLine(io, 'replay');
  const outcome = await engine.run(point.scenario, {
    ...(point.name !== null && { point: point.name }),
    threads: flags.threads,
    traceLevel: 'off',
    stream,
    streamDevices,
    onProgress: (now) => progress.update(now),
  });
  progress.end();
  const { stats, expectations } = outcome;
  const json = `${JSON.stringify({ ...stats, expectations }, null, 2)}\n`;
  if (flags.out !== undefined) {
    mkdirSync(flags.out, { recursive: true });
    writeFileSync(join(flags.out, 'stats.json'), json);
  }
  if (flags.json === true) {
    io.out(json);
    return;
  }
  io.out(renderReport(stats, io.palette, `${count(stream.count)} DMAs of ${path}. ${description}`));
  const rows = expectations.map((result) => ({ label: '', result }));
  if (rows.length > 0) io.out(`\n${renderExpectations(rows, io.palette)}`);
}
