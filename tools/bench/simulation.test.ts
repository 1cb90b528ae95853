import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { benchScenario, MILLION_PAGES, MIXED, manyDevices } from './scenarios.ts';
import { benchHit, benchManyDevices, benchNestedCold, benchTraceBytes } from './simulation.ts';

// Each benchmark refuses a run that is not what its name says: these are short ones.
test('in sim.hit nearly every DMA hits', async () => {
  assert.ok((await benchHit(100_000)) > 0);
});

test('in sim.nested-cold every DMA misses and walks 24 references', async () => {
  assert.ok((await benchNestedCold(2000)) > 0);
});

test('a trace of level requests takes at most 24 bytes per DMA, header and all', async () => {
  const bytes = await benchTraceBytes(20_000);
  assert.ok(bytes > 1 && bytes <= 24, `${bytes} bytes`);
});

test('devices of scale.devices have the same rate each, whatever their number', async () => {
  const rates = [1, 8].map((count) =>
    benchScenario(manyDevices(count)).devices.map(({ master }) =>
      master.kind === 'pattern' ? master.rate : 0,
    ),
  );
  assert.equal([...new Set(rates.flat())], [512_000_000]);
  assert.ok((await benchManyDevices(8, 2000)) > 0);
});

test('memory.million-pages maps a million pages in 4 KiB leaves of both stages', () => {
  const { domains, devices } = benchScenario(MILLION_PAGES);
  const [{ master }] = devices;
  assert.ok(master.kind === 'pattern' && master.window / 4096 >= 1_000_000);
  assert.is(domains[0].page, '4KiB');
  assert.is(domains[0].stage2_page, '4KiB');
});

test('scale.memory-growth has walks, and unmaps with invalidations', () => {
  const { domains, devices } = benchScenario(MIXED);
  assert.equal(
    domains.map(({ policy }) => policy),
    ['static', 'strict'],
  );
  assert.equal(
    devices.map(({ master }) => master.kind),
    ['pattern', 'nic'],
  );
});

test.run();
