/**
 * Which errors an ioctl can give and when, in the order in which the kernel looks. Errors of
 * drivers pass through unchanged and can be others.
 */
import type { ErrnoName } from '../../hw/host/kernel/errno.ts';

export interface ErrnoReason {
  readonly errno: ErrnoName;
  readonly when: string;
}

type Reasons = readonly (readonly [ErrnoName, string])[];

/** Before any ioctl of /dev/iommu runs. */
const COMMON: Reasons = [
  ['ENOTTY', 'the number or the command word is not known'],
  ['EFAULT', 'the structure, or its size, cannot be read or written'],
  ['EINVAL', 'size is below the least that the ioctl ever had'],
  ['E2BIG', 'size is above what the kernel knows, and the tail is not zero'],
];

const MAP_PLACEMENT: Reasons = [
  ['EINVAL', 'length, IOVA or offset in the page is not aligned; the IOVA is reserved'],
  ['ENOSPC', 'no IOVA is free for the length'],
  ['EEXIST', 'FIXED_IOVA: something is mapped there'],
];

const MAP_FILL: Reasons = [
  ['EFAULT', 'the memory is not there, or not writable (once a domain needs it)'],
  ['ENOMEM', 'RLIMIT_MEMLOCK, or kernel memory'],
];

const MAP_FLAGS: Reasons = [
  ['EOPNOTSUPP', 'unknown flags or a reserved field'],
  ['EOVERFLOW', 'iova or length is the largest number, or the range wraps'],
  ['EINVAL', 'neither READABLE nor WRITEABLE; length 0'],
  ['ENOENT', 'there is no such IOAS'],
];

const BY_IOCTL: Readonly<Record<string, Reasons>> = {
  DESTROY: [
    ['ENOENT', 'there is no such object'],
    ['EBUSY', 'something else uses it (objects tells what)'],
  ],
  IOAS_ALLOC: [['EOPNOTSUPP', 'flags is not 0']],
  IOAS_ALLOW_IOVAS: [
    ['EOPNOTSUPP', 'the reserved field is not 0'],
    ['ENOENT', 'there is no such IOAS'],
    ['EINVAL', 'a range has start >= last, or overlaps one before it'],
    ['EADDRINUSE', 'a range meets a reserved one'],
  ],
  IOAS_COPY: [
    ...MAP_FLAGS,
    ['ENOENT', 'the source is not mapped without a gap'],
    ...MAP_PLACEMENT,
    ['EPERM', 'WRITEABLE of memory that was mapped without it'],
    ...MAP_FILL,
  ],
  IOAS_IOVA_RANGES: [
    ['EOPNOTSUPP', 'the reserved field is not 0'],
    ['ENOENT', 'there is no such IOAS'],
    ['EMSGSIZE', 'there are more ranges than num_iovas; it says how many'],
  ],
  IOAS_MAP: [...MAP_FLAGS, ...MAP_PLACEMENT, ...MAP_FILL],
  IOAS_MAP_FILE: [
    ...MAP_FLAGS,
    ['EBADF', 'fd is not open'],
    ['EINVAL', 'the range ends beyond the file, or it is no memfd and no dma-buf'],
    ['ENODEV', 'access to the dma-buf was revoked'],
    ...MAP_PLACEMENT,
    ...MAP_FILL,
  ],
  IOAS_UNMAP: [
    ['ENOENT', 'no such IOAS; nothing is mapped in the range; a mapping is only partly in it'],
    ['EOVERFLOW', 'the range wraps (but iova 0 with the largest length is everything)'],
    ['EINVAL', 'length 0'],
    ['EBUSY', 'a hardware queue keeps the memory'],
    ['EDEADLOCK', 'an in-kernel user does not let go of its pins'],
  ],
  OPTION: [
    ['EOPNOTSUPP', 'the option or op is not known, or a field must be 0'],
    ['EPERM', 'RLIMIT_MODE: without CAP_SYS_RESOURCE'],
    ['EBUSY', 'RLIMIT_MODE: objects exist already'],
    ['ENOENT', 'HUGE_PAGES: there is no such IOAS'],
    ['EINVAL', 'the value is neither 0 nor 1; areas may have large pages'],
  ],
  VFIO_IOAS: [
    ['EOPNOTSUPP', 'op is not known'],
    ['ENODEV', 'GET: there is no such IOAS yet'],
    ['ENOENT', 'SET: there is no such IOAS'],
  ],
  HWPT_ALLOC: [
    ['EOPNOTSUPP', '__reserved is not 0'],
    ['EINVAL', 'data_type without data_len, or the other way around'],
    ['ENOENT', 'dev_id is no device; fault_id is no fault queue'],
    ['EINVAL', 'pt_id is nothing that a page table can stand on, or no nesting parent'],
    ['EOPNOTSUPP', 'flags or type that the driver, or this kind of parent, does not know'],
    ['EADDRINUSE', "the domain's limits meet what the IOAS has mapped"],
  ],
  GET_HW_INFO: [
    ['EOPNOTSUPP', 'unknown flags, or a type that is not of the device'],
    ['ENOENT', 'there is no such device'],
  ],
  HWPT_SET_DIRTY_TRACKING: [
    ['EOPNOTSUPP', 'unknown flags, or the page table was made without DIRTY_TRACKING'],
    ['ENOENT', 'there is no such page table, or user space manages it'],
  ],
  HWPT_GET_DIRTY_BITMAP: [
    ['EOPNOTSUPP', 'unknown flags, or the page table was made without DIRTY_TRACKING'],
    ['ENOENT', 'there is no such page table, or user space manages it'],
    ['EOVERFLOW', 'the range wraps'],
    ['EINVAL', 'page_size 0, or the range is not aligned to it'],
  ],
  HWPT_INVALIDATE: [
    ['EOPNOTSUPP', 'the reserved field is not 0, or the driver has no invalidation'],
    ['EINVAL', 'entries without length or pointer; the object is managed by the kernel'],
    ['ENOENT', 'there is no such object'],
    ['EINVAL', 'the driver refuses an entry: entry_num says how many were done before'],
  ],
  FAULT_QUEUE_ALLOC: [
    ['EOPNOTSUPP', 'flags is not 0'],
    ['EMFILE', 'no descriptor is free'],
  ],
  VIOMMU_ALLOC: [
    ['EOPNOTSUPP', 'flags is not 0, or the device has no vIOMMU of the type'],
    ['ENOENT', 'there is no such device, or no such page table'],
    ['EINVAL', 'the page table is no nesting parent, or of another unit'],
  ],
  VDEVICE_ALLOC: [
    ['ENOENT', 'there is no such vIOMMU or device'],
    ['EINVAL', 'the device is behind another unit'],
    ['EEXIST', 'the device has a vDEVICE, or virt_id is taken'],
  ],
  IOAS_CHANGE_PROCESS: [
    ['EOPNOTSUPP', 'the reserved field is not 0'],
    ['EINVAL', 'something is mapped that is not from a file'],
    ['ENOMEM', 'the calling process may not lock as many pages'],
  ],
  VEVENTQ_ALLOC: [
    ['EOPNOTSUPP', 'flags, reserved field or type'],
    ['EINVAL', 'depth 0, or above what the kernel takes'],
    ['ENOENT', 'there is no such vIOMMU'],
    ['EEXIST', 'the vIOMMU has a queue of the type'],
    ['EMFILE', 'no descriptor is free'],
  ],
  HW_QUEUE_ALLOC: [
    ['EOPNOTSUPP', 'flags, or a type that the vIOMMU has no queues of'],
    ['EINVAL', 'length 0, or index above the last'],
    ['EOVERFLOW', 'the range wraps'],
    ['ENOENT', 'there is no such vIOMMU, or a gap in the memory'],
    ['EPERM', 'the memory is not readable for devices'],
    ['EFAULT', 'the memory is not contiguous'],
    ['EEXIST', 'the index is taken'],
    ['EIO', 'the queue before it does not exist yet'],
  ],
  VFIO_DEVICE_BIND_IOMMUFD: [
    ['EINVAL', 'argsz, flags, a negative iommufd, bound already, no coherent DMA'],
    ['EBADF', 'iommufd is not open'],
    ['EBADFD', 'iommufd is no /dev/iommu'],
    ['EPERM', 'interrupts are not isolated, or the group has another owner'],
    ['EBUSY', 'the group is in use'],
  ],
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: [
    ['ENOENT', 'pt_id does not exist'],
    ['EINVAL', 'this page table does not fit the device: another may'],
    ['EBUSY', 'attached already at this PASID'],
    ['EADDRINUSE', 'reserved regions of the device meet what is mapped'],
    ['EOPNOTSUPP', 'the driver has no PASIDs'],
  ],
  VFIO_DEVICE_DETACH_IOMMUFD_PT: [['EINVAL', 'argsz or flags; the device is not bound']],
  VFIO_IOMMU_GET_INFO: [['ENODEV', 'there is no IOAS for VFIO calls (vfio-ioas)']],
  VFIO_IOMMU_MAP_DMA: [
    ['ENODEV', 'there is no IOAS for VFIO calls (vfio-ioas)'],
    ['EINVAL', 'argsz, flags or alignment'],
    ['EEXIST', 'something is mapped there'],
  ],
  VFIO_IOMMU_UNMAP_DMA: [
    ['ENODEV', 'there is no IOAS for VFIO calls (vfio-ioas)'],
    ['EINVAL', 'argsz, flags or alignment'],
    ['ENOENT', 'nothing is mapped there'],
  ],
  TEST_CMD: [['EOPNOTSUPP', 'op is not known, or cannot be done to the object']],
};

/** Errors of an ioctl, the common ones first. */
export function errnosOf(key: string): ErrnoReason[] {
  const own = BY_IOCTL[key];
  if (own === undefined) return [];
  const common = key.startsWith('VFIO_') && key !== 'VFIO_IOAS' ? [] : COMMON;
  return [...common, ...own].map(([errno, when]) => ({ errno, when }));
}

/** Ioctls that give an error, with its reasons; the common ones under no name. */
export function givesErrno(errno: string): (ErrnoReason & { readonly key: string })[] {
  const found: (ErrnoReason & { readonly key: string })[] = [];
  for (const [key, reasons] of [['', COMMON] as const, ...Object.entries(BY_IOCTL)]) {
    for (const [code, when] of reasons) if (code === errno) found.push({ key, errno: code, when });
  }
  return found;
}
