import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError, InternalError, SimError } from '../errors.ts';
import { PHASE_UNIT } from '../time/event-queue.ts';
import { Engine } from './engine.ts';
import { type ToyConfig, toyHook, toyPartition, toyShared } from './fixture.ts';
import type { EngineOptions, RunOptions, RunResult } from './options.ts';

const FIXTURE = new URL('./fixture.js', import.meta.url).href;
const CLOCK = { module: FIXTURE, export: 'toyClock' };

interface Outcome {
  readonly result: RunResult | null;
  readonly error: Error | null;
  /** All blobs in the order of their delivery. */
  readonly text: string;
}

interface Toy {
  readonly partitions: number;
  readonly config?: Partial<ToyConfig>;
  /** Deviations by partition. */
  readonly special?: Readonly<Record<number, Partial<ToyConfig>>>;
  readonly engine?: Partial<EngineOptions>;
  readonly run?: RunOptions;
}

async function runToy(threads: number, toy: Toy): Promise<Outcome> {
  const { partitions } = toy;
  const shared = toyShared(partitions);
  const configOf = (id: number): ToyConfig => ({
    seed: 42,
    partitions,
    tokens: 6,
    hops: 40,
    blobEvery: 7,
    ...toy.config,
    ...toy.special?.[id],
  });
  const others = Array.from({ length: partitions - 1 }, (_, i) => ({
    module: FIXTURE,
    export: 'toyPartition',
    config: configOf(i + 1),
  }));
  let text = '';
  const engine = new Engine({
    window: 30,
    threads,
    main: (partition) => toyPartition(partition, configOf(0), shared),
    others,
    shared,
    hooks: [toyHook(shared)],
    onBlob: (partition, bytes) => {
      text += `${partition}:${new TextDecoder().decode(bytes)}`;
    },
    ...toy.engine,
  });
  try {
    return { result: await engine.run(toy.run), error: null, text };
  } catch (error) {
    return { result: null, error: error as Error, text };
  }
}

/** What must not depend on threads. */
function essence({ result, error, text }: Outcome): unknown {
  const { threads: _, ...same } = result ?? { threads: [] };
  return { same, error: error?.message, text };
}

test('the same happens with 0, 1, 2, 4 and 8 threads', async () => {
  const toy: Toy = { partitions: 6 };
  const inline = await runToy(0, toy);
  assert.is(inline.error, null);
  assert.ok(inline.text.length > 1000);
  for (const threads of [1, 2, 4, 8]) {
    const outcome = await runToy(threads, toy);
    assert.equal(essence(outcome), essence(inline), `${threads} threads`);
    assert.is(outcome.result?.threads.length, Math.max(1, Math.min(6, threads)));
  }
});

test('placing by weight changes nothing', async () => {
  const inline = await runToy(0, { partitions: 4 });
  const heavy = await runToy(2, { partitions: 4, engine: { mainWeight: 100 } });
  assert.equal(heavy.result?.threads[0].partitions, [0]);
  assert.equal(essence(heavy), essence(inline));
});

test('a run can end before a cycle, at any cycle, and says so', async () => {
  const all = await runToy(0, { partitions: 3 });
  for (const until of [30, 31, 299]) {
    const inline = await runToy(0, { partitions: 3, run: { until } });
    assert.is(inline.result?.reason, 'until');
    assert.ok((inline.result?.cycle ?? until) < until);
    const threaded = await runToy(2, { partitions: 3, run: { until } });
    assert.equal(essence(threaded), essence(inline));
  }
  assert.is(all.result?.reason, 'idle');
});

test('shouldStop ends a run at a boundary', async () => {
  const runs = [0, 2].map((threads) => {
    let asked = 0;
    return runToy(threads, { partitions: 3, run: { shouldStop: () => ++asked > 5 } });
  });
  for (const { result } of await Promise.all(runs)) {
    assert.is(result?.reason, 'stopped');
    assert.is(result?.windows, 5);
  }
});

test('windows without events are skipped in one step', async () => {
  let last = 0;
  const engine = new Engine({
    window: 10,
    main: ({ events }) => {
      const tick = events.register(PHASE_UNIT, 'tick', () => {
        last = events.now;
      });
      events.at(3, tick, 0, 0);
      events.at(1_000_000_000_005, tick, 0, 0);
      return {};
    },
  });
  const result = await engine.run();
  assert.is(last, 1_000_000_000_005);
  assert.is(result.windows, 2);
  assert.is(result.windowsSkipped, 99_999_999_999);
  assert.is(result.cycle, last);
});

test('waiting for other threads is measured when there is a clock', async () => {
  const { result } = await runToy(2, { partitions: 4, engine: { hostClock: CLOCK } });
  assert.ok((result?.threads[1].waitNs ?? 0) > 0);
});

test('an error of the simulator keeps class, code and message in any thread', async () => {
  const toy: Toy = { partitions: 4, special: { 3: { mishap: 'input-error', at: 200 } } };
  const inline = await runToy(0, toy);
  assert.ok(inline.error instanceof InputError);
  for (const threads of [2, 4]) {
    const outcome = await runToy(threads, toy);
    assert.ok(outcome.error instanceof InputError);
    assert.equal(essence(outcome), essence(inline));
  }
});

test('of several failures in one window that of the lowest partition is told', async () => {
  const special = {
    1: { mishap: 'input-error', at: 229 },
    2: { mishap: 'throw', at: 225 },
    3: { mishap: 'throw', at: 211 },
  } as const;
  for (const threads of [0, 2, 4]) {
    const { error } = await runToy(threads, { partitions: 4, special });
    assert.is(error?.message, 'a toy input error');
  }
});

test('a worker that throws ends the run, and what was traced until then is delivered', async () => {
  const toy: Toy = { partitions: 4, special: { 2: { mishap: 'throw', at: 200 } } };
  const inline = await runToy(0, toy);
  assert.ok(inline.error instanceof TypeError);
  const outcome = await runToy(4, toy);
  assert.ok(outcome.error instanceof SimError);
  assert.is((outcome.error as SimError).code, 'worker-died');
  assert.match(outcome.error.message, /partition 2 failed in its worker: TypeError: a toy mistake/);
  assert.is(outcome.text, inline.text);
  assert.match(outcome.text, /end 0;.*end 1;.*end 3;/);
});

test('a worker that dies ends the run with an error and no hang', async () => {
  const special = { 1: { mishap: 'exit', at: 200 } } as const;
  const { error, text } = await runToy(3, { partitions: 5, special });
  assert.ok(error instanceof SimError);
  assert.is((error as SimError).code, 'worker-died');
  assert.match(error.message, /worker \d, which carried partitions .*1.* died: .*7/);
  assert.match(text, /end 0;/);
});

test('a builder that fails, or a module that is not there, ends the run', async () => {
  for (const threads of [0, 2]) {
    const failing = await runToy(threads, { partitions: 2, special: { 1: { at: -5 } } });
    assert.ok(failing.error instanceof InternalError);
    const others = [{ module: FIXTURE, export: 'missing', config: null }];
    const missing = await runToy(threads, { partitions: 2, engine: { others } });
    assert.match(missing.error?.message ?? '', /exports no missing/);
  }
});

test('an error at a boundary ends the run after the partitions have finished', async () => {
  for (const threads of [0, 2]) {
    let boundaries = 0;
    const hooks = [
      {
        applyBoundary: () => {
          if (++boundaries === 4) throw new InputError('toy', 'memory is full');
        },
      },
    ];
    const { error, text } = await runToy(threads, { partitions: 3, engine: { hooks } });
    assert.is(error?.message, 'memory is full');
    assert.match(text, /end 0;.*end 1;.*end 2;/);
  }
});

test('a run that stands still with open work dumps every queue', async () => {
  for (const threads of [0, 2]) {
    const { error } = await runToy(threads, { partitions: 3, engine: { openWork: () => 17 } });
    assert.ok(error instanceof InternalError);
    assert.match(error.message, /work is open \(17\)/);
    for (const id of [0, 1, 2]) assert.match(error.message, new RegExp(`toy ${id}`));
  }
});

test('progress is told in long runs', async () => {
  let told = 0;
  const onProgress = (): void => {
    told++;
  };
  await runToy(0, { partitions: 1, config: { hops: 30_000, tokens: 1 }, run: { onProgress } });
  assert.ok(told > 0);
});

test.run();
