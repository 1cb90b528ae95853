import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type LoadedScenario, loadScenario, type ScenarioPoint } from './loader.ts';
import { memoryFiles, problemsIn, SMALL } from './memory-files.ts';

function load(text: string, set: readonly string[] = []): LoadedScenario {
  return loadScenario('a.yaml', { set, files: memoryFiles({ 'a.yaml': `${SMALL}${text}` }) });
}

function sizeAt({ scenario }: ScenarioPoint): number {
  const { master } = scenario.devices[0];
  assert.is(master.kind, 'pattern');
  return master.kind === 'pattern' ? master.size : 0;
}

test('without a sweep there is one point without a name', () => {
  assert.equal(
    load('').points.map(({ name }) => name),
    [null],
  );
});

test('axes give all combinations, the last axis fastest', () => {
  const { points } = load(`
sweep:
  - name: size
    axes: { devices.nic.master.size: [64B, 128B], seed: [1, 2] }
`);
  assert.equal(
    points.map(({ name }) => name),
    ['size/64B,1', 'size/64B,2', 'size/128B,1', 'size/128B,2'],
  );
  assert.is(sizeAt(points[3]), 128);
  assert.is(points[3].scenario.seed, 2);
});

test('a table gives one point a row, with its own figure and the tolerance of the entry', () => {
  const { points } = load(`
expect: { safety.stale_uses: 0 }
sweep:
  - name: read
    set: { devices.nic.master.size: 256B }
    expect: { dma.throughput_bps: { tolerance: 15% } }
    columns: [devices.nic.master.window, expect dma.throughput_bps]
    rows:
      - [4KiB, 31.5Gb/s]
      - [16KiB, ~]
`);
  assert.equal(points[0].scenario.expect, [
    { path: 'safety.stale_uses', value: 0 },
    { path: 'dma.throughput_bps', value: 31.5e9, tolerance_ppm: 150_000 },
  ]);
  assert.is(sizeAt(points[0]), 256);
  assert.equal(points[1].scenario.expect, [{ path: 'safety.stale_uses', value: 0 }]);
});

test('overrides of the command line win over the sweep', () => {
  const { points } = load('sweep: [{ name: s, axes: { seed: [1, 2] } }]\n', ['seed=9']);
  assert.equal(
    points.map(({ scenario }) => scenario.seed),
    [9, 9],
  );
});

test('a mistake at a point is shown where the sweep says it, once', () => {
  const problems = problemsIn(`${SMALL}
sweep:
  - { name: s, axes: { iommu.caches.iotlb.sets: [3], seed: [1, 2] } }
`);
  assert.is(problems.length, 1);
  assert.match(problems[0], /^a\.yaml:8:50: iommu\.caches\.iotlb\.sets: expected a power of two/);
});

test('mistakes in the form of a sweep are errors with their place', () => {
  const first = (sweep: string): string => problemsIn(`${SMALL}sweep: ${sweep}\n`)[0];
  assert.match(first('3'), 'expected a list of entries');
  assert.match(first('[{ nam: s }]'), 'unknown key (did you mean "name"?)');
  assert.match(first('[{ set: {} }]'), 'a sweep entry needs a name');
  assert.match(first('[{ name: s, columns: [seed] }]'), 'columns and rows come together');
  assert.match(
    first('[{ name: s, columns: [seed], rows: [[1, 2]] }]'),
    'expected a list of 1 values: seed',
  );
  assert.match(first('[{ name: s }, { name: s }]'), 'two points have the name "s"');
  assert.match(first('[{ name: s, axes: { seed: [] } }]'), 'expected a list of values');
});

test.run();
