/**
 * Argument structures of VFIO (include/uapi/linux/vfio.h): the device side that binds and attaches,
 * and the type 1 container that /dev/iommu imitates. `argsz` stands where iommufd has `size`.
 */
import { ioctl, layout, s32, u16, u32, u64 } from './layout.ts';

export const VFIO_BIND = ioctl(0x3b76, 'vfio_device_bind_iommufd', 24, 16, {
  argsz: u32(0),
  flags: u32(4),
  iommufd: s32(8),
  out_devid: u32(12),
  token_uuid_ptr: u64(16),
});

export const VFIO_ATTACH = ioctl(0x3b77, 'vfio_device_attach_iommufd_pt', 16, 12, {
  argsz: u32(0),
  flags: u32(4),
  pt_id: u32(8),
  pasid: u32(12),
});

export const VFIO_DETACH = ioctl(0x3b78, 'vfio_device_detach_iommufd_pt', 12, 8, {
  argsz: u32(0),
  flags: u32(4),
  pasid: u32(8),
});

export const VFIO_INFO = ioctl(0x3b70, 'vfio_iommu_type1_info', 24, 16, {
  argsz: u32(0),
  flags: u32(4),
  iova_pgsizes: u64(8),
  cap_offset: u32(16),
  pad: u32(20),
});

export const VFIO_MAP_DMA = ioctl(0x3b71, 'vfio_iommu_type1_dma_map', 32, 32, {
  argsz: u32(0),
  flags: u32(4),
  vaddr: u64(8),
  iova: u64(16),
  size: u64(24),
});

export const VFIO_UNMAP_DMA = ioctl(0x3b72, 'vfio_iommu_type1_dma_unmap', 24, 24, {
  argsz: u32(0),
  flags: u32(4),
  iova: u64(8),
  size: u64(16),
});

export const VFIO_CAP_HEADER = layout('vfio_info_cap_header', 8, 8, {
  id: u16(0),
  version: u16(2),
  next: u32(4),
});

export const VFIO_CAP_IOVA_RANGE = layout('vfio_iommu_type1_info_cap_iova_range', 16, 16, {
  id: u16(0),
  version: u16(2),
  next: u32(4),
  nr_iovas: u32(8),
  reserved: u32(12),
});

export const VFIO_CAP_DMA_AVAIL = layout('vfio_iommu_type1_info_dma_avail', 12, 12, {
  id: u16(0),
  version: u16(2),
  next: u32(4),
  avail: u32(8),
});

export const VFIO_IOVA_RANGE = layout('vfio_iova_range', 16, 16, {
  start: u64(0),
  end: u64(8),
});
