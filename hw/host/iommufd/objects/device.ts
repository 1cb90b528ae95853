/**
 * A device bound to a context (IOMMUFD_OBJ_DEVICE, drivers/iommu/iommufd/device.c): its DMA belongs
 * to the context from bind to unbind, and is blocked but for what is attached.
 */
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { IommuDevice } from '../driver.ts';
import type { AttachedDevice, DeviceVdevice } from '../graph.ts';
import type { IommuGroup } from '../iommu-core/group.ts';
import { IommufdObject } from '../object.ts';
import { type AttachWay, attachAutomatic, putHwpt } from './auto-domains.ts';
import { DeviceGroup } from './device-group.ts';
import { Hwpt } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';

const DEVICE_BYTES = 128;

export interface BindOptions {
  /** Module option allow_unsafe_interrupts. */
  readonly allowUnsafeInterrupts?: boolean;
  /** A device of the test driver: holds no file, and its interrupts are not looked at. */
  readonly test?: boolean;
}

export class Device extends IommufdObject implements AttachedDevice {
  readonly type = 'device';
  readonly context: Context;
  readonly iommu: IommuDevice;
  readonly view: DeviceGroup;
  readonly enforceCoherency: boolean;
  /** Its one vDEVICE, in any vIOMMU; the vDEVICE counts the device. */
  vdevice: DeviceVdevice | null = null;
  /** Unbind is under way: no vDEVICE can be made. */
  destroying = false;
  private readonly holdsFile: boolean;

  /** Use `bind`. */
  constructor(context: Context, iommu: IommuDevice, view: DeviceGroup, holdsFile: boolean) {
    super(DEVICE_BYTES);
    this.context = context;
    this.iommu = iommu;
    this.view = view;
    this.holdsFile = holdsFile;
    this.enforceCoherency = iommu.driver.capable(iommu, 'enforce-cache-coherency');
  }

  /** iommufd_device_bind: the caller is a user of the object until it unbinds. */
  static override bind(
    context: Context,
    iommu: IommuDevice,
    group: IommuGroup | null,
    options: BindOptions = {},
  ): Device {
    if (!iommu.driver.capable(iommu, 'cache-coherency')) {
      fail('EINVAL', `the IOMMU of ${iommu.name} cannot do cache-coherent DMA`);
    }
    if (group === null) fail('ENODEV', `${iommu.name} is in no IOMMU group`);
    const test = options.test ?? false;
    const view = DeviceGroup.get(context, group);
    try {
      if (!test && !group.isolatedMsi && !(options.allowUnsafeInterrupts ?? false)) {
        fail('EPERM', `interrupts of ${iommu.name} are not isolated (allow_unsafe_interrupts)`);
      }
      group.claim(context);
    } catch (error) {
      view.put();
      throw error;
    }
    const device = new Device(context, iommu, view, !test);
    try {
      context.objects.reserve(device);
    } catch (error) {
      group.release();
      view.put();
      throw error;
    }
    if (device.holdsFile) context.services.get(context.file);
    device.users++;
    context.objects.publish(device);
    return device;
  }

  /** iommufd_device_unbind: nothing may be attached. A vDEVICE goes first, and leaves its id. */
  unbind(): void {
    this.destroying = true;
    if (this.vdevice !== null) this.context.objects.entomb(this.vdevice);
    this.users--;
    this.context.objects.remove(this);
  }

  get group(): IommuGroup {
    return this.view.core;
  }

  /** What the device is attached to at a PASID; 0 is the device itself. */
  hwptOf(pasid: number): Hwpt | null {
    return this.view.isAttached(this, pasid) ? (this.view.attachment(pasid)?.hwpt ?? null) : null;
  }

  /** iommufd_device_attach; returns the id of the page table really used. */
  attach(pasid: number, ptId: number): number {
    const used = this.change(ptId, {
      device: this.iommu,
      enforceCoherency: this.enforceCoherency,
      attachBeforeFill: true,
      attach: (hwpt) => {
        this.view.attach(this, pasid, hwpt);
        return null;
      },
      detach: () => this.leave(pasid),
    });
    this.users++;
    return used;
  }

  /** iommufd_device_replace: on a failure all stays as it was. */
  replace(pasid: number, ptId: number): number {
    return this.change(ptId, {
      device: this.iommu,
      enforceCoherency: this.enforceCoherency,
      attachBeforeFill: false,
      attach: (hwpt) => this.view.replace(this, pasid, hwpt),
      detach: () => {},
    });
  }

  /** iommufd_device_detach: nothing happens where nothing is attached. */
  detach(pasid: number): void {
    if (this.leave(pasid)) this.users--;
  }

  /** iommufd_sw_msi: the IOVA for a doorbell's page; null: interrupts are not translated. */
  prepareMsi(doorbell: bigint): bigint | null {
    return this.view.prepareMsi(doorbell);
  }

  /** PASIDs at which it is attached, the device itself (0) included. */
  pasids(): number[] {
    const found: number[] = [];
    for (const [pasid, { devices }] of this.view.allAttachments()) {
      if (devices.includes(this)) found.push(pasid);
    }
    return found.sort((a, b) => a - b);
  }

  private leave(pasid: number): boolean {
    const hwpt = this.view.detach(this, pasid);
    if (hwpt === null) return false;
    putHwpt(this.context, hwpt);
    return true;
  }

  /** iommufd_device_change_pt. */
  private change(ptId: number, way: AttachWay): number {
    const { objects } = this.context;
    const target = objects.getAny(ptId);
    let left: Hwpt | null;
    let used = target.id;
    try {
      if (target instanceof Hwpt) {
        left = way.attach(target);
      } else if (target instanceof Ioas) {
        const automatic = attachAutomatic(this.context, target, way);
        left = automatic.left;
        used = automatic.hwpt.id;
      } else {
        fail('EINVAL', `object ${ptId} (${target.type}) is no page table and no IOAS`);
      }
    } finally {
      objects.put(target);
    }
    if (left !== null) putHwpt(this.context, left);
    return used;
  }

  /** The last user is gone: DMA is the kernel's again. */
  override destroy(): void {
    this.group.release();
    this.view.put();
    if (this.holdsFile) this.context.services.put(this.context.file);
  }
}
