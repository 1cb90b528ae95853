import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { defaults } from '../../../../../sim/spec.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import { type VtdIdentity, vtdIdentity, vtdSpec } from '../../../../iommu/vtd/spec.ts';
import { HardwareBench } from './testbench.ts';
import { VtdIommufdDriver } from './vtd.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const ONE = 0x0318;
const TWO = 0x0520;
const MAP = ['READABLE', 'WRITEABLE', 'FIXED_IOVA'];
const PAGE = 4096;
const IOVA = 0x1000000n;
const FIRST = 0x1000;
const PAGES = 16;
const SNOOP_CONTROL = 1n << 7n;

function setUp(second: Partial<VtdIdentity> = {}, shareAcrossInstances = true) {
  const bench = new HardwareBench();
  const units = [bench.vtd(), bench.vtd(second)] as const;
  const driver = new VtdIommufdDriver(bench.ports({ shareAcrossInstances }));
  const devices = [
    driver.addDevice(driver.addUnit(units[0].driver), 'one', ONE),
    driver.addDevice(driver.addUnit(units[1].driver), 'two', TWO),
  ] as const;
  const ioas = bench.ok('IOAS_ALLOC', {}, 'out_ioas_id');
  const memory = bench.alloc(PAGES * PAGE);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: PAGES * PAGE, iova: IOVA };
  bench.ok('IOAS_MAP', map);
  const frameOf = (i: number) => bench.frameAt(memory + BigInt(i * PAGE));
  const attach = (fd: number, pt_id = ioas) =>
    bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id }, 'pt_id');
  return { bench, units, driver, devices, ioas, frameOf, attach };
}

function identity(changes: Parameters<typeof vtdIdentity>[0]): VtdIdentity {
  return vtdIdentity(changes);
}

test('IOAS_MAP makes the unit translate, IOAS_UNMAP takes it away from its caches too', () => {
  const { bench, units, driver, devices, ioas, frameOf, attach } = setUp();
  const [unit] = units;
  assert.is(unit.translate(ONE, FIRST, RW), -1);
  const bound = bench.bind(devices[0]);
  assert.is(bound.error, '');
  attach(bound.fd);
  for (let i = 0; i < PAGES; i++) assert.is(unit.translate(ONE, FIRST + i, RW), frameOf(i));
  assert.is(unit.translate(ONE, FIRST + PAGES, RW), -1);
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: IOVA, length: PAGES * PAGE });
  for (let i = 0; i < PAGES; i++) assert.is(unit.translate(ONE, FIRST + i, RW), -1);
  bench.calls.close(bound.fd);
  bench.calls.close(bench.fd);
  assert.is(bench.kernel.memory.bytes, 0);
  assert.is(bench.kernel.pins.total, 0);
  assert.is(driver.core.frames.inUse, 0);
});

test('a detached device is refused, whatever its unit has cached', () => {
  const { bench, units, devices, frameOf, attach } = setUp();
  const { fd } = bench.bind(devices[0]);
  attach(fd);
  assert.is(units[0].translate(ONE, FIRST, RW), frameOf(0));
  bench.okOn(fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {});
  assert.is(units[0].translate(ONE, FIRST, RW), -1);
});

test('the device information is the capability registers; the interrupt window is reserved', () => {
  const { bench, units, devices, ioas, attach } = setUp();
  const { fd, id } = bench.bind(devices[0]);
  const info = bench.call('GET_HW_INFO', { dev_id: id, data_len: 24 });
  const { capabilities, extended } = units[0].driver;
  assert.equal(info.data, {
    flags: ['ERRATA_772415_SPR17'],
    __reserved: 0,
    cap_reg: capabilities,
    ecap_reg: extended,
  });
  attach(fd);
  assert.equal(bench.call('IOAS_IOVA_RANGES', { ioas_id: ioas }).data, [
    { start: 0n, last: 0xfedfffffn },
    { start: 0xfef00000n, last: 2n ** 57n - 1n },
  ]);
});

test('legacy mode has no nesting, no dirty tracking, and takes no data', () => {
  const { bench, devices, ioas } = setUp();
  const { id } = bench.bind(devices[0]);
  const error = (fields: object) =>
    bench.call('HWPT_ALLOC', { dev_id: id, pt_id: ioas, ...fields }).error;
  assert.is(error({ flags: 'NEST_PARENT' }), 'EOPNOTSUPP');
  assert.is(error({ flags: 'DIRTY_TRACKING' }), 'EOPNOTSUPP');
  assert.is(error({ data_type: 'VTD_S1', data: new Uint8Array(24) }), 'EOPNOTSUPP');
  assert.is(error({ flags: [] }), '');
});

test('two units share a domain when their capabilities agree, and both are invalidated', () => {
  const { bench, units, driver, devices, ioas, frameOf, attach } = setUp();
  const hwpt = attach(bench.bind(devices[0]).fd);
  const tables = driver.core.frames.inUse;
  assert.is(attach(bench.bind(devices[1]).fd), hwpt);
  assert.is(driver.core.frames.inUse, tables);
  assert.is(units[0].translate(ONE, FIRST, RW), frameOf(0));
  assert.is(units[1].translate(TWO, FIRST, RW), frameOf(0));
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: IOVA, length: PAGES * PAGE });
  assert.is(units[0].translate(ONE, FIRST, RW), -1);
  assert.is(units[1].translate(TWO, FIRST, RW), -1);
  const { figures } = driver.core;
  assert.equal(
    [figures.domains, figures.sharedAttachments, figures.invalidations, figures.broadcasts],
    [1, 1, 2, 1],
  );
});

test('units that differ, or may not share, get a second automatic page table', () => {
  const narrow = identity({ ...defaults(vtdSpec), levels: '4' });
  const small = identity({ ...defaults(vtdSpec), large_pages: '2MiB' });
  const { ecap } = vtdIdentity(defaults(vtdSpec));
  const cases = [setUp(narrow), setUp(small), setUp({ ecap: ecap & ~1n }), setUp({}, false)];
  for (const { bench, units, driver, devices, ioas, frameOf, attach } of cases) {
    const hwpt = attach(bench.bind(devices[0]).fd);
    const { fd, id } = bench.bind(devices[1]);
    const refused = bench.callOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: hwpt });
    assert.is(refused.error, 'EINVAL');
    const other = attach(fd);
    assert.is.not(other, hwpt);
    assert.ok(id > 0);
    assert.is(units[0].translate(ONE, FIRST, RW), frameOf(0));
    assert.is(units[1].translate(TWO, FIRST, RW), frameOf(0));
    const before = driver.core.figures.entriesWritten;
    bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: IOVA, length: PAGES * PAGE });
    const { figures } = driver.core;
    assert.is(figures.entriesWritten - before, 2 * PAGES, 'each table is changed');
    assert.equal(
      [figures.domains, figures.sharedAttachments, figures.invalidations, figures.broadcasts],
      [2, 0, 2, 0],
    );
    assert.is(units[1].translate(TWO, FIRST, RW), -1);
  }
});

test('a domain that forces snooping keeps to units that can, and its leaves say so', () => {
  const { ecap } = vtdIdentity(defaults(vtdSpec));
  const bench = new HardwareBench();
  const able = bench.vtd({ ecap: ecap | SNOOP_CONTROL });
  const driver = new VtdIommufdDriver(bench.ports());
  const one = driver.addDevice(driver.addUnit(able.driver), 'one', ONE);
  const two = driver.addDevice(driver.addUnit(bench.vtd().driver), 'two', TWO);
  const domain = driver.allocPaging(one, 0, null);
  assert.is(domain.enforceCoherency?.(), true);
  domain.map(IOVA, 0x5000_0000n, 4096n, 3);
  domain.attach(one, null);
  assert.is(able.translate(ONE, FIRST, RW), 0x50000);
  assert.throws(() => domain.attach(two, null), /cannot force snooping/);
  assert.is(domain.iovaToPhys(IOVA + 5n), 0x5000_0005n);
});

test('hardware ids are used again; without one left an attachment is ENOSPC', () => {
  const bench = new HardwareBench();
  const unit = bench.vtd(identity({ ...defaults(vtdSpec), domain_id_bits: '8' }));
  const driver = new VtdIommufdDriver(bench.ports());
  const home = driver.addUnit(unit.driver);
  const devices = Array.from({ length: 255 }, (_, i) => driver.addDevice(home, `d${i}`, 256 + i));
  for (let round = 0; round < 3; round++) {
    const domains = devices.map((device) => driver.allocPaging(device, 0, null));
    for (let i = 0; i < 254; i++) domains[i].attach(devices[i], null);
    assert.throws(() => domains[254].attach(devices[254], null), /no hardware id left/);
    for (const device of devices) driver.blocked.attach(device, null);
    for (const domain of domains) domain.free();
  }
  assert.is(driver.core.frames.inUse, 0);
});

test.run();
