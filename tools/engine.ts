/**
 * What the commands call to do their work. Modules are loaded when a command needs them, so that
 * `check` or `--help` do not pay for the simulator; tests hand in an engine of their own.
 */
import type { ExplainWalk, RunScenario } from '../scenarios/run-api.ts';

export interface BenchRequest {
  readonly names: readonly string[];
  readonly onResult: (line: string) => void;
}

/** Output of `bench --json`. */
export interface BenchReport {
  readonly machine: Readonly<Record<string, unknown>>;
  readonly results: readonly {
    readonly name: string;
    readonly value: number;
    readonly unit: string;
    readonly runs: readonly number[];
  }[];
}

export interface ConformTotals {
  readonly passed: number;
  readonly failed: number;
}

export interface Engine {
  readonly run: RunScenario;
  readonly explain: (...request: Parameters<ExplainWalk>) => Promise<ReturnType<ExplainWalk>>;
  /** Runs vector files and capture folders; says what differs through `print`. */
  readonly conform: (
    paths: readonly string[],
    print: (line: string) => void,
  ) => Promise<ConformTotals>;
  readonly bench: (request: BenchRequest) => Promise<BenchReport>;
}

export const engine: Engine = {
  run: async (scenario, options) => {
    const { runScenario } = await import('../scenarios/runner.ts');
    return runScenario(scenario, options);
  },
  explain: async (scenario, request) => {
    const { explainWalk } = await import('../scenarios/explain.ts');
    return explainWalk(scenario, request);
  },
  conform: async (paths, print) => {
    const { conform } = await import('./conform/conform.ts');
    return conform(paths, print);
  },
  bench: async (request) => {
    const { runBenchmarks } = await import('./bench/bench.ts');
    return runBenchmarks(request);
  },
};
