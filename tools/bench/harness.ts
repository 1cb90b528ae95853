/**
 * Runs benchmarks: every run in a fresh process, so that neither compiled code nor heap of one
 * colours the next, and round by round over all names, so that a slow minute of the machine hits
 * all of them. The value reported is the median.
 */
import { execFile } from 'node:child_process';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { InputError, InternalError } from '../../sim/errors.ts';
import { BENCHMARKS, type Benchmark } from './registry.ts';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_bytes: number;
  readonly os: string;
  readonly node: string;
}

export interface BenchResult {
  readonly name: string;
  /** Median of the runs. */
  readonly value: number;
  readonly unit: string;
  /** In the order in which they were made. */
  readonly runs: readonly number[];
}

/** What `bench --json` prints. */
export interface BenchResults {
  readonly machine: Machine;
  readonly results: readonly BenchResult[];
}

export interface BenchOptions {
  readonly runs?: number;
  /** Told before each run. */
  readonly onRun?: (name: string, run: number, runs: number) => void;
  /** Makes one run; by default in a process of its own. */
  readonly execute?: (name: string) => Promise<number>;
  readonly benchmarks?: Readonly<Record<string, Benchmark>>;
}

export const DEFAULT_RUNS = 5;

/** Runs the named benchmarks, or when none is named all that are not long. */
export async function runBench(
  names: readonly string[],
  options: BenchOptions = {},
): Promise<BenchResults> {
  const { runs = DEFAULT_RUNS, onRun, execute = inOwnProcess } = options;
  const { benchmarks = BENCHMARKS } = options;
  const chosen = choose(names, benchmarks);
  if (!Number.isInteger(runs) || runs < 1) {
    throw new InputError('bench-runs', `${runs} runs: expected a whole number above 0`);
  }
  const values = new Map<string, number[]>(chosen.map((name) => [name, []]));
  for (let run = 1; run <= runs; run++) {
    for (const name of chosen) {
      if (run > 1 && benchmarks[name].isLong === true) continue;
      onRun?.(name, run, runs);
      values.get(name)!.push(await execute(name));
    }
  }
  const results = chosen.map((name) => {
    const own = values.get(name)!;
    return { name, value: median(own), unit: benchmarks[name].unit, runs: own };
  });
  return { machine: describeMachine(), results };
}

function choose(
  names: readonly string[],
  benchmarks: Readonly<Record<string, Benchmark>>,
): readonly string[] {
  const known = Object.keys(benchmarks);
  if (names.length === 0) return known.filter((name) => benchmarks[name].isLong !== true);
  for (const name of names) {
    if (known.includes(name)) continue;
    throw new InputError('bench-name', `no benchmark '${name}'; there are: ${known.join(', ')}`);
  }
  return [...new Set(names)];
}

/** The middle value; of an even number, the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const ascending = [...values].sort((a, b) => a - b);
  const middle = ascending.length >> 1;
  if (ascending.length % 2 === 1) return ascending[middle];
  return (ascending[middle - 1] + ascending[middle]) / 2;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_bytes: totalmem(),
    os: `${process.platform} ${process.arch}`,
    node: process.version,
  };
}

/** One run in a process that does nothing else. */
function inOwnProcess(name: string): Promise<number> {
  const child = import.meta.url.endsWith('.ts') ? './child.ts' : './child.js';
  const path = fileURLToPath(new URL(child, import.meta.url));
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...process.execArgv, path, name], (error, stdout, stderr) => {
      const value = Number(stdout);
      if (!error && stdout !== '' && Number.isFinite(value)) return resolve(value);
      const reason = stderr.trim() || error?.message || `it printed '${stdout}'`;
      reject(new InternalError('bench', `benchmark '${name}' failed: ${reason}`));
    });
  });
}
