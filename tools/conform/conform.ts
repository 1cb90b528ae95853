/**
 * Conformance: runs vector files against the functional model and says, for each vector that
 * differs, the first differing field. Paths are files, or folders whose files are run.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../sim/errors.ts';
import { describe, type Mismatch } from './mismatch.ts';
import { type Suite, SUITES } from './suites.ts';
import { readJsonLines, type Vector } from './vectors.ts';

export interface ConformTotals {
  readonly passed: number;
  readonly failed: number;
}

/** Runs everything under the paths; `print` gets a line per file and per failure. */
export async function conform(
  paths: readonly string[],
  print: (line: string) => void,
): Promise<ConformTotals> {
  let passed = 0;
  let failed = 0;
  for (const path of paths) {
    const totals = await conformPath(path, print);
    passed += totals.passed;
    failed += totals.failed;
  }
  return { passed, failed };
}

/** One file or folder. */
export async function conformPath(
  path: string,
  print: (line: string) => void,
): Promise<ConformTotals> {
  const info = await stat(path).catch(() => null);
  if (info === null) throw new InputError('conform', `${path}: no such file or folder`);
  if (!info.isDirectory()) return conformFile(path, print);
  const files = (await readdir(path)).filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort();
  if (files.length === 0) throw new InputError('conform', `${path}: no vector files`);
  return conform(
    files.map((name) => join(path, name)),
    print,
  );
}

async function conformFile(path: string, print: (line: string) => void): Promise<ConformTotals> {
  let suite: Suite | undefined;
  const totals = { passed: 0, failed: 0 };
  const optional = { agree: 0, differ: 0 };
  for await (const line of readJsonLines(path)) {
    const vector = line as Vector;
    suite ??= suiteOf(path, vector);
    const mismatch = runVector(suite, vector);
    if (suite.optional(vector)) {
      if (mismatch === null) optional.agree++;
      else optional.differ++;
    } else if (mismatch === null) {
      totals.passed++;
    } else {
      totals.failed++;
      print(mismatch);
    }
  }
  if (suite === undefined) throw new InputError('conform', `${path}: no vectors`);
  const notes = optional.agree + optional.differ;
  const peculiar = `${optional.agree} of ${notes} optional vectors agree (not counted)`;
  print(
    notes > 0 && totals.passed + totals.failed === 0
      ? `${path}: ${peculiar}`
      : `${path}: ${totals.passed} passed, ${totals.failed} failed${notes > 0 ? `; ${peculiar}` : ''}`,
  );
  return totals;
}

function suiteOf(path: string, vector: Vector): Suite {
  const suite =
    typeof vector?.cfg === 'object' && Array.isArray(vector.steps)
      ? SUITES.find((candidate) => candidate.recognises(vector))
      : undefined;
  if (suite === undefined) {
    const known = SUITES.map(({ name }) => name).join(', ');
    throw new InputError('conform', `${path}: not a known kind of vector file (${known})`);
  }
  return suite;
}

/** Description of the first difference under any cache setting, or `null`. */
function runVector(suite: Suite, vector: Vector): string | null {
  for (const setting of suite.settings) {
    const mismatch: Mismatch | null = suite.run(vector, setting);
    if (mismatch === null) continue;
    return `${describe(vector.topic, vector.id, mismatch)} (${setting.name})`;
  }
  return null;
}
