/**
 * Devices that an IOMMU cannot tell apart, and what translates for them: the domain of their RID,
 * handles by PASID, who owns their DMA (drivers/iommu/iommu.c). It knows no context: an owner is
 * any object, a handle names the domain that is attached.
 */
import { Errno, fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import type { Domain, IommuDevice } from '../driver.ts';
import type { AttachHandle } from '../graph.ts';

/** IOMMU_NO_PASID: the device itself (its RID). */
export const NO_PASID = 0;

export interface GroupOptions {
  /** Domain of the DMA API, that devices have while nobody owns them; default: the blocked one. */
  readonly defaultDomain?: Domain;
  /** Interrupts of its devices cannot reach others (interrupt remapping). */
  readonly isolatedMsi?: boolean;
}

export class IommuGroup {
  readonly devices: IommuDevice[] = [];
  readonly isolatedMsi: boolean;
  private readonly memory: KernelMemory;
  private readonly given: Domain | null;
  /** Domain of the RIDs; null before the first device. */
  private current: Domain | null = null;
  private owner: object | null = null;
  private ownerCount = 0;
  private readonly handles: Map<number, AttachHandle> = new Map();
  private resetting = false;

  constructor(memory: KernelMemory, options: GroupOptions = {}) {
    this.memory = memory;
    this.given = options.defaultDomain ?? null;
    this.isolatedMsi = options.isolatedMsi ?? true;
  }

  /** A device is found by its driver: it gets the domain that the group has. */
  addDevice(device: IommuDevice): void {
    const domain = this.current ?? this.given ?? device.driver.blocked;
    setDevice(device, domain, null);
    this.devices.push(device);
    this.current = domain;
  }

  /** The device is unplugged. */
  removeDevice(device: IommuDevice): void {
    const index = this.devices.indexOf(device);
    if (index >= 0) this.devices.splice(index, 1);
  }

  get domain(): Domain | null {
    return this.current;
  }

  get claimed(): boolean {
    return this.ownerCount > 0;
  }

  /** What is attached at a PASID by somebody who gave a handle; null: nothing, or not a device. */
  handleOf(device: IommuDevice, pasid: number): AttachHandle | null {
    return this.devices.includes(device) ? (this.handles.get(pasid) ?? null) : null;
  }

  /** iommu_device_claim_dma_owner: EPERM for a second owner; DMA is blocked from now on. */
  claim(owner: object): void {
    if (this.ownerCount > 0) {
      if (this.owner !== owner) fail('EPERM', 'the DMA of the group has another owner');
      this.ownerCount++;
      return;
    }
    if (this.current !== this.defaultDomain || this.handles.size > 0) {
      fail('EBUSY', 'the group is not in its default domain, or has PASIDs attached');
    }
    this.setDomain(this.blocked);
    this.owner = owner;
    this.ownerCount = 1;
  }

  /** iommu_device_release_dma_owner. */
  release(): void {
    if (--this.ownerCount > 0) return;
    this.owner = null;
    this.setDomainAlways(this.defaultDomain);
  }

  /** iommu_attach_group_handle. */
  attach(handle: AttachHandle): void {
    if (this.handles.has(NO_PASID)) fail('EBUSY', 'the group has an attachment already');
    this.memory.point('ENOMEM', 'attachment slot of the group');
    const { current } = this;
    if (current !== null && current !== this.defaultDomain && current !== this.blocked) {
      fail('EBUSY', 'the group is in the domain of somebody else');
    }
    this.checkDriver(handle.domain);
    this.setDomain(handle.domain);
    this.handles.set(NO_PASID, handle);
  }

  /**
   * iommu_replace_group_handle: without a stop in the blocking domain. Linux tests the domain's
   * driver where a group is attached, and here trusts that there is only one.
   */
  replace(handle: AttachHandle): void {
    this.memory.point('ENOMEM', 'attachment slot of the group');
    this.checkDriver(handle.domain);
    this.setDomain(handle.domain);
    this.handles.set(NO_PASID, handle);
  }

  /** iommu_detach_group_handle: back to the blocking domain while somebody owns the group. */
  detach(): void {
    this.setDomainAlways(this.ownerCount > 0 ? this.blocked : this.defaultDomain);
    this.handles.delete(NO_PASID);
  }

  /** iommu_attach_device_pasid. */
  attachPasid(handle: AttachHandle): void {
    const { domain, pasid } = handle;
    if (domain.setPasid === undefined || this.blocked.setPasid === undefined) {
      fail('EOPNOTSUPP', 'the driver cannot attach to a PASID');
    }
    this.checkDriver(domain);
    if (pasid === NO_PASID) fail('EINVAL', 'PASID 0 is the device itself');
    this.checkReset();
    for (const device of this.devices) {
      if (device.maxPasids > 0 && pasid >= device.maxPasids) {
        fail('EINVAL', `PASID ${pasid} is not below the ${device.maxPasids} of ${device.name}`);
      }
    }
    if (this.handles.has(pasid)) fail('EBUSY', `PASID ${pasid} of the group is attached already`);
    this.memory.point('ENOMEM', 'PASID slot of the group');
    this.setPasid(domain, pasid, null);
    this.handles.set(pasid, handle);
  }

  /** iommu_replace_device_pasid: the PASID keeps what it had where this fails. */
  replacePasid(handle: AttachHandle): void {
    const { domain, pasid } = handle;
    if (domain.setPasid === undefined) fail('EOPNOTSUPP', 'the driver cannot attach to a PASID');
    this.checkDriver(domain);
    if (pasid === NO_PASID) fail('EINVAL', 'PASID 0 is the device itself');
    this.checkReset();
    const old = this.handles.get(pasid);
    if (old === undefined) fail('EINVAL', `nothing is attached at PASID ${pasid}`);
    if (old.domain !== domain) this.setPasid(domain, pasid, old.domain);
    this.handles.set(pasid, handle);
  }

  /** iommu_detach_device_pasid. */
  detachPasid(pasid: number): void {
    const handle = this.handles.get(pasid);
    if (handle === undefined) return;
    for (const device of this.pasidDevices()) this.removePasid(device, pasid, handle.domain);
    this.handles.delete(pasid);
  }

  /** pci_dev_reset_iommu_prepare: the device's DMA is blocked, attachments are remembered. */
  beginReset(device: IommuDevice): void {
    this.checkReset();
    const { current } = this;
    if (current !== null && current !== this.blocked) setDevice(device, this.blocked, current);
    for (const [pasid, handle] of this.handles) {
      if (pasid !== NO_PASID) this.removePasid(device, pasid, handle.domain);
    }
    this.resetting = true;
  }

  /** pci_dev_reset_iommu_done: what was attached is attached again. */
  endReset(device: IommuDevice): void {
    if (!this.resetting) return;
    const { current } = this;
    if (current !== null && current !== this.blocked) setDevice(device, current, this.blocked);
    for (const [pasid, handle] of this.handles) {
      if (pasid !== NO_PASID) this.setPasid(handle.domain, pasid, this.blocked);
    }
    this.resetting = false;
  }

  private get blocked(): Domain {
    return (this.devices[0] as IommuDevice).driver.blocked;
  }

  private get defaultDomain(): Domain {
    return this.given ?? this.blocked;
  }

  private checkDriver(domain: Domain): void {
    const driver = (this.devices[0] as IommuDevice).driver;
    if (domain.driver !== driver && domain !== driver.blocked) {
      fail('EINVAL', `the domain is one of the driver ${domain.driver.name}, not ${driver.name}`);
    }
  }

  private checkReset(): void {
    if (this.resetting) fail('EBUSY', 'a device of the group is being reset');
  }

  /** Moves all devices; those moved before one that refuses are put back. */
  private setDomain(domain: Domain): void {
    const old = this.current;
    if (old === domain) return;
    this.checkReset();
    for (let i = 0; i < this.devices.length; i++) {
      try {
        setDevice(this.devices[i] as IommuDevice, domain, old);
      } catch (error) {
        for (let j = 0; j < i; j++) this.setBack(this.devices[j] as IommuDevice, old, domain);
        throw error;
      }
    }
    this.current = domain;
  }

  /** A domain that was good before; DMA is blocked rather than left in the domain that goes. */
  private setBack(device: IommuDevice, domain: Domain | null, from: Domain): void {
    if (domain === null) return;
    try {
      setDevice(device, domain, from);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      if (this.blocked !== domain) setDevice(device, this.blocked, from);
    }
  }

  private setDomainAlways(domain: Domain): void {
    const old = this.current;
    if (old === domain) return;
    for (const device of this.devices) this.setBack(device, domain, old as Domain);
    this.current = domain;
  }

  /** Devices without PASIDs cannot send any: they are passed over. */
  private pasidDevices(): IommuDevice[] {
    return this.devices.filter((device) => device.maxPasids > 0);
  }

  private setPasid(domain: Domain, pasid: number, old: Domain | null): void {
    const devices = this.pasidDevices();
    for (let i = 0; i < devices.length; i++) {
      try {
        domain.setPasid?.(devices[i] as IommuDevice, pasid, old);
      } catch (error) {
        for (const device of devices.slice(0, i)) this.revertPasid(device, pasid, old, domain);
        throw error;
      }
    }
  }

  private revertPasid(
    device: IommuDevice,
    pasid: number,
    old: Domain | null,
    domain: Domain,
  ): void {
    try {
      if (old !== null) {
        old.setPasid?.(device, pasid, domain);
        return;
      }
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
    this.removePasid(device, pasid, domain);
  }

  private removePasid(device: IommuDevice, pasid: number, domain: Domain): void {
    device.driver.blocked.setPasid?.(device, pasid, domain);
  }
}

/** A device that firmware wants mapped 1:1 is never blocked. */
function setDevice(device: IommuDevice, domain: Domain, old: Domain | null): void {
  if (domain.kind === 'blocked' && device.reserved.some(({ kind }) => kind === 'direct')) {
    fail('EINVAL', `firmware wants a 1:1 mapping for ${device.name}: it cannot be blocked`);
  }
  domain.attach(device, old);
}
