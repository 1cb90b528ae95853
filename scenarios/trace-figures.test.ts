import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WAIT_REASONS } from '../hw/pcie/transactions.ts';
import { analyzeTrace, type GroupFigures, type TraceAnalysis } from '../traces/analyze.ts';
import { TraceReader } from '../traces/reader.ts';
import { resolveText } from './memory-files.ts';
import type { RunOutcome } from './run-api.ts';
import { runScenario } from './runner.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-figures-'));
test.after(() => rmSync(FOLDER, { recursive: true }));

const TRAFFIC = `
run: { for: 500us }
iommu: { walkers: { shards: 2 }, caches: { walk: { all: { sets: 4, ways: 2 } } } }
host: { flush_timeout: 20us }
domains:
  - { name: guest, translation: nested, policy: POLICY }
devices:
  - { name: nic, domain: guest, master: { kind: nic, receive: 50Gb/s } }
  - name: disk
    domain: guest
    master: { kind: pattern, pattern: random, window: 8MiB, size: 64B, outstanding: 16 }
`;

let files = 0;

async function traced(policy: string, threads = 1): Promise<{ path: string; run: RunOutcome }> {
  const path = join(FOLDER, `${files++}.msgpack`);
  const scenario = resolveText(TRAFFIC.replace('POLICY', policy));
  const run = await runScenario(scenario, { threads, traceLevel: 'requests', tracePath: path });
  return { path, run };
}

function analysisOf(trace: string | Uint8Array): TraceAnalysis {
  const reader = TraceReader.open(trace);
  try {
    return analyzeTrace(reader, { labels: { reason: WAIT_REASONS } });
  } finally {
    reader.close();
  }
}

function groups(analysis: TraceAnalysis, name: string): readonly GroupFigures[] {
  return analysis.tables.find((table) => table.name === name)?.groups ?? [];
}

const strict = await traced('strict');

test('waits in the trace add up to those of the statistics, reason by reason', () => {
  const { waits_ps } = strict.run.stats.dma;
  const told = groups(analysisOf(strict.path), 'waits');
  assert.ok(told.length >= 5);
  for (const { key, sums } of told) assert.is(sums.time_ps, waits_ps[`${key.reason}`]);
});

test('references in the trace are those of the statistics, by stage and level', () => {
  const told = groups(analysisOf(strict.path), 'references');
  const levels = strict.run.stats.iommu?.walks.levels ?? [];
  for (const { key, sums, ratios } of told) {
    const level = levels.find((own) => own.stage === key.stage && own.level === key.level);
    assert.is(sums.read, level?.references);
    assert.is(ratios.hit_rate, sums.saved / (sums.read + sums.saved));
  }
  const [walks] = groups(analysisOf(strict.path), 'walks');
  assert.is(walks.sums.walks, strict.run.stats.iommu?.walks.count);
});

test('every acknowledged unmap is in the trace, with the time it took', () => {
  const [acknowledged] = groups(analysisOf(strict.path), 'invalidations');
  const { count, mean_ps } = strict.run.stats.iommu?.commands.invalidation ?? {};
  assert.is(acknowledged.key.state, 'acknowledged');
  assert.is(acknowledged.count, count);
  const mean = acknowledged.duration?.mean_ps ?? 0;
  assert.ok(Math.abs(mean - (mean_ps ?? 0)) < 0.1 * mean, `${mean} against ${mean_ps}`);
});

test('exposure from the trace is that of the safety checker', async () => {
  const { path, run } = await traced('deferred');
  const analysis = analysisOf(path);
  const all = groups(analysis, 'invalidations');
  const sum = (name: string): number => all.reduce((total, { sums }) => total + sums[name], 0);
  assert.is(sum('pages'), run.stats.safety.exposed_pages);
  const uses = groups(analysis, 'exposed_uses').find(({ key }) => key.finding === 'exposed');
  assert.is(uses?.count ?? 0, run.stats.safety.exposed_uses);
});

test('a trace that was cut still tells waits, references and invalidations', () => {
  const bytes = readFileSync(strict.path);
  const whole = groups(analysisOf(strict.path), 'waits').map(({ sums }) => sums.time_ps);
  const cut = analysisOf(bytes.subarray(0, Math.floor(bytes.length * 0.8)));
  assert.is.not(cut.trace.reason, null);
  const part = groups(cut, 'waits').map(({ sums }) => sums.time_ps);
  const total = (values: readonly number[]): number => values.reduce((sum, each) => sum + each, 0);
  assert.ok(total(part) > 0.2 * total(whole), `${total(part)} of ${total(whole)}`);
  assert.ok(groups(cut, 'references').length > 0);
  assert.ok(groups(cut, 'invalidations').length > 0);
});

test('the same scenario gives the same bytes again, on two threads too', async () => {
  assert.is((await traced('strict')).run.traceHash, strict.run.traceHash);
  assert.is((await traced('strict', 2)).run.traceHash, strict.run.traceHash);
});

test('recording requests takes at most 24 bytes per DMA, everything included', () => {
  const bytes = statSync(strict.path).size / strict.run.stats.dma.count;
  assert.ok(bytes <= 24, `${bytes} bytes`);
});

test.run();
