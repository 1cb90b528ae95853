/**
 * Ops of IOMMU_TEST_CMD that do to a mock device what VFIO does to a real one: make and bind it,
 * attach it and its PASIDs, replace, detach.
 */
import { fail } from '../../../kernel/errno.ts';
import type { IoctlCall } from '../../call.ts';
import { Hwpt } from '../../objects/hwpt-paging.ts';
import { IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS } from '../../uapi/test-constants.ts';
import {
  TEST_CMD,
  TEST_MOCK_DOMAIN_FLAGS,
  TEST_MOCK_DOMAIN_REPLACE,
  TEST_PASID_ATTACH,
  TEST_PASID_CHECK,
  TEST_PASID_DETACH,
} from '../../uapi/test-structs.ts';
import { mockDriverOf } from './driver.ts';
import { SelftestDevice } from './selftest-device.ts';

/** MOCK_DOMAIN, MOCK_DOMAIN_FLAGS: ids in the order selftest object, device, automatic HWPT. */
export function mockDomain(call: IoctlCall): void {
  const { objects, services } = call.context;
  const { at } = TEST_MOCK_DOMAIN_FLAGS;
  const hasFlags = call.u32(at.op) === IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS;
  const selftest = new SelftestDevice(call.context, mockDriverOf(services));
  objects.reserve(selftest);
  try {
    const used = selftest.start(hasFlags ? call.u32(at.dev_flags) : 0, call.u32(at.id));
    call.setU32(at.out_hwpt_id, used);
    call.setU32(at.out_stdev_id, selftest.id);
    call.setU32(at.out_idev_id, selftest.device.id);
    call.respond();
  } catch (error) {
    objects.abort(selftest);
    throw error;
  }
  objects.publish(selftest);
}

/** MOCK_DOMAIN_REPLACE: what was done stays when the answer cannot be written. */
export function mockDomainReplace(call: IoctlCall): void {
  const { at } = TEST_MOCK_DOMAIN_REPLACE;
  withSelftest(call, ({ device }) => {
    call.setU32(at.pt_id, device.replace(0, call.u32(at.pt_id)));
    call.respond();
  });
}

export function pasidAttach(call: IoctlCall): void {
  const { at } = TEST_PASID_ATTACH;
  withSelftest(call, ({ device }) => {
    const pasid = call.u32(at.pasid);
    call.setU32(at.pt_id, device.attach(pasid, call.u32(at.pt_id)));
    try {
      call.respond();
    } catch (error) {
      device.detach(pasid);
      throw error;
    }
  });
}

export function pasidReplace(call: IoctlCall): void {
  const { at } = TEST_PASID_ATTACH;
  withSelftest(call, ({ device }) => {
    call.setU32(at.pt_id, device.replace(call.u32(at.pasid), call.u32(at.pt_id)));
    call.respond();
  });
}

export function pasidDetach(call: IoctlCall): void {
  withSelftest(call, ({ device }) => device.detach(call.u32(TEST_PASID_DETACH.at.pasid)));
}

/** PASID_CHECK_HWPT: whether a page table (0: none) is what is attached. */
export function pasidCheckHwpt(call: IoctlCall): void {
  const { at } = TEST_PASID_CHECK;
  const { objects } = call.context;
  withSelftest(call, ({ mock }) => {
    const pasid = call.u32(at.pasid);
    const hwptId = call.u32(at.hwpt_id);
    const attached = mock.group.handleOf(mock, pasid)?.domain ?? null;
    if (hwptId === 0) {
      if (attached !== null) fail('EINVAL', `check: PASID ${pasid} is attached`);
      return;
    }
    const hwpt = objects.getAny(hwptId);
    try {
      if (!(hwpt instanceof Hwpt)) fail('EINVAL', `object ${hwptId} is no page table`);
      if (hwpt.domain !== attached) fail('EINVAL', `check: PASID ${pasid} is not on ${hwptId}`);
    } finally {
      objects.put(hwpt);
    }
  });
}

function withSelftest(call: IoctlCall, use: (selftest: SelftestDevice) => void): void {
  const { objects } = call.context;
  const selftest = objects.get(call.u32(TEST_CMD.at.id), SelftestDevice);
  try {
    use(selftest);
  } finally {
    objects.put(selftest);
  }
}
