/**
 * Argument structures of the /dev/iommu ioctls (include/uapi/linux/iommufd.h), in the order of
 * their command numbers. The constant's name is the command's without IOMMU_. Fields whose name
 * starts with out_ are answers; the structures of tests, of VFIO, of drivers and of the interface
 * of 2020 are in the files beside this one, and can be imported from here too (but those of 2020).
 */
import { array, ioctl, layout, s32, u8, u16, u32, u64 } from './layout.ts';

export const DESTROY = ioctl(0x3b80, 'iommu_destroy', 8, 8, {
  size: u32(0),
  id: u32(4),
});

export const IOAS_ALLOC = ioctl(0x3b81, 'iommu_ioas_alloc', 12, 12, {
  size: u32(0),
  flags: u32(4),
  out_ioas_id: u32(8),
});

export const IOAS_ALLOW_IOVAS = ioctl(0x3b82, 'iommu_ioas_allow_iovas', 24, 24, {
  size: u32(0),
  ioas_id: u32(4),
  num_iovas: u32(8),
  __reserved: u32(12),
  allowed_iovas: u64(16),
});

export const IOAS_COPY = ioctl(0x3b83, 'iommu_ioas_copy', 40, 40, {
  size: u32(0),
  flags: u32(4),
  dst_ioas_id: u32(8),
  src_ioas_id: u32(12),
  length: u64(16),
  dst_iova: u64(24),
  src_iova: u64(32),
});

export const IOAS_IOVA_RANGES = ioctl(0x3b84, 'iommu_ioas_iova_ranges', 32, 32, {
  size: u32(0),
  ioas_id: u32(4),
  num_iovas: u32(8),
  __reserved: u32(12),
  allowed_iovas: u64(16),
  out_iova_alignment: u64(24),
});

export const IOAS_MAP = ioctl(0x3b85, 'iommu_ioas_map', 40, 40, {
  size: u32(0),
  flags: u32(4),
  ioas_id: u32(8),
  __reserved: u32(12),
  user_va: u64(16),
  length: u64(24),
  iova: u64(32),
});

export const IOAS_UNMAP = ioctl(0x3b86, 'iommu_ioas_unmap', 24, 24, {
  size: u32(0),
  ioas_id: u32(4),
  iova: u64(8),
  length: u64(16),
});

export const OPTION = ioctl(0x3b87, 'iommu_option', 24, 24, {
  size: u32(0),
  option_id: u32(4),
  op: u16(8),
  __reserved: u16(10),
  object_id: u32(12),
  val64: u64(16),
});

export const VFIO_IOAS = ioctl(0x3b88, 'iommu_vfio_ioas', 12, 12, {
  size: u32(0),
  ioas_id: u32(4),
  op: u16(8),
  __reserved: u16(10),
});

export const HWPT_ALLOC = ioctl(0x3b89, 'iommu_hwpt_alloc', 48, 24, {
  size: u32(0),
  flags: u32(4),
  dev_id: u32(8),
  pt_id: u32(12),
  out_hwpt_id: u32(16),
  __reserved: u32(20),
  data_type: u32(24),
  data_len: u32(28),
  data_uptr: u64(32),
  fault_id: u32(40),
  __reserved2: u32(44),
});

export const GET_HW_INFO = ioctl(0x3b8a, 'iommu_hw_info', 40, 32, {
  size: u32(0),
  flags: u32(4),
  dev_id: u32(8),
  data_len: u32(12),
  data_uptr: u64(16),
  in_data_type: u32(24),
  out_data_type: u32(24),
  out_max_pasid_log2: u8(28),
  __reserved: array(3, u8(29)),
  out_capabilities: u64(32),
});

export const HWPT_SET_DIRTY_TRACKING = ioctl(0x3b8b, 'iommu_hwpt_set_dirty_tracking', 16, 16, {
  size: u32(0),
  flags: u32(4),
  hwpt_id: u32(8),
  __reserved: u32(12),
});

export const HWPT_GET_DIRTY_BITMAP = ioctl(0x3b8c, 'iommu_hwpt_get_dirty_bitmap', 48, 48, {
  size: u32(0),
  hwpt_id: u32(4),
  flags: u32(8),
  __reserved: u32(12),
  iova: u64(16),
  length: u64(24),
  page_size: u64(32),
  data: u64(40),
});

export const HWPT_INVALIDATE = ioctl(0x3b8d, 'iommu_hwpt_invalidate', 32, 32, {
  size: u32(0),
  hwpt_id: u32(4),
  data_uptr: u64(8),
  data_type: u32(16),
  entry_len: u32(20),
  entry_num: u32(24),
  __reserved: u32(28),
});

export const FAULT_QUEUE_ALLOC = ioctl(0x3b8e, 'iommu_fault_alloc', 16, 16, {
  size: u32(0),
  flags: u32(4),
  out_fault_id: u32(8),
  out_fault_fd: u32(12),
});

export const IOAS_MAP_FILE = ioctl(0x3b8f, 'iommu_ioas_map_file', 40, 40, {
  size: u32(0),
  flags: u32(4),
  ioas_id: u32(8),
  fd: s32(12),
  start: u64(16),
  length: u64(24),
  iova: u64(32),
});

export const VIOMMU_ALLOC = ioctl(0x3b90, 'iommu_viommu_alloc', 40, 24, {
  size: u32(0),
  flags: u32(4),
  type: u32(8),
  dev_id: u32(12),
  hwpt_id: u32(16),
  out_viommu_id: u32(20),
  data_len: u32(24),
  __reserved: u32(28),
  data_uptr: u64(32),
});

export const VDEVICE_ALLOC = ioctl(0x3b91, 'iommu_vdevice_alloc', 24, 24, {
  size: u32(0),
  viommu_id: u32(4),
  dev_id: u32(8),
  out_vdevice_id: u32(12),
  virt_id: u64(16),
});

export const IOAS_CHANGE_PROCESS = ioctl(0x3b92, 'iommu_ioas_change_process', 8, 8, {
  size: u32(0),
  __reserved: u32(4),
});

export const VEVENTQ_ALLOC = ioctl(0x3b93, 'iommu_veventq_alloc', 32, 28, {
  size: u32(0),
  flags: u32(4),
  viommu_id: u32(8),
  type: u32(12),
  veventq_depth: u32(16),
  out_veventq_id: u32(20),
  out_veventq_fd: u32(24),
  __reserved: u32(28),
});

export const HW_QUEUE_ALLOC = ioctl(0x3b94, 'iommu_hw_queue_alloc', 40, 40, {
  size: u32(0),
  flags: u32(4),
  viommu_id: u32(8),
  type: u32(12),
  index: u32(16),
  out_hw_queue_id: u32(20),
  nesting_parent_iova: u64(24),
  length: u64(32),
});

/** Since Linux 7.2, for contexts without an IOMMU. */
export const IOAS_NOIOMMU_GET_PA = ioctl(0x3b95, 'iommu_ioas_noiommu_get_pa', 40, 40, {
  size: u32(0),
  flags: u32(4),
  ioas_id: u32(8),
  __reserved: u32(12),
  iova: u64(16),
  length: u64(24),
  out_phys: u64(32),
});

/** Element of the arrays of IOAS_IOVA_RANGES and IOAS_ALLOW_IOVAS; `last` is inclusive. */
export const IOVA_RANGE = layout('iommu_iova_range', 16, 16, {
  start: u64(0),
  last: u64(8),
});

export * from './data-structs.ts';
export * from './test-structs.ts';
export * from './vfio-structs.ts';
