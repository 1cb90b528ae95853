/**
 * Page requests of devices on their way to whoever handles them (struct iopf_group and the partial
 * list of struct iommu_fault_param, drivers/iommu/io-pgfault.c): a group is complete with its last
 * request and is answered once, as a whole.
 */
import { InternalError } from '../../../../sim/errors.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import type { IommuDevice, PageRequest, ResponseCode } from '../driver.ts';
import type { AttachHandle } from '../graph.ts';

/** Flags of a page request. */
export const REQUEST_PASID_VALID = 1;
export const REQUEST_LAST_PAGE = 2;

const GROUP_BYTES = 192;
const REQUEST_BYTES = 96;

/** Requests of one group, in the order of arrival; the last closed it. */
export class PageRequestGroup {
  readonly device: IommuDevice;
  /** The attachment that the group came through. */
  readonly handle: AttachHandle;
  readonly requests: readonly PageRequest[];
  private readonly memory: KernelMemory;
  private answered = false;

  /** Takes the parked requests of the group over. ENOMEM: there is no group. */
  constructor(memory: KernelMemory, device: IommuDevice, handle: AttachHandle, last: PageRequest) {
    memory.take(GROUP_BYTES, 'page request group');
    this.memory = memory;
    this.device = device;
    this.handle = handle;
    const requests = takeParked(device, last.grpid);
    requests.push(last);
    this.requests = requests;
  }

  /** Sends the answer to the hardware and frees the group. */
  answer(code: ResponseCode): void {
    if (this.answered) throw new InternalError('iommufd', 'a page request is answered twice');
    this.answered = true;
    answerRequest(this.device, this.requests[this.requests.length - 1] as PageRequest, code);
    this.memory.give(GROUP_BYTES);
    for (let i = 1; i < this.requests.length; i++) this.memory.give(REQUEST_BYTES);
  }
}

/** Answers a request for which there is no group. */
export function answerRequest(device: IommuDevice, request: PageRequest, code: ResponseCode): void {
  device.driver.pageResponse?.(device, request, code);
}

interface ParkedRequest {
  readonly request: PageRequest;
  readonly handle: AttachHandle;
  readonly memory: KernelMemory;
}

/** Requests of devices whose groups are not complete (dev->iommu->fault_param->partial). */
const PARKED: WeakMap<IommuDevice, ParkedRequest[]> = new WeakMap();

/** Keeps a request until the last one of its group arrives; ENOMEM: it is lost. */
export function parkRequest(
  memory: KernelMemory,
  device: IommuDevice,
  handle: AttachHandle,
  request: PageRequest,
): void {
  memory.take(REQUEST_BYTES, 'parked page request');
  const parked = PARKED.get(device);
  if (parked === undefined) PARKED.set(device, [{ request, handle, memory }]);
  else parked.push({ request, handle, memory });
}

/** Forgets the parked requests of a group that cannot be delivered. */
export function dropParked(device: IommuDevice, grpid: number, memory: KernelMemory): void {
  for (const _ of takeParked(device, grpid)) memory.give(REQUEST_BYTES);
}

/**
 * Forgets the parked requests of an attachment that goes away. Linux does so when the last
 * attachment with a fault queue goes (iopf_queue_remove_device).
 */
export function dropParkedOf(handle: AttachHandle): void {
  const device = handle.device.iommu;
  const parked = PARKED.get(device);
  if (parked === undefined) return;
  const kept = parked.filter((entry) => entry.handle !== handle);
  for (const entry of parked) if (entry.handle === handle) entry.memory.give(REQUEST_BYTES);
  if (kept.length === 0) PARKED.delete(device);
  else PARKED.set(device, kept);
}

function takeParked(device: IommuDevice, grpid: number): PageRequest[] {
  const parked = PARKED.get(device);
  if (parked === undefined) return [];
  const taken: PageRequest[] = [];
  const kept: ParkedRequest[] = [];
  for (const entry of parked) {
    if (entry.request.grpid === grpid) taken.push(entry.request);
    else kept.push(entry);
  }
  if (kept.length === 0) PARKED.delete(device);
  else PARKED.set(device, kept);
  return taken;
}
