/**
 * Argument of IOMMU_TEST_CMD (drivers/iommu/iommufd/iommufd_test.h): common fields, and one layout of
 * the same bytes for each member of its union. TEST_FORMS tells which op uses which.
 */
import { ioctl, layout, s32, u32, u64 } from './layout.ts';

const COMMON = {
  size: u32(0),
  op: u32(4),
  id: u32(8),
  __reserved: u32(12),
  last: u32(64),
} as const;

export const TEST_CMD = ioctl('TEST_CMD', 0xa0, layout('iommu_test_cmd', 72, 68, COMMON));

export const TEST_ADD_RESERVED = layout('iommu_test_cmd.add_reserved', 72, 68, {
  ...COMMON,
  start: u64(16),
  length: u64(24),
});

export const TEST_MOCK_DOMAIN = layout('iommu_test_cmd.mock_domain', 72, 68, {
  ...COMMON,
  out_stdev_id: u32(16),
  out_hwpt_id: u32(20),
  out_idev_id: u32(24),
});

export const TEST_MOCK_DOMAIN_FLAGS = layout('iommu_test_cmd.mock_domain_flags', 72, 68, {
  ...COMMON,
  out_stdev_id: u32(16),
  out_hwpt_id: u32(20),
  out_idev_id: u32(24),
  dev_flags: u32(28),
});

export const TEST_MOCK_DOMAIN_REPLACE = layout('iommu_test_cmd.mock_domain_replace', 72, 68, {
  ...COMMON,
  pt_id: u32(16),
});

export const TEST_CHECK_MAP = layout('iommu_test_cmd.check_map', 72, 68, {
  ...COMMON,
  iova: u64(16),
  length: u64(24),
  uptr: u64(32),
});

export const TEST_CHECK_REFS = layout('iommu_test_cmd.check_refs', 72, 68, {
  ...COMMON,
  length: u64(16),
  uptr: u64(24),
  refs: u32(32),
});

export const TEST_CREATE_ACCESS = layout('iommu_test_cmd.create_access', 72, 68, {
  ...COMMON,
  out_access_fd: u32(16),
  flags: u32(20),
});

export const TEST_DESTROY_ACCESS_PAGES = layout('iommu_test_cmd.destroy_access_pages', 72, 68, {
  ...COMMON,
  access_pages_id: u32(16),
});

export const TEST_ACCESS_PAGES = layout('iommu_test_cmd.access_pages', 72, 68, {
  ...COMMON,
  flags: u32(16),
  out_access_pages_id: u32(20),
  iova: u64(24),
  length: u64(32),
  uptr: u64(40),
});

export const TEST_ACCESS_RW = layout('iommu_test_cmd.access_rw', 72, 68, {
  ...COMMON,
  iova: u64(16),
  length: u64(24),
  uptr: u64(32),
  flags: u32(40),
});

export const TEST_MEMORY_LIMIT = layout('iommu_test_cmd.memory_limit', 72, 68, {
  ...COMMON,
  limit: u32(16),
});

export const TEST_ACCESS_REPLACE_IOAS = layout('iommu_test_cmd.access_replace_ioas', 72, 68, {
  ...COMMON,
  ioas_id: u32(16),
});

export const TEST_DIRTY = layout('iommu_test_cmd.dirty', 72, 68, {
  ...COMMON,
  flags: u32(16),
  iova: u64(24),
  length: u64(32),
  page_size: u64(40),
  uptr: u64(48),
  out_nr_dirty: u64(56),
});

export const TEST_CHECK_IOTLB = layout('iommu_test_cmd.check_iotlb', 72, 68, {
  ...COMMON,
  id: u32(16),
  iotlb: u32(20),
});

export const TEST_TRIGGER_IOPF = layout('iommu_test_cmd.trigger_iopf', 72, 68, {
  ...COMMON,
  dev_id: u32(16),
  pasid: u32(20),
  grpid: u32(24),
  perm: u32(28),
  addr: u64(32),
});

export const TEST_CHECK_DEV_CACHE = layout('iommu_test_cmd.check_dev_cache', 72, 68, {
  ...COMMON,
  id: u32(16),
  cache: u32(20),
});

export const TEST_TRIGGER_VEVENT = layout('iommu_test_cmd.trigger_vevent', 72, 68, {
  ...COMMON,
  dev_id: u32(16),
});

export const TEST_PASID_ATTACH = layout('iommu_test_cmd.pasid_attach', 72, 68, {
  ...COMMON,
  pasid: u32(16),
  pt_id: u32(20),
});

export const TEST_PASID_REPLACE = layout('iommu_test_cmd.pasid_replace', 72, 68, {
  ...COMMON,
  pasid: u32(16),
  pt_id: u32(20),
});

export const TEST_PASID_DETACH = layout('iommu_test_cmd.pasid_detach', 72, 68, {
  ...COMMON,
  pasid: u32(16),
});

export const TEST_PASID_CHECK = layout('iommu_test_cmd.pasid_check', 72, 68, {
  ...COMMON,
  pasid: u32(16),
  hwpt_id: u32(20),
});

export const TEST_DMABUF_GET = layout('iommu_test_cmd.dmabuf_get', 72, 68, {
  ...COMMON,
  length: u32(16),
  open_flags: u32(20),
});

export const TEST_DMABUF_REVOKE = layout('iommu_test_cmd.dmabuf_revoke', 72, 68, {
  ...COMMON,
  dmabuf_fd: s32(16),
  revoked: u32(20),
});
