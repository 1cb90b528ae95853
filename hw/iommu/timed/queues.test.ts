/** Queues of a timed unit at their limits, and devices that nobody has told the unit about. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pnHi, pnLo } from '../../address.ts';
import { Host } from '../../host/core.ts';
import { InvalidationPath } from '../../host/invalidation.ts';
import { runBench, type TimedBench } from './bench.ts';

// RISC-V IOMMU specification, "Fault record": causes; fqcsr and its overflow bit.
const CAUSE_READ_PAGE_FAULT = 13;
const CAUSE_DDT_ENTRY_NOT_VALID = 258;
const REG_FQH = 0x30;
const REG_FQT = 0x34;
const REG_FQCSR = 0x4c;
const FQCSR_OVERFLOW = 1n << 9n;
/** Beyond the pages that a domain of the bench has mapped. */
const UNMAPPED = 100;

function register(bench: TimedBench, offset: number): bigint {
  return bench.iommu.unit.registers.read(offset, 4);
}

test('a full command queue makes cores wait; every command is executed, in the end', async () => {
  const cores = 4;
  const [pages, rounds] = [6, 5];
  const done: number[] = [];
  let path: InvalidationPath | null = null;
  const bench = await runBench({ commandEntries: 4 }, (b) => {
    const host = new Host(b.events, cores);
    const costs = { commandCycles: 2, doorbellCycles: 4, guestExitCycles: 0, pollCycles: 10 };
    path = new InvalidationPath(b.events, host, b.driver, costs, true);
    b.afterFence = () => path?.wake();
    const domain = b.domain(0x1000, cores * pages);
    b.attach(domain, 0);
    const begin = host.register((core, round) => {
      const first = 1 + core * pages;
      path?.range(host.cores[core], domain, pnHi(first), pnLo(first), pages, end, core, round);
    });
    const end = host.register((core, round) => {
      done.push(core);
      if (round + 1 < rounds) host.cores[core].proceed(1, begin, core, round + 1);
    });
    for (const core of host.cores) core.run(1, begin, core.index, 0);
  });
  const { counters } = path as unknown as InvalidationPath;
  assert.is(done.length, cores * rounds);
  assert.ok(counters.toPlain()['queue-full'] > 0);
  const { invalidations, fences, illegal } = bench.iommu.commandUnit.statistics;
  assert.equal([invalidations, fences, illegal], [cores * rounds * pages, cores * rounds, 0]);
});

test('a full fault queue loses records, says so, and the unit goes on', async () => {
  const faults = 10;
  const bench = await runBench({ faultEntries: 4 }, (b) => {
    b.attach(b.domain(0x1000), 0);
    for (let i = 0; i < faults; i++) b.at(1_000 * (i + 1), () => b.dma(0, UNMAPPED + i));
    b.at(20_000, () => b.dma(0, 1));
  });
  assert.is(bench.returned.filter(({ faulted }) => faulted).length, faults);
  assert.equal(bench.iommu.frontEnd.faults.codes, new Map([[CAUSE_READ_PAGE_FAULT, faults]]));
  const { recorded, lost } = bench.iommu.frontEnd.faults;
  assert.equal([recorded, lost], [3, faults - 3]);
  assert.is(register(bench, REG_FQT) - register(bench, REG_FQH), 3n);
  assert.is(register(bench, REG_FQCSR) & FQCSR_OVERFLOW, FQCSR_OVERFLOW);
  // What is translated is translated all the same.
  assert.is(bench.cycleOf(1) > 20_000, true);
});

test('a fault queue that software has emptied takes records again', async () => {
  const bench = await runBench({ faultEntries: 4 }, (b) => {
    b.attach(b.domain(0x1000), 0);
    for (let i = 0; i < 5; i++) b.at(1_000 * (i + 1), () => b.dma(0, UNMAPPED + i));
    b.at(10_000, () => assert.is(b.driver.serviceFaults(), 3));
    b.at(11_000, () => b.dma(0, UNMAPPED));
  });
  assert.is(register(bench, REG_FQCSR) & FQCSR_OVERFLOW, 0n);
  assert.is(bench.driver.serviceFaults(), 1);
});

test('a device without a context entry is refused with the fault for it, each time', async () => {
  const bench = await runBench({}, (b) => {
    b.attach(b.domain(0x1000), 0);
    b.at(1_000, () => b.dma(3, 1));
    b.at(2_000, () => b.dma(3, 1));
    b.at(2_000, () => b.dma(0, 1));
  });
  assert.equal(bench.iommu.frontEnd.faults.codes, new Map([[CAUSE_DDT_ENTRY_NOT_VALID, 2]]));
  assert.equal(
    bench.returned.map(({ device, faulted }) => [device, faulted]),
    [
      [3, true],
      [3, true],
      [0, false],
    ],
  );
});

test.run();
