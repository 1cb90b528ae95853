/** Reference 15: surprises of the interface, on the mock driver. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  A,
  ALLOC_PASID,
  type Bench,
  BUFFER,
  DIRTY_TRACKING,
  type MockDevice,
  mapFields,
  NEST_PARENT,
  number,
  P,
  rule,
  U64_MAX,
  WITH_PASID,
} from './fixture.ts';

function deviceRule(
  name: string,
  run: (b: Bench, ioas: number, device: MockDevice) => void,
  flags = 0,
): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    run(b, ioas, b.mock(ioas, flags));
  });
}

function viommu(b: Bench, ioas: number, device: MockDevice): number {
  const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
  const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
  return number(made, 'out_viommu_id');
}

deviceRule('Q1: an unknown pt_id is EINVAL, every other unknown id ENOENT', (b, ioas, device) => {
  b.refuseHwpt('EINVAL', device, 99);
  const data = { data_type: 'SELFTEST', data: { iotlb: 0 } };
  b.refuseHwpt('ENOENT', device, ioas, 4, { fault_id: 99 });
  b.refuseHwpt('EINVAL', device, 99, 0, data);
  b.refuse('ENOENT', 'HWPT_ALLOC', { dev_id: 99, pt_id: ioas });
  b.refuse('ENOENT', 'GET_HW_INFO', { dev_id: 99 });
  b.refuse('ENOENT', 'VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id: 99 });
  b.refuseUnmap('ENOENT', 99, 0n, P);
});

deviceRule('Q2: reserved fields that nobody tests', (b, ioas, device) => {
  const hwpt_id = b.hwpt(device, ioas, NEST_PARENT | DIRTY_TRACKING, { __reserved2: 1 });
  const fields = { type: 'SELFTEST', dev_id: device.idev, hwpt_id };
  b.ok('VIOMMU_ALLOC', { ...fields, __reserved: 1 });
  b.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id, __reserved: 1 });
});

deviceRule('Q3: driver data longer than known is EINVAL, zero or not', (b, ioas, device) => {
  const parent = b.hwpt(device, ioas, NEST_PARENT);
  const longer = { data_type: 'SELFTEST', data: new Uint8Array(12) };
  b.refuseHwpt('EINVAL', device, parent, 0, longer);
  b.ok('IOAS_ALLOC', {}, { tail: new Uint8Array(4) });
});

deviceRule('Q7: GET_DIRTY_BITMAP tells of no hole and no bad bitmap', (b, ioas, device) => {
  const hwpt_id = b.hwpt(device, ioas, DIRTY_TRACKING);
  b.ok('HWPT_SET_DIRTY_TRACKING', { hwpt_id, flags: 'ENABLE' });
  b.map(ioas, BUFFER, P, A);
  const range = { hwpt_id, iova: A, length: 4n * P, page_size: P };
  b.ok('HWPT_GET_DIRTY_BITMAP', range);
  const uptr = b.place([0xff]);
  b.op('DIRTY', { id: hwpt_id, iova: A, length: P, page_size: P, uptr });
  b.ok('HWPT_GET_DIRTY_BITMAP', { ...range, data: 8n });
});

deviceRule('Q8: reads of empty queues return 0 and do not wait', (b, ioas, device) => {
  const faultFd = number(b.ok('FAULT_QUEUE_ALLOC'), 'out_fault_fd');
  const viommu_id = viommu(b, ioas, device);
  const events = b.ok('VEVENTQ_ALLOC', { viommu_id, type: 'SELFTEST', veventq_depth: 1 });
  const at = b.memory(P);
  for (const fd of [faultFd, number(events, 'out_veventq_fd')]) {
    const { value, errno } = b.calls.read(fd, at, 40);
    assert.equal([value, errno], [0, 0]);
  }
});

rule('Q12: UNMAP of a range is not atomic, and knows when nothing was there', (b) => {
  const ioas = b.ioas();
  assert.is(b.unmap(ioas, 0n, U64_MAX), 0n);
  b.refuseUnmap('ENOENT', ioas, A, P);
  b.map(ioas, BUFFER, P, A);
  b.map(ioas, BUFFER, 2n * P, A + P);
  b.refuseUnmap('ENOENT', ioas, A, 2n * P);
  b.refuseUnmap('ENOENT', ioas, A, P);
  assert.is(b.unmap(ioas, A + P, 2n * P), 2n * P);
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: ioas });
  assert.is(b.ok('VFIO_IOMMU_UNMAP_DMA', { iova: A, size: P }).out.size, 0n);
});

rule('Q13: an automatic IOVA is aligned as the user address is', (b) => {
  const user = b.memory(64n * P, 2n * BUFFER);
  /** Where 16 pages go when the page at P is taken. */
  const placed = (userVa: bigint): bigint => {
    const ioas = b.ioas();
    assert.is(b.map(ioas, BUFFER, P), P);
    return b.map(ioas, userVa, 16n * P);
  };
  assert.is(placed(user), 16n * P);
  assert.is(placed(user + P), 2n * P);
  assert.is(placed(user + 2n * P), 2n * P);
  assert.is(placed(user + 4n * P), 4n * P);
});

deviceRule(
  'Q15: automatic page tables serve no PASIDs',
  (b, ioas, device) => {
    const fields = { id: device.stdev, pasid: 5, pt_id: ioas };
    b.replace(device, b.hwpt(device, ioas, ALLOC_PASID));
    b.refuseOp('EINVAL', 'PASID_ATTACH', fields);
    const automatic = b.mock(ioas).hwpt;
    b.refuseOp('EINVAL', 'PASID_ATTACH', { ...fields, pt_id: automatic });
  },
  WITH_PASID,
);

rule('Q16: MAP tests the IOVA for overflow though it will choose another', (b) => {
  const ioas = b.ioas();
  const fields = { ...mapFields(ioas, BUFFER, P), iova: U64_MAX };
  b.refuse('EOVERFLOW', 'IOAS_MAP', fields);
  b.ok('IOAS_MAP', { ...fields, iova: U64_MAX - 1n });
});

rule('Q19: ALLOW_IOVAS refuses a range of one byte', (b) => {
  const ioas = b.ioas();
  b.refuse('EINVAL', 'IOAS_ALLOW_IOVAS', { ioas_id: ioas, data: [{ start: 0, last: 0 }] });
});

deviceRule('Q21: ids are used again at once, those of tombstones not', (b, ioas, device) => {
  const one = b.ioas();
  b.destroy(one);
  assert.is(b.ioas(), one);
  b.destroy(one);
  const viommu_id = viommu(b, ioas, device);
  const made = b.ok('VDEVICE_ALLOC', { viommu_id, dev_id: device.idev, virt_id: 5 });
  const tomb = number(made, 'out_vdevice_id');
  b.destroy(device.stdev);
  const taken = Array.from({ length: 6 }, () => b.ioas());
  assert.not.ok(taken.includes(tomb));
  assert.ok(taken.includes(device.idev));
  b.refuse('ENOENT', 'DESTROY', { id: tomb });
});

test.run();
