/** Ops of IOMMU_TEST_CMD in which the mock hardware reports something: page requests and events. */
import { fail } from '../../../kernel/errno.ts';
import type { IoctlCall } from '../../call.ts';
import type { PageRequest } from '../../driver.ts';
import { Device } from '../../objects/device.ts';
import { reportPageRequest } from '../../objects/fault-routing.ts';
import { VEVENT_SELFTEST } from '../../uapi/data-structs.ts';
import { IOMMU_VEVENTQ_TYPE_SELFTEST } from '../../uapi/test-constants.ts';
import { TEST_TRIGGER_IOPF, TEST_TRIGGER_VEVENT } from '../../uapi/test-structs.ts';
import { namedMockDevice } from './device.ts';

/** Flags of a page request. */
const PASID_VALID = 1;
const LAST_PAGE = 2;

/** TRIGGER_IOPF: a page request of one page; it does not matter whether anybody wants it. */
export function triggerPageRequest(call: IoctlCall): void {
  const { at } = TEST_TRIGGER_IOPF;
  const { objects } = call.context;
  const device = objects.get(call.u32(at.dev_id), Device);
  try {
    const pasid = call.u32(at.pasid);
    const request: PageRequest = {
      flags: pasid === 0 ? LAST_PAGE : LAST_PAGE | PASID_VALID,
      pasid,
      grpid: call.u32(at.grpid),
      perm: call.u32(at.perm),
      address: call.u64(at.addr),
    };
    reportPageRequest(device.group, device.iommu, request);
  } finally {
    objects.put(device);
  }
}

/** TRIGGER_VEVENT: an event of the vIOMMU whose nested domain the device is attached to. */
export function triggerVirtualEvent(call: IoctlCall): void {
  const { objects } = call.context;
  const device = objects.get(call.u32(TEST_TRIGGER_VEVENT.at.dev_id), Device);
  try {
    const { name, viommu, virtualId } = namedMockDevice(device.iommu);
    if (viommu === null) fail('ENOENT', `${name} is in no nested domain of a vIOMMU`);
    if (virtualId === 0n) fail('ENOENT', `the virtual id of ${name} is 0`);
    const event = new Uint8Array(VEVENT_SELFTEST.size);
    const low = Number(BigInt.asUintN(32, virtualId));
    new DataView(event.buffer).setUint32(VEVENT_SELFTEST.at.virt_id, low, true);
    viommu.report(IOMMU_VEVENTQ_TYPE_SELFTEST, event);
  } finally {
    objects.put(device);
  }
}
