import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import { DEFAULT_RISCV_SPEC } from '../../../../iommu/riscv/capabilities.ts';
import { SV48 } from '../../../../iommu/riscv/formats.ts';
import type { RiscvIommu } from '../../../../iommu/riscv/unit.ts';
import type { RiscvDriver } from '../../../drivers/riscv.ts';
import { decode, encode } from '../../uapi/codec.ts';
import { HWPT_PAGE_RESPONSE, HWPT_PGFAULT } from '../../uapi/structs.ts';
import type { HardwareDeviceOptions } from './device.ts';
import { Guest } from './guest-testbench.ts';
import { type RiscvHardwareUnit, RiscvIommufdDriver } from './riscv.ts';
import { type BenchUnit, HardwareBench } from './testbench.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 0x0318;
const MAP = ['READABLE', 'WRITEABLE', 'FIXED_IOVA'];
const GUEST_PAGES = 1024;
const PAGE = 4096;
const ALL = 2n ** 64n - 1n;

function setUp(options: HardwareDeviceOptions = {}, iommufd = true, cached = true) {
  const bench = new HardwareBench(cached);
  const unit = bench.riscv();
  const driver = new RiscvIommufdDriver(bench.ports(), { iommufd });
  const device = driver.addDevice(driver.addUnit(unit.driver), 'nic', DEVICE, options);
  return { bench, unit, driver, device };
}

/** An IOAS with the guest's memory at IOVA 0 in pages of 4 KiB, and a domain on it. */
function setUpGuest(flags: readonly string[], options: HardwareDeviceOptions = {}, cached = true) {
  const setup = setUp(options, true, cached);
  const { bench, device } = setup;
  const { fd, id } = bench.bind(device);
  const ioas = bench.ok('IOAS_ALLOC', {}, 'out_ioas_id');
  bench.ok('OPTION', { option_id: 'HUGE_PAGES', op: 'SET', object_id: ioas, val64: 0 });
  const memory = bench.alloc(GUEST_PAGES * PAGE);
  const length = GUEST_PAGES * PAGE;
  bench.ok('IOAS_MAP', { ioas_id: ioas, flags: MAP, user_va: memory, length, iova: 0 });
  const parent = bench.ok('HWPT_ALLOC', { dev_id: id, pt_id: ioas, flags }, 'out_hwpt_id');
  const guest = new Guest(bench.process.space, memory, GUEST_PAGES, SV48);
  const frameOf = (guestPage: number) => bench.frameAt(memory + BigInt(guestPage * PAGE));
  return { ...setup, fd, id, ioas, memory, parent, guest, frameOf };
}

/** The same with a nested page table on the guest's own tables, attached. */
function setUpNested(
  flags: readonly string[] = ['NEST_PARENT'],
  extra = {},
  options: HardwareDeviceOptions = {},
  cached = true,
) {
  const setup = setUpGuest(flags, options, cached);
  const { bench, id, parent, guest, fd } = setup;
  const data = { flags: ['ACCESSED_DIRTY'], root_ppn: guest.root, mode: 'SV48' };
  const fields = { dev_id: id, pt_id: parent, data_type: 'RISCV_S1', data, ...extra };
  const nested = bench.ok('HWPT_ALLOC', fields, 'out_hwpt_id');
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: nested });
  return { ...setup, nested };
}

function close(bench: HardwareBench, ...fds: readonly number[]): void {
  for (const fd of fds) bench.calls.close(fd);
  bench.calls.close(bench.fd);
}

test('as in Linux, nothing can be bound unless the scenario says so', () => {
  const { bench, device } = setUp({}, false);
  assert.is(bench.bind(device).error, 'EINVAL');
});

test('from bind to a walk of 24 references through both stages, and back to nothing', () => {
  const setup = setUpNested(['NEST_PARENT'], {}, {}, false);
  const { bench, unit, driver, fd, guest, frameOf, id, nested, parent, ioas } = setup;
  const info = bench.call('GET_HW_INFO', { dev_id: id, data_len: 24 });
  assert.is(info.out.out_data_type, 'RISCV');
  assert.equal(info.data, {
    flags: 0,
    __reserved: 0,
    capabilities: DEFAULT_RISCV_SPEC.capabilities,
    fctl: 2,
    __reserved2: 0,
  });
  assert.equal(info.out.out_capabilities, ['DIRTY_TRACKING', 'PCI_ATS_NOT_SUPPORTED']);
  guest.map(0x7fff1, 700);
  assert.is(unit.translate(DEVICE, 0x7fff1, RW), frameOf(700));
  assert.is(unit.iommu.walk.refs1 + unit.iommu.walk.refs2, 24);
  assert.is(unit.translate(DEVICE, 0x7fff2, RW), -1);
  bench.okOn(fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {});
  assert.is(unit.translate(DEVICE, 0x7fff1, RW), -1);
  for (const object of [nested, parent, ioas]) bench.ok('DESTROY', { id: object });
  close(bench, fd);
  assert.is(bench.kernel.memory.bytes, 0);
  assert.is(bench.kernel.pins.total, 0);
  assert.is(driver.core.frames.inUse, 0);
});

test('what the guest unmaps stays cached until HWPT_INVALIDATE names it', () => {
  const { bench, unit, guest, frameOf, nested } = setUpNested();
  const invalidate = (data: object, hwpt_id = nested) =>
    bench.call('HWPT_INVALIDATE', { hwpt_id, data_type: 'RISCV_S1', data: [data] as never });
  for (const page of [5, 6, 7]) guest.map(page, 700 + page);
  for (const page of [5, 6, 7]) assert.is(unit.translate(DEVICE, page, RW), frameOf(700 + page));
  for (const page of [5, 6, 7]) guest.unmap(page);
  assert.is(unit.translate(DEVICE, 5, RW), frameOf(705));
  assert.is(invalidate({ addr: 5 * PAGE, npages: 1, flags: 'LEAF' }).errno, 0);
  assert.is(unit.translate(DEVICE, 5, RW), -1);
  assert.is(unit.translate(DEVICE, 6, RW), frameOf(706));
  assert.is(invalidate({ addr: 6 * PAGE, npages: 1 }).errno, 0);
  assert.is(unit.translate(DEVICE, 6, RW), -1);
  assert.is(unit.translate(DEVICE, 7, RW), -1, 'without LEAF all of the address space went');
  guest.map(7, 700);
  assert.is(unit.translate(DEVICE, 7, RW), frameOf(700));
  guest.unmap(7);
  assert.is(invalidate({ npages: ALL, flags: ['LEAF', 'GLOBAL'] }).errno, 0);
  assert.is(unit.translate(DEVICE, 7, RW), -1);
});

test('entries of an invalidation are checked, and those before a bad one have been done', () => {
  const { bench, nested, parent } = setUpNested();
  const good = { addr: 0, npages: 1 };
  const refused = (data: object[], fields = {}) => {
    const call = { hwpt_id: nested, data_type: 'RISCV_S1', data: data as never, ...fields };
    const { error, out } = bench.call('HWPT_INVALIDATE', call);
    return [error, out.entry_num];
  };
  assert.equal(refused([good, { ...good, addr: 1 }]), ['EINVAL', 1]);
  assert.equal(refused([{ ...good, flags: 4 }]), ['EOPNOTSUPP', 0]);
  assert.equal(refused([{ ...good, __reserved: 1 }]), ['EOPNOTSUPP', 0]);
  assert.equal(refused([{ addr: PAGE, npages: ALL }]), ['EINVAL', 0]);
  assert.equal(refused([{ addr: 0, npages: 0 }]), ['EINVAL', 0]);
  assert.equal(refused([{ addr: PAGE, npages: 2n ** 52n }]), ['EOVERFLOW', 0]);
  assert.equal(refused([good], { hwpt_id: parent }), ['EINVAL', 0]);
});

test('the data of a nested page table is checked when it is made', () => {
  const { bench, id, parent, guest } = setUpGuest(['NEST_PARENT']);
  const data = { flags: [] as string[], root_ppn: guest.root, mode: 'SV48', pscid: 0 };
  const error = (changes: object, fields = {}) =>
    bench.call('HWPT_ALLOC', {
      dev_id: id,
      pt_id: parent,
      data_type: 'RISCV_S1',
      data: { ...data, ...changes },
      ...fields,
    }).error;
  assert.is(error({ flags: 4 }), 'EOPNOTSUPP');
  assert.is(error({ mode: 7 }), 'EINVAL');
  assert.is(error({ root_ppn: 2n ** 44n }), 'EINVAL');
  assert.is(error({ pscid: 5 }), 'EINVAL');
  assert.is(error({ flags: 'PSCID', pscid: 2 ** 20 }), 'EINVAL');
  assert.is(error({ mode: 'BARE' }), 'EINVAL');
  assert.is(error({}, { flags: 'PASID' }), 'EOPNOTSUPP');
  assert.is(error({}, { data_type: 1, data: new Uint8Array(24) }), 'EOPNOTSUPP');
  assert.is(error({ flags: 'PSCID', pscid: 5 }), '');
});

test('a guest may name its PSCID, or have no first stage at all', () => {
  const { bench, unit, id, parent, fd, frameOf, guest } = setUpGuest(['NEST_PARENT']);
  const alloc = (data: object) => {
    const fields = { dev_id: id, pt_id: parent, data_type: 'RISCV_S1', data: data as never };
    return bench.ok('HWPT_ALLOC', fields, 'out_hwpt_id');
  };
  const attach = (pt_id: number) => bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id });
  attach(alloc({ mode: 'BARE' }));
  assert.is(unit.translate(DEVICE, 700, RW), frameOf(700));
  attach(alloc({ flags: 'PSCID', pscid: 77, root_ppn: guest.root, mode: 'SV48' }));
  guest.map(5, 701);
  assert.is(unit.translate(DEVICE, 5, RW), frameOf(701));
  assert.is(unit.iommu.outcome.context?.tag1, 77);
});

test('an unmap of guest memory is seen through both stages once it is synchronised', () => {
  const { bench, unit, guest, frameOf, ioas } = setUpNested();
  guest.map(5, 700);
  const frame = frameOf(700);
  assert.is(unit.translate(DEVICE, 5, RW), frame);
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: 0, length: GUEST_PAGES * PAGE });
  assert.is(unit.translate(DEVICE, 5, RW), -1);
});

test('the dirty bitmap has the pages that devices wrote, once', () => {
  const { bench, unit, fd, parent } = setUpGuest(['DIRTY_TRACKING']);
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: parent });
  const range = { hwpt_id: parent, iova: 0, length: GUEST_PAGES * PAGE, page_size: PAGE };
  const dirty = (flags: readonly string[] = []) =>
    bench.call('HWPT_GET_DIRTY_BITMAP', { ...range, flags }).data;
  assert.is.not(unit.translate(DEVICE, 9, RW), -1);
  assert.equal(dirty(), [], 'not tracked yet');
  bench.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id: parent, flags: 'ENABLE' });
  const written = [0, 3, 511, 512, 700, 1023];
  for (const page of written) assert.is.not(unit.translate(DEVICE, page, RW), -1);
  for (const page of [1, 513]) assert.is.not(unit.translate(DEVICE, page, ACCESS_READ), -1);
  assert.equal(dirty(['NO_CLEAR']), written);
  assert.equal(dirty(), written);
  assert.equal(dirty(), []);
  // Cached translations that say "dirty already" went with the bits.
  assert.is.not(unit.translate(DEVICE, 700, RW), -1);
  assert.equal(dirty(), [700]);
  bench.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id: parent, flags: [] });
  assert.is.not(unit.translate(DEVICE, 3, RW), -1);
  assert.equal(dirty(), []);
});

test('under a guest, its tables are written too where hardware marks them', () => {
  const { bench, unit, parent, guest } = setUpNested(['NEST_PARENT', 'DIRTY_TRACKING']);
  guest.map(5, 700);
  bench.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id: parent, flags: 'ENABLE' });
  assert.is.not(unit.translate(DEVICE, 5, RW), -1);
  const range = { hwpt_id: parent, iova: 0, length: GUEST_PAGES * PAGE, page_size: PAGE };
  assert.equal(bench.call('HWPT_GET_DIRTY_BITMAP', range).data, [700]);
});

test('a large page that is written is dirty as a whole', () => {
  const { bench, unit, driver, device } = setUp();
  const domain = driver.allocPaging(device, 2, null);
  domain.map(0n, 0x4000_0000n, 0x20_0000n, 3);
  domain.attach(device, null);
  domain.dirty?.setTracking(true);
  assert.is(unit.translate(DEVICE, 17, RW), 0x40000 + 17);
  const found: bigint[] = [];
  domain.dirty?.readAndClear(0x1_0000n, 0x2_0000n, true, (iova, bytes) => found.push(iova, bytes));
  assert.equal(found, [0x1_0000n, 0x2_0000n]);
  bench.calls.close(bench.fd);
});

test('a first stage is used where neither nesting nor dirty tracking is asked for', () => {
  const { bench, unit, device, driver } = setUp();
  const { fd } = bench.bind(device);
  const ioas = bench.ok('IOAS_ALLOC', {}, 'out_ioas_id');
  const memory = bench.alloc(PAGE);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: PAGE, iova: 0x5000 };
  bench.ok('IOAS_MAP', map);
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas });
  assert.is(unit.translate(DEVICE, 5, RW), bench.frameAt(memory));
  assert.is(unit.iommu.walk.refs1, 4);
  assert.is(unit.iommu.walk.refs2, 0);
  const ranges = bench.call('IOAS_IOVA_RANGES', { ioas_id: ioas }).data;
  assert.equal(ranges, [{ start: 0n, last: 2n ** 47n - 1n }]);
  assert.throws(() => driver.allocPaging(device, 8, null), /NEST_PARENT 1 and DIRTY_TRACKING 2/);
});

/** A page request message of the device, as it arrives at the unit. */
function ask(unit: BenchUnit<RiscvDriver>, page: bigint, bits: bigint, group: bigint): void {
  const message = {
    rid: DEVICE,
    segment: -1,
    pasid: -1,
    privileged: false,
    execute: false,
    payload: (page << 12n) | (group << 3n) | bits,
  };
  const hardware = unit.unit as RiscvIommu;
  const found = unit.iommu.findContext(hardware.pageRequestLookup(message));
  const { context, code } = unit.iommu.outcome;
  if (!found) unit.iommu.report(hardware.pageRequestLookup(message));
  hardware.pageRequest(message, found ? context : null, found ? 0 : code);
}

/** Response code and group of the messages that the device got. */
function responses(unit: BenchUnit<RiscvDriver>): (readonly [number, number])[] {
  return unit.messages.map(({ payload, deviceId }) => {
    assert.is(deviceId, DEVICE);
    assert.is(payload >> 48n, BigInt(DEVICE));
    return [Number((payload >> 44n) & 0xfn), Number((payload >> 32n) & 0x1ffn)] as const;
  });
}

const READ = 1n;
const WRITE = 2n;
const LAST = 4n;

test('page requests go through the queue of the unit to the fault file, answers come back', () => {
  const options = { pageRequests: true };
  const setup = setUpGuest(['NEST_PARENT'], options);
  const { bench, unit, driver, id, parent, guest, fd, frameOf } = setup;
  assert.equal(bench.call('GET_HW_INFO', { dev_id: id }).out.out_capabilities, ['DIRTY_TRACKING']);
  const queue = bench.call('FAULT_QUEUE_ALLOC', {}).out;
  const fault = Number(queue.out_fault_fd);
  const nested = bench.ok(
    'HWPT_ALLOC',
    {
      dev_id: id,
      pt_id: parent,
      flags: 'FAULT_ID_VALID',
      fault_id: Number(queue.out_fault_id),
      data_type: 'RISCV_S1',
      data: { root_ppn: guest.root, mode: 'SV48' },
    },
    'out_hwpt_id',
  );
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: nested });
  const hardware = driver.units[0] as RiscvHardwareUnit;
  ask(unit, 5n, WRITE, 0x1abn);
  ask(unit, 6n, READ | LAST, 0x1abn);
  ask(unit, 0n, LAST, 0x1n);
  assert.is(driver.servicePageRequests(hardware), 3);
  assert.equal(responses(unit), []);
  const buffer = bench.alloc(PAGE);
  assert.is(bench.calls.read(fault, buffer, 80).value, 80);
  const bytes = new Uint8Array(80);
  bench.process.space.copyIn(buffer, bytes);
  const first = decode(HWPT_PGFAULT, bytes.subarray(0, 40));
  const last = decode(HWPT_PGFAULT, bytes.subarray(40));
  assert.is(first.dev_id, id);
  assert.equal([first.flags, first.perm, first.addr], [0, 2, 0x5000n]);
  assert.equal([last.flags, last.perm, last.addr, last.grpid], [2, 1, 0x6000n, 0x1ab]);
  guest.map(5, 700);
  bench.process.space.copyOut(buffer, encode(HWPT_PAGE_RESPONSE, { cookie: last.cookie, code: 0 }));
  assert.is(bench.calls.write(fault, buffer, 8).value, 8);
  assert.equal(responses(unit), [[0, 0x1ab]]);
  assert.is(unit.translate(DEVICE, 5, RW), frameOf(700));
  ask(unit, 7n, READ | LAST, 2n);
  driver.servicePageRequests(hardware);
  bench.okOn(fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {});
  assert.equal(responses(unit)[1], [1, 2], 'a detach answers what nobody has answered');
  ask(unit, 8n, READ | LAST, 3n);
  assert.equal(
    responses(unit)[2],
    [0xf, 3],
    'the unit itself answers for a device without context',
  );
});

test('page requests of a page table without a fault queue are refused', () => {
  const { bench, unit, driver, fd, ioas } = setUpGuest(['NEST_PARENT'], { pageRequests: true });
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas });
  ask(unit, 5n, READ | LAST, 9n);
  driver.servicePageRequests(driver.units[0] as RiscvHardwareUnit);
  assert.equal(responses(unit), [[1, 9]]);
});

test('a full page-request queue goes on after it has been read', () => {
  const { bench, unit, driver, fd, ioas } = setUpGuest(['NEST_PARENT'], { pageRequests: true });
  bench.okOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id: ioas });
  for (let i = 0; i < 70; i++) ask(unit, 5n, READ | LAST, BigInt(i));
  const own = responses(unit).length;
  assert.is(own, 70 - 63, 'the unit answers "success" to what it cannot record');
  const hardware = driver.units[0] as RiscvHardwareUnit;
  assert.is(driver.servicePageRequests(hardware), 63);
  ask(unit, 5n, READ | LAST, 100n);
  assert.is(driver.servicePageRequests(hardware), 1);
  assert.equal(responses(unit).at(-1), [1, 100]);
});

test.run();
