import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Engine } from '../../sim/parallel/engine.ts';
import { type BellConfig, type BellShared, bellPartition } from './fixture.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { StoreExchange, StoreLog } from './store-log.ts';

const CONFIG: BellConfig = { partitions: 4, rounds: 3000 };

/** Everything that a run leaves behind: results of the partitions and the common pages. */
async function runBells(threads: number): Promise<unknown> {
  const memory = PhysicalMemory.create({ bytes: 1 << 20 });
  const logs = Array.from({ length: CONFIG.partitions }, () => StoreLog.allocate(4096));
  const shared: BellShared = { memory: memory.share(), logs };
  const source = {
    module: new URL('./fixture.js', import.meta.url).href,
    export: 'bellPartition',
    config: CONFIG,
  };
  const exchange = new StoreExchange(
    memory,
    logs.map((log) => new StoreLog(log)),
  );
  const engine = new Engine({
    window: 25,
    threads,
    main: (partition) => bellPartition(partition, CONFIG, shared),
    others: Array.from({ length: CONFIG.partitions - 1 }, () => source),
    shared,
    hooks: [exchange],
  });
  const { finished, windows } = await engine.run();
  const words = [0, 1, 2, 3].flatMap((page) =>
    Array.from({ length: 128 }, (_, word) => memory.read32(1, page, word * 4)),
  );
  return { finished, windows, words, applied: exchange.applied };
}

test('a doorbell never overtakes a store, and memory is the same for any threads', async () => {
  const inline = (await runBells(0)) as { finished: { bells: number }[]; applied: number };
  const bells = inline.finished.reduce((sum, { bells }) => sum + bells, 0);
  assert.is(bells, CONFIG.partitions * (CONFIG.rounds + 1));
  assert.ok(inline.applied > 2 * bells);
  for (const threads of [2, 4]) assert.equal(await runBells(threads), inline);
});

test.run();
