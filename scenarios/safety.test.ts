/**
 * After an invalidation is complete, no translation that it covers is used again: shown on whole
 * machines of random build and traffic, by a checker that is shown to see it when it happens.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { pageNumber } from '../hw/address.ts';
import type { MappingObserver } from '../hw/host/observer.ts';
import { RandomStream } from '../sim/random/stream.ts';
import { runMachine } from './machine/bench.ts';
import type { Machine } from './machine/machine.ts';
import { type Prey, Remapper } from './machine/remapper.ts';
import { resolveText } from './memory-files.ts';

/** The same cases in every run of the tests. */
const CASES = { seed: 20260, numRuns: 60 };

const TRANSLATIONS = [
  ['riscv', 'stage1'],
  ['riscv', 'stage2'],
  ['riscv', 'nested'],
  ['vtd', 'stage2'],
] as const;

const small = (most: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: most });
const nanoseconds = (most: number): fc.Arbitrary<string> => small(most).map((ns) => `${ns}ns`);
/** Absent in one case out of three. */
const geometry: fc.Arbitrary<object> = fc.oneof(
  fc.constant({ sets: 0, ways: 0 }),
  ...[1, 16].map((sets) =>
    fc.record({
      sets: fc.constant(sets),
      ways: fc.constantFrom(1, 4),
      policy: fc.constantFrom('lru', 'plru', 'random'),
    }),
  ),
);

/** Everything of the `iommu:` section that may play a part in the order of events. */
const iommu = (arch: string): fc.Arbitrary<object> =>
  fc.record({
    arch: fc.constant(arch),
    front_end: fc.record({
      slots: fc.constantFrom(1, 3, 64),
      ordering: fc.constantFrom('in-order', 'out-of-order'),
    }),
    caches: fc.record({
      iotlb: fc
        .tuple(
          geometry,
          fc.record({
            page_sizes: fc.constantFrom('unified', 'separate'),
            latency: nanoseconds(20),
            ports: fc.constantFrom(1, 4),
            merge_misses: fc.boolean(),
          }),
        )
        .map(([shape, rest]) => ({ ...shape, ...rest })),
      context: geometry,
      nested: geometry,
      walk: geometry.map((all) => ({ all })),
    }),
    walkers: fc.record({
      shards: fc.constantFrom(1, 2, 3),
      slots: fc.constantFrom(1, 2, 8),
      transit: small(60).map((ns) => `${1 + ns}ns`),
      region_order: small(9),
      update: nanoseconds(40),
    }),
    commands: fc.record({
      doorbell: nanoseconds(60),
      fetch_batch: fc.constantFrom(1, 4),
      execute: nanoseconds(20),
      complete: nanoseconds(60),
    }),
    riscv: fc.record({ hardware_ad: fc.boolean(), directory_levels: fc.constantFrom(1, 2, 3) }),
  });

const machines: fc.Arbitrary<Record<string, unknown>> = fc
  .constantFrom(...TRANSLATIONS)
  .chain(([arch, translation]) =>
    fc.record({
      seed: small(1e6),
      iommu: iommu(arch),
      memory: fc.record({ dram_latency: nanoseconds(400), llc_tables: fc.boolean() }),
      host: fc.record({
        cores: fc.constantFrom(1, 2, 5),
        poll: small(80).map((ns) => `${1 + ns}ns`),
        flush_entries: fc.constantFrom(1, 8),
        flush_timeout: fc.constant('5us'),
        guest_exit: fc.constant('100ns'),
      }),
      domains: fc
        .record({ policy: fc.constantFrom('strict', 'deferred') })
        .map(({ policy }) => [{ name: 'kernel', translation, policy, guest_memory: '16MiB' }]),
    }),
  );

const patternDevices = fc
  .record({ count: fc.constantFrom(1, 3), pages: fc.constantFrom(4, 16), outstanding: small(30) })
  .chain(({ count, pages, outstanding }) =>
    fc.record({
      name: fc.constant('rogue{i}'),
      count: fc.constant(count),
      domain: fc.constant('kernel'),
      master: fc.record({
        kind: fc.constant('pattern'),
        pattern: fc.constantFrom('random', 'sequential'),
        window: fc.constant(`${4 * pages}KiB`),
        size: fc.constantFrom('64B', '256B', '5000B'),
        write_parts: fc.constantFrom(0, 1),
        outstanding: fc.constant(1 + outstanding),
      }),
    }),
  );

const nics = fc.record({
  name: fc.constant('nic{i}'),
  count: fc.constantFrom(1, 2),
  domain: fc.constant('kernel'),
  link: fc.constant({ rate: '126Gb/s' }),
  master: fc.record({
    kind: fc.constant('nic'),
    mtu: fc.constantFrom('64B', '1500B', '9000B'),
    receive: fc.constantFrom('100Gb/s', '10Gb/s'),
    transmit: fc.constantFrom('0b/s', '50Gb/s'),
    queues: fc.constant(1),
    receive_ring: fc.constantFrom(8, 64),
    transmit_ring: fc.constantFrom(8, 64),
    fragments: fc.constantFrom(1, 4),
    spare_buffers: fc.constantFrom(1, 16),
    moderation: fc.constantFrom('0ns', '1us'),
  }),
});

/** Runs a property; what an assertion said stands first in the failure. */
async function holds<T>(property: fc.IAsyncProperty<T>): Promise<void> {
  const { failed, errorInstance, counterexample } = await fc.check(property, CASES);
  if (!failed) return;
  throw new Error(`${errorInstance}\nwith ${JSON.stringify(counterexample)}`);
}

/** Remembers what was mapped at set-up: the windows of pattern generators. */
class Windows implements MappingObserver {
  readonly ranges: { domain: number; first: number; pages: number }[] = [];
  linear(): void {}
  mapped(domain: number, hi: number, lo: number, pages: number): void {
    this.ranges.push({ domain, first: pageNumber(hi, lo), pages });
  }
  unmapped(): void {}
  acknowledged(): void {}
}

interface Ran {
  readonly machine: Machine;
  readonly rounds: number;
}

/** Runs a machine in which software takes the devices' pages away; `sabotage` may break it. */
async function runRemapped(
  parts: object,
  sabotage: (machine: Machine) => void = () => {},
): Promise<Ran> {
  const scenario = resolveText(JSON.stringify({ run: { for: '30us' }, ...parts }));
  const windows = new Windows();
  let remapper: Remapper | null = null;
  const prepare = (machine: Machine): void => {
    const domains = [...machine.software.domains.values()];
    const prey = windows.ranges.flatMap(({ domain: index, first, pages }): Prey[] => {
      const domain = domains.find((candidate) => candidate.domain.index === index);
      return domain === undefined ? [] : [{ domain, first, pages }];
    });
    remapper = new Remapper(machine, prey, new RandomStream(scenario.seed, 'remapper'), 400);
    remapper.start();
    sabotage(machine);
  };
  const machine = await runMachine(scenario, prepare, [windows]);
  return { machine, rounds: (remapper as Remapper | null)?.rounds ?? 0 };
}

test('no translation is used after its invalidation, whatever the machine and the order', async () => {
  const seen = { uses: 0, exposed: 0, aborted: 0, rounds: 0 };
  await holds(
    fc.asyncProperty(machines, patternDevices, async (parts, device) => {
      const { machine, rounds } = await runRemapped({ ...parts, devices: [device] });
      const { safety } = machine.software;
      assert.equal(safety.firstViolations, []);
      seen.uses += safety.uses;
      seen.exposed += safety.exposedUses;
      seen.aborted += machine.accounting.total().faults;
      seen.rounds += rounds;
    }),
  );
  // The cases are no use if pages in use are never taken away.
  for (const count of Object.values(seen)) assert.ok(count > 1000, JSON.stringify(seen));
});

test('a NIC and its driver never use a buffer after its unmap; strict not even before the end', async () => {
  let packets = 0;
  await holds(
    fc.asyncProperty(machines, nics, async (parts, device) => {
      const scenario = resolveText(
        JSON.stringify({ run: { for: '25us' }, ...parts, devices: [device] }),
      );
      const machine = await runMachine(scenario, () => {});
      const { safety } = machine.software;
      assert.equal(safety.firstViolations, []);
      assert.is(machine.iommu.frontEnd.statistics.faults, 0);
      // The device is done with a buffer before the driver unmaps it: only deferred leaves time.
      assert.is(safety.exposedUses, 0);
      packets += machine.devices[0].figures().received ?? 0;
    }),
  );
  assert.ok(packets > 1000, `${packets} packets`);
});

// A machine whose stale translations live long: much in use, slow walks, large caches.
const EXPOSED = {
  iommu: {
    caches: { iotlb: { sets: 16, ways: 4 } },
    walkers: { shards: 2, slots: 2 },
  },
  memory: { llc_size: '0B', dram_latency: '150ns' },
  host: { cores: 2, guest_exit: '100ns' },
  devices: [
    {
      name: 'rogue',
      domain: 'kernel',
      master: { kind: 'pattern', window: '128KiB', size: '64B', outstanding: 32 },
    },
  ],
};

/** A long time between a fence and what follows it. */
const SLOW_COMMANDS = { commands: { execute: '200ns' } };
/** A long time between a walk and its answer, and always walks: the IOTLB holds half the pages. */
const SLOW_SHARDS = {
  caches: { iotlb: { sets: 4, ways: 4 } },
  walkers: { ...EXPOSED.iommu.walkers, slots: 8, transit: '800ns' },
  commands: { doorbell: '0ns', execute: '0ns', complete: '0ns' },
};

interface Breakage {
  /** Where it shows. */
  readonly iommu: object;
  readonly sabotage: (machine: Machine) => void;
}

const leaveInvalidationsOut = ({ software: { driver } }: Machine): void => {
  driver.postInvalidation = (_domain, _hi, _lo, pages) => pages;
  driver.postDomainInvalidation = () => true;
};

const postFenceFirst = ({ software: { driver } }: Machine): void => {
  const postInvalidation = driver.postInvalidation.bind(driver);
  const postFence = driver.postFence.bind(driver);
  const late: (() => void)[] = [];
  driver.postInvalidation = (domain, hi, lo, pages) => {
    late.push(() => postInvalidation(domain, hi, lo, pages));
    return pages;
  };
  driver.postFence = () => {
    const token = postFence();
    for (const post of late.splice(0)) post();
    return token;
  };
};

const BREAKAGES: Readonly<Record<string, Breakage>> = {
  'a driver that posts the fence without the invalidation': {
    iommu: SLOW_COMMANDS,
    sabotage: leaveInvalidationsOut,
  },
  'a driver that posts the fence before the invalidation': {
    iommu: SLOW_COMMANDS,
    sabotage: postFenceFirst,
  },
  'a unit whose fence does not wait for walks in flight': {
    iommu: SLOW_SHARDS,
    sabotage: ({ iommu }) => {
      Object.assign(iommu.commandUnit, { acknowledged: Number.POSITIVE_INFINITY });
    },
  },
  'a unit that fills the IOTLB with what was invalidated during the walk': {
    iommu: SLOW_SHARDS,
    sabotage: ({ iommu }) => {
      iommu.frontEnd.log.covers = () => false;
    },
  },
};
for (const [broken, breakage] of Object.entries(BREAKAGES)) {
  test(`${broken} is caught`, async () => {
    let caught = 0;
    for (const [arch, translation] of TRANSLATIONS) {
      const iommu = { ...EXPOSED.iommu, ...breakage.iommu, arch };
      const domains = [{ name: 'kernel', translation }];
      const parts = { ...EXPOSED, iommu, domains, run: { for: '200us' } };
      const sound = await runRemapped(parts);
      assert.equal(sound.machine.software.safety.firstViolations, []);
      const { machine } = await runRemapped(parts, breakage.sabotage);
      const { violations, firstViolations } = machine.software.safety;
      caught += violations;
      for (const { kind } of firstViolations) {
        assert.ok(kind === 'after-acknowledge' || kind === 'wrong-frame', kind);
      }
    }
    assert.ok(caught > 0);
  });
}

test('a NIC whose driver leaves invalidations out writes into buffers that are not its own', async () => {
  const scenario = resolveText(
    JSON.stringify({
      run: { for: '50us' },
      domains: [{ name: 'kernel', translation: 'stage1', policy: 'strict' }],
      devices: [{ name: 'nic', domain: 'kernel', master: { kind: 'nic', receive_ring: 16 } }],
    }),
  );
  const { software } = await runMachine(scenario, leaveInvalidationsOut);
  assert.ok(software.safety.violations > 0);
  assert.is(software.safety.firstViolations[0].kind, 'wrong-frame');
});

test.run();
