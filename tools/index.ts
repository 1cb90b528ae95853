/** What a program gets that imports `iommusim`: load, run, evaluate, read traces. */
export { type Expectation, type ExpectationResult, evaluate } from '../scenarios/expect.ts';
export {
  type LoadedScenario,
  type LoadOptions,
  loadScenario,
  type ScenarioPoint,
} from '../scenarios/loader.ts';
export { type Problem, ScenarioError } from '../scenarios/problem.ts';
export type { Progress, RunOptions, RunOutcome } from '../scenarios/run-api.ts';
export { runScenario } from '../scenarios/runner.ts';
export { scenarioJsonSchema } from '../scenarios/schema/json.ts';
export type { ResolvedScenario } from '../scenarios/schema/resolved.ts';
export type { RunStats } from '../scenarios/stats.ts';
export { InputError, InternalError, MismatchError, SimError } from '../sim/errors.ts';
export { analyzeTrace, type TraceAnalysis } from '../traces/analyze.ts';
export { TraceReader } from '../traces/reader.ts';
