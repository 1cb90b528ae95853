import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PROT_READ, PROT_WRITE } from '../../driver.ts';
import { createPaperDriver } from './create.ts';
import { type PaperBench, paperBench, refused } from './testbench.ts';
import type { VtdDevice, VtdPaperDriver } from './vtd.ts';
import type { VtdPaging } from './vtd-domains.ts';
import type { VtdFeatures } from './vtd-unit.ts';

interface Vtd extends PaperBench {
  readonly driver: VtdPaperDriver;
  readonly device: VtdDevice;
  readonly records: unknown[];
}

function bench(features: Partial<VtdFeatures> = {}): Vtd {
  const records: unknown[] = [];
  const base = paperBench();
  const { memory } = base.test.kernel;
  const driver = createPaperDriver('vtd', { memory, observe: (record) => records.push(record) });
  const device = driver.addDevice('nic', driver.addUnit(features), { maxPasids: 1 << 20 });
  return { ...base, driver, device, records };
}

const STAGE1 = { type: 'VTD_S1', pgtbl_addr: 0x5000n } as const;

function domainOf(device: VtdDevice): VtdPaging {
  return device.domain as VtdPaging;
}

test('flags choose the stage, and what the unit lacks is EOPNOTSUPP (6.2)', () => {
  const { driver, device } = bench();
  const stage = (flags: number): number =>
    (driver.allocPaging(device, flags, null) as VtdPaging).stage;
  assert.is(stage(0), 1);
  assert.is(stage(8), 1);
  for (const flags of [1, 2, 3, 9, 10, 11]) assert.is(stage(flags), 2, `flags ${flags}`);
  refused('EOPNOTSUPP', () => stage(16));
  const data = { type: 1, address: 0n, length: 24, space: null as never };
  refused('EOPNOTSUPP', () => driver.allocPaging(device, 0, data));
  const legacy = driver.addDevice('old', driver.addUnit({ scalable: false }));
  assert.is((driver.allocPaging(legacy, 0, null) as VtdPaging).stage, 2);
  refused('EOPNOTSUPP', () => driver.allocPaging(legacy, 1, null));
  refused('EOPNOTSUPP', () => driver.allocPaging(legacy, 2, null));
  const plain = driver.addUnit({ nesting: false, coherentPasidWalks: false, secondStage: false });
  const poor = driver.addDevice('poor', plain);
  refused('EOPNOTSUPP', () => driver.allocPaging(poor, 1, null));
  refused('EOPNOTSUPP', () => driver.allocPaging(poor, 2, null));
  assert.is((driver.allocPaging(poor, 0, null) as VtdPaging).stage, 1);
});

test('quirk 10: hardware information always reports the SPR17 erratum', () => {
  const { client, bind, device, end } = bench({ supervisor: true });
  const nic = bind(device);
  const info = client.getHwInfo(nic);
  assert.is(info.data?.type, 'INTEL_VTD');
  if (info.data?.type !== 'INTEL_VTD') return;
  assert.is(info.data.flags, 1);
  assert.is(info.data.ecap_reg & (1n << 26n), 1n << 26n, 'ECAP.NEST');
  assert.is(info.data.ecap_reg & (1n << 31n), 1n << 31n, 'ECAP.SRS');
  assert.is(info.data.cap_reg & (1n << 60n), 1n << 60n, 'CAP.FL5LP');
  assert.is(info.maxPasids, 1 << 20);
  refused('EOPNOTSUPP', () => client.getHwInfo(nic, 'ARM_SMMUV3'));
  end();
});

test('D15, quirk 9: stage-1 values are taken at allocation and refused at attach', () => {
  const { client, bind, device, end } = bench({ fiveLevels: false });
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  const parent = client.hwptAlloc({ device: nic, on: ioas, nestParent: true });
  const nested = (addr_width: number, flags = 0n) =>
    client.hwptAlloc({ device: nic, on: parent, data: { ...STAGE1, addr_width, flags } });
  for (const width of [39, 57, 0]) refused('EINVAL', () => nic.attach(nested(width).id));
  refused('EINVAL', () => nic.attach(nested(48, 1n).id));
  refused('EINVAL', () => nic.attach(nested(48, 2n).id));
  // An unknown flag is never looked at.
  assert.is(nic.attach(nested(48, 1n << 40n).id) > 0, true);
  end();
});

test('a failed attach leaves the device blocked; the entry of a good one is complete', () => {
  const { client, bind, device, end } = bench({ supervisor: true });
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  const parent = client.hwptAlloc({ device: nic, on: ioas, nestParent: true, dirtyTracking: true });
  const data = { ...STAGE1, addr_width: 57, flags: 5n };
  const good = client.hwptAlloc({ device: nic, on: parent, data });
  const bad = client.hwptAlloc({ device: nic, on: parent, data: { ...STAGE1, addr_width: 39 } });
  refused('EINVAL', () => nic.attach(bad.id));
  assert.is(device.domain.kind, 'blocked');
  nic.attach(good.id);
  const entry = device.entry as Record<string, unknown>;
  assert.is(entry.translation, 'nested');
  assert.is(entry.stage1Levels, 5);
  assert.is(entry.stage1Table, 0x5000n);
  assert.is(entry.writeProtect, true);
  assert.is(entry.stage2Dirty, false);
  parent.setDirtyTracking(true);
  assert.is(
    (device.entry as Record<string, unknown>).stage2Dirty,
    true,
    'SSADE follows the parent',
  );
  end();
});

test('quirk 5, VT-d: another data type is EOPNOTSUPP, before the parent is looked at', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  const parent = client.hwptAlloc({ device: nic, on: ioas, nestParent: true });
  const ste = { type: 'ARM_SMMUV3', ste: [0n, 0n] } as const;
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: parent, data: ste }));
  const plain = client.hwptAlloc({ device: nic, on: ioas });
  refused('EINVAL', () => client.hwptAlloc({ device: nic, on: plain, data: STAGE1 }));
  const dirty = { device: nic, on: parent, dirtyTracking: true, data: STAGE1 };
  refused('EOPNOTSUPP', () => client.hwptAlloc(dirty));
  client.hwptAlloc({ device: nic, on: parent, pasid: true, data: STAGE1 });
  end();
});

test('a unit that does not nest refuses both halves with EOPNOTSUPP', () => {
  const { client, bind, device, end } = bench({ nesting: false });
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  refused('EOPNOTSUPP', () => client.hwptAlloc({ device: nic, on: ioas, nestParent: true }));
  end();
});

test('quirk 20, VT-d: dirty tracking goes with a nesting parent', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const on = client.ioasAlloc();
  client.hwptAlloc({ device: nic, on, nestParent: true, dirtyTracking: true });
  end();
});

test('invalidation: each rule of an entry, and the count of those before it', () => {
  const { client, bind, device, records, end } = bench();
  const nic = bind(device);
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const data = { ...STAGE1, addr_width: 48 };
  const nested = client.hwptAlloc({ device: nic, on: parent, data });
  nic.attach(nested.id);
  const good = { addr: 0x7000n, npages: 2n, flags: 1 };
  const handled = (code: 'EINVAL' | 'EOPNOTSUPP', entry: object): number => {
    const error = refused(code, () =>
      nested.invalidate('VTD_S1', [good, { ...good, ...entry }, good]),
    );
    return (error as unknown as { handled: number }).handled;
  };
  assert.is(handled('EOPNOTSUPP', { flags: 2 }), 1);
  assert.is(handled('EOPNOTSUPP', { __reserved: 1 }), 1);
  assert.is(handled('EINVAL', { addr: 0x7001n }), 1);
  assert.is(handled('EINVAL', { npages: 0xffff_ffff_ffff_ffffn }), 1);
  assert.is(nested.invalidate('VTD_S1', [{ npages: 0xffff_ffff_ffff_ffffn }]), 1);
  const ranges = records.filter((record) => (record as { kind: string }).kind === 'range');
  assert.is(ranges.length, 5);
  assert.equal(ranges[0], {
    kind: 'range',
    unit: device.instance,
    domain: device.domain,
    first: 0x7000n,
    last: 0x8fffn,
    leaf: true,
  });
  end();
});

test('quirk 6, VT-d: no entries are a question for the type: 0, or EINVAL for another', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const parent = client.hwptAlloc({ device: nic, on: client.ioasAlloc(), nestParent: true });
  const nested = client.hwptAlloc({ device: nic, on: parent, data: STAGE1 });
  assert.is(nested.invalidate('VTD_S1', []), 0);
  refused('EINVAL', () => nested.invalidate('ARM_SMMUV3', []));
  refused('EINVAL', () => nested.invalidate('SELFTEST', [{}]));
  end();
});

test('a nesting parent refuses read-only mappings with EINVAL (erratum)', () => {
  const { test: kernel, client, bind, device, end } = bench();
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  const userVa = kernel.alloc(4096);
  client.hwptAlloc({ device: nic, on: ioas, nestParent: true });
  refused('EINVAL', () => ioas.map({ userVa, length: 4096n, write: false }));
  ioas.map({ userVa, length: 4096n });
  end();
});

test('units share a domain where their capabilities agree, and not otherwise (9.2)', () => {
  const { client, bind, driver, device, end } = bench();
  const first = bind(device);
  const same = bind(driver.addDevice('same', driver.addUnit()));
  const lacks: Partial<VtdFeatures>[] = [
    { firstStage: false },
    { firstStage1G: false },
    { coherentWalks: false },
    { writeBuffers: true },
    { fiveLevels: false },
  ];
  const ioas = client.ioasAlloc();
  const hwpt = first.attach(ioas.id);
  assert.is(same.attach(ioas.id), hwpt, 'the automatic page table serves both');
  lacks.forEach((features, i) => {
    const other = bind(driver.addDevice(`other${i}`, driver.addUnit(features)));
    const manual = client.hwptAlloc({ device: first, on: client.ioasAlloc() });
    refused('EINVAL', () => other.attach(manual.id));
    assert.is.not(other.attach(ioas.id), hwpt, `${Object.keys(features)[0]}: its own page table`);
  });
  end();
});

test('a second stage is compared by dirty flags, nesting, page sizes, width and caching mode', () => {
  const { client, bind, driver, device, end } = bench();
  const first = bind(device);
  const needs: [Partial<VtdFeatures>, object][] = [
    [{ dirtyFlags: false }, { dirtyTracking: true }],
    [{ nesting: false }, { nestParent: true }],
    [{ secondStage: false }, { nestParent: true }],
    [{ secondStage2M: false }, { dirtyTracking: true }],
    [{ secondStage1G: false }, { dirtyTracking: true }],
    [{ addressBits: 48 }, { dirtyTracking: true }],
    [{ cachingMode: true }, { dirtyTracking: true }],
    [{ snoopControl: false }, {}],
  ];
  needs.forEach(([features, flags], i) => {
    const hwpt = client.hwptAlloc({ device: first, on: client.ioasAlloc(), ...flags });
    const other = bind(driver.addDevice(`other${i}`, driver.addUnit(features)));
    refused('EINVAL', () => other.attach(hwpt.id));
    first.attach(hwpt.id);
  });
  end();
});

test('no domain id left in a unit is ENOSPC, and detaching gives it back', () => {
  const { client, bind, driver, device, end } = bench({ domainIdBits: 4 });
  const unit = device.instance;
  const devices = [device];
  for (let i = 1; i < 16; i++) devices.push(driver.addDevice(`nic${i}`, unit));
  const bound = devices.map((one) => bind(one));
  for (const one of bound.slice(0, 14)) one.attach(client.ioasAlloc().id);
  refused('ENOSPC', () => bound[14]?.attach(client.ioasAlloc().id));
  bound[3]?.detach();
  bound[14]?.attach(client.ioasAlloc().id);
  assert.is(unit.domainIds.used, 14);
  end();
  assert.is(unit.domainIds.used, 0);
});

test('PASIDs take nested domains; a refusal leaves the PASID as it was', () => {
  const { client, bind, device, end } = bench();
  const nic = bind(device);
  const ioas = client.ioasAlloc();
  const parent = client.hwptAlloc({ device: nic, on: ioas, nestParent: true });
  const make = (addr_width: number) => {
    const data = { ...STAGE1, addr_width };
    return client.hwptAlloc({ device: nic, on: parent, pasid: true, data });
  };
  const good = make(48);
  assert.is(nic.attach(good.id, 7), good.id);
  refused('EINVAL', () => nic.attach(make(39).id, 7));
  assert.is(device.pasids.get(7)?.domain.kind, 'nested');
  nic.detach(7);
  assert.is(device.pasids.size, 0);
  end();
});

test('dirty pages are those that the device wrote, once; unmapping is told to each unit', () => {
  const { test: kernel, client, bind, driver, device, records, end } = bench();
  const nic = bind(device);
  const other = bind(driver.addDevice('other', driver.addUnit()));
  const ioas = client.ioasAlloc();
  const hwpt = client.hwptAlloc({ device: nic, on: ioas, dirtyTracking: true });
  nic.attach(hwpt.id);
  other.attach(hwpt.id);
  const length = 16n * 4096n;
  ioas.map({ userVa: kernel.alloc(Number(length)), length, iova: 0x100000n });
  hwpt.setDirtyTracking(true);
  const domain = domainOf(device);
  assert.ok(domain.write(0x103010n));
  assert.ok(domain.write(0x10f000n));
  assert.not.ok(domain.write(0x110000n));
  const range = { iova: 0x100000n, length, pageSize: 4096n };
  assert.equal([...hwpt.dirtyPages({ ...range, clear: false })], [0x103, 0x10f]);
  assert.equal([...hwpt.dirtyPages(range)], [0x103, 0x10f]);
  assert.equal([...hwpt.dirtyPages(range)], []);
  assert.is(domain.protAt(0x100000n) & (PROT_READ | PROT_WRITE), PROT_READ | PROT_WRITE);
  const before = records.length;
  ioas.unmap(0x100000n, length);
  assert.is(records.length - before, 2);
  end();
});

test('the interrupt window is reserved for each device', () => {
  const { client, bind, device, end } = bench();
  const ioas = client.ioasAlloc();
  bind(device).attach(ioas.id);
  const ranges = ioas.iovaRanges().ranges;
  assert.ok(ranges.some(({ last }) => last === 0xfee0_0000n - 1n));
  assert.ok(ranges.some(({ start }) => start === 0xfef0_0000n));
  end();
});

test.run();
