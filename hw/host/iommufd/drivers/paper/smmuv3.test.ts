import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { SmmuCommand } from '../formats/smmuv3-commands.ts';
import { createPaperDriver } from './create.ts';
import type { Sharing } from './driver.ts';
import type { SmmuPaperDriver } from './smmuv3.ts';
import type { SmmuDevice, SmmuPaging } from './smmuv3-domains.ts';
import { CMDQV_FEATURES, type SmmuUnitFeatures } from './smmuv3-unit.ts';
import { type PaperBench, paperBench, refused } from './testbench.ts';

interface Smmu extends PaperBench {
  readonly driver: SmmuPaperDriver;
  readonly device: SmmuDevice;
  /** Batches of commands, as they were issued. */
  readonly batches: (readonly SmmuCommand[])[];
}

interface Options {
  readonly features?: Partial<SmmuUnitFeatures>;
  readonly sharing?: Sharing;
  readonly invalidation?: 'base' | 'strict';
}

function bench({ features = {}, ...options }: Options = {}): Smmu {
  const base = paperBench();
  const batches: (readonly SmmuCommand[])[] = [];
  const driver = createPaperDriver('smmuv3', {
    memory: base.test.kernel.memory,
    ...options,
    observe: (record) => {
      if (record.kind === 'commands') batches.push(record.commands);
    },
  });
  const unit = driver.addUnit(features);
  const device = driver.addDevice('nic', unit, { stream: 0x18, maxPasids: 64 });
  return { ...base, driver, device, batches };
}

/** A vIOMMU with the device as virtual stream 5. */
function guest(options: Options = {}, withVdevice = true) {
  const made = bench(options);
  const nic = made.bind(made.device);
  const on = made.client.ioasAlloc();
  const parent = made.client.hwptAlloc({ device: nic, on, nestParent: true });
  const viommu = made.client.viommuAlloc({ type: 'ARM_SMMUV3', device: nic, parent });
  if (withVdevice) viommu.addDevice(nic.id, 5n);
  const nested = (ste0: bigint, ste1 = 0n) => {
    const data = { type: 'ARM_SMMUV3', ste: [ste0, ste1] } as const;
    return made.client.hwptAlloc({ device: nic, on: viommu, data });
  };
  return { ...made, nic, on, parent, viommu, nested };
}

const V = 1n;
const BYPASS = V | (4n << 1n);
const S1 = V | (5n << 1n) | 0x8000n;

test('flags choose the stage, and what no stage can do is EOPNOTSUPP (6.2)', () => {
  const { driver, device } = bench();
  const stage = (flags: number): number =>
    (driver.allocPaging(device, flags, null) as SmmuPaging).stage;
  assert.is(stage(0), 1);
  assert.is(stage(1), 2);
  for (const flags of [2, 8, 10]) assert.is(stage(flags), 1, `flags ${flags}`);
  for (const flags of [9, 16, 11]) refused('EOPNOTSUPP', () => stage(flags));
  const unit = driver.addUnit({ stage1: false });
  const second = driver.addDevice('s2', unit);
  assert.is((driver.allocPaging(second, 0, null) as SmmuPaging).stage, 2);
  for (const flags of [1, 2, 8])
    refused('EOPNOTSUPP', () => driver.allocPaging(second, flags, null));
});

test('quirk 20, SMMUv3: dirty tracking on a nesting parent is EOPNOTSUPP', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const on = client.ioasAlloc();
  const both = { device: nic, on, nestParent: true, dirtyTracking: true };
  refused('EOPNOTSUPP', () => client.hwptAlloc(both));
  end();
});

test('D14: contents of an STE that are not for a guest are EIO at allocation', () => {
  const { nested, nic, parent, client, end } = guest();
  nested(0n, 0xffffn);
  refused('EIO', () => nested(S1 | (1n << 52n)));
  refused('EIO', () => nested(S1, 1n << 19n));
  refused('EIO', () => nested(V | (6n << 1n)));
  refused('EIO', () => nested(S1, 2n << 28n));
  nested(S1, 1n << 28n);
  const data = { type: 'ARM_SMMUV3', ste: [S1, 0n] } as const;
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: parent, data }));
  end();
});

test('D14: ALLOC_PASID is EOPNOTSUPP; quirk 5, SMMUv3: another data type is EINVAL', () => {
  const { client, nic, viommu, end } = guest();
  const ste = { type: 'ARM_SMMUV3', ste: [S1, 0n] } as const;
  refused('EOPNOTSUPP', () =>
    client.hwptAlloc({ device: nic, on: viommu, pasid: true, data: ste }),
  );
  const vtd = { type: 'VTD_S1' } as const;
  refused('EINVAL', () => client.hwptAlloc({ device: nic, on: viommu, data: vtd }));
  end();
});

test('D14: stage 1 without a vDEVICE is ENOENT; bypass and abort attach', () => {
  const { nested, nic, device, viommu, parent, end } = guest({}, false);
  const tag = (device.instance as { vmids: { used: number } }).vmids.used;
  assert.is(tag, 1);
  refused('ENOENT', () => nic.attach(nested(S1).id));
  nic.attach(nested(BYPASS).id);
  const words = (): readonly bigint[] => (device.entry as { ste: readonly bigint[] }).ste;
  assert.is(words()[0], V | (6n << 1n), 'the stage 2 of the parent');
  nic.attach(nested(0n).id);
  assert.is(words()[0], V, 'abort');
  viommu.addDevice(nic.id, 5n);
  nic.attach(nested(S1, 0x1bn | (1n << 28n)).id);
  assert.is(words()[0], V | (7n << 1n) | 0x8000n, 'nested, with the context table of the guest');
  const word1 = words()[1] as bigint;
  assert.is(word1 & (1n << 19n), 1n << 19n, 'MEV');
  assert.is((word1 >> 28n) & 3n, 1n, 'EATS as the guest and the device want it');
  assert.is(word1 & 0xffn, 0x1bn);
  nic.attach(nested(S1).id);
  assert.is(((words()[1] as bigint) >> 28n) & 3n, 0n, 'no ATS without the guest');
  nic.attach(parent.id);
  end();
});

test('hardware information: raw registers, flags 0; other types are EOPNOTSUPP', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const info = client.getHwInfo(nic);
  if (info.data?.type !== 'ARM_SMMUV3') return assert.unreachable();
  assert.is(info.data.flags, 0);
  assert.is(Number(info.data.idr[0]) & 3, 3, 'both stages');
  assert.is((Number(info.data.idr[1]) >> 21) & 31, 19, 'log2 of the command queue');
  refused('EOPNOTSUPP', () => client.getHwInfo(nic, 'TEGRA241_CMDQV'));
  refused('EOPNOTSUPP', () => client.getHwInfo(nic, 'INTEL_VTD'));
  end();
});

test('a vIOMMU needs both stages, and a way to keep the guest from going around caches', () => {
  const cases: [Partial<SmmuUnitFeatures>, boolean, boolean][] = [
    [{}, true, true],
    [{}, false, true],
    [{ stage2Writeback: false }, true, true],
    [{ stage2Writeback: false }, false, false],
    [{ stage1: false }, true, false],
  ];
  for (const [features, alwaysCoherent, fine] of cases) {
    const { driver } = bench();
    const device = driver.addDevice('d', driver.addUnit(features), { alwaysCoherent });
    assert.is(driver.supportsViommu(device, 1), fine);
    assert.is(driver.supportsViommu(device, 2), false);
  }
});

test('the parent of a vIOMMU must be of the same SMMU: EINVAL', () => {
  const { client, bind, driver, device, end } = bench();
  const nic = bind(device);
  const other = bind(driver.addDevice('other', driver.addUnit()));
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  refused('EINVAL', () => client.viommuAlloc({ type: 'ARM_SMMUV3', device: other, parent }));
  end();
});

const TLBI_ALL = { cmd: [0x10n | (7n << 32n), 0n] } as const;

test('commands: VMID and stream id are overwritten, all others are EIO', () => {
  const { viommu, batches, end } = guest();
  const send = (...entries: (readonly [bigint, bigint])[]): number =>
    viommu.invalidate(
      'ARM_SMMUV3',
      entries.map((cmd) => ({ cmd })),
    );
  const count = send(
    [0x30n | (0xffffn << 32n), 0x77n],
    [0x11n | (9n << 48n) | (7n << 32n), 0n],
    [0x12n | (7n << 32n), 0x4001n],
    [0x40n | (5n << 32n), 0x34n],
    [0x05n | (5n << 32n), 1n],
    [0x06n | (5n << 32n), 0n],
  );
  assert.is(count, 6);
  assert.equal(batches, [
    [
      [0x10n | (1n << 32n), 0n],
      [0x11n | (9n << 48n) | (1n << 32n), 0n],
      [0x12n | (1n << 32n), 0x4001n],
      [0x40n | (0x18n << 32n), 0x34n],
      [0x05n | (0x18n << 32n), 1n],
      [0x06n | (0x18n << 32n), 0n],
    ],
  ]);
  refused('EIO', () => send([0x40n | (6n << 32n), 0n]));
  for (const op of [0x03n, 0x04n, 0x28n, 0x41n, 0x44n, 0x46n]) refused('EIO', () => send([op, 0n]));
  assert.is(batches.length, 1);
  end();
});

test('quirk 17: at a bad command the count is its index, though its batch was not issued', () => {
  const { viommu, batches, end } = guest();
  const entries = Array.from({ length: 70 }, () => TLBI_ALL);
  const bad = [...entries, { cmd: [0x03n, 0n] as const }, TLBI_ALL];
  const error = refused('EIO', () => viommu.invalidate('ARM_SMMUV3', bad));
  assert.is((error as unknown as { handled: number }).handled, 70);
  assert.equal(
    batches.map((batch) => batch.length),
    [63],
  );
  assert.is(viommu.invalidate('ARM_SMMUV3', entries), 70);
  assert.equal(
    batches.map((batch) => batch.length),
    [63, 63, 7],
  );
  end();
});

test('where the queue fails the count is the index of the last command of its batch', () => {
  const { viommu, device, end } = guest();
  (device.instance as { queueFailure: string }).queueFailure = 'EIO';
  const entries = Array.from({ length: 70 }, () => TLBI_ALL);
  const error = refused('EIO', () => viommu.invalidate('ARM_SMMUV3', entries));
  assert.is((error as unknown as { handled: number }).handled, 62);
  end();
});

test('quirk 6, SMMUv3: no entries are EINVAL in the base, and 0 in the newer kernel', () => {
  const base = guest();
  refused('EINVAL', () => base.viommu.invalidate('ARM_SMMUV3', []));
  refused('EINVAL', () => base.viommu.invalidate('VTD_S1', [{}]));
  base.end();
  const newer = guest({ invalidation: 'strict' });
  assert.is(newer.viommu.invalidate('ARM_SMMUV3', []), 0);
  refused('EINVAL', () => newer.viommu.invalidate('VTD_S1', []));
  newer.end();
});

test('the newer kernel counts only whole batches that were issued', () => {
  const { viommu, batches, end } = guest({ invalidation: 'strict' });
  const entries = Array.from({ length: 70 }, () => TLBI_ALL);
  const bad = [...entries, { cmd: [0x03n, 0n] as const }];
  const error = refused('EIO', () => viommu.invalidate('ARM_SMMUV3', bad));
  assert.is((error as unknown as { handled: number }).handled, 63);
  assert.equal(
    batches.map((batch) => batch.length),
    [63],
  );
  refused('EIO', () => viommu.invalidate('ARM_SMMUV3', [{ cmd: [0x10n | (1n << 12n), 0n] }]));
  end();
});

test('invalidation on a nested page table is EOPNOTSUPP', () => {
  const { nested, end } = guest();
  refused('EOPNOTSUPP', () => nested(S1).invalidate('ARM_SMMUV3', [TLBI_ALL]));
  end();
});

test('9.2: a domain of another SMMU is EINVAL, so two of them have two automatic page tables', () => {
  const { client, bind, driver, device, end } = bench();
  const ioas = client.ioasAlloc();
  const first = bind(device).attach(ioas.id);
  const second = bind(driver.addDevice('other', driver.addUnit())).attach(ioas.id);
  assert.is.not(first, second);
  end();
});

test('share_across_instances: compatible SMMUs share one table and are both told of unmaps', () => {
  const figures = (sharing: Sharing): { tables: number; flushes: number } => {
    const { test: kernel, client, bind, driver, device, end } = bench({ sharing });
    const ioas = client.ioasAlloc();
    const other = driver.addDevice('other', driver.addUnit());
    bind(device).attach(ioas.id);
    bind(other).attach(ioas.id);
    const length = 64n * 4096n;
    ioas.map({ userVa: kernel.alloc(Number(length)), length, iova: 0x100000n });
    const domains = new Set([device.domain, other.domain]);
    const tables = [...domains].reduce((sum, one) => sum + (one as SmmuPaging).tables, 0);
    ioas.unmap(0x100000n, length);
    const { invalidations: flushes } = driver.figures;
    const small = bind(
      driver.addDevice('small', driver.addUnit({ coherentWalks: true, stage1: false })),
    );
    small.attach(ioas.id);
    end();
    return { tables, flushes };
  };
  const apart = figures('instance');
  const shared = figures('capability');
  assert.is(apart.tables, 2 * shared.tables);
  assert.equal([apart.flushes, shared.flushes], [2, 2]);
});

test('PASIDs need context descriptors of the host, and a nested domain takes them away', () => {
  const { client, nic, nested, parent, device, end } = guest();
  const table = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), pasid: true });
  nic.attach(table.id, 3);
  assert.equal(device.pasids.get(3)?.entry, { asid: 1 });
  refused('EINVAL', () => nic.attach(parent.id));
  nic.attach(table.id);
  refused('EINVAL', () => nic.attach(nested(S1).id));
  nic.detach(3);
  nic.attach(nested(S1).id);
  refused('EINVAL', () => nic.attach(table.id, 3));
  end();
});

test("events: forwarded with the virtual stream id, or a page request, or the host's", () => {
  const { nested, nic, viommu, driver, device, end } = guest();
  const queue = viommu.eventQueue('ARM_SMMUV3', 8);
  nic.attach(nested(S1).id);
  const event = (id: bigint, word1 = 0n) =>
    driver.reportEvent(device, [id | (0x18n << 32n), word1, 0xabcn, 0n]);
  for (const id of [0x04n, 0x06n, 0x08n, 0x0an, 0x10n, 0x11n, 0x12n, 0x13n]) {
    assert.is(event(id), 'vevent', `event ${id}`);
  }
  assert.is(event(0x02n), 'host');
  assert.is(event(0x10n, 1n << 31n), 'page-request');
  assert.is(event(0x10n, 1n << 39n), 'host', "stage 2 is the host's");
  const events = queue.read();
  assert.is(events.length, 8);
  const first = events[0]?.event;
  assert.is(first?.evt[0], 0x04n | (5n << 32n));
  assert.is(first?.evt[2], 0xabcn);
  queue.close();
  end();
});

test('the doorbell window is managed by software', () => {
  const { client, bind, device, end } = bench();
  const ioas = client.ioasAlloc();
  bind(device).attach(ioas.id);
  assert.ok(ioas.iovaRanges().ranges.some(({ last }) => last === 0x7ffffffn));
  assert.ok(ioas.iovaRanges().ranges.some(({ start }) => start === 0x8100000n));
  end();
});

function tegra() {
  const made = bench({ features: { cmdqv: { ...CMDQV_FEATURES, interfaces: 2 } } });
  const nic = made.bind(made.device);
  const on = made.client.ioasAlloc();
  const parent = made.client.hwptAlloc({ device: nic, on, nestParent: true });
  return { ...made, nic, on, parent };
}

test('Tegra241: a vIOMMU needs its data, answers the window, and there are only so many', () => {
  const { client, nic, parent, end } = tegra();
  const none = client.call('VIOMMU_ALLOC', { type: 2, dev_id: nic.id, hwpt_id: parent.id });
  assert.is(none.error, 'EINVAL');
  const viommu = client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: nic, parent });
  assert.is(viommu.data?.out_vintf_mmap_length, 0x10000n);
  const offset = viommu.data?.out_vintf_mmap_offset as bigint;
  assert.ok(offset > 0n);
  refused('ENOSPC', () => client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: nic, parent }));
  viommu.destroy();
  client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: nic, parent });
  const info = client.getHwInfo(nic, 'TEGRA241_CMDQV');
  assert.is(info.data?.type === 'TEGRA241_CMDQV' && info.data.log2vcmdqs, 1);
  assert.is(client.getHwInfo(nic).data?.type, 'ARM_SMMUV3', 'the default');
  end();
});

test('Tegra241: virtual stream ids have 32 bits', () => {
  const { client, nic, parent, end } = tegra();
  const viommu = client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: nic, parent });
  refused('EINVAL', () => viommu.addDevice(nic.id, 1n << 32n));
  viommu.addDevice(nic.id, 0xffffffffn);
  end();
});

test('Tegra241: each rule of a queue', () => {
  const { test: kernel, client, nic, on, parent, end } = tegra();
  const viommu = client.viommuAlloc({ type: 'TEGRA241_CMDQV', device: nic, parent });
  on.map({ userVa: kernel.alloc(8192), length: 8192n, iova: 0x10000n });
  const queue = (index: number, length: bigint, iova = 0x10000n) =>
    viommu.hwQueue({ type: 'TEGRA241_CMDQV', index, iova, length });
  refused('EINVAL', () => queue(2, 4096n));
  refused('EIO', () => queue(1, 4096n));
  refused('EINVAL', () => queue(0, 16n));
  refused('EINVAL', () => queue(0, 48n));
  refused('EINVAL', () => queue(0, 64n, 0x10020n));
  const first = queue(0, 4096n);
  refused('EEXIST', () => queue(0, 4096n));
  const second = queue(1, 64n, 0x11000n);
  refused('EBUSY', () => first.destroy());
  second.destroy();
  first.destroy();
  end();
});

test.run();
