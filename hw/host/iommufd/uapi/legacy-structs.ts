/**
 * Structures of the guest-PASID interface of 2020 (include/uapi/linux/iommu.h, v5.10 to v5.17).
 */
import { array, layout, u8, u32, u64 } from './layout.ts';

export const LEGACY_FAULT_UNRECOVERABLE = layout('legacy_iommu_fault_unrecoverable', 32, 32, {
  reason: u32(0),
  flags: u32(4),
  pasid: u32(8),
  perm: u32(12),
  addr: u64(16),
  fetch_addr: u64(24),
});

export const LEGACY_FAULT_PAGE_REQUEST = layout('legacy_iommu_fault_page_request', 40, 40, {
  flags: u32(0),
  pasid: u32(4),
  grpid: u32(8),
  perm: u32(12),
  addr: u64(16),
  private_data: array(2, u64(24)),
});

export const LEGACY_FAULT = layout('legacy_iommu_fault', 64, 64, {
  type: u32(0),
  padding: u32(4),
});

export const LEGACY_PAGE_RESPONSE = layout('legacy_iommu_page_response', 24, 24, {
  argsz: u32(0),
  version: u32(4),
  flags: u32(8),
  pasid: u32(12),
  grpid: u32(16),
  code: u32(20),
});

export const LEGACY_INV_ADDR_INFO = layout('legacy_iommu_inv_addr_info', 40, 40, {
  flags: u32(0),
  archid: u32(4),
  pasid: u64(8),
  addr: u64(16),
  granule_size: u64(24),
  nb_granules: u64(32),
});

export const LEGACY_INV_PASID_INFO = layout('legacy_iommu_inv_pasid_info', 16, 16, {
  flags: u32(0),
  archid: u32(4),
  pasid: u64(8),
});

export const LEGACY_CACHE_INVALIDATE = layout('legacy_iommu_cache_invalidate_info', 56, 16, {
  argsz: u32(0),
  version: u32(4),
  cache: u8(8),
  granularity: u8(9),
  padding: array(6, u8(10)),
});

export const LEGACY_GPASID_BIND_VTD = layout('legacy_iommu_gpasid_bind_data_vtd', 16, 16, {
  flags: u64(0),
  pat: u32(8),
  emt: u32(12),
});

/** With the VT-d member of its union. */
export const LEGACY_GPASID_BIND = layout('legacy_iommu_gpasid_bind_data', 72, 56, {
  argsz: u32(0),
  version: u32(4),
  format: u32(8),
  addr_width: u32(12),
  flags: u64(16),
  gpgd: u64(24),
  hpasid: u64(32),
  gpasid: u64(40),
  padding: array(8, u8(48)),
  vtd_flags: u64(56),
  vtd_pat: u32(64),
  vtd_emt: u32(68),
});
