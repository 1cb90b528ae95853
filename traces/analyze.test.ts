import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { renderAnalysis } from './analysis-text.ts';
import { analyzeTrace, type TraceAnalysis } from './analyze.ts';
import { DMA, HEADER } from './fixture.ts';
import { ChunkProbe } from './probe.ts';
import { TraceReader } from './reader.ts';
import { MemorySink, TraceWriter } from './writer.ts';

const HIT_READ = 1 | (1 << 6);
const MISS_WRITE = 2 | (2 << 6);

/** 1000 DMAs of 100 bytes each, one per 10 cycles of 1 ns; every tenth is slow, of device 3. */
function trace(): TraceReader {
  const sink = new MemorySink();
  const writer = new TraceWriter(sink, HEADER);
  const probe = new ChunkProbe(0, 'full', (bytes) => writer.append(0, bytes), 64);
  const dma = probe.channel(DMA)!;
  for (let i = 0; i <= 1000; i++) {
    const slow = i % 10 === 9;
    dma.emit(i * 10, slow ? 3 : 0, slow ? MISS_WRITE : HIT_READ, 0, i, 100 << 12, slow ? 200 : 50);
  }
  probe.flush();
  writer.close();
  return TraceReader.open(sink.bytes());
}

function tableOf(analysis: TraceAnalysis, name: string) {
  return analysis.tables.find((table) => table.name === name)!.groups;
}

test('throughput and rate are over the span of the trace', () => {
  const analysis = analyzeTrace(trace());
  const [all] = tableOf(analysis, 'dma');
  assert.is(analysis.span_ps, 10_000_000);
  assert.is(all.count, 1001);
  assert.is(all.rate_per_s, 100_100_000);
  assert.is(all.throughput_bps, 80_080_000_000);
  assert.is(all.sums.bytes, 100_100);
});

test('latency percentiles are per device, in picoseconds', () => {
  const [fast, slow] = tableOf(analyzeTrace(trace()), 'dma_by_device');
  assert.equal(fast.key, { device: 0 });
  assert.equal(slow.key, { device: 3 });
  assert.is(slow.count, 100);
  assert.is(fast.duration!.p999_ps, 50_000);
  assert.is(slow.duration!.p50_ps, 200_000);
  assert.is(tableOf(analyzeTrace(trace()), 'dma')[0].duration!.p90_ps, 50_000);
});

test('causes have names, and names can be handed in', () => {
  const labels = { device: ['nic0', 'nic1', 'nic2', 'nvme0'] };
  const analysis = analyzeTrace(trace(), { labels });
  assert.equal(
    tableOf(analysis, 'dma_by_cause').map((group) => group.key),
    [
      { access: 'read', lookup: 'hit', status: 'done' },
      { access: 'write', lookup: 'miss', status: 'done' },
    ],
  );
  const text = renderAnalysis(analysis);
  assert.match(text, /^iommusim 0\.1\.0, seed 42: 1001 records over 10\.00us/);
  assert.match(text, /\nnvme0 +100 +10000000 +10000 +8\.000 +200\.0ns/);
});

test('recipes that the schema does not fit are left out', () => {
  const names = analyzeTrace(trace()).tables.map((table) => table.name);
  assert.equal(names, ['dma', 'dma_by_device', 'dma_by_cause', 'lookups_by_device']);
});

test('a trace without rows has no figures, and no division by zero', () => {
  const sink = new MemorySink();
  new TraceWriter(sink, HEADER).close();
  const analysis = analyzeTrace(TraceReader.open(sink.bytes()));
  assert.is(analysis.span_ps, 0);
  assert.equal(tableOf(analysis, 'dma'), []);
  assert.match(renderAnalysis(analysis), /0 records over 0/);
});

test.run();
