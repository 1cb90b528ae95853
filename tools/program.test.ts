import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { evaluate } from '../scenarios/expect.ts';
import { SMALL } from '../scenarios/memory-files.ts';
import type { RunOptions } from '../scenarios/run-api.ts';
import type { ResolvedScenario } from '../scenarios/schema/resolved.ts';
import { InputError, InternalError } from '../sim/errors.ts';
import type { Engine } from './engine.ts';
import type { Io } from './io.ts';
import { main } from './program.ts';
import { sampleStats } from './report/fixture.ts';
import { PLAIN } from './report/model.ts';

const FOLDER = mkdtempSync(join(tmpdir(), 'iommusim-test-'));
test.after(() => rmSync(FOLDER, { recursive: true }));

interface Call {
  readonly scenario: ResolvedScenario;
  readonly options: RunOptions;
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly calls: readonly Call[];
}

/** Runs a command line with an engine that only notes what it was asked. */
async function command(words: readonly string[], replaced: Partial<Engine> = {}): Promise<Outcome> {
  const calls: Call[] = [];
  let out = '';
  let err = '';
  const io: Io = {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    outIsTerminal: false,
    errIsTerminal: false,
    palette: PLAIN,
  };
  const engine: Engine = {
    run: async (scenario, options) => {
      calls.push({ scenario, options });
      options.onProgress?.({ simulated_ps: 1, events: 1, dmas: 1, done: 0.5 });
      const stats = { ...sampleStats(), scenario: scenario.name, point: options.point ?? null };
      const expectations = evaluate(scenario.expect, stats);
      return { stats, expectations, tracePath: options.tracePath ?? null, traceHash: null };
    },
    explain: async () => {
      throw new InternalError('test', 'not asked for');
    },
    conform: async (_paths, print) => {
      print('case-1: pc: expected 1, got 2');
      return { passed: 3, failed: 1, skipped: 2 };
    },
    bench: async () => {
      throw new InputError('bench-name', 'no benchmark');
    },
    ...replaced,
  };
  const code = await main(words, io, engine);
  return { code, out, err, calls };
}

function scenarioFile(name: string, more = ''): string {
  const path = join(FOLDER, `${name}.yaml`);
  writeFileSync(path, `${SMALL}${more}`);
  return path;
}

test('run prints the report, writes statistics and ends with 0', async () => {
  const dir = join(FOLDER, 'one');
  const words = ['run', scenarioFile('one', 'description: what it is\n'), '--out', dir];
  const { code, out, err, calls } = await command(words);
  assert.is(code, 0);
  assert.match(out, 'Where every nanosecond went');
  assert.match(out, 'what it is');
  assert.is(err, '', 'progress is quiet in a pipe');
  assert.is(calls[0].options.tracePath, join(dir, 'trace.msgpack'));
  assert.is(calls[0].options.traceLevel, 'requests');
  const stats = JSON.parse(readFileSync(join(dir, 'stats.json'), 'utf8'));
  assert.is(stats.scenario, 'one');
});

test('run hands on threads, seed, trace level and overrides in both forms', async () => {
  const words = ['run', scenarioFile('two'), '--threads', '4', '--seed', '7'];
  const more = ['--trace-level', 'off', '--set', 'clock=1GHz', 'run.for=1us', '--out', FOLDER];
  const { calls } = await command([...words, ...more]);
  const [{ scenario, options }] = calls;
  assert.is(options.threads, 4);
  assert.is(options.traceLevel, 'off');
  assert.is(options.tracePath, undefined);
  assert.equal([scenario.seed, scenario.clock, scenario.run.for], [7, 1e9, 1e6]);
});

test('run --json prints what stats.json holds', async () => {
  const dir = join(FOLDER, 'json');
  const { out } = await command(['run', scenarioFile('json'), '--json', '--out', dir]);
  assert.equal(JSON.parse(out), JSON.parse(readFileSync(join(dir, 'stats.json'), 'utf8')));
});

test('a sweep runs every point in its own folder and is reported as one table', async () => {
  const dir = join(FOLDER, 'sweep');
  const sweep = `expect: { dma.count: 40000 }\nsweep: [{ name: s, axes: { seed: [1, 2] } }]\n`;
  const { code, out, calls } = await command(['run', scenarioFile('sweep', sweep), '--out', dir]);
  assert.is(code, 0);
  assert.equal(
    calls.map(({ options }) => options.point),
    ['s/1', 's/2'],
  );
  assert.ok(existsSync(join(dir, 's-2', 'stats.json')));
  assert.match(out, /^s\/2 +dma\.count +40000 +40000 +ok/m);
  assert.match(out, /^s\/1 +187Gb\/s +15\.6 M\/s +1\.24us/m);
  assert.not.match(out, 'DMA latency');
});

test('--svg draws the run; the points of a sweep each have a picture', async () => {
  const out = join(FOLDER, 'drawn');
  const one = join(out, 'pictures', 'one.svg');
  await command(['run', scenarioFile('drawn'), '--out', out, '--svg', one]);
  assert.match(readFileSync(one, 'utf8'), '>drawn</text>');
  const sweep = scenarioFile('swept', 'sweep: [{ name: s, axes: { seed: [1, 2] } }]\n');
  await command(['run', sweep, '--out', out, '--svg', join(out, 'all.svg')]);
  assert.match(readFileSync(join(out, 'all-swept-s-2.svg'), 'utf8'), '>swept (s/2)</text>');
});

test('a figure that is not met ends with 1 after the report', async () => {
  const path = scenarioFile('unmet', 'expect: { dma.count: 3 }\n');
  const { code, out, err } = await command(['run', path, '--out', join(FOLDER, 'unmet')]);
  assert.is(code, 1);
  assert.match(out, 'FAILED');
  assert.is(err, 'error: 1 expectation(s) failed: dma.count\n');
});

test('a mistake in the last file stops before the first is run', async () => {
  const bad = scenarioFile('bad', 'sed: 1\n');
  const { code, err, calls } = await command(['run', scenarioFile('good'), bad]);
  assert.is(code, 2);
  assert.is(calls.length, 0);
  assert.match(err, /^error: .*bad\.yaml:6:1: sed: unknown key \(did you mean "seed"\?\)/);
});

test('a defect of the program ends with 3 and says that it is one', async () => {
  const run = async (): Promise<never> => {
    throw new InternalError('invariant', 'event in the past');
  };
  const words = ['run', scenarioFile('defect'), '--out', join(FOLDER, 'defect')];
  const { code, err } = await command(words, { run });
  assert.is(code, 3);
  assert.match(err, 'internal error (invariant)');
  assert.match(err, 'a defect of iommusim, not of your input');
});

test('an error that nobody raised on purpose ends with 3', async () => {
  const run = async (): Promise<never> => {
    throw new TypeError('x is not a function');
  };
  const words = ['run', scenarioFile('surprise'), '--out', join(FOLDER, 'surprise')];
  assert.is((await command(words, { run })).code, 3);
});

test('check lists all mistakes of all files and ends with 2', async () => {
  const words = [
    'check',
    scenarioFile('ok'),
    scenarioFile('c1', 'a: 1\n'),
    scenarioFile('c2', 'b: 1\n'),
  ];
  const { code, out, err } = await command(words);
  assert.is(code, 2);
  assert.match(out, 'ok.yaml: ok');
  assert.match(err, 'c1.yaml:6:1: a: unknown key');
  assert.match(err, 'c2.yaml:6:1: b: unknown key');
  assert.match(err, '2 problems');
});

test('check --json prints the resolved scenario', async () => {
  const { out } = await command(['check', scenarioFile('resolved'), '--json']);
  assert.is(JSON.parse(out)[0].scenario.clock, 2e9);
});

test('conform ends with the totals and with 1 when a case failed', async () => {
  const { code, out } = await command(['conform', 'x']);
  assert.is(code, 1);
  assert.is(
    out,
    'case-1: pc: expected 1, got 2\n2 skipped: what they test is not modelled\n3 passed, 1 failed\n',
  );
});

test('parameters lists keys with default and sentence, or those below a key', async () => {
  const all = await command(['parameters']);
  assert.match(all.out, /iommu\.caches\.iotlb\.ways = \d+\n {4}Ways of the IOTLB/);
  assert.match(all.out, 'devices[].master(pattern).window = 4MiB');
  const some = await command(['parameters', 'run']);
  assert.match(some.out, /^run\.for = 3ms/);
  assert.not.match(some.out, 'iommu');
  const none = await command(['parameters', 'iomu']);
  assert.is(none.code, 2);
  assert.match(none.err, 'did you mean "iommu"?');
});

test('an explained device that does not exist is bad input', async () => {
  const words = ['explain', scenarioFile('explain'), '--iova', '0x1000', '--device', 'nik'];
  const { code, err } = await command(words);
  assert.is(code, 2);
  assert.is(err, 'error: --device nik: no such device (did you mean "nic"?)\n');
});

test.run();
