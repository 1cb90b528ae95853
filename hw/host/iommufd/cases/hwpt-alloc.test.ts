/** Reference 10.4: page tables for a device, on an IOAS and on one another. */
import { test } from 'uvu';
import {
  ALLOC_PASID,
  type Bench,
  DIRTY_TRACKING,
  FAULT_ID_VALID,
  IOTLB,
  type MockDevice,
  NEST_PARENT,
  number,
  rule,
} from './fixture.ts';

interface Nesting {
  readonly ioas: number;
  readonly device: MockDevice;
}

const SELFTEST = { data_type: 'SELFTEST', data: { iotlb: IOTLB } };

/** A case with an IOAS and a device on it. */
function deviceRule(name: string, run: (b: Bench, nesting: Nesting) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    run(b, { ioas, device: b.mock(ioas) });
  });
}

/** A case with a nesting parent. */
function parentRule(
  name: string,
  run: (b: Bench, device: MockDevice, parent: number, ioas: number) => void,
): void {
  deviceRule(name, (b, { ioas, device }) => {
    run(b, device, b.hwpt(device, ioas, NEST_PARENT), ioas);
  });
}

deviceRule('44: HWPT_ALLOC for the id of an IOAS is ENOENT', (b, { ioas, device }) => {
  b.refuse('ENOENT', 'HWPT_ALLOC', { dev_id: ioas, pt_id: device.idev });
});

deviceRule('45: HWPT_ALLOC with pt_id of a device is EINVAL', (b, { device }) => {
  b.refuseHwpt('EINVAL', device, device.idev);
});

deviceRule('46: NEST_PARENT with FAULT_ID_VALID is EOPNOTSUPP', (b, { ioas, device }) => {
  b.refuseHwpt('EOPNOTSUPP', device, ioas, NEST_PARENT | FAULT_ID_VALID);
});

deviceRule('47: a nesting parent is made on an IOAS', (b, { ioas, device }) => {
  b.hwpt(device, ioas, NEST_PARENT);
});

deviceRule('48: an ordinary HWPT is made on an IOAS', (b, { ioas, device }) => {
  b.hwpt(device, ioas);
});

parentRule('49: data_type NONE with data_len 8 is EINVAL', (b, device, parent) => {
  b.refuseHwpt('EINVAL', device, parent, 0, { data_type: 'NONE', data_len: 8 });
});

parentRule('50: an unknown data_type is EOPNOTSUPP', (b, device, parent) => {
  const data = new Uint8Array(8);
  b.refuseHwpt('EOPNOTSUPP', device, parent, 0, { data_type: 0xdeaf, data });
});

parentRule('51: data_len one below the minimum is EINVAL', (b, device, parent) => {
  b.refuseHwpt('EINVAL', device, parent, 0, { ...SELFTEST, data_len: 3 });
});

parentRule('52: a NULL data_uptr with the right length is EFAULT', (b, device, parent) => {
  const data = { data_type: 'SELFTEST', data_len: 8, data_uptr: 0 };
  b.refuseHwpt('EFAULT', device, parent, 0, data);
});

parentRule('53: a nested HWPT cannot be a NEST_PARENT: EOPNOTSUPP', (b, device, parent) => {
  b.refuseHwpt('EOPNOTSUPP', device, parent, NEST_PARENT, SELFTEST);
});

deviceRule('54: a nested HWPT on an ordinary one is EINVAL', (b, { ioas, device }) => {
  b.refuseHwpt('EINVAL', device, b.hwpt(device, ioas), 0, SELFTEST);
});

parentRule('55: two nested HWPTs on one parent start with their data', (b, device, parent) => {
  for (const nested of [b.nested(device, parent), b.nested(device, parent)]) {
    for (let word = 0; word < 4; word++) {
      b.op('MD_CHECK_IOTLB', { id: nested, iotlb_id: word, iotlb: IOTLB });
    }
  }
});

parentRule('56: a fault_id that is not there is ENOENT', (b, device, parent) => {
  const data = { ...SELFTEST, fault_id: 0xffffffff };
  b.refuseHwpt('ENOENT', device, parent, FAULT_ID_VALID, data);
});

parentRule('57: a nested HWPT with a fault queue is made', (b, device, parent) => {
  const fault = number(b.ok('FAULT_QUEUE_ALLOC'), 'out_fault_id');
  b.nested(device, parent, FAULT_ID_VALID, { fault_id: fault });
});

parentRule('58: a nested HWPT on a nested HWPT is EINVAL', (b, device, parent) => {
  b.refuseHwpt('EINVAL', device, b.nested(device, parent), 0, SELFTEST);
});

parentRule('59: DESTROY of a parent with children is EBUSY', (b, device, parent) => {
  const child = b.nested(device, parent);
  b.refuse('EBUSY', 'DESTROY', { id: parent });
  b.destroy(child);
  b.destroy(parent);
});

rule('60: without a device every allocation and replacement is ENOENT', (b) => {
  const ioas = b.ioas();
  const nobody: MockDevice = { stdev: 0, idev: 0, hwpt: 0 };
  b.refuseHwpt('ENOENT', nobody, ioas);
  b.refuseHwpt('ENOENT', nobody, ioas, 0, SELFTEST);
  b.refuseOp('ENOENT', 'MOCK_DOMAIN_REPLACE', { id: 0, pt_id: ioas });
});

deviceRule('61: all flags but NEST_PARENT are EOPNOTSUPP', (b, { ioas, device }) => {
  b.refuseHwpt('EOPNOTSUPP', device, ioas, ~NEST_PARENT >>> 0);
  const known = DIRTY_TRACKING | ALLOC_PASID;
  b.destroy(b.hwpt(device, ioas, known));
});

test.run();
