/** Page requests as devices send them, in the form in which the kernel hands them on. */
import type { WantedPage } from '../../pcie/page-requester.ts';
import type { PageRequest } from './driver.ts';
import {
  IOMMU_PGFAULT_FLAGS_LAST_PAGE,
  IOMMU_PGFAULT_FLAGS_PASID_VALID,
  IOMMU_PGFAULT_PERM_EXEC,
  IOMMU_PGFAULT_PERM_PRIV,
  IOMMU_PGFAULT_PERM_READ,
  IOMMU_PGFAULT_PERM_WRITE,
} from './uapi/constants.ts';

/** What the kernel is told of a page that a device asks for. */
export function requestOf({ pasid, group, address, ...page }: WantedPage): PageRequest {
  return {
    flags:
      (pasid >= 0 ? IOMMU_PGFAULT_FLAGS_PASID_VALID : 0) |
      (page.last ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0),
    pasid: Math.max(0, pasid),
    grpid: group,
    perm:
      (page.read ? IOMMU_PGFAULT_PERM_READ : 0) |
      (page.write ? IOMMU_PGFAULT_PERM_WRITE : 0) |
      (page.execute ? IOMMU_PGFAULT_PERM_EXEC : 0) |
      (page.privileged ? IOMMU_PGFAULT_PERM_PRIV : 0),
    address,
  };
}

/** PASID of a request; -1: it has none. */
export function pasidOf({ flags, pasid }: PageRequest): number {
  return (flags & IOMMU_PGFAULT_FLAGS_PASID_VALID) !== 0 ? pasid : -1;
}
