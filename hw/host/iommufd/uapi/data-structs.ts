/**
 * Structures that drivers exchange with user space: hardware information, domain data, invalidation
 * entries, vIOMMU data and events, and the messages of the fault and event queues.
 */
import { array, layout, u8, u32, u64 } from './layout.ts';

// VT-d: first-stage tables of a guest on a nesting parent.

export const HW_INFO_VTD = layout('iommu_hw_info_vtd', 24, 24, {
  flags: u32(0),
  __reserved: u32(4),
  cap_reg: u64(8),
  ecap_reg: u64(16),
});

export const HWPT_VTD_S1 = layout('iommu_hwpt_vtd_s1', 24, 24, {
  flags: u64(0),
  pgtbl_addr: u64(8),
  addr_width: u32(16),
  __reserved: u32(20),
});

export const HWPT_VTD_S1_INVALIDATE = layout('iommu_hwpt_vtd_s1_invalidate', 24, 24, {
  addr: u64(0),
  npages: u64(8),
  flags: u32(16),
  __reserved: u32(20),
});

// SMMUv3: the words of a guest's stream table entry, command and event record.

export const HW_INFO_ARM_SMMUV3 = layout('iommu_hw_info_arm_smmuv3', 40, 40, {
  flags: u32(0),
  __reserved: u32(4),
  idr: array(6, u32(8)),
  iidr: u32(32),
  aidr: u32(36),
});

export const HWPT_ARM_SMMUV3 = layout('iommu_hwpt_arm_smmuv3', 16, 16, {
  ste: array(2, u64(0)),
});

export const VIOMMU_ARM_SMMUV3_INVALIDATE = layout('iommu_viommu_arm_smmuv3_invalidate', 16, 16, {
  cmd: array(2, u64(0)),
});

export const VEVENT_ARM_SMMUV3 = layout('iommu_vevent_arm_smmuv3', 32, 32, {
  evt: array(4, u64(0)),
});

// Tegra241 CMDQV: command queues that a guest drives itself.

export const HW_INFO_TEGRA241_CMDQV = layout('iommu_hw_info_tegra241_cmdqv', 8, 8, {
  flags: u32(0),
  version: u8(4),
  log2vcmdqs: u8(5),
  log2vsids: u8(6),
  __reserved: u8(7),
});

export const VIOMMU_TEGRA241_CMDQV = layout('iommu_viommu_tegra241_cmdqv', 16, 16, {
  out_vintf_mmap_offset: u64(0),
  out_vintf_mmap_length: u64(8),
});

export const VEVENT_TEGRA241_CMDQV = layout('iommu_vevent_tegra241_cmdqv', 16, 16, {
  lvcmdq_err_map: array(2, u64(0)),
});

// AMD: the words of a guest's device table entry.

export const HW_INFO_AMD = layout('iommu_hw_info_amd', 16, 16, {
  efr: u64(0),
  efr2: u64(8),
});

export const HWPT_AMD_GUEST = layout('iommu_hwpt_amd_guest', 32, 32, {
  dte: array(4, u64(0)),
});

// RISC-V: a guest's first stage on a nesting parent (this simulator's own, see riscv-constants.ts).

/** `capabilities` and `fctl` registers of the unit. */
export const HW_INFO_RISCV = layout('iommu_hw_info_riscv', 24, 24, {
  flags: u32(0),
  __reserved: u32(4),
  capabilities: u64(8),
  fctl: u32(16),
  __reserved2: u32(20),
});

/** Root page number (guest physical) and mode as in iosatp; PSCID only with the flag. */
export const HWPT_RISCV_S1 = layout('iommu_hwpt_riscv_s1', 24, 24, {
  flags: u64(0),
  root_ppn: u64(8),
  mode: u32(16),
  pscid: u32(20),
});

/** `npages` of 4 KiB from `addr` on; all ones with addr 0: the whole address space. */
export const HWPT_RISCV_S1_INVALIDATE = layout('iommu_hwpt_riscv_s1_invalidate', 24, 24, {
  addr: u64(0),
  npages: u64(8),
  flags: u32(16),
  __reserved: u32(20),
});

// The mock driver of test builds.

export const TEST_HW_INFO = layout('iommu_test_hw_info', 8, 8, {
  flags: u32(0),
  test_reg: u32(4),
});

export const HWPT_SELFTEST = layout('iommu_hwpt_selftest', 8, 4, {
  iotlb: u32(0),
  pagetable_type: u32(4),
});

export const HWPT_INVALIDATE_SELFTEST = layout('iommu_hwpt_invalidate_selftest', 8, 8, {
  flags: u32(0),
  iotlb_id: u32(4),
});

export const VIOMMU_SELFTEST = layout('iommu_viommu_selftest', 24, 8, {
  in_data: u32(0),
  out_data: u32(4),
  out_mmap_offset: u64(8),
  out_mmap_length: u64(16),
});

export const VIOMMU_INVALIDATE_SELFTEST = layout('iommu_viommu_invalidate_selftest', 12, 12, {
  flags: u32(0),
  vdev_id: u32(4),
  cache_id: u32(8),
});

export const VEVENT_SELFTEST = layout('iommu_viommu_event_selftest', 4, 4, {
  virt_id: u32(0),
});

// Messages of the fault queue (read, written) and the header of an event.

export const HWPT_PGFAULT = layout('iommu_hwpt_pgfault', 40, 40, {
  flags: u32(0),
  dev_id: u32(4),
  pasid: u32(8),
  grpid: u32(12),
  perm: u32(16),
  __reserved: u32(20),
  addr: u64(24),
  length: u32(32),
  cookie: u32(36),
});

export const HWPT_PAGE_RESPONSE = layout('iommu_hwpt_page_response', 8, 8, {
  cookie: u32(0),
  code: u32(4),
});

export const VEVENT_HEADER = layout('iommufd_vevent_header', 8, 8, {
  flags: u32(0),
  sequence: u32(4),
});
