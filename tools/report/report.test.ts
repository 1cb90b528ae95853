import pc from 'picocolors';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { sampleStats } from './fixture.ts';
import { PLAIN } from './model.ts';
import { renderExpectations, renderReport } from './report.ts';
import { left, REPORT_WIDTH, right, tableLines } from './table.ts';
import { bar, perSecond, share } from './text.ts';

function titles(text: string): string[] {
  return text.split('\n\n').map((block) => block.split('\n')[0].split('  ')[0]);
}

test('the report has all sections, no line wider than 100 columns', () => {
  const text = renderReport(sampleStats(), PLAIN, 'words '.repeat(40));
  assert.equal(titles(text), [
    'sample',
    'Devices',
    'Traffic',
    'DMA latency',
    'Where every nanosecond went',
    'Translation caches',
    'Page walks',
    'walk latency',
    'Commands',
    'Faults',
    'Memory',
    'Host software',
    'Safety',
    'This run',
  ]);
  for (const line of text.split('\n')) assert.ok(line.length <= REPORT_WIDTH, line);
});

test('the breakdown tiles the whole life of a DMA and has no row without time', () => {
  const text = renderReport(sampleStats(), PLAIN);
  const start = text.indexOf('Where every');
  const block = text.slice(start, text.indexOf('\n\n', start));
  const shares = [...block.matchAll(/([\d.]+)%/g)].map((match) => Number(match[1]));
  assert.ok(Math.abs(shares.reduce((sum, s) => sum + s, 0) - 100) < 0.3, shares.join(' '));
  assert.match(block, /walk +page walk +700ns +56\.5%/);
  assert.not.match(block, 'fault handling');
});

test('many devices are folded to least, median and most, and all of them are summed up', () => {
  const text = renderReport(sampleStats(40), PLAIN);
  assert.match(text, 'Devices  40 devices, each column by itself');
  assert.match(text, /\nleast +40,000[^\n]+\nmedian +40,000[^\n]+\nmost +40,000/);
  assert.match(text, /\nall +1,600,000/);
  assert.match(text, /\nall +packets received 493,800/);
  assert.not.match(text, 'nic.0');
  assert.match(renderReport(sampleStats(12), PLAIN), 'nic.11');
});

test('what a device counts for itself is listed, without zeros', () => {
  const text = renderReport(sampleStats(), PLAIN);
  assert.match(text, /nic\.0 +packets received 12,345 · descriptor fetches 400\n/);
});

test('bytes stand beside what they are the bytes of', () => {
  const stats = sampleStats();
  const master = { received: 3, 'received-bytes': 3072, dropped: 0, 'dropped-bytes': 0 };
  const devices = { nic: { ...stats.devices['nic.0'], master } };
  assert.match(renderReport({ ...stats, devices }, PLAIN), /nic +received 3 \(3\.00KiB\)\n/);
});

test('a stale use is a red line', () => {
  const stats = sampleStats();
  const text = renderReport(
    { ...stats, safety: { ...stats.safety, stale_uses: 2 } },
    { ...PLAIN, bad: (line) => `!${line}` },
  );
  assert.match(text, '!2 translations used after their unmapping was acknowledged');
});

test('a scenario without an IOMMU has no translation sections', () => {
  const text = renderReport({ ...sampleStats(), iommu: null }, PLAIN);
  assert.not.match(text, 'Translation caches');
  assert.match(text, 'DMA latency');
});

test('expectations are listed with what was expected, measured and by how much it is off', () => {
  const text = renderExpectations(
    [
      {
        label: '',
        result: {
          path: 'dma.throughput_bps',
          pass: false,
          measured: 39e9,
          expected: '32.5Gb/s ±15%',
          deviation: 0.2,
          note: '',
        },
      },
    ],
    PLAIN,
  );
  assert.match(text, /dma\.throughput_bps +32\.5Gb\/s ±15% +39\.00Gb\/s +\+20\.0% +FAILED/);
  assert.match(text, '0 expectations met, 1 failed');
});

test('a figure that is met alike in many runs is one row, one that is not has a row each', () => {
  const rows = [0, 1, 2, 3].flatMap((i) => {
    const base = { pass: true, expected: '0', deviation: 0, note: '' };
    return [
      { label: `p/${i}`, result: { ...base, path: 'safety.stale_uses', measured: 0 } },
      { label: `p/${i}`, result: { ...base, path: 'dma.count', measured: i, deviation: i } },
    ];
  });
  const text = renderExpectations(rows, PLAIN);
  assert.is(text.match(/safety\.stale_uses/g)?.length, 1);
  assert.match(text, /each of 4 +safety\.stale_uses/);
  assert.is(text.match(/dma\.count/g)?.length, 4);
  assert.match(text, '8 expectations met, 0 failed');
});

test('numbers are aligned right, words left, and too long words are cut', () => {
  const rows = [['a'.repeat(120), '1,000']];
  const lines = tableLines([left('name'), right('n')], rows, (text) => text);
  assert.is(lines[1].length, REPORT_WIDTH);
  assert.match(lines[1], /… {2}1,000$/);
});

test('padding counts text, not colour codes', () => {
  const { red } = pc.createColors(true);
  const cell = { text: 'x', paint: red };
  const [, line] = tableLines([left('wide head'), right('n')], [[cell, '1']], (text) => text);
  assert.is(line, `${red('x        ')}  1`);
});

test('bars grow in eighths of a cell', () => {
  assert.is(bar(0, 8), '');
  assert.is(bar(1, 3), '███');
  assert.is(bar(0.5, 3), '█▌');
  assert.is(bar(2, 3), '███');
});

test('shares and rates carry their unit', () => {
  assert.is(share(0.1234), '12.3%');
  assert.is(perSecond(12_345_678), '12.3 M/s');
  assert.is(perSecond(12_345, 'DMA'), '12.3 k DMA/s');
  assert.is(perSecond(12), '12/s');
});

test.run();
