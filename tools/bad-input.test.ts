/** Input that is wrong or damaged, from the command line: a clear message, the right exit code. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import workerThreads, { type Worker } from 'node:worker_threads';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { SMALL } from '../scenarios/memory-files.ts';
import { prelude } from '../traces/format/frame.ts';
import { TraceReader } from '../traces/reader.ts';
import { type Engine, engine } from './engine.ts';
import { main } from './program.ts';
import { PLAIN } from './report/model.ts';

// Every worker that is started from now on, so that a test can end it from outside.
const workers: Worker[] = [];
class KnownWorker extends workerThreads.Worker {
  constructor(...args: ConstructorParameters<typeof Worker>) {
    super(...args);
    workers.push(this);
  }
}
workerThreads.Worker = KnownWorker;
syncBuiltinESMExports();

const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-bad-'));
test.after(() => rmSync(FOLDER, { recursive: true }));

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function command(words: readonly string[], used: Engine = engine): Promise<Outcome> {
  const written = { out: '', err: '' };
  const io = {
    out: (text: string) => {
      written.out += text;
    },
    err: (text: string) => {
      written.err += text;
    },
    outIsTerminal: false,
    errIsTerminal: false,
    palette: PLAIN,
  };
  const code = await main(words, io, used);
  return { code, ...written };
}

function put(name: string, content: string | Uint8Array): string {
  const path = join(FOLDER, name);
  writeFileSync(path, content);
  return path;
}

const WRONG: Readonly<Record<string, readonly [text: string, message: RegExp]>> = {
  'an unknown key': [
    `${SMALL}iommu: { walkers: { slot: 4 } }\n`,
    /error: .*wrong\.yaml:6:21: iommu\.walkers\.slot: unknown key \(did you mean "slots"\?\)/,
  ],
  'a wrong unit': [
    `${SMALL}iommu: { walkers: { transit: 3MiB } }\n`,
    /error: .*wrong\.yaml:6:30: iommu\.walkers\.transit: .*unknown unit "MiB"/,
  ],
  'an impossible geometry': [
    `${SMALL}iommu: { caches: { iotlb: { sets: 48 } } }\n`,
    /error: .*wrong\.yaml:6:35: iommu\.caches\.iotlb\.sets: expected a power of two/,
  ],
};

for (const [mistake, [text, message]] of Object.entries(WRONG)) {
  test(`${mistake} ends run and check with 2, and nothing is written`, async () => {
    const file = put('wrong.yaml', text);
    const out = join(FOLDER, 'none');
    for (const words of [
      ['run', file, '--out', out],
      ['check', file],
    ]) {
      const outcome = await command(words);
      assert.is(outcome.code, 2, outcome.err);
      assert.match(outcome.err, message);
    }
    assert.not(existsSync(out));
  });
}

let whole = new Uint8Array(0);
/** DMAs in it. */
let recorded = 0;

test('a trace for the tests that follow', async () => {
  const file = put('small.yaml', `${SMALL}run: { for: 1ms, max_dmas: 12000 }\n`);
  const words = ['run', file, '--out', FOLDER, '--trace-level', 'full'];
  const { code, err } = await command(words);
  assert.is(code, 0, err);
  whole = new Uint8Array(readFileSync(join(FOLDER, 'trace.msgpack')));
  const reader = TraceReader.open(whole);
  assert.ok(reader.index.length > 4);
  recorded = reader.summary().kinds.find(({ name }) => name === 'dma')?.rows ?? 0;
  assert.ok(recorded >= 12_000);
});

test('analyze of a trace cut anywhere prints what is there, or ends with 2', async () => {
  const first = TraceReader.open(whole).index[0].offset;
  const cuts = [0, 5, 12, 13, first - 1, first, first + 1];
  for (let cut = first; cut < whole.length; cut += Math.ceil(whole.length / 40)) cuts.push(cut);
  let most = 0;
  for (const cut of [...cuts, whole.length - 1]) {
    const path = put('cut.msgpack', whole.subarray(0, cut));
    const { code, out, err } = await command(['analyze', path, '--json']);
    if (cut < first) {
      assert.is(code, 2, err);
      assert.match(err, /^error: .*cut\.msgpack/);
      assert.is(out, '');
      continue;
    }
    assert.is(code, 0, err);
    assert.match(err, /^warning: .*cut\.msgpack is not complete: /);
    const kinds: { name: string; rows: number }[] = JSON.parse(out).trace.kinds;
    const count = kinds.find(({ name }) => name === 'dma')?.rows ?? 0;
    assert.ok(count >= most && count <= recorded, `${count} DMAs after ${cut} bytes`);
    most = count;
  }
  assert.ok(most > recorded / 2);
});

test('replay of a cut trace compares what is there', async () => {
  for (const share of [0.3, 0.9]) {
    const cut = put('cut.msgpack', whole.subarray(0, Math.floor(whole.length * share)));
    const { code, out, err } = await command(['replay', cut]);
    assert.match(err, /^warning: .* is not complete: /);
    assert.is(code, 0, out);
    assert.match(out, /identical, [\d,]+ records/);
  }
});

test('a flipped byte is found by analyze and by replay, wherever it is', async () => {
  const { index } = TraceReader.open(whole);
  const chunk = index[index.length >> 1].offset;
  for (const [at, place] of [
    [20, 'header'],
    [chunk + 40, 'chunk'],
  ] as const) {
    const bytes = whole.slice();
    bytes[at] ^= 0x10;
    const path = put('flipped.msgpack', bytes);
    const analyzed = await command(['analyze', path]);
    assert.is(analyzed.code, place === 'header' ? 2 : 0, analyzed.err);
    assert.match(analyzed.err, /damaged/);
    const replayed = await command(['replay', path]);
    assert.is(replayed.code, 2, replayed.out);
    assert.match(replayed.err, /damaged/);
  }
});

test('a foreign file, and a trace of a newer version, end with 2 and are called so', async () => {
  const body = whole.subarray(prelude().length);
  const newer = put('newer.msgpack', Buffer.concat([prelude(2), body]));
  const foreign = put('foreign.msgpack', JSON.stringify({ dma: [1, 2, 3], text: 'x'.repeat(99) }));
  const other = put('other.yaml', SMALL);
  for (const words of [['analyze'], ['replay'], ['replay', '--with', other]]) {
    const ofNewer = await command([...words, newer]);
    assert.is(ofNewer.code, 2);
    assert.match(ofNewer.err, /^error: .*newer/);
    const ofForeign = await command([...words, foreign]);
    assert.is(ofForeign.code, 2);
    assert.match(ofForeign.err, /^error: .*foreign\.msgpack/);
  }
});

test('a worker that dies ends a run with 3; the trace is readable to its last whole chunk', async () => {
  const file = put('long.yaml', `${SMALL}run: { for: 10s }\n`);
  const out = join(FOLDER, 'died');
  let told = 0;
  const deadly: Engine = {
    ...engine,
    run: (scenario, options) =>
      engine.run(scenario, {
        ...options,
        onProgress: () => {
          if (++told === 3) void workers[workers.length - 1].terminate();
        },
      }),
  };
  const words = ['run', file, '--out', out, '--threads', '2', '--trace-level', 'full'];
  const { code, err } = await command(words, deadly);
  assert.is(code, 3, err);
  assert.match(err, /worker 1, which carried partitions .* died/);
  const path = join(out, 'trace.msgpack');
  const reader = TraceReader.open(path);
  assert.not(reader.complete);
  assert.ok(reader.index.length > 0);
  reader.close();
  const analyzed = await command(['analyze', path]);
  assert.is(analyzed.code, 0);
  assert.match(analyzed.err, /is not complete/);
  assert.match(analyzed.out, 'nic');
});

test.run();
