/**
 * vIOMMU (IOMMUFD_OBJ_VIOMMU, drivers/iommu/iommufd/viommu.c): the slice of one physical IOMMU that
 * a virtual machine sees. It stands on a nesting parent and holds the machine's names for devices,
 * its event queues, its hardware queues and the pages that its driver offers for mmap.
 */
import { fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { Context } from '../context.ts';
import type { IommuDevice, UserData, ViommuDriver, ViommuHost } from '../driver.ts';
import type { ViommuEventQueue, ViommuHwQueue, ViommuVdevice } from '../graph.ts';
import { IommufdObject } from '../object.ts';
import { VIOMMU_ALLOC } from '../uapi/structs.ts';
import { Device } from './device.ts';
import { HwptPaging } from './hwpt-paging.ts';

const OBJECT_BYTES = 256;
/** Node of the table of virtual ids (xarray), for each vDEVICE. */
const VIRTUAL_ID_BYTES = 64;
/** IOMMU_VIOMMU_TYPE_DEFAULT. */
const TYPE_DEFAULT = 0;

export class Viommu extends IommufdObject implements ViommuHost {
  readonly type = 'viommu';
  readonly context: Context;
  /** The type that user space asked for, and the driver took. */
  readonly model: number;
  readonly parent: HwptPaging;
  /** The physical IOMMU of the device that it was made for. */
  readonly instance: object;
  readonly veventqs: ViommuEventQueue[] = [];
  /** By index. */
  readonly hwQueues: Map<number, ViommuHwQueue> = new Map();
  private readonly vdevices: Map<bigint, ViommuVdevice> = new Map();
  private made: ViommuDriver | null = null;

  constructor(context: Context, model: number, parent: HwptPaging, instance: object) {
    super(OBJECT_BYTES);
    this.context = context;
    this.model = model;
    this.parent = parent;
    this.instance = instance;
  }

  get driver(): ViommuDriver {
    return this.made as ViommuDriver;
  }

  /** viommu_init; the object has its id, and undoes this when it is destroyed. */
  start(device: IommuDevice, data: UserData | null): void {
    this.parent.users++;
    const { driver } = device;
    this.made = driver.initViommu?.(device, this.model, this.parent.domain, this, data) ?? null;
  }

  destroy(): void {
    this.made?.destroy?.();
    this.parent.users--;
  }

  /** The vDEVICE with a virtual id; null when there is none. */
  vdeviceOf(virtualId: bigint): ViommuVdevice | null {
    return this.vdevices.get(virtualId) ?? null;
  }

  addVdevice(vdevice: ViommuVdevice): void {
    const { virtualId } = vdevice;
    if (this.vdevices.has(virtualId)) {
      fail('EEXIST', `the virtual id 0x${virtualId.toString(16)} is taken in vIOMMU ${this.id}`);
    }
    this.context.services.memory.take(VIRTUAL_ID_BYTES, 'virtual id of a vDEVICE');
    this.vdevices.set(virtualId, vdevice);
  }

  /** Nothing happens where the id never became this vDEVICE's. */
  removeVdevice(vdevice: ViommuVdevice): void {
    if (this.vdevices.get(vdevice.virtualId) !== vdevice) return;
    this.vdevices.delete(vdevice.virtualId);
    this.context.services.memory.give(VIRTUAL_ID_BYTES);
  }

  deviceOf(virtualId: bigint): IommuDevice | null {
    return this.vdevices.get(virtualId)?.device.iommu ?? null;
  }

  virtualIdOf(device: IommuDevice): bigint | null {
    // A device has one vDEVICE at most: the order does not matter.
    for (const vdevice of this.vdevices.values()) {
      if (vdevice.device.iommu === device) return vdevice.virtualId;
    }
    return null;
  }

  veventqOf(type: number): ViommuEventQueue | null {
    return this.veventqs.find((queue) => queue.events === type) ?? null;
  }

  report(type: number, event: Uint8Array): void {
    const queue = this.veventqOf(type);
    if (queue === null) fail('EOPNOTSUPP', `vIOMMU ${this.id} has no event queue of type ${type}`);
    queue.push(event);
  }

  allocMmap(frames: readonly number[]): bigint {
    const { mmaps, services } = this.context;
    return mmaps.allocate(services.memory, this, frames);
  }

  freeMmap(offset: bigint): void {
    this.context.mmaps.free(offset);
  }
}

function allocViommu(call: IoctlCall): void {
  const { at } = VIOMMU_ALLOC;
  const { objects } = call.context;
  const model = call.u32(at.type);
  if (call.u32(at.flags) !== 0) fail('EOPNOTSUPP', 'flags must be 0');
  if (model === TYPE_DEFAULT) fail('EOPNOTSUPP', 'the type must name a kind of vIOMMU');
  const device = objects.get(call.u32(at.dev_id), Device);
  try {
    checkSupport(device.iommu, model);
    const parent = objects.get(call.u32(at.hwpt_id), HwptPaging);
    try {
      if (!parent.nestParent) fail('EINVAL', `hwpt ${parent.id} was not made as a nesting parent`);
      build(call, model, device.iommu, parent);
    } finally {
      objects.put(parent);
    }
  } finally {
    objects.put(device);
  }
}

function checkSupport(device: IommuDevice, model: number): void {
  const { driver } = device;
  if (driver.supportsViommu === undefined || driver.initViommu === undefined) {
    fail('EOPNOTSUPP', `the driver ${driver.name} has no vIOMMUs`);
  }
  if (!driver.supportsViommu(device, model)) {
    fail('EOPNOTSUPP', `the driver ${driver.name} has no vIOMMU of type ${model} for the device`);
  }
}

function build(call: IoctlCall, model: number, device: IommuDevice, parent: HwptPaging): void {
  const { at } = VIOMMU_ALLOC;
  const viommu = new Viommu(call.context, model, parent, device.instance);
  call.context.objects.reserve(viommu);
  call.created = viommu;
  const length = call.u32(at.data_len);
  const data: UserData = {
    type: model,
    address: call.u64(at.data_uptr),
    length,
    space: call.process.space,
  };
  viommu.start(device, length === 0 ? null : data);
  call.setU32(at.out_viommu_id, viommu.id);
  call.respond();
}

export const VIOMMU_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_VIOMMU_ALLOC',
    word: VIOMMU_ALLOC.word,
    size: VIOMMU_ALLOC.size,
    minSize: VIOMMU_ALLOC.minSize,
    run: allocViommu,
  },
];
