/**
 * Conformance: runs vector files and capture folders against the functional model and says, for
 * each vector that differs, the first differing field. Paths are files, capture folders, or folders
 * whose files and capture folders are run. What is not modelled is skipped, and counts as neither.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../../sim/errors.ts';
import { isCaptureFolder } from '../../traces/captures/capture.ts';
import { CACHED, UNCACHED } from './cache-settings.ts';
import { conformCapture } from './capture.ts';
import { describe, type Mismatch } from './mismatch.ts';
import { SUITES, type Suite } from './suites.ts';
import { readJsonLines, type Vector } from './vectors.ts';

export interface ConformTotals {
  readonly passed: number;
  readonly failed: number;
  /** Vectors and captures of what is not modelled yet. */
  readonly skipped: number;
}

/** Runs everything under the paths; `print` gets a line per file and per failure. */
export async function conform(
  paths: readonly string[],
  print: (line: string) => void,
): Promise<ConformTotals> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const path of paths) {
    const totals = await conformPath(path, print);
    passed += totals.passed;
    failed += totals.failed;
    skipped += totals.skipped;
  }
  return { passed, failed, skipped };
}

/** One file or folder. */
export async function conformPath(
  path: string,
  print: (line: string) => void,
): Promise<ConformTotals> {
  const info = await stat(path).catch(() => null);
  if (info === null) throw new InputError('conform', `${path}: no such file or folder`);
  if (!info.isDirectory()) return conformFile(path, print);
  if (isCaptureFolder(path)) return conformCaptureFolder(path, print);
  const entries = (await readdir(path)).sort().map((name) => join(path, name));
  const known = entries.filter((name) => /\.jsonl(\.gz)?$/.test(name) || isCaptureFolder(name));
  if (known.length === 0) {
    throw new InputError('conform', `${path}: no vector files and no capture folders`);
  }
  return conform(known, print);
}

/** A check passes when it passes without caches and with them. */
function conformCaptureFolder(path: string, print: (line: string) => void): ConformTotals {
  const totals = { passed: Number.POSITIVE_INFINITY, failed: 0, skipped: 0 };
  for (const setting of [UNCACHED, CACHED]) {
    const report = (line: string): void => print(`${path} (${setting.name}): ${line}`);
    const { passed, failed, skipped } = conformCapture(path, report, setting.create());
    if (skipped !== null) {
      print(`${path}: skipped: ${skipped}`);
      return { passed: 0, failed: 0, skipped: 1 };
    }
    totals.passed = Math.min(totals.passed, passed);
    totals.failed = Math.max(totals.failed, failed);
  }
  return totals;
}

async function conformFile(path: string, print: (line: string) => void): Promise<ConformTotals> {
  let suite: Suite | undefined;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const optional = { agree: 0, differ: 0 };
  const reasons = new Set<string>();
  for await (const line of readJsonLines(path)) {
    const vector = line as Vector;
    suite ??= suiteOf(path, vector);
    const reason = suite.skip?.(vector) ?? null;
    if (reason !== null) {
      totals.skipped++;
      reasons.add(reason);
      continue;
    }
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
  const parts: string[] = [];
  if (totals.passed + totals.failed > 0) {
    parts.push(`${totals.passed} passed, ${totals.failed} failed`);
  }
  if (totals.skipped > 0) parts.push(`${totals.skipped} skipped: ${[...reasons].join(', ')}`);
  const notes = optional.agree + optional.differ;
  if (notes > 0) parts.push(`${optional.agree} of ${notes} optional vectors agree (not counted)`);
  print(`${path}: ${parts.join('; ')}`);
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
