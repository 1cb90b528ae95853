/**
 * From a scenario file to resolved scenarios: read, merge what it extends, apply overrides, expand
 * the sweep, validate. Every error names the place in the text that caused it.
 */
import { dirname, isAbsolute, join } from 'node:path';
import type { z } from 'zod';
import type { Expectation } from './expect.ts';
import { diskFiles, type Files, loadMerged } from './extends.ts';
import { didYouMean } from './nearest.ts';
import { applyOverride, nodeOf, type Override, parseSet } from './override.ts';
import {
  dotted,
  formatProblem,
  type KeyPath,
  type Origin,
  type Problem,
  ScenarioError,
} from './problem.ts';
import { checkScenario } from './schema/check.ts';
import { withPlaces } from './schema/programs.ts';
import { expandReplicas } from './schema/replicas.ts';
import type { ResolvedScenario, WrittenScenario } from './schema/resolved.ts';
import { scenarioType } from './schema/scenario.ts';
import { childNames } from './schema/step-names.ts';
import { locate, type MapNode, toPlain } from './source.ts';
import { sweepPoints, treeAt } from './sweep.ts';

export interface LoadOptions {
  /** Arguments of `--set`, applied in order. */
  readonly set?: readonly string[];
  readonly seed?: number;
  /** Where files are read from; the disk if not given. */
  readonly files?: Files;
}

export interface ScenarioPoint {
  /** Name of the sweep point, null when the scenario has no sweep. */
  readonly name: string | null;
  readonly scenario: ResolvedScenario;
}

export interface LoadedScenario {
  readonly file: string;
  readonly name: string;
  readonly description: string;
  /** At least one, in the order of the sweep. */
  readonly points: readonly ScenarioPoint[];
}

const MAX_PROBLEMS = 50;

/** Loads a scenario file; throws a {@link ScenarioError} with all that is wrong. */
export function loadScenario(file: string, options: LoadOptions = {}): LoadedScenario {
  const overrides = (options.set ?? []).map(parseSet);
  if (options.seed !== undefined) overrides.push(seedOverride(options.seed));
  let root = loadMerged(options.files ?? diskFiles(), file);
  for (const override of overrides) root = applyOverride(root, override);

  const sweep = root.entries.get('sweep');
  if (sweep === undefined) {
    const scenario = resolveTree(root, file);
    return summary(file, scenario, [{ name: null, scenario }]);
  }
  const entries = new Map(root.entries);
  entries.delete('sweep');
  const base = resolveTree({ ...root, entries }, file);
  return summary(file, base, resolvePoints(root, overrides, file));
}

function summary(
  file: string,
  base: ResolvedScenario,
  points: readonly ScenarioPoint[],
): LoadedScenario {
  return { file, name: base.name, description: base.description, points };
}

/** Command-line overrides win over the sweep's, so they are applied once more at each point. */
function resolvePoints(
  root: MapNode,
  overrides: readonly Override[],
  file: string,
): readonly ScenarioPoint[] {
  const sweep = root.entries.get('sweep');
  const points: ScenarioPoint[] = [];
  const problems = new Map<string, Problem>();
  for (const point of sweepPoints(sweep!.value)) {
    let tree = treeAt(root, point);
    for (const override of overrides) {
      if (override.path[0] !== 'sweep') tree = applyOverride(tree, override);
    }
    try {
      points.push({ name: point.name, scenario: resolveTree(tree, file) });
    } catch (error) {
      if (!(error instanceof ScenarioError)) throw error;
      for (const problem of error.problems) problems.set(formatProblem(problem), problem);
    }
  }
  if (problems.size > 0) throw new ScenarioError([...problems.values()].slice(0, MAX_PROBLEMS));
  return points;
}

function seedOverride(seed: number): Override {
  const origin: Origin = { file: `--seed ${seed}`, line: 0, column: 0 };
  return { path: ['seed'], value: nodeOf(seed, origin), origin };
}

function resolveTree(root: MapNode, file: string): ResolvedScenario {
  const parsed = scenarioType.safeParse(toPlain(root));
  if (!parsed.success) throw new ScenarioError(inOrder(problemsOf(root, parsed.error.issues)));
  const written = parsed.data as WrittenScenario;
  const faults = checkScenario(written).map(({ path, message }) => problemAt(root, path, message));
  if (faults.length > 0) throw new ScenarioError(inOrder(faults));
  const name = written.name === '' ? stem(file) : written.name;
  const programs = withPlaces(written.programs, (path) => locate(root, path, 'value'));
  const expect = withProgramChecks(written);
  const folder = recordingFolder(root, written.recording.folder);
  return expandReplicas({
    ...written,
    name,
    programs,
    expect,
    recording: { ...written.recording, folder },
  });
}

/** A program is to end, without a check that failed, unless the scenario says otherwise. */
function withProgramChecks({ expect, programs }: WrittenScenario): readonly Expectation[] {
  const own = programs.flatMap(({ name, steps }) =>
    [name, ...childNames(steps)].flatMap((each): Expectation[] => [
      { path: `programs.${each}.failed_checks`, value: 0 },
      { path: `programs.${each}.finished`, value: true },
    ]),
  );
  const stated = new Set(expect.map(({ path }) => path));
  return [...expect, ...own.filter(({ path }) => !stated.has(path))];
}

/** A folder in a file is relative to that file, one on the command line to the current folder. */
function recordingFolder(root: MapNode, folder: string): string {
  const { file, line } = locate(root, ['recording', 'folder'], 'value');
  return folder === '' || line === 0 || isAbsolute(folder) ? folder : join(dirname(file), folder);
}

function stem(file: string): string {
  return (file.split(/[\\/]/).pop() as string).replace(/\.(ya?ml|json)$/, '');
}

function problemsOf(root: MapNode, issues: readonly z.core.$ZodIssue[]): Problem[] {
  return issues.slice(0, MAX_PROBLEMS).map((issue) => {
    const path = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
    const validKeys = issue.code === 'custom' ? issue.params?.validKeys : undefined;
    if (!Array.isArray(validKeys)) return problemAt(root, path, issue.message);
    const key = String(path[path.length - 1]);
    const known = `valid keys: ${validKeys.join(', ')}`;
    return {
      origin: locate(root, path, 'key'),
      path: dotted(path),
      message: `unknown key${didYouMean(key, validKeys as string[])}; ${known}`,
    };
  });
}

function problemAt(root: MapNode, path: KeyPath, message: string): Problem {
  return { origin: locate(root, path, 'value'), path: dotted(path), message };
}

function inOrder(problems: Problem[]): Problem[] {
  return problems.sort((a, b) => {
    if (a.origin.file !== b.origin.file) return a.origin.file < b.origin.file ? -1 : 1;
    return a.origin.line - b.origin.line || a.origin.column - b.origin.column;
  });
}
