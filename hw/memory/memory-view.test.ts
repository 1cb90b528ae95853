import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../../sim/errors.ts';
import { MemoryView } from './memory-view.ts';
import { PhysicalMemory } from './physical-memory.ts';
import { StoreExchange, StoreLog } from './store-log.ts';

/** Memory with one view per partition, all at the same clock unless told otherwise. */
function setUp(partitions: number, entries?: number) {
  const memory = PhysicalMemory.create({ bytes: 1 << 22 });
  const logs = Array.from({ length: partitions }, () => new StoreLog(StoreLog.allocate(entries)));
  const clocks = logs.map(() => ({ now: 0 }));
  const views = logs.map((log, i) => new MemoryView(memory, log, clocks[i]));
  return { memory, views, clocks, exchange: new StoreExchange(memory, logs) };
}

test('a store is visible to its own partition at once, to others from the boundary', () => {
  const { views, exchange } = setUp(2);
  views[0].write32(0, 1, 8, 5);
  assert.is(views[0].read32(0, 1, 8), 5);
  assert.is(views[0].read32(0, 1, 12), 0);
  assert.is(views[1].read32(0, 1, 8), 0);
  exchange.applyBoundary();
  assert.is(views[0].read32(0, 1, 8), 5);
  assert.is(views[1].read32(0, 1, 8), 5);
});

test('of two stores to one word the later cycle wins, then the higher partition', () => {
  const { views, clocks, exchange } = setUp(3);
  clocks[0].now = 12;
  views[0].write32(0, 1, 0, 100);
  clocks[1].now = 11;
  views[1].write32(0, 1, 0, 101);
  views[1].write32(0, 1, 4, 101);
  clocks[2].now = 11;
  views[2].write32(0, 1, 4, 102);
  assert.is(views[1].read32(0, 1, 0), 101);
  exchange.applyBoundary();
  assert.is(views[1].read32(0, 1, 0), 100);
  assert.is(views[1].read32(0, 1, 4), 102);
});

test('an OR keeps bits that another partition sets in the same window', () => {
  const { memory, views, exchange } = setUp(2);
  memory.write32(0, 1, 0, 1);
  views[0].or64(0, 1, 0, 0x40, 0);
  views[1].or64(0, 1, 0, 0x80, 0x100);
  assert.is(views[0].read32(0, 1, 0), 0x41);
  assert.is(views[1].read32(0, 1, 0), 0x81);
  exchange.applyBoundary();
  assert.is(memory.read32(0, 1, 0), 0xc1);
  assert.is(memory.read32(0, 1, 4), 0x100);
});

test('a log takes exactly its capacity in one window and the next store is an error', () => {
  const { views, exchange } = setUp(1, 4);
  for (let window = 0; window < 3; window++) {
    for (let i = 0; i < 4; i++) views[0].write32(0, i, 0, 1);
    assert.throws(
      () => views[0].write32(0, 9, 0, 1),
      (error: Error) => error instanceof InternalError && /more than 4 stores/.test(error.message),
    );
    exchange.applyBoundary();
  }
});

test('views and boundaries behave as logs of stores sorted by (cycle, partition, sequence)', () => {
  const step = fc.record({
    partition: fc.nat(3),
    advance: fc.nat(2),
    word: fc.nat(5),
    page: fc.constantFrom(0, 1, 0x7ffffff),
    or: fc.boolean(),
    value: fc.integer(),
    boundary: fc.nat(15).map((n) => n === 0),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const { views, clocks, exchange } = setUp(4);
      const model = new Map<string, number>();
      let pending: { cycle: number; partition: number; key: string; or: boolean; value: number }[] =
        [];
      const play = (words: Map<string, number>, only?: number): Map<string, number> => {
        const sorted = pending.filter((s) => only === undefined || s.partition === only);
        sorted.sort((a, b) => a.cycle - b.cycle || a.partition - b.partition);
        for (const s of sorted) {
          words.set(s.key, s.or ? (words.get(s.key) ?? 0) | s.value : s.value);
        }
        return words;
      };
      for (const { partition, advance, word, page, or, value, boundary } of steps) {
        if (boundary) {
          play(model);
          pending = [];
          exchange.applyBoundary();
        }
        const clock = clocks[partition];
        clock.now += advance;
        const key = `${page} ${word}`;
        if (or) views[partition].or64(7, page, word * 4, value, 0);
        else views[partition].write32(7, page, word * 4, value);
        pending.push({ cycle: clock.now, partition, key, or, value });
        for (let p = 0; p < 4; p++) {
          const expected = play(new Map(model), p).get(key) ?? 0;
          if (views[p].read32(7, page, word * 4) !== expected) return false;
        }
      }
      return true;
    }),
    { numRuns: 60 },
  );
});

test('the overlay holds as many stores as a window brings', () => {
  const { memory, views, exchange } = setUp(2);
  for (let i = 0; i < 5000; i++) views[0].write32(i & 3, i >> 5, (i & 31) * 4, i + 1);
  for (let i = 0; i < 5000; i++) {
    assert.is(views[0].read32(i & 3, i >> 5, (i & 31) * 4), i + 1);
    assert.is(views[1].read32(i & 3, i >> 5, (i & 31) * 4), 0);
  }
  exchange.applyBoundary();
  assert.is(memory.read32(4999 & 3, 4999 >> 5, (4999 & 31) * 4), 5000);
  assert.is(exchange.applied, 5000);
});

test.run();
