/**
 * What an IOMMU driver offers /dev/iommu (struct iommu_ops, iommu_domain_ops, iommufd_viommu_ops of
 * include/linux/iommu.h and iommufd.h). A hook that refuses throws Errno; the number reaches the
 * caller of the ioctl unchanged. Addresses and sizes are 64-bit.
 */
import type { AddressSpace } from '../kernel/api.ts';

/** IOMMU_READ, IOMMU_WRITE, IOMMU_CACHE, IOMMU_MMIO. */
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_CACHE = 4;
export const PROT_MMIO = 16;

/** IOMMU_HWPT_ALLOC flags as drivers see them (FAULT_ID_VALID is taken off before). */
export const ALLOC_NEST_PARENT = 1;
export const ALLOC_DIRTY_TRACKING = 2;
export const ALLOC_PASID = 8;

export type IommuCapability =
  | 'cache-coherency'
  | 'enforce-cache-coherency'
  | 'dirty-tracking'
  | 'pci-ats';

/** Driver-specific data of one structure in user memory (struct iommu_user_data). */
export interface UserData {
  readonly type: number;
  readonly address: bigint;
  readonly length: number;
  readonly space: AddressSpace;
}

/** An array of driver-specific structures (struct iommu_user_data_array). */
export interface UserDataArray {
  readonly type: number;
  readonly address: bigint;
  readonly entryLength: number;
  readonly entries: number;
  readonly space: AddressSpace;
  /** Entries that the driver has carried out; reported to the caller also on an error. */
  handled: number;
}

export interface HardwareInfo {
  readonly type: number;
  readonly bytes: Uint8Array;
}

export type ReservedKind = 'direct' | 'direct-relaxable' | 'reserved' | 'msi' | 'sw-msi';

export interface ReservedRegion {
  readonly start: bigint;
  readonly length: bigint;
  readonly kind: ReservedKind;
}

/** What is PCI about a device; null for one that is not PCI. */
export interface PciTraits {
  readonly virtualFunction: boolean;
  readonly pri: boolean;
  readonly pasidExecute: boolean;
  readonly pasidPrivileged: boolean;
}

/** A device behind an IOMMU (struct device with its dev_iommu). */
export interface IommuDevice {
  readonly name: string;
  readonly driver: IommuDriver;
  /** The IOMMU unit that translates for it (struct iommu_device): compared by identity. */
  readonly instance: object;
  /** Number of PASIDs that it can use; 0: none. */
  readonly maxPasids: number;
  readonly pci: PciTraits | null;
  readonly reserved: readonly ReservedRegion[];
}

export interface IommuDriver {
  readonly name: string;
  /** Page requests with a PASID nobody attached go to the nested domain of the RID. */
  readonly userPasidTable: boolean;
  /** Domain in which all DMA of a device is refused. */
  readonly blocked: Domain;
  capable(device: IommuDevice, capability: IommuCapability): boolean;
  /** EOPNOTSUPP: the type is not one of the driver's. No hook: type 0, no bytes. */
  hwInfo?(device: IommuDevice, type: number): HardwareInfo;
  /** domain_alloc_paging_flags. */
  allocPaging?(device: IommuDevice, flags: number, data: UserData | null): PagingDomain;
  /** domain_alloc_paging: for drivers without the hook above. */
  allocPagingPlain?(device: IommuDevice): PagingDomain;
  allocNested?(
    device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): NestedDomain;
  /** get_viommu_size: whether the driver has vIOMMUs of the type for this device. */
  supportsViommu?(device: IommuDevice, type: number): boolean;
  initViommu?(
    device: IommuDevice,
    type: number,
    parent: PagingDomain,
    host: ViommuHost,
    data: UserData | null,
  ): ViommuDriver;
  pageResponse?(device: IommuDevice, request: PageRequest, code: ResponseCode): void;
}

export interface Domain {
  readonly kind: 'paging' | 'nested' | 'blocked';
  readonly driver: IommuDriver;
  /** attach_dev. EINVAL: device and domain do not fit, another domain may. */
  attach(device: IommuDevice, old: Domain | null): void;
  /** set_dev_pasid; the device stays as it was on an error. No hook: no PASID support. */
  setPasid?(device: IommuDevice, pasid: number, old: Domain | null): void;
  free(): void;
}

export interface PagingDomain extends Domain {
  readonly kind: 'paging';
  /** Bit n: leaves of 2^n bytes exist. */
  readonly pageSizes: bigint;
  /** First and last input address. */
  readonly apertureStart: bigint;
  readonly apertureEnd: bigint;
  /** Maps a contiguous range; all of it or, on an error, nothing. */
  map(iova: bigint, physical: bigint, bytes: bigint, prot: number): void;
  /** Clears the range's entries; returns the bytes that were mapped. The cache is not flushed. */
  unmap(iova: bigint, bytes: bigint): bigint;
  /** iommu_iotlb_sync: nothing removed since the last call is used any more. */
  sync(): void;
  /** Output address of an input address; null where nothing is mapped. */
  iovaToPhys(iova: bigint): bigint | null;
  /** False: cannot. */
  enforceCoherency?(): boolean;
  readonly dirty?: DirtyTracking;
}

export interface DirtyTracking {
  setTracking(enable: boolean): void;
  /**
   * Calls `found` for each dirty leaf that meets [iova, iova + bytes), ascending, from where both
   * begin to overlap; some formats tell more or less of a leaf that is met in part. Clears the
   * leaf's dirty bit when `clear`. Caches are flushed by `flush`, once at the end.
   */
  readAndClear(
    iova: bigint,
    bytes: bigint,
    clear: boolean,
    found: (iova: bigint, bytes: bigint) => void,
  ): void;
  flush(): void;
}

export interface NestedDomain extends Domain {
  readonly kind: 'nested';
  /** Paging domain that it stands on. */
  readonly parent: PagingDomain;
  /** cache_invalidate_user. */
  invalidate?(array: UserDataArray): void;
}

/** What the core of a vIOMMU gives its driver. */
export interface ViommuHost {
  /** The device with a virtual id in this vIOMMU; null when there is none. */
  deviceOf(virtualId: bigint): IommuDevice | null;
  /** iommufd_viommu_get_vdev_id: virtual id of a device; null when it has no vDEVICE here. */
  virtualIdOf(device: IommuDevice): bigint | null;
  /** iommufd_viommu_report_event; EOPNOTSUPP when nobody has a queue of the type. */
  report(type: number, event: Uint8Array): void;
  /** Registers pages for mmap on the context; returns the offset to pass to it. */
  allocMmap(frames: readonly number[]): bigint;
  freeMmap(offset: bigint): void;
}

export interface ViommuDriver {
  destroy?(): void;
  allocNested?(device: IommuDevice, flags: number, data: UserData): NestedDomain;
  invalidate?(array: UserDataArray): void;
  /** vdevice_init: a device gets a virtual id; the handle is given back by `freeVdevice`. */
  initVdevice?(device: IommuDevice, virtualId: bigint): void;
  freeVdevice?(device: IommuDevice, virtualId: bigint): void;
  supportsHwQueue?(type: number): boolean;
  /** hw_queue_init_phys. */
  initHwQueue?(queue: HwQueueRequest): HwQueueDriver;
}

export interface HwQueueRequest {
  readonly type: number;
  readonly index: number;
  /** Physical address of the queue's first byte, and its length. */
  readonly base: bigint;
  readonly length: bigint;
}

export interface HwQueueDriver {
  /** Index of the queue that must live as long as this one; -1: none. */
  readonly dependsOn: number;
  destroy(): void;
}

/** Code of a response to a page request group (enum iommu_page_response_code). */
export type ResponseCode = 'success' | 'invalid' | 'failure';

/** A page request as it comes from hardware (struct iommu_fault_page_request). */
export interface PageRequest {
  /** PASID_VALID 1, LAST_PAGE 2, NEEDS_PASID 4. */
  readonly flags: number;
  readonly pasid: number;
  readonly grpid: number;
  /** READ 1, WRITE 2, EXEC 4, PRIV 8. */
  readonly perm: number;
  readonly address: bigint;
}
