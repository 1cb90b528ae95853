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
import type { ConformOptions, Suite, SuiteRun } from './suite.ts';
import { SUITES } from './suites.ts';
import { readJsonLines } from './vectors.ts';

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
  options: ConformOptions = {},
): Promise<ConformTotals> {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const path of paths) {
    const totals = await conformPath(path, print, options);
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
  options: ConformOptions = {},
): Promise<ConformTotals> {
  const info = await stat(path).catch(() => null);
  if (info === null) throw new InputError('conform', `${path}: no such file or folder`);
  if (!info.isDirectory()) return conformFile(path, print, options);
  if (isCaptureFolder(path)) return conformCaptureFolder(path, print);
  const entries = (await readdir(path)).sort().map((name) => join(path, name));
  const known = entries.filter((name) => /\.jsonl(\.gz)?$/.test(name) || isCaptureFolder(name));
  if (known.length === 0) {
    throw new InputError('conform', `${path}: no vector files and no capture folders`);
  }
  return conform(known, print, options);
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

async function conformFile(
  path: string,
  print: (line: string) => void,
  options: ConformOptions,
): Promise<ConformTotals> {
  const { only, shown = Number.POSITIVE_INFINITY } = options;
  let run: SuiteRun | undefined;
  const totals = { passed: 0, failed: 0, skipped: 0 };
  const optional = { agree: 0, differ: 0 };
  const reasons = new Set<string>();
  for await (const line of readJsonLines(path)) {
    run ??= suiteOf(path, line).open(path, options);
    if (only !== undefined && !only.has((line as { readonly id?: string } | null)?.id ?? ''))
      continue;
    const verdict = run.judge(line);
    switch (verdict.kind) {
      case 'passed':
        totals.passed++;
        break;
      case 'failed':
        totals.failed++;
        if (totals.failed <= shown) print(verdict.text);
        break;
      case 'skipped':
        totals.skipped++;
        reasons.add(verdict.reason);
        break;
      case 'optional':
        if (verdict.agrees) optional.agree++;
        else optional.differ++;
        break;
    }
  }
  if (run === undefined) throw new InputError('conform', `${path}: no vectors`);
  if (totals.failed > shown) print(`${totals.failed - shown} more failures are not shown`);
  for (const line of run.summary?.() ?? []) print(line);
  print(`${path}: ${fileSummary(totals, optional, [...reasons])}`);
  return totals;
}

function fileSummary(
  { passed, failed, skipped }: ConformTotals,
  optional: { readonly agree: number; readonly differ: number },
  reasons: readonly string[],
): string {
  const parts: string[] = [];
  if (passed + failed > 0) parts.push(`${passed} passed, ${failed} failed`);
  if (skipped > 0) parts.push(`${skipped} skipped: ${reasons.join(', ')}`);
  const notes = optional.agree + optional.differ;
  if (notes > 0) parts.push(`${optional.agree} of ${notes} optional vectors agree (not counted)`);
  return parts.length === 0 ? 'no case of this id' : parts.join('; ');
}

function suiteOf(path: string, line: unknown): Suite {
  const suite = SUITES.find((candidate) => candidate.recognises(line));
  if (suite !== undefined) return suite;
  const known = SUITES.map(({ name }) => name).join(', ');
  throw new InputError('conform', `${path}: not a known kind of vector file (${known})`);
}
