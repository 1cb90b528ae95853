/**
 * The guest-PASID interface of 2020 (`legacy_uapi: 2020`), which nothing in the kernel's tree ever
 * used, to be compared with /dev/iommu: a machine allocates PASIDs in its set, binds first-stage
 * tables to them, invalidates, and answers page requests. VFIO was to hand these calls on, having
 * tested that the PASID is the machine's.
 */
import type { Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import {
  IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE,
  IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID,
} from '../uapi/legacy-constants.ts';
import type { LegacyDevice, LegacyIommu } from './driver.ts';
import { IOASID_LIMIT, IoasidSet, Ioasids } from './ioasid-sets.ts';
import {
  type LegacyPageRequest,
  type LegacyResponse,
  pageRequestRecord,
  readBind,
  readInvalidation,
  readResponse,
} from './structures.ts';

const PENDING_BYTES = 128;

/** A virtual machine as the interface sees it. */
export class LegacyVm {
  readonly pasids: IoasidSet;
  /** PASIDs bound, with their devices: unbound when the machine ends. */
  readonly bound: { readonly device: LegacyDevice; readonly pasid: bigint }[] = [];

  constructor(name: string, quota: number) {
    this.pasids = new IoasidSet(name, quota);
  }
}

/** Delivers a fault record to user space. */
export type FaultHandler = (record: Uint8Array) => void;

export class LegacyUapi {
  readonly ioasids: Ioasids;
  private readonly memory: KernelMemory;
  private readonly iommu: LegacyIommu;
  private readonly handlers: Map<LegacyDevice, FaultHandler> = new Map();
  /** Page requests that wait for an answer, oldest first, by device. */
  private readonly pending: Map<LegacyDevice, LegacyPageRequest[]> = new Map();

  constructor(memory: KernelMemory, iommu: LegacyIommu) {
    this.memory = memory;
    this.iommu = iommu;
    this.ioasids = new Ioasids(memory);
  }

  createVm(name: string, quota: number = IOASID_LIMIT): LegacyVm {
    return new LegacyVm(name, quota);
  }

  /** All that the machine holds is taken back. */
  destroyVm(vm: LegacyVm): void {
    for (const { device, pasid } of vm.bound.splice(0)) this.iommu.unbindGpasid?.(device, pasid);
    for (const pasid of this.ioasids.pasidsOf(vm.pasids)) this.ioasids.give(vm.pasids, pasid);
  }

  allocPasid(vm: LegacyVm, min?: number, max?: number): number {
    return this.ioasids.take(vm.pasids, min, max);
  }

  freePasid(vm: LegacyVm, pasid: number): void {
    if (vm.bound.some((entry) => entry.pasid === BigInt(pasid))) {
      fail('EBUSY', `PASID ${pasid} is bound`);
    }
    this.ioasids.give(vm.pasids, pasid);
  }

  /** iommu_uapi_sva_bind_gpasid. */
  bind(vm: LegacyVm, process: Process, device: LegacyDevice, argument: bigint): void {
    const { iommu } = this;
    if (iommu.bindGpasid === undefined) fail('ENODEV', 'the driver binds no guest PASIDs');
    const bind = readBind(process.space, argument);
    this.ioasids.checkOwner(vm.pasids, bind.hostPasid);
    iommu.bindGpasid(device, bind);
    vm.bound.push({ device, pasid: bind.hostPasid });
  }

  /** iommu_uapi_sva_unbind_gpasid: the structure of bind, of which it uses the host's PASID. */
  unbind(vm: LegacyVm, process: Process, device: LegacyDevice, argument: bigint): void {
    const { iommu } = this;
    if (iommu.unbindGpasid === undefined) fail('ENODEV', 'the driver unbinds no guest PASIDs');
    const { hostPasid } = readBind(process.space, argument);
    this.ioasids.checkOwner(vm.pasids, hostPasid);
    iommu.unbindGpasid(device, hostPasid);
    const at = vm.bound.findIndex((entry) => entry.device === device && entry.pasid === hostPasid);
    if (at >= 0) vm.bound.splice(at, 1);
  }

  /** iommu_uapi_cache_invalidate. */
  invalidate(vm: LegacyVm, process: Process, device: LegacyDevice, argument: bigint): void {
    const { iommu } = this;
    if (iommu.invalidate === undefined) fail('ENODEV', 'the driver has no such invalidation');
    const invalidation = readInvalidation(process.space, argument);
    if (invalidation.pasid >= 0n) this.ioasids.checkOwner(vm.pasids, invalidation.pasid);
    iommu.invalidate(device, invalidation);
  }

  /** iommu_register_device_fault_handler; null takes it away. */
  handleFaults(device: LegacyDevice, handler: FaultHandler | null): void {
    if (handler !== null) {
      if (this.handlers.has(device)) fail('EBUSY', `${device.name} has a fault handler`);
      this.handlers.set(device, handler);
      return;
    }
    if ((this.pending.get(device)?.length ?? 0) > 0) {
      fail('EBUSY', `page requests of ${device.name} wait for their answers`);
    }
    this.handlers.delete(device);
  }

  /** iommu_report_device_fault: the last request of a group is remembered until its answer. */
  reportPageRequest(device: LegacyDevice, request: LegacyPageRequest): void {
    const handler =
      this.handlers.get(device) ?? fail('EINVAL', `${device.name} has no fault handler`);
    if ((request.flags & IOMMU_FAULT_PAGE_REQUEST_LAST_PAGE) !== 0) {
      this.memory.take(PENDING_BYTES, 'pending page request');
      const waiting = this.pending.get(device) ?? [];
      waiting.push(request);
      this.pending.set(device, waiting);
    }
    handler(pageRequestRecord(request));
  }

  /** iommu_page_response: one answer goes to the oldest request that it fits. */
  respond(process: Process, device: LegacyDevice, argument: bigint): void {
    const { iommu } = this;
    if (iommu.pageResponse === undefined) fail('ENODEV', 'the driver sends no page responses');
    if (!this.handlers.has(device)) fail('EINVAL', `${device.name} has no fault handler`);
    const response = readResponse(process.space, argument);
    const waiting = this.pending.get(device) ?? [];
    if (waiting.length === 0) fail('EINVAL', 'no page request waits for an answer');
    const at = waiting.findIndex((request) => answers(response, request));
    if (at < 0) fail('EINVAL', `no page request of group ${response.grpid} with that PASID waits`);
    const [request] = waiting.splice(at, 1) as [LegacyPageRequest];
    this.memory.give(PENDING_BYTES);
    const named = (request.flags & IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID) !== 0;
    iommu.pageResponse(
      device,
      request,
      named ? response : { ...response, hasPasid: false, pasid: 0 },
    );
  }
}

/** The group decides, and the PASID where the request wants one in its answer. */
function answers(response: LegacyResponse, request: LegacyPageRequest): boolean {
  if (request.grpid !== response.grpid) return false;
  if ((request.flags & IOMMU_FAULT_PAGE_RESPONSE_NEEDS_PASID) === 0) return true;
  return response.hasPasid && response.pasid === request.pasid;
}
