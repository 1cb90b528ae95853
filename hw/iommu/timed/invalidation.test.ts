/** What an invalidation and its fence mean to requests, walks and context fetches under way. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { OP_FENCE, OP_INVALIDATE_TRANSLATIONS, OP_NONE } from '../architecture.ts';
import { MEMORY_CYCLES, runBench, type TimedBench } from './bench.ts';
import { OUTCOME_MERGED, OUTCOME_MISS } from './front-end-ports.ts';

/** When contexts have been fetched and everything is at rest. A walk then reads one entry. */
const REST = 5_000;
/** A command posted then is executed soon after `REST`: it has to be fetched. */
const POSTED: number = REST - MEMORY_CYCLES + 20;

/** Domain of device 0 and 1, whose contexts are in the cache from `REST` on. */
function warm(bench: TimedBench): ReturnType<TimedBench['domain']> {
  const domain = bench.domain(0x1000);
  bench.attach(domain, 0, 1);
  bench.at(1, () => bench.dma(0, 8));
  bench.at(2, () => bench.dma(1, 8));
  return domain;
}

test('a walk in flight does not fill the IOTLB with what is invalidated meanwhile', async () => {
  for (const invalidated of [1, 2]) {
    const bench = await runBench({}, (b) => {
      const domain = warm(b);
      b.at(REST, () => b.dma(0, 1));
      b.at(POSTED, () => b.invalidate(domain, invalidated));
      b.at(REST + 5_000, () => b.dma(0, 1));
    });
    const { notFilled, hits } = bench.iommu.frontEnd.statistics;
    assert.equal([notFilled, hits], invalidated === 1 ? [1, 0] : [0, 1]);
    assert.is(bench.returned.length, 4);
  }
});

test('a miss joins a walk to its page, but none older than the last invalidation', async () => {
  for (const invalidates of [false, true]) {
    const bench = await runBench({}, (b) => {
      const domain = warm(b);
      b.at(REST, () => b.dma(0, 1));
      if (invalidates) b.at(POSTED, () => b.invalidate(domain, 1));
      b.at(REST + 100, () => b.dma(1, 1));
    });
    const { outcomes } = bench;
    assert.is(outcomes[outcomes.length - 1], invalidates ? OUTCOME_MISS : OUTCOME_MERGED);
    const [first, second] = bench.translated.filter(({ page }) => page === 1);
    assert.is(second.cycle > first.cycle, invalidates);
  }
});

test('a fence waits for walks that are older than the invalidation, not for younger ones', async () => {
  const bench = await runBench({}, (b) => {
    const domain = warm(b);
    b.at(REST, () => b.dma(0, 1));
    b.at(POSTED, () => b.invalidate(domain, 1));
    b.at(REST + 150, () => b.dma(1, 2));
  });
  const [fence] = bench.fences;
  assert.ok(fence > bench.cycleOf(1), `${fence} after ${bench.cycleOf(1)}`);
  assert.ok(fence < bench.cycleOf(2), `${fence} before ${bench.cycleOf(2)}`);
});

test('a fence waits for requests that are held back to be released in order', async () => {
  for (const inOrder of [false, true]) {
    const bench = await runBench({ inOrder, walkSlots: 1 }, (b) => {
      const domain = warm(b);
      // Page 8 hits, but in order it leaves behind page 3, whose walk waits behind two others.
      for (const page of [1, 2, 3, 8]) b.at(REST + page, () => b.dma(0, page));
      b.at(POSTED, () => b.invalidate(domain, 8));
    });
    const last = bench.cycleOf(3);
    assert.is(bench.fences[0] > last, inOrder, `fence ${bench.fences[0]}, page 3 at ${last}`);
    assert.is(bench.returned.length, 6);
  }
});

test('a fence waits for accesses to memory where it, or what is before it, drains them', async () => {
  // RISC-V asks for it in the fence (PR, PW), VT-d in the invalidation (DR, DW; 6.5.2.3).
  for (const asking of [OP_FENCE, OP_INVALIDATE_TRANSLATIONS, OP_NONE]) {
    const bench = await runBench({}, (b) => {
      const domain = warm(b);
      const { commands } = b.iommu.unit;
      const decode = commands.decode.bind(commands);
      commands.decode = (words, operation) => {
        decode(words, operation);
        operation.drainReads = operation.kind === asking ? 1 : 0;
        operation.drainWrites = operation.drainReads;
      };
      b.at(REST, () => b.invalidate(domain, 3));
      // Near the end of the fetch of the command, which takes as long as the access.
      b.at(REST + MEMORY_CYCLES - 10, () => b.dma(0, 8));
    });
    const access = bench.returned[2];
    assert.is(access.page, 8);
    const drained = bench.fences[0] > access.cycle;
    assert.is(drained, asking !== OP_NONE, `fence ${bench.fences[0]}, access ${access.cycle}`);
  }
});

test('a context fetched during its invalidation is fetched again, and the fence waits', async () => {
  const bench = await runBench({}, (b) => {
    const [before, after] = [b.domain(0x1000), b.domain(0x2000)];
    b.attach(before, 2);
    b.at(REST, () => b.dma(2, 1));
    // Executed while the second of the three levels of the directory is being read.
    b.at(REST + 50, () => b.driver.attach(after, 0x102));
  });
  assert.is(bench.iommu.contextUnit.statistics.fetches, 2);
  assert.equal(
    bench.translated.map(({ frame }) => frame),
    [0x2000],
  );
  assert.ok(bench.fences[0] > REST + 3 * MEMORY_CYCLES, `fence ${bench.fences[0]}`);
});

test('a walk that waits for a slot under an invalidated context holds the fence back', async () => {
  const bench = await runBench({ walkSlots: 1 }, (b) => {
    warm(b);
    const after = b.domain(0x2000);
    b.at(REST, () => b.dma(1, 1));
    b.at(REST + 1, () => b.dma(0, 2));
    b.at(REST + 20, () => b.driver.attach(after, 0x100));
    b.at(REST + 9_000, () => b.dma(0, 2));
  });
  const [old, renewed] = bench.translated.filter(({ page }) => page === 2);
  assert.is(old.frame, 0x1001);
  assert.is(renewed.frame, 0x2001);
  assert.ok(bench.fences[0] > old.cycle, `${bench.fences[0]} after ${old.cycle}`);
});

test('an invalidation does not overtake a walk request on the way to the shard', async () => {
  const bench = await runBench({ lookupCycles: 200 }, (b) => {
    warm(b);
    const after = b.domain(0x2000);
    b.at(REST, () => b.dma(0, 2));
    b.at(POSTED, () => b.driver.attach(after, 0x100));
  });
  assert.is(bench.translated[2].frame, 0x1001);
  const use = bench.cycleOf(2);
  assert.ok(bench.fences[0] > use, `fence ${bench.fences[0]}, use ${use}`);
});

test('a walk of a large page that is made again is made under the context of then', async () => {
  const bench = await runBench({ regionOrder: 0 }, (b) => {
    const [before, after] = [b.wideDomain(0x2000), b.wideDomain(0x4000)];
    b.attach(before, 0);
    b.at(1, () => b.dma(0, 512));
    b.at(REST - 200, () => b.invalidate(before, 512));
    // In the walk, which reads two entries, the context is taken away.
    b.at(REST + 500, () => b.dma(0, 600));
    b.at(REST + 500 - MEMORY_CYCLES + 40, () => b.driver.attach(after, 0x100));
  });
  const { cycle, frame } = bench.translated[1];
  const fence = bench.fences[1];
  assert.ok(frame >= 0x4000 || cycle < fence, `frame ${frame} at ${cycle}, fence ${fence}`);
});

test('no context is used after the fence behind its invalidation, at any distance', async () => {
  for (let distance = 0; distance < 1000; distance += 25) {
    const bench = await runBench({ walkSlots: 1 }, (b) => {
      const [before, after] = [b.domain(0x1000), b.domain(0x2000)];
      b.attach(before, 0, 1);
      b.at(REST, () => b.dma(1, 1));
      b.at(REST + 5, () => b.dma(0, 2));
      b.at(REST + distance, () => b.driver.attach(after, 0x100));
      b.at(REST + 9_000, () => b.dma(0, 2));
    });
    const fence = bench.fences[0];
    for (const { device, frame, cycle } of bench.translated) {
      if (device === 0 && frame < 0x2000) assert.ok(cycle < fence, `${cycle}, fence ${fence}`);
    }
    assert.is(bench.translated[bench.translated.length - 1].frame, 0x2001);
  }
});

test.run();
