/**
 * Argument of IOMMU_TEST_CMD (drivers/iommu/iommufd/iommufd_test.h): common fields, and one layout
 * of the same bytes for each member of its union. TEST_FORMS in ioctls.ts tells which op uses
 * which.
 */
import { type Fields, ioctl, type Layout, layout, s32, u32, u64 } from './layout.ts';

const COMMON = {
  size: u32(0),
  op: u32(4),
  id: u32(8),
  __reserved: u32(12),
  last: u32(64),
} as const;

/** The structure with one member of its union. */
function form<const F extends Fields>(member: string, fields: F): Layout<typeof COMMON & F> {
  return layout(`iommu_test_cmd.${member}`, 72, 68, { ...COMMON, ...fields });
}

export const TEST_CMD = ioctl(0x3ba0, 'iommu_test_cmd', 72, 68, COMMON);

export const TEST_ADD_RESERVED = form('add_reserved', {
  start: u64(16),
  length: u64(24),
});

export const TEST_MOCK_DOMAIN = form('mock_domain', {
  out_stdev_id: u32(16),
  out_hwpt_id: u32(20),
  out_idev_id: u32(24),
});

export const TEST_MOCK_DOMAIN_FLAGS = form('mock_domain_flags', {
  out_stdev_id: u32(16),
  out_hwpt_id: u32(20),
  out_idev_id: u32(24),
  dev_flags: u32(28),
});

export const TEST_MOCK_DOMAIN_REPLACE = form('mock_domain_replace', {
  pt_id: u32(16),
});

export const TEST_CHECK_MAP = form('check_map', {
  iova: u64(16),
  length: u64(24),
  uptr: u64(32),
});

export const TEST_CHECK_REFS = form('check_refs', {
  length: u64(16),
  uptr: u64(24),
  refs: u32(32),
});

export const TEST_CREATE_ACCESS = form('create_access', {
  out_access_fd: u32(16),
  flags: u32(20),
});

export const TEST_DESTROY_ACCESS_PAGES = form('destroy_access_pages', {
  access_pages_id: u32(16),
});

export const TEST_ACCESS_PAGES = form('access_pages', {
  flags: u32(16),
  out_access_pages_id: u32(20),
  iova: u64(24),
  length: u64(32),
  uptr: u64(40),
});

export const TEST_ACCESS_RW = form('access_rw', {
  iova: u64(16),
  length: u64(24),
  uptr: u64(32),
  flags: u32(40),
});

export const TEST_MEMORY_LIMIT = form('memory_limit', {
  limit: u32(16),
});

export const TEST_ACCESS_REPLACE_IOAS = form('access_replace_ioas', {
  ioas_id: u32(16),
});

export const TEST_DIRTY = form('dirty', {
  flags: u32(16),
  iova: u64(24),
  length: u64(32),
  page_size: u64(40),
  uptr: u64(48),
  out_nr_dirty: u64(56),
});

export const TEST_CHECK_IOTLB = form('check_iotlb', {
  iotlb_id: u32(16),
  iotlb: u32(20),
});

export const TEST_TRIGGER_IOPF = form('trigger_iopf', {
  dev_id: u32(16),
  pasid: u32(20),
  grpid: u32(24),
  perm: u32(28),
  addr: u64(32),
});

export const TEST_CHECK_DEV_CACHE = form('check_dev_cache', {
  cache_id: u32(16),
  cache: u32(20),
});

export const TEST_TRIGGER_VEVENT = form('trigger_vevent', {
  dev_id: u32(16),
});

export const TEST_PASID_ATTACH = form('pasid_attach', {
  pasid: u32(16),
  pt_id: u32(20),
});

export const TEST_PASID_REPLACE = form('pasid_replace', {
  pasid: u32(16),
  pt_id: u32(20),
});

export const TEST_PASID_DETACH = form('pasid_detach', {
  pasid: u32(16),
});

export const TEST_PASID_CHECK = form('pasid_check', {
  pasid: u32(16),
  hwpt_id: u32(20),
});

export const TEST_DMABUF_GET = form('dmabuf_get', {
  length: u32(16),
  open_flags: u32(20),
});

export const TEST_DMABUF_REVOKE = form('dmabuf_revoke', {
  dmabuf_fd: s32(16),
  revoked: u32(20),
});
