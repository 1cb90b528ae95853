/** The client on a real context with the mock driver: what a VMM does, from HW_INFO to teardown. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { IommuClient } from '../client.ts';
import { MOCK_COMMANDS } from '../drivers/mock/test-commands.ts';
import { openIommufd } from '../iommufd-file.ts';
import { InvalidationRefused } from './hwpt.ts';
import { KernelProcess } from './kernel-process.ts';

const PAGE = 4096n;

/** A context with an address space and a mock device attached to it. */
function machine() {
  const bench: TestKernel = testKernel();
  const { kernel, calls } = bench;
  kernel.registerNode('/dev/iommu', () => openIommufd(kernel, '/dev/iommu', MOCK_COMMANDS));
  const iommu = IommuClient.open(new KernelProcess(calls));
  const ioas = iommu.ioasAlloc();
  const made = iommu.call('TEST_CMD', { op: 'MOCK_DOMAIN', id: ioas.id });
  assert.is(made.error, '');
  const { out_stdev_id, out_idev_id } = made.out as Record<string, number>;
  return { bench, iommu, ioas, mock: out_stdev_id, device: { id: out_idev_id } };
}

test('hardware information of a mock device comes decoded', () => {
  const { iommu, device } = machine();
  const info = iommu.getHwInfo(device);
  assert.equal(info.data, { type: 'SELFTEST', flags: 0, test_reg: 0xdeadbeef });
  assert.ok(info.dirtyTracking);
  assert.not.ok(info.ats);
});

test('pages that were made dirty are read once, by number', () => {
  const { bench, iommu, ioas, device } = machine();
  const length = 4n * PAGE;
  const iova = ioas.map({ userVa: bench.alloc(Number(length)), length });
  const hwpt = iommu.hwptAlloc({ device, on: ioas, dirtyTracking: true });
  hwpt.setDirtyTracking(true);
  const uptr = Uint8Array.of(0b101, 0, 0, 0, 0, 0, 0, 0);
  const op = { op: 'DIRTY', id: hwpt.id, iova, length, page_size: PAGE, uptr };
  assert.equal(iommu.call('TEST_CMD', op).out, { out_nr_dirty: 2n });
  const range = { iova, length, pageSize: PAGE };
  const first = Number(iova / PAGE);
  assert.equal([...hwpt.dirtyPages(range)], [first, first + 2]);
  assert.is(hwpt.dirtyPages(range).size, 0);
});

test('a nested page table is invalidated entry by entry, up to the one that is refused', () => {
  const { iommu, ioas, device } = machine();
  const parent = iommu.hwptAlloc({ device, on: ioas, nestParent: true });
  const nested = iommu.hwptAlloc({ device, on: parent, data: { type: 'SELFTEST', iotlb: 7 } });
  assert.is(nested.invalidate('SELFTEST', [{ flags: 1 }]), 1);
  try {
    nested.invalidate('SELFTEST', [{ flags: 1 }, { iotlb_id: 3 }, { iotlb_id: 4 }]);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, InvalidationRefused);
    assert.equal(
      [(error as InvalidationRefused).code, (error as InvalidationRefused).handled],
      ['EINVAL', 2],
    );
  }
});

test('a page request travels to the fault queue and its answer back', () => {
  const { iommu, ioas, device, mock } = machine();
  const fault = iommu.faultQueue();
  const hwpt = iommu.hwptAlloc({ device, on: ioas, fault });
  const replace = { op: 'MOCK_DOMAIN_REPLACE', id: mock, pt_id: hwpt.id };
  assert.equal(iommu.call('TEST_CMD', replace).out, { pt_id: hwpt.id });
  const request = { op: 'TRIGGER_IOPF', dev_id: device.id, grpid: 2, perm: ['READ'], addr: 0x5000 };
  iommu.call('TEST_CMD', request);
  assert.ok(fault.waiting);
  const [message] = fault.read();
  assert.equal([message.dev_id, message.grpid, message.addr], [device.id, 2, 0x5000n]);
  assert.is(fault.respond({ cookie: message.cookie, code: 'success' }), 1);
  assert.throws(() => fault.respond({ cookie: message.cookie, code: 'success' }), /EINVAL/);
});

test('a vIOMMU answers its data, and keeps its parent from being destroyed', () => {
  const { iommu, ioas, device } = machine();
  const parent = iommu.hwptAlloc({ device, on: ioas, nestParent: true });
  const viommu = iommu.viommuAlloc({ type: 'SELFTEST', device, parent, data: { in_data: 42 } });
  assert.is(viommu.data?.out_data, 42);
  assert.throws(() => parent.destroy(), /EBUSY/);
  const vdevice = viommu.addDevice(device.id, 0x99n);
  vdevice.destroy();
  viommu.destroy();
  parent.destroy();
});

test.run();
