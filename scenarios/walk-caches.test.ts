/** Caches make walks shorter; they change no translation. */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pageNumber } from '../hw/address.ts';
import { runMachine } from './machine/bench.ts';
import { resolveText } from './memory-files.ts';

const NONE = { sets: 0, ways: 0 };
const geometry = fc.record({
  sets: fc.constantFrom(1, 4),
  ways: fc.constantFrom(1, 2, 8),
  policy: fc.constantFrom('lru', 'plru', 'random'),
});
const caches = fc.record({
  iotlb: fc.oneof(geometry, fc.constant(NONE)),
  nested: fc.oneof(geometry, fc.constant(NONE)),
  walk: geometry.map((all) => ({ all })),
});

const domains = fc.constantFrom(
  ...['Sv39', 'Sv48', 'Sv57'].flatMap((stage1) => [
    { arch: 'riscv', translation: 'stage1', stage1 },
    { arch: 'riscv', translation: 'nested', stage1, stage2: `${stage1}x4` },
    { arch: 'riscv', translation: 'stage2', stage2: `${stage1}x4` },
  ]),
  ...['SS3', 'SS4', 'SS5'].map((stage2) => ({ arch: 'vtd', translation: 'stage2', stage2 })),
);

/** Frame of every page that was used. */
async function translationsOf(
  domain: { readonly arch: string },
  shape: object,
  page: string,
): Promise<Map<number, number>> {
  const { arch, ...kind } = domain;
  const scenario = resolveText(
    JSON.stringify({
      run: { for: '1ms' },
      iommu: { arch, caches: shape },
      domains: [{ name: 'd', page, guest_memory: '64MiB', ...kind }],
      devices: [
        {
          name: 'reader',
          domain: 'd',
          master: { kind: 'pattern', window: '16MiB', size: '64B', requests: 300 },
        },
      ],
    }),
  );
  const frames = new Map<number, number>();
  const machine = await runMachine(scenario, ({ software: { safety } }) => {
    const judge = safety.use.bind(safety);
    safety.use = (index, hi, lo, outHi, outLo, access, cycle) => {
      frames.set(pageNumber(hi, lo), pageNumber(outHi, outLo));
      judge(index, hi, lo, outHi, outLo, access, cycle);
    };
  });
  assert.ok(machine.finished);
  assert.equal(machine.software.safety.firstViolations, []);
  return frames;
}

test('with caches of any size and without any, every page goes to the same frame', async () => {
  const pages = fc.constantFrom('4KiB', '2MiB');
  await fc.assert(
    fc.asyncProperty(domains, caches, pages, async (domain, shape, page) => {
      const off = { iotlb: NONE, nested: NONE, walk: { all: NONE } };
      const [cached, plain] = [
        await translationsOf(domain, shape, page),
        await translationsOf(domain, off, page),
      ];
      assert.ok(plain.size > 200);
      assert.equal([...cached].sort(), [...plain].sort());
    }),
    { seed: 7, numRuns: 30 },
  );
});

test.run();
