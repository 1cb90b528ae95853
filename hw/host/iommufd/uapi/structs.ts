/**
 * Argument structures of the /dev/iommu ioctls (include/uapi/linux/iommufd.h), in the order of their
 * command numbers. The constant's name is the command's without IOMMU_. Fields whose name starts
 * with out_ are answers; the structures of tests, of VFIO, of drivers and of the interface of 2020
 * are in the files beside this one, and can be imported from here too (but those of 2020).
 */
import { array, ioctl, layout, s32, u8, u16, u32, u64 } from './layout.ts';

export const DESTROY = ioctl(
  'DESTROY',
  0x80,
  layout('iommu_destroy', 8, 8, {
    size: u32(0),
    id: u32(4),
  }),
);

export const IOAS_ALLOC = ioctl(
  'IOAS_ALLOC',
  0x81,
  layout('iommu_ioas_alloc', 12, 12, {
    size: u32(0),
    flags: u32(4),
    out_ioas_id: u32(8),
  }),
);

export const IOAS_ALLOW_IOVAS = ioctl(
  'IOAS_ALLOW_IOVAS',
  0x82,
  layout('iommu_ioas_allow_iovas', 24, 24, {
    size: u32(0),
    ioas_id: u32(4),
    num_iovas: u32(8),
    __reserved: u32(12),
    allowed_iovas: u64(16),
  }),
);

export const IOAS_COPY = ioctl(
  'IOAS_COPY',
  0x83,
  layout('iommu_ioas_copy', 40, 40, {
    size: u32(0),
    flags: u32(4),
    dst_ioas_id: u32(8),
    src_ioas_id: u32(12),
    length: u64(16),
    dst_iova: u64(24),
    src_iova: u64(32),
  }),
);

export const IOAS_IOVA_RANGES = ioctl(
  'IOAS_IOVA_RANGES',
  0x84,
  layout('iommu_ioas_iova_ranges', 32, 32, {
    size: u32(0),
    ioas_id: u32(4),
    num_iovas: u32(8),
    __reserved: u32(12),
    allowed_iovas: u64(16),
    out_iova_alignment: u64(24),
  }),
);

export const IOAS_MAP = ioctl(
  'IOAS_MAP',
  0x85,
  layout('iommu_ioas_map', 40, 40, {
    size: u32(0),
    flags: u32(4),
    ioas_id: u32(8),
    __reserved: u32(12),
    user_va: u64(16),
    length: u64(24),
    iova: u64(32),
  }),
);

export const IOAS_UNMAP = ioctl(
  'IOAS_UNMAP',
  0x86,
  layout('iommu_ioas_unmap', 24, 24, {
    size: u32(0),
    ioas_id: u32(4),
    iova: u64(8),
    length: u64(16),
  }),
);

export const OPTION = ioctl(
  'OPTION',
  0x87,
  layout('iommu_option', 24, 24, {
    size: u32(0),
    option_id: u32(4),
    op: u16(8),
    __reserved: u16(10),
    object_id: u32(12),
    val64: u64(16),
  }),
);

export const VFIO_IOAS = ioctl(
  'VFIO_IOAS',
  0x88,
  layout('iommu_vfio_ioas', 12, 12, {
    size: u32(0),
    ioas_id: u32(4),
    op: u16(8),
    __reserved: u16(10),
  }),
);

export const HWPT_ALLOC = ioctl(
  'HWPT_ALLOC',
  0x89,
  layout('iommu_hwpt_alloc', 48, 24, {
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
  }),
);

export const GET_HW_INFO = ioctl(
  'GET_HW_INFO',
  0x8a,
  layout('iommu_hw_info', 40, 32, {
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
  }),
);

export const HWPT_SET_DIRTY_TRACKING = ioctl(
  'HWPT_SET_DIRTY_TRACKING',
  0x8b,
  layout('iommu_hwpt_set_dirty_tracking', 16, 16, {
    size: u32(0),
    flags: u32(4),
    hwpt_id: u32(8),
    __reserved: u32(12),
  }),
);

export const HWPT_GET_DIRTY_BITMAP = ioctl(
  'HWPT_GET_DIRTY_BITMAP',
  0x8c,
  layout('iommu_hwpt_get_dirty_bitmap', 48, 48, {
    size: u32(0),
    hwpt_id: u32(4),
    flags: u32(8),
    __reserved: u32(12),
    iova: u64(16),
    length: u64(24),
    page_size: u64(32),
    data: u64(40),
  }),
);

export const HWPT_INVALIDATE = ioctl(
  'HWPT_INVALIDATE',
  0x8d,
  layout('iommu_hwpt_invalidate', 32, 32, {
    size: u32(0),
    hwpt_id: u32(4),
    data_uptr: u64(8),
    data_type: u32(16),
    entry_len: u32(20),
    entry_num: u32(24),
    __reserved: u32(28),
  }),
);

export const FAULT_QUEUE_ALLOC = ioctl(
  'FAULT_QUEUE_ALLOC',
  0x8e,
  layout('iommu_fault_alloc', 16, 16, {
    size: u32(0),
    flags: u32(4),
    out_fault_id: u32(8),
    out_fault_fd: u32(12),
  }),
);

export const IOAS_MAP_FILE = ioctl(
  'IOAS_MAP_FILE',
  0x8f,
  layout('iommu_ioas_map_file', 40, 40, {
    size: u32(0),
    flags: u32(4),
    ioas_id: u32(8),
    fd: s32(12),
    start: u64(16),
    length: u64(24),
    iova: u64(32),
  }),
);

export const VIOMMU_ALLOC = ioctl(
  'VIOMMU_ALLOC',
  0x90,
  layout('iommu_viommu_alloc', 40, 24, {
    size: u32(0),
    flags: u32(4),
    type: u32(8),
    dev_id: u32(12),
    hwpt_id: u32(16),
    out_viommu_id: u32(20),
    data_len: u32(24),
    __reserved: u32(28),
    data_uptr: u64(32),
  }),
);

export const VDEVICE_ALLOC = ioctl(
  'VDEVICE_ALLOC',
  0x91,
  layout('iommu_vdevice_alloc', 24, 24, {
    size: u32(0),
    viommu_id: u32(4),
    dev_id: u32(8),
    out_vdevice_id: u32(12),
    virt_id: u64(16),
  }),
);

export const IOAS_CHANGE_PROCESS = ioctl(
  'IOAS_CHANGE_PROCESS',
  0x92,
  layout('iommu_ioas_change_process', 8, 8, {
    size: u32(0),
    __reserved: u32(4),
  }),
);

export const VEVENTQ_ALLOC = ioctl(
  'VEVENTQ_ALLOC',
  0x93,
  layout('iommu_veventq_alloc', 32, 28, {
    size: u32(0),
    flags: u32(4),
    viommu_id: u32(8),
    type: u32(12),
    veventq_depth: u32(16),
    out_veventq_id: u32(20),
    out_veventq_fd: u32(24),
    __reserved: u32(28),
  }),
);

export const HW_QUEUE_ALLOC = ioctl(
  'HW_QUEUE_ALLOC',
  0x94,
  layout('iommu_hw_queue_alloc', 40, 40, {
    size: u32(0),
    flags: u32(4),
    viommu_id: u32(8),
    type: u32(12),
    index: u32(16),
    out_hw_queue_id: u32(20),
    nesting_parent_iova: u64(24),
    length: u64(32),
  }),
);

/** Element of the arrays of IOAS_IOVA_RANGES and IOAS_ALLOW_IOVAS; `last` is inclusive. */
export const IOVA_RANGE = layout('iommu_iova_range', 16, 16, {
  start: u64(0),
  last: u64(8),
});

export * from './data-structs.ts';
export * from './test-structs.ts';
export * from './vfio-structs.ts';
