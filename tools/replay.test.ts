import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SMALL } from '../scenarios/memory-files.ts';
import { type Engine, engine } from './engine.ts';
import { main } from './program.ts';
import { PLAIN } from './report/model.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-replay-'));
const TRACE = join(FOLDER, 'trace.msgpack');
test.after(() => rmSync(FOLDER, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function command(words: readonly string[], used: Engine = engine): Promise<Outcome> {
  const written = { out: '', err: '' };
  const code = await main(
    words,
    {
      out: (text) => {
        written.out += text;
      },
      err: (text) => {
        written.err += text;
      },
      outIsTerminal: false,
      errIsTerminal: false,
      palette: PLAIN,
    },
    used,
  );
  return { code, ...written };
}

test('run writes a trace of the wanted level', async () => {
  const file = join(FOLDER, 'small.yaml');
  writeFileSync(file, `${SMALL}run: { for: 1ms, max_dmas: 2000 }\n`);
  const { code, err } = await command(['run', file, '--out', FOLDER, '--trace-level', 'walks']);
  assert.is(code, 0, err);
});

test('a replayed trace is equal record by record', async () => {
  const { code, out } = await command(['replay', TRACE]);
  assert.is(code, 0);
  assert.match(out, /^identical, [\d,]+ records\n$/);
});

test('a replay that differs ends with 1 and shows cycle and both records', async () => {
  const other: Engine = {
    ...engine,
    run: (scenario, options) => engine.run({ ...scenario, seed: scenario.seed + 1 }, options),
  };
  const { code, out, err } = await command(['replay', TRACE], other);
  assert.is(code, 1);
  assert.match(out, /first divergence at cycle [\d,]+: record \d+ of "\w+", partition \d+/);
  assert.match(out, /\n {2}recorded {2}\{.*\}\n {2}replayed {2}\{/);
  assert.match(err, 'the replay differs');
});

test('a trace that was cut is replayed as far as it goes, and that is said', async () => {
  const cut = join(FOLDER, 'cut.msgpack');
  const bytes = readFileSync(TRACE);
  writeFileSync(cut, bytes.subarray(0, bytes.length - 40));
  const { code, out, err } = await command(['replay', cut]);
  assert.match(err, 'warning: ');
  assert.match(err, 'is not complete');
  assert.ok(code === 0 || code === 1, out);
});

test('analyze tells throughput and latency of each device by name', async () => {
  const { code, out } = await command(['analyze', TRACE]);
  assert.is(code, 0);
  assert.match(out, 'nic');
  const json = JSON.parse((await command(['analyze', TRACE, '--json'])).out);
  assert.is(json.schema, 'iommusim.analysis/1');
});

test('the recorded DMAs run in another scenario, at the recorded addresses', async () => {
  const other = join(FOLDER, 'other.yaml');
  writeFileSync(
    other,
    `
iommu: { arch: vtd }
domains:
  - { name: kernel, translation: stage2, policy: strict }
devices:
  - { name: other, domain: kernel, master: { kind: nic } }
`,
  );
  const words = ['replay', TRACE, '--with', other, '--json'];
  const { code, out, err } = await command(words);
  assert.is(code, 0, err);
  const stats = JSON.parse(out);
  assert.is(stats.iommu.arch, 'vtd');
  const recorded = JSON.parse(readFileSync(join(FOLDER, 'stats.json'), 'utf8'));
  assert.is(stats.dma.count, recorded.dma.count);
  assert.is(stats.dma.bytes, recorded.dma.bytes);
  assert.is(stats.dma.aborted, 0);
  assert.is(stats.safety.stale_uses, 0);
  assert.is(stats.time.end, 'finished');
});

test('a trace with more devices than the other scenario is bad input', async () => {
  const two = join(FOLDER, 'two.yaml');
  const devices = SMALL.replace('name: nic,', 'name: "vf{i}", count: 2,');
  writeFileSync(two, `${devices}run: { for: 1ms, max_dmas: 100 }\n`);
  const folder = join(FOLDER, 'two');
  assert.is((await command(['run', two, '--out', folder])).code, 0);
  const trace = join(folder, 'trace.msgpack');
  const { code, err } = await command(['replay', trace, '--with', join(FOLDER, 'other.yaml')]);
  assert.is(code, 2);
  assert.match(err, 'the trace has DMAs of device vf1 (number 1)');
});

test('overrides without another scenario are refused', async () => {
  const { code, err } = await command(['replay', TRACE, '--set', 'seed=3']);
  assert.is(code, 2);
  assert.match(err, '--set and --seed change the scenario; use them with --with');
});

test.run();
