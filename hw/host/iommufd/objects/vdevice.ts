/**
 * vDEVICE (IOMMUFD_OBJ_VDEVICE, drivers/iommu/iommufd/viommu.c): the name that a virtual machine
 * has for a device behind its vIOMMU. It holds the vIOMMU, and the device as a lookup does: when
 * the device goes first, the kernel ends the vDEVICE and its id stays taken.
 */
import { fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { DeviceVdevice } from '../graph.ts';
import { IommufdObject } from '../object.ts';
import { VDEVICE_ALLOC } from '../uapi/structs.ts';
import { Device } from './device.ts';
import { Viommu } from './viommu.ts';

const OBJECT_BYTES = 128;

export class Vdevice extends IommufdObject implements DeviceVdevice {
  readonly type = 'vdevice';
  readonly viommu: Viommu;
  readonly device: Device;
  readonly virtualId: bigint;
  /** The driver has been told of it. */
  private started = false;

  constructor(viommu: Viommu, device: Device, virtualId: bigint) {
    super(OBJECT_BYTES);
    this.viommu = viommu;
    this.device = device;
    this.virtualId = virtualId;
  }

  /** The object has its id; `abort` undoes what was done when this throws. */
  start(): void {
    this.viommu.users++;
    this.device.vdevice = this;
    this.viommu.addVdevice(this);
    this.viommu.driver.initVdevice?.(this.device.iommu, this.virtualId);
    this.started = true;
  }

  override abort(): void {
    if (this.started) this.viommu.driver.freeVdevice?.(this.device.iommu, this.virtualId);
    this.viommu.removeVdevice(this);
    this.viommu.users--;
    this.device.vdevice = null;
  }

  destroy(): void {
    this.abort();
    this.viommu.context.objects.put(this.device);
  }
}

function allocVdevice(call: IoctlCall): void {
  const { at } = VDEVICE_ALLOC;
  const { objects } = call.context;
  const viommu = objects.get(call.u32(at.viommu_id), Viommu);
  try {
    const device = objects.get(call.u32(at.dev_id), Device);
    let kept = false;
    try {
      if (viommu.instance !== device.iommu.instance) {
        fail('EINVAL', `device ${device.id} is behind another IOMMU than vIOMMU ${viommu.id}`);
      }
      if (device.destroying) fail('ENOENT', `device ${device.id} is being unbound`);
      if (device.vdevice !== null) fail('EEXIST', `device ${device.id} has a vDEVICE already`);
      build(call, new Vdevice(viommu, device, call.u64(at.virt_id)));
      kept = true;
    } finally {
      if (!kept) objects.put(device);
    }
  } finally {
    objects.put(viommu);
  }
}

function build(call: IoctlCall, vdevice: Vdevice): void {
  const { objects } = call.context;
  objects.reserve(vdevice);
  try {
    vdevice.start();
    call.setU32(VDEVICE_ALLOC.at.out_vdevice_id, vdevice.id);
    call.respond();
  } catch (error) {
    objects.abort(vdevice);
    throw error;
  }
  objects.publish(vdevice);
}

export const VDEVICE_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_VDEVICE_ALLOC',
    word: VDEVICE_ALLOC.word,
    size: VDEVICE_ALLOC.size,
    minSize: VDEVICE_ALLOC.minSize,
    run: allocVdevice,
  },
];
