/**
 * What the commands call to do their work. Modules are loaded when a command needs them, so that
 * `check` or `--help` do not pay for the simulator; tests hand in an engine of their own.
 */
import type { ExplainWalk, RunScenario } from '../scenarios/run-api.ts';
import type { BenchResults } from './bench/harness.ts';
import type { ConformTotals } from './conform/conform.ts';
import type { ConformOptions } from './conform/suite.ts';

export interface Engine {
  readonly run: RunScenario;
  readonly explain: (...request: Parameters<ExplainWalk>) => Promise<ReturnType<ExplainWalk>>;
  /** Runs vector files and capture folders; says what differs through `print`. */
  readonly conform: (
    paths: readonly string[],
    print: (line: string) => void,
    options: ConformOptions,
  ) => Promise<ConformTotals>;
  readonly bench: (
    names: readonly string[],
    onRun: (name: string, run: number, runs: number) => void,
  ) => Promise<BenchResults>;
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
  conform: async (paths, print, options) => {
    const { conform } = await import('./conform/conform.ts');
    return conform(paths, print, options);
  },
  bench: async (names, onRun) => {
    const { runBench } = await import('./bench/harness.ts');
    return runBench(names, { onRun });
  },
};
