/**
 * iommu_report_device_fault (drivers/iommu/io-pgfault.c): which attachment a page request of a
 * device belongs to, and the way of a complete group into the fault queue of its page table.
 */
import { Errno } from '../../kernel/errno.ts';
import type { IommuDevice, PageRequest } from '../driver.ts';
import type { AttachHandle } from '../graph.ts';
import { Fault } from './fault.ts';
import {
  answerRequest,
  dropParked,
  PageRequestGroup,
  parkRequest,
  REQUEST_LAST_PAGE,
  REQUEST_PASID_VALID,
} from './page-requests.ts';

/** A group of devices as far as routing goes: its attachments, by PASID. */
export interface AttachedGroup {
  handleOf(device: IommuDevice, pasid: number): AttachHandle | null;
}

/**
 * A device asks for a page. The hardware is answered INVALID when nobody handles its requests and
 * FAILURE when the kernel has no memory for the group; all else is answered by user space, later.
 * False: refused at once (a request that is not the last of a group needs no answer of its own).
 */
export function reportPageRequest(
  group: AttachedGroup,
  device: IommuDevice,
  request: PageRequest,
): boolean {
  const handle = handlerOf(group, device, request);
  const fault = handle?.hwpt.fault;
  if (!handle || !(fault instanceof Fault)) {
    answerRequest(device, request, 'invalid');
    return false;
  }
  const { memory } = fault.context.services;
  if ((request.flags & REQUEST_LAST_PAGE) === 0) {
    try {
      parkRequest(memory, device, handle, request);
      return true;
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return false;
    }
  }
  let complete: PageRequestGroup;
  try {
    complete = new PageRequestGroup(memory, device, handle, request);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    dropParked(device, request.grpid, memory);
    answerRequest(device, request, 'failure');
    return false;
  }
  fault.deliver(complete);
  return true;
}

/**
 * A request with a PASID belongs to what is attached there. Nothing is: where user space has the
 * whole PASID table, it belongs to the nested table of the device itself.
 */
function handlerOf(
  group: AttachedGroup,
  device: IommuDevice,
  request: PageRequest,
): AttachHandle | null {
  if ((request.flags & REQUEST_PASID_VALID) === 0) return group.handleOf(device, 0);
  const handle = group.handleOf(device, request.pasid);
  if (handle !== null || !device.driver.userPasidTable) return handle;
  const own = group.handleOf(device, 0);
  return own !== null && own.domain.kind === 'nested' ? own : null;
}
