/** Every scenario of the project gives the same trace, byte by byte, however it is run. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { diskFiles } from './extends.ts';
import { loadScenario, type ScenarioPoint } from './loader.ts';
import { runScenario } from './runner.ts';

const { home } = diskFiles();
const SCENARIOS = ['', 'iommufd'].flatMap((folder) =>
  readdirSync(join(home, folder))
    .filter((name) => /\.ya?ml$/.test(name))
    .map((name) => join(folder, name)),
);
/** Enough for records of every kind, and short enough for every point. */
const SHORT = ['run.max_dmas=800', 'run.warmup=5us'];

const folder = mkdtempSync(join(tmpdir(), 'iommusim-determinism-'));
test.after(() => rmSync(folder, { recursive: true }));

/** Points that differ in kind: the first of each entry of a sweep. Workers take time to start, so
 * the first of them is run with every number of threads, the others with two. */
function firstOfEachEntry(points: readonly ScenarioPoint[]): ScenarioPoint[] {
  const entries = new Map<string, ScenarioPoint>();
  for (const point of points) {
    const entry = (point.name ?? '').split('/')[0];
    if (!entries.has(entry)) entries.set(entry, point);
  }
  return [...entries.values()];
}

async function traceOf({ scenario }: ScenarioPoint, threads: number, run: string): Promise<Buffer> {
  const tracePath = join(folder, `${threads}-${run}.msgpack`);
  const { stats } = await runScenario(scenario, { threads, traceLevel: 'full', tracePath });
  const busy = stats.dma.count > 100 || scenario.programs.length > 0;
  assert.ok(busy, `${scenario.name}: ${stats.dma.count} DMAs`);
  return readFileSync(tracePath);
}

test('the scenarios of the project are found', () => {
  assert.ok(SCENARIOS.includes('quickstart.yaml'), SCENARIOS.join());
});

for (const file of SCENARIOS) {
  test(`${file}: the same bytes with 0, 1, 2 and 4 threads, and again`, async () => {
    const { points } = loadScenario(join(home, file), { set: SHORT });
    for (const [index, point] of firstOfEachEntry(points).entries()) {
      const inline = await traceOf(point, 0, 'first');
      for (const threads of index === 0 ? [0, 1, 2, 4] : [2]) {
        const again = await traceOf(point, threads, 'again');
        const label = `${file} ${point.name ?? ''}, ${threads} threads`;
        assert.ok(again.equals(inline), `${label}: the traces differ`);
      }
    }
  });
}

test.run();
