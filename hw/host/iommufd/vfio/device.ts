/**
 * A device as VFIO holds it (struct vfio_device): bound to a /dev/iommu context either as a device
 * of hardware, whose DMA the IOMMU translates, or as an emulated one (mdev), whose driver reaches
 * memory through an access object. VFIO remembers itself what is attached, and undoes it at unbind
 * (drivers/vfio/iommufd.c, vfio_main.c).
 */
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { IommuDevice } from '../driver.ts';
import type { IommuGroup } from '../iommu-core/group.ts';
import { Access } from '../objects/access.ts';
import { Device } from '../objects/device.ts';

/** How a device driver binds and attaches; EINVAL and so on come from the objects. */
export interface VfioBackend {
  /** Whether ATTACH and DETACH take a PASID. */
  readonly pasids: boolean;
  /** Returns the id of the DEVICE or ACCESS. */
  bind(context: Context): number;
  unbind(): void;
  /** Returns the id of the page table really used. */
  attach(ptId: number): number;
  detach(): void;
  attachPasid(pasid: number, ptId: number): number;
  detachPasid(pasid: number): void;
}

/** vfio_iommufd_physical_*. */
export class PhysicalBackend implements VfioBackend {
  readonly pasids = true;
  private readonly iommu: IommuDevice;
  private readonly group: IommuGroup;
  private device: Device | null = null;
  private attached = false;
  private readonly attachedPasids = new Set<number>();

  constructor(iommu: IommuDevice, group: IommuGroup) {
    this.iommu = iommu;
    this.group = group;
  }

  /** The bound object; null while unbound. */
  get bound(): Device | null {
    return this.device;
  }

  bind(context: Context): number {
    this.device = Device.bind(context, this.iommu, this.group);
    return this.device.id;
  }

  unbind(): void {
    const { device } = this;
    if (device === null) return;
    for (const pasid of [...this.attachedPasids].sort((a, b) => a - b)) this.detachPasid(pasid);
    this.detach();
    device.unbind();
    this.device = null;
  }

  attach(ptId: number): number {
    const device = this.device ?? fail('EINVAL', 'the device is not bound');
    const used = this.attached ? device.replace(0, ptId) : device.attach(0, ptId);
    this.attached = true;
    return used;
  }

  detach(): void {
    if (this.device === null || !this.attached) return;
    this.device.detach(0);
    this.attached = false;
  }

  attachPasid(pasid: number, ptId: number): number {
    const device = this.device ?? fail('EINVAL', 'the device is not bound');
    if (this.attachedPasids.has(pasid)) return device.replace(pasid, ptId);
    if (pasid > 0x7fffffff) fail('ENOSPC', `PASID ${pasid} is no number that VFIO can note`);
    const used = device.attach(pasid, ptId);
    this.attachedPasids.add(pasid);
    return used;
  }

  detachPasid(pasid: number): void {
    if (this.device === null || !this.attachedPasids.has(pasid)) return;
    this.device.detach(pasid);
    this.attachedPasids.delete(pasid);
  }
}

/** vfio_iommufd_emulated_*: only an IOAS can be attached, and PASIDs mean nothing. */
export class EmulatedBackend implements VfioBackend {
  readonly pasids = false;
  private readonly unmapped: (iova: bigint, length: bigint) => void;
  private object: Access | null = null;
  private attached = false;

  /** `unmapped`: the driver must let go of its pins in the range (dma_unmap). */
  constructor(unmapped: (iova: bigint, length: bigint) => void) {
    this.unmapped = unmapped;
  }

  /** The access through which the device's driver reaches memory; null while unbound. */
  get access(): Access | null {
    return this.object;
  }

  bind(context: Context): number {
    this.object = new Access(context, { pin: true, unmapped: this.unmapped });
    return this.object.id;
  }

  unbind(): void {
    if (this.object === null) return;
    this.object.close();
    this.attached = false;
    this.object = null;
  }

  attach(ptId: number): number {
    const access = this.object ?? fail('EINVAL', 'the device is not bound');
    if (this.attached) access.replace(ptId);
    else access.attach(ptId);
    this.attached = true;
    return ptId;
  }

  detach(): void {
    if (this.object === null || !this.attached) return;
    this.object.detach();
    this.attached = false;
  }

  attachPasid(): number {
    return fail('EOPNOTSUPP', 'an emulated device has no PASIDs');
  }

  detachPasid(): void {}
}

export interface VfioDeviceOptions {
  /** Refuses a caller without the right token (match_token_uuid); none: there are no tokens. */
  readonly matchToken?: (uuid: Uint8Array | null) => void;
  /** The device has no IOMMU behind it and is used with raw physical addresses. */
  readonly noIommu?: boolean;
}

export class VfioDevice {
  /** Name of the device: 0000:01:00.0. */
  readonly name: string;
  readonly backend: VfioBackend;
  readonly matchToken: ((uuid: Uint8Array | null) => void) | null;
  readonly noIommu: boolean;
  /** Files through which it is open now (only a group can open it more than once). */
  openCount = 0;
  /** VFIO group that it is in; null: the group interface is not built in. */
  group: VfioGroup | null = null;

  constructor(name: string, backend: VfioBackend, options: VfioDeviceOptions = {}) {
    this.name = name;
    this.backend = backend;
    this.matchToken = options.matchToken ?? null;
    this.noIommu = options.noIommu ?? false;
  }

  /** vfio_df_open: the first opener binds. Returns the id of the bound object. */
  open(context: Context, byGroup: boolean): number {
    if (this.openCount !== 0 && !byGroup) {
      fail('EINVAL', `${this.name} is open already, and is not opened through its group`);
    }
    if (this.openCount === 0) {
      const id = this.noIommu ? 0 : this.backend.bind(context);
      this.openCount = 1;
      return id;
    }
    this.openCount++;
    return 0;
  }

  /** vfio_df_close: the last one unbinds. */
  close(): void {
    this.openCount--;
    if (this.openCount === 0 && !this.noIommu) this.backend.unbind();
  }
}

/** struct vfio_group: the devices of an IOMMU group, which its file opens together. */
export class VfioGroup {
  readonly devices: VfioDevice[] = [];
  /** The group's own file is open. */
  opened = false;
  /** Devices open through their own character devices. */
  directlyOpen = 0;

  add(device: VfioDevice): void {
    device.group = this;
    this.devices.push(device);
  }
}
