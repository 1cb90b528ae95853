import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { WAIT_REASONS } from '../../../hw/pcie/transactions.ts';
import type { RunStats } from '../../../scenarios/stats.ts';
import { sampleStats } from '../fixture.ts';
import { WAIT_WORDS } from '../reasons.ts';
import { renderSheet } from './sheet.ts';

/** Fails on a tag that is not closed by its own, an attribute twice, a bare `&` or `<`. */
function assertWellFormed(xml: string): void {
  const open: string[] = [];
  let roots = 0;
  const tag = /<(\/?)([a-z]+)((?: [a-zA-Z0-9-]+="[^"<]*")*)(\/?)>/gy;
  let at = 0;
  while (at < xml.length) {
    if (xml[at] !== '<') {
      const end = xml.indexOf('<', at);
      const words = xml.slice(at, end < 0 ? xml.length : end);
      assert.not.match(words.replace(/&(amp|lt|gt|quot);/g, ''), /&|\p{Cs}/u);
      if (open.length === 0) assert.is(words.trim(), '');
      at += words.length;
      continue;
    }
    tag.lastIndex = at;
    const match = tag.exec(xml);
    assert.ok(match, `no tag: ${xml.slice(at, at + 80)}`);
    const [all, closes, name, attributes, single] = match as RegExpExecArray;
    const names = [...attributes.matchAll(/ ([a-zA-Z0-9-]+)=/g)].map(([, key]) => key);
    assert.is(new Set(names).size, names.length, all);
    if (open.length === 0) roots++;
    if (closes !== '') assert.is(open.pop(), name);
    else if (single === '') open.push(name);
    at += all.length;
  }
  assert.equal(open, []);
  assert.is(roots, 1);
}

function withWaits(waits_ps: Readonly<Record<string, number>>): RunStats {
  const stats = sampleStats();
  return { ...stats, dma: { ...stats.dma, waits_ps }, devices: {} };
}

test('a sheet is well-formed XML of the SVG namespace', () => {
  const sheet = renderSheet(sampleStats(), 'packets & <guests> "in" one');
  assertWellFormed(sheet);
  assert.match(sheet, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg" width="960"/);
  assert.match(sheet, 'packets &amp; &lt;guests&gt; &quot;in&quot; one');
  assert.not.match(sheet, /NaN|Infinity|undefined/);
});

test('the same statistics give the same bytes, whatever the machine that ran them', () => {
  const stats = sampleStats();
  const slower = { ...stats, engine: { ...stats.engine, wall_seconds: 99, threads: 7 } };
  assert.is(renderSheet(slower, 'x'), renderSheet(sampleStats(), 'x'));
});

test('every wait reason has words, and a label where it took time', () => {
  assert.equal(
    WAIT_WORDS.map(([reason]) => reason),
    [...WAIT_REASONS],
  );
  const all = renderSheet(withWaits(Object.fromEntries(WAIT_REASONS.map((r, i) => [r, i + 1]))));
  for (const [reason, words] of WAIT_WORDS) {
    assert.match(all, `>${reason}<tspan`);
    assert.match(all, words);
  }
  const one = renderSheet(withWaits({ walk: 700_000 * 40_000, issue: 0 }));
  assert.match(one, '>walk<tspan');
  assert.match(one, '>700 ns<');
  assert.match(one, '700 ns · 100.0 %');
  assert.not.match(one, '>issue<tspan');
});

test('a few devices have a bar each, of many the fastest, the median and the slowest', () => {
  assert.match(renderSheet(sampleStats(3)), />nic\.0<[\s\S]*>nic\.2<[\s\S]*>all</);
  const many = renderSheet(sampleStats(64));
  assert.match(many, />fastest: nic\.\d+<[\s\S]*>median: nic\.\d+<[\s\S]*>slowest: nic\.\d+</);
  assert.match(many, '>all 64<');
  assert.not.match(many, '>nic.0<');
});

test('references of a walk stand by stage and level beside what it takes without caches', () => {
  const sheet = renderSheet(sampleStats());
  assert.match(sheet, '4.47 of up to 9 references');
  assert.match(sheet, 'stage2 level 3: 120 references, 15,000 saved');
  assert.match(sheet, '99.2 % saved');
});

test('runs without a unit, without walks and without DMAs have a sheet too', () => {
  const stats = sampleStats();
  const { iommu } = stats;
  assert.ok(iommu);
  const still = { ...stats.dma, count: 0, latency: { ...stats.dma.latency, count: 0 } };
  const idle = { ...iommu, walks: { ...iommu.walks, count: 0, levels: [] } };
  for (const one of [
    { ...stats, iommu: null },
    { ...stats, iommu: idle },
    { ...stats, iommu: null, dma: still, devices: {} },
  ]) {
    const sheet = renderSheet(one);
    assertWellFormed(sheet);
    assert.not.match(sheet, /NaN|Infinity|undefined/);
  }
});

test('a run of programs without DMAs shows their system calls, most time first', () => {
  const stats = sampleStats();
  const still = { ...stats.dma, count: 0, latency: { ...stats.dma.latency, count: 0 } };
  const call = { ...stats.dma.latency, count: 3, mean_ps: 1_500_000, errors: 0, by_errno: {} };
  const ioctl = { IOAS_ALLOC: { ...call, mean_ps: 300_000 }, HWPT_ALLOC: { ...call, errors: 1 } };
  const vmm = {
    steps: 7,
    calls: 6,
    refused: 1,
    checks: 4,
    failed_checks: 1,
    finished: true,
    elapsed_ps: 9_000_000,
    values: {},
    failures: ['x.yaml:3: no'],
  };
  const sheet = renderSheet({ ...stats, dma: still, devices: {}, programs: { vmm }, ioctl });
  assertWellFormed(sheet);
  assert.match(sheet, '3 · 1 refused');
  assert.match(sheet, '900 ns');
  assert.match(sheet, 'class="bad">1<');
  assert.ok(sheet.indexOf('>HWPT_ALLOC<') < sheet.indexOf('>IOAS_ALLOC<'));
  assert.not.match(sheet, 'Throughput');
});

test('a stale use is not green', () => {
  const stats = sampleStats();
  const sheet = renderSheet({ ...stats, safety: { ...stats.safety, stale_uses: 2 } });
  assert.match(sheet, 'class="bad">2<');
  assert.match(renderSheet(stats), 'class="good">0<');
});

test.run();
