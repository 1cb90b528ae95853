import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { memorySpec, memoryTimingConfig } from './spec.ts';
import { DEVICE_DATA, HOST_DATA, MemoryTiming, type MemoryTimingConfig } from './timing.ts';

/**
 * 4 sets of lines, one of pages; a hit after 10 cycles, DRAM 100 more; a line takes 4 cycles of the
 * channel.
 */
const CONFIG: MemoryTimingConfig = {
  sets: 4,
  tableWays: 4,
  dataWays: 2,
  lineBytes: 64,
  cacheCycles: 10,
  tablesAllocate: true,
  deviceWritesAllocate: true,
  dramCycles: 100,
  dramCost: { numerator: 1, denominator: 16 },
  banks: 0,
  bankCycles: 0,
};

function timing(change: Partial<MemoryTimingConfig> = {}): MemoryTiming {
  return new MemoryTiming({ ...CONFIG, ...change });
}

test('a miss costs look-up, channel and DRAM latency; a hit only the look-up', () => {
  const memory = timing();
  assert.is(memory.tableReadAt(1000, 0, 5, 64, 8), 1000 + 10 + 4 + 100);
  assert.is(memory.tableReadAt(2000, 0, 5, 120, 8), 2010);
  assert.is(memory.tableReadAt(3000, 0, 5, 128, 8), 3114);
  assert.is(memory.tableReadAt(4000, 1, 5, 64, 8), 4114);
  assert.equal(memory.statistics().hits, [0, 1, 0]);
  assert.equal(memory.statistics().misses, [0, 3, 0]);
});

test('reads of devices hit what is there and leave the cache as it is', () => {
  const memory = timing();
  assert.is(memory.completeAt(0, 0, 1, 0, 64, false, DEVICE_DATA), 114);
  assert.is(memory.completeAt(1000, 0, 1, 0, 64, false, DEVICE_DATA), 1114);
  memory.completeAt(2000, 0, 1, 0, 64, true, HOST_DATA);
  assert.is(memory.completeAt(3000, 0, 1, 0, 64, false, DEVICE_DATA), 3010);
});

test('with DDIO a device write is found by the next read; without it goes to DRAM', () => {
  const ddio = timing();
  assert.is(ddio.completeAt(0, 0, 1, 0, 64, true, DEVICE_DATA), 10);
  assert.is(ddio.completeAt(100, 0, 1, 0, 64, false, HOST_DATA), 110);
  const without = timing({ deviceWritesAllocate: false });
  without.completeAt(0, 0, 1, 0, 64, false, HOST_DATA);
  assert.is(without.completeAt(1000, 0, 1, 0, 64, true, DEVICE_DATA), 1014);
  assert.is(without.statistics().invalidated, 1);
  assert.is(without.completeAt(2000, 0, 1, 0, 64, false, HOST_DATA), 2114);
});

test('data takes room in its ways only, and the page used longest ago goes first', () => {
  const memory = timing({ sets: 64 });
  for (const page of [1, 2, 3, 4]) memory.tableReadAt(0, 0, page, 0, 8);
  for (const page of [5, 6, 5, 7]) memory.completeAt(0, 0, page, 0, 64, true, DEVICE_DATA);
  const late = 10_000;
  for (const [page, isHit] of [
    [5, true],
    [7, true],
    [6, false],
  ] as const) {
    const at = memory.completeAt(late, 0, page, 0, 64, false, DEVICE_DATA);
    assert.is(at === late + 10, isHit, `page ${page}`);
  }
  for (const page of [1, 2, 3, 4]) assert.is(memory.tableReadAt(late, 0, page, 0, 8), late + 10);
});

test('a page leaves with all its lines, and the dirty ones are written to DRAM once', () => {
  const memory = timing({ sets: 64, dataWays: 1 });
  memory.completeAt(0, 0, 1, 64, 192, true, DEVICE_DATA);
  memory.completeAt(0, 0, 1, 128, 256, false, HOST_DATA);
  assert.is(memory.statistics().dramWrites, 0);
  memory.completeAt(0, 0, 2, 0, 64, false, HOST_DATA);
  memory.completeAt(0, 0, 3, 0, 64, false, HOST_DATA);
  const { dramWrites, dramReads, evictions } = memory.statistics();
  assert.equal([dramWrites, dramReads, evictions], [3, 2 + 2, 5 + 1]);
});

test('a write of part of a line fetches the rest, if the line is not there', () => {
  const memory = timing();
  memory.completeAt(0, 0, 1, 32, 96, true, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 1);
  memory.completeAt(0, 0, 1, 10, 8, true, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 1);
  memory.completeAt(0, 0, 1, 10 + 2048, 8, true, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 2);
  memory.completeAt(0, 0, 1, 4096 - 100, 80, true, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 4);
});

test('DRAM passes one line after another: the n-th of a burst completes n line times later', () => {
  const memory = timing({ sets: 0 });
  for (let n = 1; n <= 50; n++) {
    assert.is(memory.completeAt(0, 0, n, 0, 64, false, DEVICE_DATA), 10 + 4 * n + 100);
  }
  assert.is(memory.completeAt(1000, 0, 1, 0, 4096, false, DEVICE_DATA), 1000 + 10 + 256 + 100);
  assert.is(memory.statistics().dramBusyCycles, 50 * 4 + 256);
});

test('an access of unaligned bytes touches the lines it overlaps and no more', () => {
  const memory = timing({ sets: 0 });
  memory.completeAt(0, 0, 1, 60, 4, false, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 1);
  memory.completeAt(0, 0, 1, 60, 5, false, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 3);
  assert.throws(() => memory.completeAt(0, 0, 1, 4095, 2, false, DEVICE_DATA), /crosses its page/);
});

test('a busy bank delays the next access to it, not one to another bank', () => {
  const memory = timing({ sets: 0, banks: 2, bankCycles: 500 });
  assert.is(memory.completeAt(0, 0, 0, 0, 64, false, DEVICE_DATA), 114);
  assert.is(memory.completeAt(100, 0, 0, 64, 64, false, DEVICE_DATA), 214);
  assert.is(memory.completeAt(200, 0, 0, 0, 64, false, DEVICE_DATA), 10 + 500 + 4 + 100);
});

test('the busy bank delays a read only for the lines that are not in the cache', () => {
  const memory = timing({ banks: 2, bankCycles: 500 });
  memory.completeAt(0, 0, 0, 64, 64, true, DEVICE_DATA);
  assert.is(memory.completeAt(0, 0, 0, 0, 128, false, DEVICE_DATA), 114);
  assert.is(memory.completeAt(100, 0, 0, 192, 64, false, DEVICE_DATA), 214);
  assert.is(memory.completeAt(200, 0, 0, 128, 64, false, DEVICE_DATA), 10 + 500 + 4 + 100);
});

test('a contiguous range as large as the cache fits whole', () => {
  const memory = timing({ sets: 256, tableWays: 4, dataWays: 2 });
  for (let round = 0; round < 2; round++) {
    for (let page = 100; page < 116; page++) memory.tableReadAt(0, 3, page, 0, 4096);
    for (let page = 100; page < 108; page++) {
      memory.completeAt(0, 3, page, 0, 4096, false, HOST_DATA);
    }
  }
  assert.equal(memory.statistics().hits, [0, 16 * 64, 8 * 64]);
});

test('parameters become cycles, and slices share capacity and bandwidth', () => {
  const values = defaults(memorySpec);
  const whole = memoryTimingConfig(values, new Clock(2_000_000_000));
  assert.is(whole.sets, 16384);
  assert.equal([whole.tableWays, whole.dataWays], [14, 2]);
  assert.is(whole.cacheCycles, 40);
  assert.is(whole.dramCycles, 140);
  assert.equal(whole.dramCost, { numerator: 1, denominator: 50 });
  const quarter = memoryTimingConfig(values, new Clock(2_000_000_000), 4);
  assert.is(quarter.sets, 4096);
  assert.equal(quarter.dramCost, { numerator: 2, denominator: 25 });
});

test('impossible geometry is an error that says what is wrong', () => {
  const clock = new Clock(2_000_000_000);
  const values = defaults(memorySpec);
  assert.throws(() => memoryTimingConfig({ ...values, llc_size: 512 }, clock), /holds no set/);
  assert.throws(() => memoryTimingConfig({ ...values, ddio_ways: 16 }, clock), /ddio_ways 16/);
  assert.throws(() => memoryTimingConfig({ ...values, dram_banks: 3 }, clock), /power of two/);
  assert.throws(() => timing({ lineBytes: 96 }), /cache line of 96/);
});

test.run();
