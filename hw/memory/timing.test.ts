import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { LineCache } from './line-cache.ts';
import { memorySpec, memoryTimingConfig } from './spec.ts';
import {
  DEVICE_DATA,
  HOST_DATA,
  MemoryTiming,
  type MemoryTimingConfig,
  TABLE_READ,
} from './timing.ts';

/** 4 sets of 4 ways, hit after 10 cycles, DRAM 100 more, a line takes 4 cycles of the channel. */
const CONFIG: MemoryTimingConfig = {
  sets: 4,
  ways: 4,
  lineBytes: 64,
  cacheCycles: 10,
  tablesAllocate: true,
  deviceWriteWays: 2,
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
  assert.is(memory.completeAt(1000, 0, 5, 64, 8, false, TABLE_READ), 1000 + 10 + 4 + 100);
  assert.is(memory.completeAt(2000, 0, 5, 120, 8, false, TABLE_READ), 2010);
  assert.is(memory.completeAt(3000, 0, 5, 128, 8, false, TABLE_READ), 3114);
  assert.is(memory.completeAt(4000, 1, 5, 64, 8, false, TABLE_READ), 4114);
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
  const without = timing({ deviceWriteWays: 0 });
  without.completeAt(0, 0, 1, 0, 64, false, HOST_DATA);
  assert.is(without.completeAt(1000, 0, 1, 0, 64, true, DEVICE_DATA), 1014);
  assert.is(without.statistics().invalidated, 1);
  assert.is(without.completeAt(2000, 0, 1, 0, 64, false, HOST_DATA), 2114);
});

test('device writes take lines in their ways only and displace each other', () => {
  const memory = timing({ sets: 1 });
  memory.completeAt(0, 0, 1, 0, 64, false, HOST_DATA);
  for (const page of [2, 3, 4]) memory.completeAt(0, 0, page, 0, 64, false, HOST_DATA);
  for (const page of [5, 6, 7]) memory.completeAt(0, 0, page, 0, 64, true, DEVICE_DATA);
  // Ways 0 and 1 held the host's pages 1 and 2; 3 and 4 are untouched, 5 was displaced by 7.
  const late = 10_000;
  for (const [page, isHit] of [
    [3, true],
    [4, true],
    [6, true],
    [7, true],
    [5, false],
    [1, false],
  ] as const) {
    const at = memory.completeAt(late, 0, page, 0, 64, false, DEVICE_DATA);
    assert.is(at === late + 10, isHit, `page ${page}`);
  }
});

test('what leaves the cache dirty is written to DRAM once', () => {
  const memory = timing({ sets: 1, ways: 1, deviceWriteWays: 1 });
  memory.completeAt(0, 0, 1, 0, 64, true, DEVICE_DATA);
  assert.is(memory.statistics().dramWrites, 0);
  memory.completeAt(0, 0, 2, 0, 64, false, HOST_DATA);
  memory.completeAt(0, 0, 3, 0, 64, false, HOST_DATA);
  const { dramWrites, dramReads, evictions } = memory.statistics();
  assert.equal([dramWrites, dramReads, evictions], [1, 2, 2]);
});

test('a device write of part of a line fetches the rest', () => {
  const memory = timing();
  memory.completeAt(0, 0, 1, 32, 96, true, DEVICE_DATA);
  assert.is(memory.statistics().dramReads, 1);
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

test('the cache holds exactly what a list of last uses would', () => {
  const access = fc.record({
    hi: fc.constantFrom(0, 1, 0x1ffffff),
    lo: fc.constantFrom(0, 1, 0x4000000, 0x7ffffff),
    line: fc.nat(15),
    narrow: fc.boolean(),
  });
  const geometry = fc.constantFrom(
    { sets: 1, ways: 3 },
    { sets: 2, ways: 4 },
    { sets: 3, ways: 2 },
  );
  fc.assert(
    fc.property(geometry, fc.array(access, { maxLength: 300 }), ({ sets, ways }, accesses) => {
      const cache = new LineCache({ sets, ways, lineBytes: 64 });
      // Per set and way: the line's name and the order of its last use.
      const model = new Map<number, { name: string; used: number }[]>();
      for (const [order, { hi, lo, line, narrow }] of accesses.entries()) {
        const offset = line * 64;
        const set = cache.setOf(hi, lo, offset);
        const name = `${hi} ${lo} ${line}`;
        const rows = model.get(set) ?? Array.from({ length: ways }, () => ({ name: '', used: -1 }));
        model.set(set, rows);
        const entry = cache.find(set, hi, lo, offset);
        const row = rows.findIndex((candidate) => candidate.name === name);
        if (entry >= 0 !== row >= 0) return false;
        if (entry >= 0) {
          cache.use(entry);
          rows[row].used = order;
          continue;
        }
        const fillWays = narrow ? 1 : ways;
        cache.use(cache.fill(set, hi, lo, offset, fillWays));
        let victim = 0;
        for (let way = 1; way < fillWays; way++) {
          if (rows[way].used < rows[victim].used) victim = way;
        }
        rows[victim] = { name, used: order };
      }
      return true;
    }),
  );
});

test('a contiguous range as large as the cache fits whole', () => {
  const memory = timing({ sets: 64, ways: 4 });
  for (let page = 100; page < 104; page++) {
    memory.completeAt(0, 3, page, 0, 4096, false, HOST_DATA);
  }
  for (let page = 100; page < 104; page++) {
    memory.completeAt(0, 3, page, 0, 4096, false, HOST_DATA);
  }
  assert.is(memory.statistics().hits[HOST_DATA], 256);
});

test('parameters become cycles, and slices share capacity and bandwidth', () => {
  const values = defaults(memorySpec);
  const whole = memoryTimingConfig(values, new Clock(2_000_000_000));
  assert.is(whole.sets, 16384);
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
  assert.throws(() => memoryTimingConfig({ ...values, ddio_ways: 17 }, clock), /ddio_ways 17/);
  assert.throws(() => memoryTimingConfig({ ...values, dram_banks: 3 }, clock), /power of two/);
  assert.throws(() => timing({ lineBytes: 96 }), /cache line of 96/);
});

test.run();
