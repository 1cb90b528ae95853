import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { SV48 } from '../../iommu/riscv/formats.ts';
import { riscvBench } from '../testbench.ts';
import { DeferredSync, ImmediateSync, WHOLE_DOMAIN } from './hardware-sync.ts';

const RW = ACCESS_READ | ACCESS_WRITE;

function setUp() {
  const bench = riscvBench({ commandEntries: 8, faultEntries: 8, directoryLevels: 3 });
  const { driver } = bench;
  const domain = driver.createDomain({ kind: 'stage1', format: SV48 });
  return { bench, driver, domain };
}

function counting() {
  return {
    settled: 0,
    settle() {
      this.settled++;
    },
  };
}

test('at once: a range that is longer than the ring goes in pieces', () => {
  const { bench, driver, domain } = setUp();
  const before = driver.commandsWritten();
  const sync = new ImmediateSync();
  sync.range(driver, domain, 0, 0x7fffff0, 40);
  // 40 pages, and a fence for each filling of the ring's 7 places.
  assert.ok(driver.commandsWritten() - before >= 40 + 40 / 7);
  assert.is(driver.room(), 7);
  const what = counting();
  assert.is(sync.settle(what), true);
  assert.is(what.settled, 1);
  assert.is(bench.translate(1, 1, RW), -1);
});

test('at once: a unit that does not answer is an error of the simulation', () => {
  const { bench, driver, domain } = setUp();
  bench.held = true;
  assert.throws(() => new ImmediateSync().whole(driver, domain), /did not carry out/);
});

test('deferred: what is asked for waits, in order, and so does what it settles', () => {
  const { driver, domain } = setUp();
  const sync = new DeferredSync();
  const what = counting();
  sync.range(driver, domain, 0, 5, 3);
  sync.whole(driver, domain);
  sync.fence(driver, domain);
  assert.is(sync.settle(what), false);
  assert.equal(
    sync.take().map(({ lo, pages }) => [lo, pages]),
    [
      [5, 3],
      [0, WHOLE_DOMAIN],
      [0, 0],
    ],
  );
  assert.is(sync.take().length, 0);
  assert.is(what.settled, 0);
  for (const one of sync.takeSettled()) one.settle();
  assert.is(what.settled, 1);
  assert.is(sync.takeSettled().length, 0);
});

test.run();
