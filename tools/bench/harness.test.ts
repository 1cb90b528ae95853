import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, InternalError } from '../../sim/errors.ts';
import { type BenchOptions, median, runBench } from './harness.ts';
import { BENCHMARKS } from './registry.ts';

const constant = (unit: string) => ({ unit, doc: '', run: () => 0 });
const benchmarks = { slow: constant('s'), fast: constant('events/s') };

function options(order: string[]): BenchOptions {
  const execute = async (name: string): Promise<number> => order.push(name);
  return { runs: 3, benchmarks, execute };
}

test('runs are interleaved and the value is their median', async () => {
  const order: string[] = [];
  const { results } = await runBench([], options(order));
  assert.equal(order, ['slow', 'fast', 'slow', 'fast', 'slow', 'fast']);
  assert.equal(results, [
    { name: 'slow', value: 3, unit: 's', runs: [1, 3, 5] },
    { name: 'fast', value: 4, unit: 'events/s', runs: [2, 4, 6] },
  ]);
});

test('only what is named runs, in that order and once', async () => {
  const order: string[] = [];
  await runBench(['fast', 'slow', 'fast'], { ...options(order), runs: 1 });
  assert.equal(order, ['fast', 'slow']);
});

test('a long one runs only when it is named, and once', async () => {
  const order: string[] = [];
  const long = { ...constant('bytes'), isLong: true };
  const some = { ...options(order), benchmarks: { ...benchmarks, long } };
  await runBench([], { ...some, runs: 1 });
  assert.equal(order, ['slow', 'fast']);
  const { results } = await runBench(['long'], some);
  assert.is(results[0].runs.length, 1);
});

test('the median does not depend on order', () => {
  assert.is(median([10, 2, 9]), 9);
  assert.is(median([4, 1, 10, 2]), 3);
});

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => null,
    (error: unknown) => error,
  );
}

test('an unknown name and a senseless number of runs are bad input', async () => {
  for (const bad of [runBench(['nope'], options([])), runBench([], { ...options([]), runs: 0 })]) {
    assert.instance(await failure(bad), InputError);
  }
});

test('the machine is described without its name', async () => {
  const { machine } = await runBench(['slow'], options([]));
  assert.equal(Object.keys(machine), ['cpu', 'cores', 'memory_bytes', 'os', 'node']);
});

test('a benchmark that fails in its own process is reported, not lost', async () => {
  const broken = { ...benchmarks, missing: constant('s') };
  const error = await failure(runBench(['missing'], { runs: 1, benchmarks: broken }));
  assert.instance(error, InternalError);
  assert.match((error as Error).message, /^benchmark 'missing' failed: /);
});

test('every benchmark has a unit and a sentence', () => {
  for (const { unit, doc } of Object.values(BENCHMARKS)) {
    assert.ok(unit.length > 0);
    assert.match(doc, /\.$/);
  }
});

test.run();
