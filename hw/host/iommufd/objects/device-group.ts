/**
 * A group of devices as one context sees it (struct iommufd_group): what is attached at each PASID
 * and by which of its devices. The first device attaches the group, the others follow, each adding
 * its reserved regions; the last to leave detaches it.
 */
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { AttachedDevice, AttachHandle } from '../graph.ts';
import { type IommuGroup, NO_PASID } from '../iommu-core/group.ts';
import { swMsiIova } from '../iommu-core/sw-msi.ts';
import type { Hwpt, HwptPaging } from './hwpt-paging.ts';

const GROUP_BYTES = 192;
const ATTACHMENT_BYTES = 32;
const HANDLE_BYTES = 32;

export interface Attachment {
  hwpt: Hwpt;
  handle: Handle;
  /** In ascending order of their ids. */
  readonly devices: AttachedDevice[];
}

export interface Handle extends AttachHandle {
  readonly hwpt: Hwpt;
}

export class DeviceGroup {
  readonly core: IommuGroup;
  private readonly context: Context;
  private refs = 0;
  private readonly attachments: Map<number, Attachment> = new Map();
  /** First IOVA of its software MSI window; null: interrupts are not translated. */
  swMsiStart: bigint | null = null;
  private readonly swMsiNeeded: Set<number> = new Set();

  constructor(context: Context, core: IommuGroup) {
    this.context = context;
    this.core = core;
  }

  /** iommufd_get_group: the context's view of a group, made for the first of its devices. */
  static get(context: Context, core: IommuGroup): DeviceGroup {
    let group = context.groups.get(core);
    if (!(group instanceof DeviceGroup)) {
      const { memory } = context.services;
      memory.take(GROUP_BYTES, 'iommufd group');
      try {
        memory.point('ENOMEM', 'slot of an iommufd group');
      } catch (error) {
        memory.give(GROUP_BYTES);
        throw error;
      }
      group = new DeviceGroup(context, core);
      context.groups.set(core, group);
    }
    const found = group as DeviceGroup;
    found.refs++;
    return found;
  }

  put(): void {
    if (--this.refs > 0) return;
    this.context.groups.delete(this.core);
    this.context.services.memory.give(GROUP_BYTES);
  }

  attachment(pasid: number): Attachment | null {
    return this.attachments.get(pasid) ?? null;
  }

  /** All attachments by PASID (for tests, reports, invariants). */
  allAttachments(): ReadonlyMap<number, Attachment> {
    return this.attachments;
  }

  isAttached(device: AttachedDevice, pasid: number): boolean {
    return this.attachments.get(pasid)?.devices.includes(device) ?? false;
  }

  /** iommufd_hw_pagetable_attach. */
  attach(device: AttachedDevice, pasid: number, hwpt: Hwpt): void {
    const there = this.attachments.get(pasid);
    if (there === undefined) {
      this.attachFirst(device, pasid, hwpt);
    } else {
      this.follow(there, device, pasid, hwpt);
    }
    hwpt.users++;
  }

  private attachFirst(device: AttachedDevice, pasid: number, hwpt: Hwpt): void {
    const { memory } = this.context.services;
    const regions = pasid === NO_PASID ? hwpt.paging : null;
    memory.point('ENOMEM', 'PASID slot of an iommufd group');
    memory.take(ATTACHMENT_BYTES, 'attachment');
    try {
      memory.point('ENOMEM', 'slot of a device in an attachment');
      if (regions !== null) this.addRegions(device, regions, true);
      try {
        const handle = this.attachCore(device, pasid, hwpt);
        this.attachments.set(pasid, { hwpt, handle, devices: [device] });
      } catch (error) {
        regions?.ioas.table.removeReserved(device.iommu);
        throw error;
      }
    } catch (error) {
      memory.give(ATTACHMENT_BYTES);
      throw error;
    }
  }

  private follow(there: Attachment, device: AttachedDevice, pasid: number, hwpt: Hwpt): void {
    if (there.devices.includes(device)) {
      fail('EBUSY', `device ${device.id} is attached already at PASID ${pasid}`);
    }
    this.context.services.memory.point('ENOMEM', 'slot of a device in an attachment');
    if (there.hwpt !== hwpt) {
      fail('EINVAL', `its group is attached to hwpt ${there.hwpt.id} at PASID ${pasid}`);
    }
    if (pasid === NO_PASID) this.addRegions(device, hwpt.paging, false);
    const after = there.devices.findIndex(({ id }) => id > device.id);
    there.devices.splice(after < 0 ? there.devices.length : after, 0, device);
  }

  /** iommufd_hw_pagetable_detach: returns the page table, or null where nothing was attached. */
  detach(device: AttachedDevice, pasid: number): Hwpt | null {
    const there = this.attachments.get(pasid);
    if (there === undefined) return null;
    const at = there.devices.indexOf(device);
    if (at < 0) return null;
    const { hwpt, handle } = there;
    there.devices.splice(at, 1);
    if (there.devices.length === 0) {
      if (pasid === NO_PASID) this.core.detach();
      else this.core.detachPasid(pasid);
      hwpt.fault?.dropAttachment(handle);
      this.attachments.delete(pasid);
      this.context.services.memory.give(HANDLE_BYTES);
      this.context.services.memory.give(ATTACHMENT_BYTES);
    }
    if (pasid === NO_PASID) hwpt.paging.ioas.table.removeReserved(device.iommu);
    return hwpt;
  }

  /**
   * iommufd_device_do_replace: moves the whole group; returns the page table that it leaves, with
   * one count that the caller drops, or null where nothing changes.
   */
  replace(device: AttachedDevice, pasid: number, hwpt: Hwpt): Hwpt | null {
    const there = this.attachments.get(pasid);
    if (there === undefined) fail('EINVAL', `nothing is attached at PASID ${pasid}`);
    if (!there.devices.includes(device)) {
      fail('EINVAL', `device ${device.id} is not attached at PASID ${pasid}`);
    }
    const old = there.hwpt;
    if (old === hwpt) return null;
    const regions = pasid === NO_PASID && hwpt.paging.ioas !== old.paging.ioas;
    if (pasid === NO_PASID) this.moveRegions(there, hwpt.paging, regions);
    try {
      there.handle = this.replaceCore(device, pasid, hwpt, there);
    } catch (error) {
      if (regions) this.removeRegions(there.devices, hwpt.paging);
      throw error;
    }
    if (regions) this.removeRegions(there.devices, old.paging);
    there.hwpt = hwpt;
    hwpt.users += there.devices.length;
    old.users -= there.devices.length - 1;
    return old;
  }

  private attachCore(device: AttachedDevice, pasid: number, hwpt: Hwpt): Handle {
    const { core } = this;
    return this.enter(device, pasid, hwpt, (handle) =>
      pasid === NO_PASID ? core.attach(handle) : core.attachPasid(handle),
    );
  }

  private replaceCore(
    device: AttachedDevice,
    pasid: number,
    hwpt: Hwpt,
    there: Attachment,
  ): Handle {
    const { core } = this;
    const handle = this.enter(device, pasid, hwpt, (fresh) =>
      pasid === NO_PASID ? core.replace(fresh) : core.replacePasid(fresh),
    );
    there.hwpt.fault?.dropAttachment(there.handle);
    this.context.services.memory.give(HANDLE_BYTES);
    return handle;
  }

  /** Checks what may be attached where, and lets the group's domain follow. */
  private enter(
    device: AttachedDevice,
    pasid: number,
    hwpt: Hwpt,
    move: (handle: Handle) => void,
  ): Handle {
    this.checkFaults(device, hwpt);
    this.checkPasid(hwpt, pasid);
    const { memory } = this.context.services;
    memory.take(HANDLE_BYTES, 'attachment handle');
    const handle: Handle = { domain: hwpt.domain, hwpt, device, pasid };
    try {
      move(handle);
    } catch (error) {
      memory.give(HANDLE_BYTES);
      throw error;
    }
    return handle;
  }

  /** Virtual functions share one page request interface: a refusal of one would hit the others. */
  private checkFaults(device: AttachedDevice, hwpt: Hwpt): void {
    const { pci } = device.iommu;
    if (hwpt.fault !== null && pci?.virtualFunction && pci.pri) {
      fail('EINVAL', 'page requests of a virtual function cannot go to a fault queue');
    }
  }

  /** iommufd_hwpt_pasid_compat. */
  private checkPasid(hwpt: Hwpt, pasid: number): void {
    if (pasid === NO_PASID) {
      const others = this.attachments.size > (this.attachments.has(NO_PASID) ? 1 : 0);
      if (!hwpt.pasidCompatible && others) {
        fail('EINVAL', `hwpt ${hwpt.id} was not made for PASIDs, and some are attached`);
      }
      return;
    }
    if (!hwpt.pasidCompatible) fail('EINVAL', `hwpt ${hwpt.id} was not made for PASIDs`);
    const rid = this.attachments.get(NO_PASID);
    if (rid !== undefined && !rid.hwpt.pasidCompatible) {
      fail('EINVAL', `hwpt ${rid.hwpt.id} of the device itself was not made for PASIDs`);
    }
  }

  /** iommufd_device_attach_reserved_iova; `first`: no device of the group is attached yet. */
  private addRegions(device: AttachedDevice, paging: HwptPaging, first: boolean): void {
    const start = paging.ioas.table.enforceReserved(device.iommu);
    if (start !== null) this.swMsiStart = start;
    if (!first) return;
    try {
      this.mapDoorbells(paging);
    } catch (error) {
      paging.ioas.table.removeReserved(device.iommu);
      throw error;
    }
  }

  /** iommufd_group_do_replace_reserved_iova. */
  private moveRegions(there: Attachment, paging: HwptPaging, regions: boolean): void {
    const done: AttachedDevice[] = [];
    try {
      if (regions) {
        for (const device of there.devices) {
          paging.ioas.table.enforceReserved(device.iommu);
          done.push(device);
        }
      }
      this.mapDoorbells(paging);
    } catch (error) {
      this.removeRegions(done, paging);
      throw error;
    }
  }

  private removeRegions(devices: readonly AttachedDevice[], paging: HwptPaging): void {
    for (const device of devices) paging.ioas.table.removeReserved(device.iommu);
  }

  /** iommufd_group_setup_msi. */
  private mapDoorbells(paging: HwptPaging): void {
    if (this.swMsiStart === null) return;
    for (const page of this.context.swMsi.needed(this.swMsiStart, this.swMsiNeeded)) {
      paging.mapDoorbell(page);
    }
  }

  /**
   * iommufd_sw_msi: an interrupt of the group is set up. Returns the IOVA page that stands for the
   * doorbell; null where interrupts are not translated, or nothing is attached.
   */
  prepareMsi(doorbell: bigint): bigint | null {
    const rid = this.attachments.get(NO_PASID);
    if (rid === undefined || this.swMsiStart === null) return null;
    const page = this.context.swMsi.get(this.swMsiStart, doorbell);
    rid.hwpt.paging.mapDoorbell(page);
    this.swMsiNeeded.add(page.id);
    return swMsiIova(page);
  }
}
