/** Page request messages at a timed unit: their context first, then a record after its time. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { PageRequestMessage } from '../../pcie/page-requester.ts';
import type { DeviceRequest, TranslationContext } from '../architecture.ts';
import { RiscvIommu } from '../riscv/unit.ts';
import { MEMORY_CYCLES, runBench, type TimedBench } from './bench.ts';
import type { PageRequestUnit } from './page-requests.ts';

const RECORD_CYCLES = 50;
const RID = 0x100;
/** Reads of a directory of three levels, each with a cycle on the DRAM channel. */
const WALK = 3 * (MEMORY_CYCLES + 1);

interface Taken {
  readonly cycle: number;
  readonly group: number;
  readonly found: boolean;
  readonly cause: number;
}

/** The unit's input, with an architecture that only writes down what it is told. */
function listen(bench: TimedBench): { input: PageRequestUnit<PageRequestMessage>; log: Taken[] } {
  const { unit } = bench.iommu;
  assert.instance(unit, RiscvIommu);
  const log: Taken[] = [];
  const target = {
    pageRequestLookup: (message: PageRequestMessage): DeviceRequest =>
      (unit as RiscvIommu).pageRequestLookup(message),
    pageRequest: (
      { payload }: PageRequestMessage,
      context: TranslationContext | null,
      cause: number,
    ): void => {
      const group = Number((payload >> 3n) & 0x1ffn);
      log.push({ cycle: bench.now, group, found: context !== null, cause });
    },
  };
  return { input: bench.iommu.takePageRequests(target, RECORD_CYCLES), log };
}

function message(group: number, rid = RID): PageRequestMessage {
  const payload = (5n << 12n) | (BigInt(group) << 3n) | 5n;
  return { rid, segment: -1, pasid: -1, privileged: false, execute: false, payload };
}

test('the context is read once and kept; each record takes its time', async () => {
  let log: Taken[] = [];
  await runBench({}, (bench) => {
    bench.driver.allowPageRequests(RID);
    bench.attach(bench.domain(0x9000), 0);
    const made = listen(bench);
    log = made.log;
    bench.at(1000, () => made.input.accept(message(1), 0));
    bench.at(2000, () => made.input.accept(message(2), 0));
  });
  assert.equal(log, [
    { cycle: 1000 + WALK + RECORD_CYCLES, group: 1, found: true, cause: 0 },
    { cycle: 2000 + RECORD_CYCLES, group: 2, found: true, cause: 0 },
  ]);
});

test('messages that come while their context is read wait for it, in order', async () => {
  let log: Taken[] = [];
  const { iommu } = await runBench({}, (bench) => {
    bench.driver.allowPageRequests(RID);
    bench.attach(bench.domain(0x9000), 0);
    const made = listen(bench);
    log = made.log;
    bench.at(1000, () => {
      for (const group of [1, 2, 3]) made.input.accept(message(group), 0);
      assert.is(made.input.open, 3);
    });
  });
  assert.equal(
    log.map(({ group, cycle }) => [group, cycle]),
    [1, 2, 3].map((group) => [group, 1000 + WALK + RECORD_CYCLES]),
  );
  assert.is(iommu.contextUnit.statistics.fetches, 1);
  assert.is(iommu.open, 0);
});

test('a DMA and a page request of the same device find their contexts each for itself', async () => {
  let log: Taken[] = [];
  const { returned } = await runBench({}, (bench) => {
    // The device may not ask for pages: only the page request is refused.
    bench.attach(bench.domain(0x9000), 0);
    const made = listen(bench);
    log = made.log;
    bench.at(1000, () => {
      bench.dma(0, 1);
      made.input.accept(message(1), 0);
    });
  });
  assert.equal(
    returned.map(({ faulted }) => faulted),
    [false],
  );
  assert.is(log.length, 1);
  assert.is(log[0].found, false);
  assert.ok(log[0].cause !== 0);
});

test('a message without a context is refused for its cause, and reported as a fault', async () => {
  let log: Taken[] = [];
  const { iommu } = await runBench({}, (bench) => {
    const made = listen(bench);
    log = made.log;
    bench.at(1000, () => made.input.accept(message(1), 0));
  });
  assert.is(log.length, 1);
  assert.ok(log[0].cause !== 0);
  assert.is(iommu.frontEnd.faults.codes.get(log[0].cause), 1);
});

test.run();
