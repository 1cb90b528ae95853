/** IOMMU_HWPT_ALLOC: a page table on an IOAS, on another page table, or from a vIOMMU. */
import { Errno, fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { UserData } from '../driver.ts';
import type { IommufdObject } from '../object.ts';
import { IOMMU_HWPT_DATA_NONE, IOMMU_HWPT_FAULT_ID_VALID } from '../uapi/constants.ts';
import { HWPT_ALLOC } from '../uapi/structs.ts';
import { Device } from './device.ts';
import { Fault } from './fault.ts';
import { allocHwptNested, allocHwptOnViommu } from './hwpt-nested.ts';
import { allocHwptPaging, type Hwpt, HwptPaging } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';
import { Viommu } from './viommu.ts';

const { at } = HWPT_ALLOC;

function hwptAlloc(call: IoctlCall): void {
  const { objects } = call.context;
  if (call.u32(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  const data: UserData = {
    type: call.u32(at.data_type),
    address: call.u64(at.data_uptr),
    length: call.u32(at.data_len),
    space: call.process.space,
  };
  if ((data.type === IOMMU_HWPT_DATA_NONE) !== (data.length === 0)) {
    fail('EINVAL', `data_type ${data.type} does not go with a data_len of ${data.length}`);
  }
  const device = objects.get(call.u32(at.dev_id), Device);
  try {
    const base = getBase(call);
    try {
      allocOn(call, base, device, data);
    } finally {
      objects.put(base);
    }
  } finally {
    objects.put(device);
  }
}

/** What the page table is to stand on; an unknown id is EINVAL here, and only here. */
function getBase(call: IoctlCall): IommufdObject {
  const id = call.u32(at.pt_id);
  try {
    return call.context.objects.getAny(id);
  } catch (error) {
    if (error instanceof Errno) fail('EINVAL', `pt_id ${id}: no such object`);
    throw error;
  }
}

function allocOn(call: IoctlCall, base: IommufdObject, device: Device, data: UserData): void {
  const { context } = call;
  const flags = call.u32(at.flags);
  const { iommu, enforceCoherency } = device;
  let hwpt: Hwpt;
  if (base instanceof Ioas) {
    const given = data.length === 0 ? null : data;
    const request = { device: iommu, enforceCoherency, flags, data: given };
    hwpt = allocHwptPaging(context, base, request);
  } else if (base instanceof HwptPaging) {
    hwpt = allocHwptNested(context, base, iommu, flags, data);
  } else if (base instanceof Viommu) {
    hwpt = allocHwptOnViommu(context, base, iommu, flags, data);
  } else {
    fail('EINVAL', `pt_id ${base.id} (${base.type}): no page table can stand on it`);
  }
  try {
    if ((flags & IOMMU_HWPT_FAULT_ID_VALID) !== 0) routeFaults(call, hwpt);
    call.setU32(at.out_hwpt_id, hwpt.id);
    call.respond();
  } catch (error) {
    context.objects.abort(hwpt);
    throw error;
  }
  context.objects.publish(hwpt);
}

function routeFaults(call: IoctlCall, hwpt: Hwpt): void {
  const { objects } = call.context;
  const fault = objects.get(call.u32(at.fault_id), Fault);
  hwpt.routeFaults(fault);
  objects.put(fault);
}

export const HWPT_ALLOC_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_HWPT_ALLOC',
    word: HWPT_ALLOC.word,
    size: HWPT_ALLOC.size,
    minSize: HWPT_ALLOC.minSize,
    run: hwptAlloc,
  },
];
