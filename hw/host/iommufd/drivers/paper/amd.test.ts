import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { AmdFeatures, AmdPaperOptions } from './amd.ts';
import { createPaperDriver } from './create.ts';
import { paperBench, refused } from './testbench.ts';

function bench(options: Partial<AmdPaperOptions> = {}, features: Partial<AmdFeatures> = {}) {
  const base = paperBench();
  const driver = createPaperDriver('amd', { memory: base.test.kernel.memory, ...options });
  const device = driver.addDevice('nic', driver.addUnit(features));
  return { ...base, driver, device };
}

/** Type of a vIOMMU that no header names. */
const ANY_TYPE = 77;
const GV = 1n << 55n;
const V = 1n;

function guest(options: Partial<AmdPaperOptions> = {}, features: Partial<AmdFeatures> = {}) {
  const made = bench(options, features);
  const nic = made.bind(made.device);
  const { client } = made;
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const fields = { type: ANY_TYPE, dev_id: nic.id, hwpt_id: parent.id };
  const report = client.call('VIOMMU_ALLOC', fields);
  const viommu = { id: Number(report.out.out_viommu_id) };
  const nested = (...dte: [bigint, bigint, bigint, bigint]) =>
    client.hwptAlloc({ device: nic, on: viommu, data: { type: 'AMD_GUEST', dte } });
  return { ...made, nic, parent, viommu, report, nested };
}

test('flags choose the format, and what no format can do is EOPNOTSUPP (6.2)', () => {
  const { driver, device } = bench();
  const bits = (flags: number): number =>
    driver.allocPaging(device, flags, null).apertureEnd.toString(2).length;
  assert.is(bits(0), 64);
  for (const flags of [1, 2, 3]) assert.is(bits(flags), 64, `flags ${flags}: v1`);
  assert.is(bits(8), 56, 'v2 with five levels');
  for (const flags of [9, 10, 11, 16]) refused('EOPNOTSUPP', () => bits(flags));
  const lacks: [Partial<AmdFeatures>, number][] = [
    [{ guestTranslation: false }, 1],
    [{ guestIo: false }, 1],
    [{ guestRootByPhysical: false }, 1],
    [{ dirtyFlags: false }, 2],
    [{ pasid: false }, 8],
  ];
  for (const [features, flags] of lacks) {
    const other = driver.addDevice('other', driver.addUnit(features));
    refused('EOPNOTSUPP', () => driver.allocPaging(other, flags, null));
  }
});

test('quirk 20, AMD: dirty tracking goes with a nesting parent', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true, dirtyTracking: true });
  end();
});

test('quirk 11: any vIOMMU type is taken, and can do nothing', () => {
  const { report, nested, viommu, client, end } = guest();
  assert.is(report.error, '');
  refused('EOPNOTSUPP', () => nested(0n, 0n, 0n, 0n));
  const invalidate = client.call('HWPT_INVALIDATE', { hwpt_id: viommu.id });
  assert.is(invalidate.error, 'EOPNOTSUPP');
  end();
});

test('hardware information: the feature registers; other types are EOPNOTSUPP', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const { data } = client.getHwInfo(nic);
  if (data?.type !== 'AMD') return assert.unreachable();
  assert.is(data.efr & (1n << 4n), 1n << 4n, 'GTSup');
  assert.is(data.efr & (1n << 52n), 1n << 52n, 'HDSup');
  refused('EOPNOTSUPP', () => client.getHwInfo(nic, 'INTEL_VTD'));
  end();
});

test('a guest entry, where it can be given: each rule of its check (6.6)', () => {
  const { nested, client, nic, viommu, end } = guest(
    { nestedReachable: true },
    { fiveLevels: false },
  );
  const root = 1n << 58n;
  refused('EINVAL', () => nested(1n << 9n, 0n, 0n, 0n));
  refused('EINVAL', () => nested(1n << 12n, 0n, 0n, 0n));
  refused('EINVAL', () => nested(V | GV, 0n, 0n, 0n));
  refused('EINVAL', () => nested(V | GV | root, 0n, 2n << 54n, 0n));
  refused('EINVAL', () => nested(V | GV | root | (3n << 56n), 0n, 0n, 0n));
  refused('EOPNOTSUPP', () => nested(V | GV | root, 0n, 1n << 54n, 0n));
  nested(V | GV | root, 0n, 0n, 0n);
  const ste = { type: 'ARM_SMMUV3', ste: [0n, 0n] } as const;
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: viommu, data: ste }));
  end();
});

test('equal guest domain ids share a host id until the last has gone; none left is ENOSPC', () => {
  const { nested, nic, driver, device, end } = guest({ nestedReachable: true, domainIds: 4 });
  const root = 1n << 58n;
  const make = (id: bigint) => nested(V | GV | root, id, 0n, 0n);
  const [first, second] = [make(7n), make(7n)];
  assert.is(driver.domainIds.used, 2, 'the parent and one guest id');
  const other = make(8n);
  refused('ENOSPC', () => make(9n));
  other.destroy();
  first.destroy();
  const third = make(7n);
  nic.attach(third.id);
  const entry = device.entry as readonly bigint[];
  const host = (entry[1] as bigint) & 0xffffn;
  assert.is(host, 2n, "the guest's id 7 is not in the entry");
  assert.is((entry[0] as bigint) & GV, GV);
  assert.is((entry[0] as bigint) & root, root);
  nic.detach();
  second.destroy();
  third.destroy();
  assert.is(driver.domainIds.used, 1);
  end();
});

test('attach compares dirty tracking only', () => {
  const { client, bind, driver, device, end } = bench();
  const nic = bind(device);
  const other = bind(driver.addDevice('other', driver.addUnit({ dirtyFlags: false })));
  const dirty = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), dirtyTracking: true });
  refused('EINVAL', () => other.attach(dirty.id));
  const ioas = client.ioasAlloc();
  assert.is(nic.attach(ioas.id), other.attach(ioas.id));
  end();
});

test('interrupt and HyperTransport windows are reserved', () => {
  const { client, bind, device, end } = bench({}, { hyperTransport: true });
  const ioas = client.ioasAlloc();
  bind(device).attach(ioas.id);
  const lasts = ioas.iovaRanges().ranges.map(({ last }) => last);
  assert.equal(lasts, [0xfedf_ffffn, 0xfc_ffff_ffffn, 0xffff_ffff_ffff_ffffn]);
  end();
});

test.run();
