import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../sim/errors.ts';
import { RandomStream } from '../../sim/random/stream.ts';
import { defaults } from '../../sim/spec.ts';
import { Clock } from '../../sim/time/clock.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { PatternMaster, type PatternPlace, windowPages } from './pattern.ts';
import { type PatternOptions, patternOptions, patternSpec } from './spec.ts';
import { type SeenDma, TestBench } from './testbench.ts';

const CLOCK = new Clock(1_000_000_000);
const DEFAULTS = patternOptions(defaults(patternSpec), CLOCK);
const PLACE: PatternPlace = { device: 2, pasid: 7, hi: 0, lo: 0 };

interface Run {
  readonly bench: TestBench;
  readonly master: PatternMaster;
  readonly seen: readonly SeenDma[];
  readonly addresses: number[];
}

/** Runs a generator against answers after `latency` cycles. */
function run(changes: Partial<PatternOptions>, latency = 100, place = PLACE, limit?: number): Run {
  const bench = new TestBench(latency);
  const options = { ...DEFAULTS, requests: 100, ...changes };
  const random = new RandomStream(1, 'pattern');
  const master = new PatternMaster(bench.surroundings, options, place, random);
  bench.connect(master);
  master.start();
  bench.run(limit);
  return { bench, master, seen: bench.seen, addresses: bench.seen.map((dma) => dma.address) };
}

test('sequential requests follow each other and start again at the end of the window', () => {
  const { addresses } = run({ pattern: 'sequential', window: 256, size: 64, requests: 6 });
  assert.equal(addresses, [0, 64, 128, 192, 0, 64]);
});

test('a sequential request that would not fit whole starts again', () => {
  const { addresses } = run({ pattern: 'sequential', window: 255, size: 64, requests: 4 });
  assert.equal(addresses, [0, 64, 128, 0]);
});

test('strided requests are a stride apart', () => {
  const changes = { pattern: 'strided', window: 16_384, size: 64, stride: 5000 } as const;
  assert.equal(run({ ...changes, requests: 5 }).addresses, [0, 5000, 10_000, 15_000, 0]);
});

test('random requests are aligned, inside the window, and reach its first and last place', () => {
  const changes = { pattern: 'random', window: 1024, size: 64, alignment: 32 } as const;
  const { addresses } = run({ ...changes, requests: 1000 });
  assert.ok(addresses.every((address) => address % 32 === 0 && address <= 1024 - 64));
  assert.is(new Set(addresses).size, 31);
});

test('hot and cold parts get their shares', () => {
  const changes = { pattern: 'hot-cold', window: 65_536, hotWindow: 4096, size: 64 } as const;
  const { addresses } = run({ ...changes, hotParts: 9, coldParts: 1, requests: 5000 });
  const hot = addresses.filter((address) => address < 4096).length;
  assert.ok(Math.abs(hot - 4500) < 110, `${hot} of 5000 hot`);
  assert.ok(addresses.every((address) => address <= 65_536 - 64));
});

test('a request over page boundaries becomes one DMA a page', () => {
  const { seen } = run({
    pattern: 'strided',
    window: 65_536,
    size: 9000,
    stride: 9000,
    requests: 2,
  });
  assert.equal(
    seen.map(({ address, bytes }) => [address, bytes]),
    [
      [0, 4096],
      [4096, 4096],
      [8192, 808],
      [9000, 3288],
      [12_288, 4096],
      [16_384, 1616],
    ],
  );
});

test('a window that crosses a boundary of 2^27 pages carries into the high half', () => {
  const place = { ...PLACE, hi: 3, lo: 0x7ffffff };
  const { addresses } = run(
    { pattern: 'sequential', window: 8192, size: 4096, requests: 2 },
    1,
    place,
  );
  const first = (3 * 2 ** 27 + 0x7ffffff) * 4096;
  assert.equal(addresses, [first, first + 4096]);
});

test('all requests read, all write, or they mix by their parts', () => {
  const reads = (parts: Partial<PatternOptions>): number =>
    run({ ...parts, requests: 3000 }).seen.filter((dma) => dma.access === ACCESS_READ).length;
  assert.is(reads({ readParts: 1, writeParts: 0 }), 3000);
  assert.is(reads({ readParts: 0, writeParts: 5 }), 0);
  assert.ok(Math.abs(reads({ readParts: 2, writeParts: 1 }) - 2000) < 130);
  const { seen } = run({ readParts: 0, writeParts: 1, requests: 1 });
  assert.is(seen[0]?.access, ACCESS_WRITE);
});

test('no more DMAs are in flight than allowed, and the next leaves when one comes back', () => {
  const { seen, master } = run({ outstanding: 3, requests: 7 }, 100);
  assert.equal(
    seen.map((dma) => dma.cycle),
    [0, 0, 0, 100, 100, 100, 200],
  );
  assert.is(master.port.outstanding.max, 3);
});

test('a large request waits for room between its pages', () => {
  const { seen } = run({ pattern: 'sequential', size: 16_384, outstanding: 1, requests: 1 }, 10);
  assert.equal(
    seen.map((dma) => dma.cycle),
    [0, 10, 20, 30],
  );
});

test('a paced generator keeps the exact rate', () => {
  // 64 bytes at 62.96 Gb/s are 8.132... cycles of 1 ns.
  const pace = CLOCK.cyclesPerByte(62_960_000_000);
  const { seen } = run({ size: 64, pace, requests: 1000 }, 5);
  seen.forEach((dma, i) => {
    assert.is(dma.cycle, Math.ceil((i * 64 * 8000) / 62_960));
  });
});

test('a paced generator that was held up goes on at its pace and does not catch up', () => {
  const pace = { numerator: 1, denominator: 8 };
  const { seen } = run({ size: 64, pace, outstanding: 1, requests: 3 }, 100);
  assert.equal(
    seen.map((dma) => dma.cycle),
    [0, 100, 200],
  );
});

test('the generator starts and stops at its cycles and not later', () => {
  const pace = { numerator: 1, denominator: 1 };
  const changes = { size: 10, pace, startCycle: 50, stopCycle: 71, requests: 1000 };
  assert.equal(
    run(changes, 1).seen.map((dma) => dma.cycle),
    [50, 60, 70],
  );
  assert.equal(
    run({ ...changes, stopCycle: 70 }, 1).seen.map((dma) => dma.cycle),
    [50, 60],
  );
});

test('after its last request the generator is finished when all have come back', () => {
  const early = run({ requests: 2 }, 100, PLACE, 100);
  assert.not(early.master.finished);
  const { master, bench } = run({ requests: 2 }, 100);
  assert.ok(master.finished);
  assert.is(bench.txns.inFlight, 0);
});

test('DMAs carry device and PASID of the place', () => {
  const { seen } = run({ requests: 1 });
  assert.equal([seen[0]?.device, seen[0]?.pasid], [2, 7]);
});

test('the same stream gives the same addresses, another one others', () => {
  const { addresses } = run({});
  assert.equal(run({}).addresses, addresses);
  const bench = new TestBench(100);
  const random = new RandomStream(2, 'pattern');
  const options = { ...DEFAULTS, requests: 100 };
  const master = new PatternMaster(bench.surroundings, options, PLACE, random);
  bench.connect(master);
  master.start();
  bench.run();
  assert.not.equal(
    bench.seen.map((dma) => dma.address),
    addresses,
  );
});

test('a window is mapped by whole pages', () => {
  assert.is(windowPages({ ...DEFAULTS, window: 4096 }), 1);
  assert.is(windowPages({ ...DEFAULTS, window: 4097 }), 2);
});

test('impossible parameters are bad input that says what is wrong', () => {
  const cases: [object, RegExp][] = [
    [{ size: 8192, window: 4096 }, /size is larger than window/],
    [{ read_parts: 0, write_parts: 0 }, /read_parts and write_parts are both 0/],
    [{ pattern: 'strided', stride: 2 ** 30 }, /stride is larger than window/],
    [{ pattern: 'hot-cold', hot_parts: 0, cold_parts: 0 }, /hot_parts and cold_parts are both 0/],
    [{ pattern: 'hot-cold', hot_window: 32 }, /size is larger than hot_window/],
    [{ pattern: 'hot-cold', hot_window: 2 ** 22 }, /what hot_window leaves of window/],
    [{ window: 2 ** 42, alignment: 1 }, /more than 2\^32 places/],
  ];
  for (const [changes, message] of cases) {
    const values = { ...defaults(patternSpec), ...changes };
    assert.throws(
      () => patternOptions(values, CLOCK),
      (e: unknown) => e instanceof InputError && message.test(e.message),
    );
  }
});

test('zeros in the parameters mean no pace, no end and the size as alignment', () => {
  assert.is(DEFAULTS.pace, null);
  assert.is(DEFAULTS.requests, Number.POSITIVE_INFINITY);
  assert.is(DEFAULTS.stopCycle, Number.POSITIVE_INFINITY);
  assert.is(DEFAULTS.alignment, DEFAULTS.size);
});

test.run();
