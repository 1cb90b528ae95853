/**
 * Names of the values that fields take: bits of flag words, and enumerations, without the prefix
 * that their Linux names share. Tools read and print fields with these tables, and
 * list them as help.
 */
import * as C from './constants.ts';

export interface Symbols {
  /** Bits that may be combined, or one value of several. */
  readonly kind: 'flags' | 'enum';
  readonly names: Readonly<Record<string, number>>;
}

function flags(names: Readonly<Record<string, number>>): Symbols {
  return { kind: 'flags', names };
}

function oneOf(names: Readonly<Record<string, number>>): Symbols {
  return { kind: 'enum', names };
}

const MAP_FLAGS = flags({
  FIXED_IOVA: C.IOMMU_IOAS_MAP_FIXED_IOVA,
  WRITEABLE: C.IOMMU_IOAS_MAP_WRITEABLE,
  READABLE: C.IOMMU_IOAS_MAP_READABLE,
});

const HW_INFO_TYPES = oneOf({
  NONE: C.IOMMU_HW_INFO_TYPE_NONE,
  DEFAULT: C.IOMMU_HW_INFO_TYPE_DEFAULT,
  INTEL_VTD: C.IOMMU_HW_INFO_TYPE_INTEL_VTD,
  ARM_SMMUV3: C.IOMMU_HW_INFO_TYPE_ARM_SMMUV3,
  TEGRA241_CMDQV: C.IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
  AMD: C.IOMMU_HW_INFO_TYPE_AMD,
  RISCV: C.IOMMU_HW_INFO_TYPE_RISCV,
  SELFTEST: C.IOMMU_HW_INFO_TYPE_SELFTEST,
});

const PERMISSIONS = flags({
  READ: C.IOMMU_PGFAULT_PERM_READ,
  WRITE: C.IOMMU_PGFAULT_PERM_WRITE,
  EXEC: C.IOMMU_PGFAULT_PERM_EXEC,
  PRIV: C.IOMMU_PGFAULT_PERM_PRIV,
});

/** Ops of IOMMU_TEST_CMD. */
export const TEST_OPS: Symbols = oneOf({
  ADD_RESERVED: C.IOMMU_TEST_OP_ADD_RESERVED,
  MOCK_DOMAIN: C.IOMMU_TEST_OP_MOCK_DOMAIN,
  MD_CHECK_MAP: C.IOMMU_TEST_OP_MD_CHECK_MAP,
  MD_CHECK_REFS: C.IOMMU_TEST_OP_MD_CHECK_REFS,
  CREATE_ACCESS: C.IOMMU_TEST_OP_CREATE_ACCESS,
  DESTROY_ACCESS_PAGES: C.IOMMU_TEST_OP_DESTROY_ACCESS_PAGES,
  ACCESS_PAGES: C.IOMMU_TEST_OP_ACCESS_PAGES,
  ACCESS_RW: C.IOMMU_TEST_OP_ACCESS_RW,
  SET_TEMP_MEMORY_LIMIT: C.IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
  MOCK_DOMAIN_REPLACE: C.IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
  ACCESS_REPLACE_IOAS: C.IOMMU_TEST_OP_ACCESS_REPLACE_IOAS,
  MOCK_DOMAIN_FLAGS: C.IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS,
  DIRTY: C.IOMMU_TEST_OP_DIRTY,
  MD_CHECK_IOTLB: C.IOMMU_TEST_OP_MD_CHECK_IOTLB,
  TRIGGER_IOPF: C.IOMMU_TEST_OP_TRIGGER_IOPF,
  DEV_CHECK_CACHE: C.IOMMU_TEST_OP_DEV_CHECK_CACHE,
  TRIGGER_VEVENT: C.IOMMU_TEST_OP_TRIGGER_VEVENT,
  PASID_ATTACH: C.IOMMU_TEST_OP_PASID_ATTACH,
  PASID_REPLACE: C.IOMMU_TEST_OP_PASID_REPLACE,
  PASID_DETACH: C.IOMMU_TEST_OP_PASID_DETACH,
  PASID_CHECK_HWPT: C.IOMMU_TEST_OP_PASID_CHECK_HWPT,
  DMABUF_GET: C.IOMMU_TEST_OP_DMABUF_GET,
  DMABUF_REVOKE: C.IOMMU_TEST_OP_DMABUF_REVOKE,
});

/** By name of the C structure, then of the field. */
export const SYMBOLS: Readonly<Record<string, Readonly<Record<string, Symbols>>>> = {
  iommu_ioas_map: { flags: MAP_FLAGS },
  iommu_ioas_map_file: { flags: MAP_FLAGS },
  iommu_ioas_copy: { flags: MAP_FLAGS },
  iommu_option: {
    option_id: oneOf({
      RLIMIT_MODE: C.IOMMU_OPTION_RLIMIT_MODE,
      HUGE_PAGES: C.IOMMU_OPTION_HUGE_PAGES,
    }),
    op: oneOf({ SET: C.IOMMU_OPTION_OP_SET, GET: C.IOMMU_OPTION_OP_GET }),
  },
  iommu_vfio_ioas: {
    op: oneOf({
      GET: C.IOMMU_VFIO_IOAS_GET,
      SET: C.IOMMU_VFIO_IOAS_SET,
      CLEAR: C.IOMMU_VFIO_IOAS_CLEAR,
    }),
  },
  iommu_hwpt_alloc: {
    flags: flags({
      NEST_PARENT: C.IOMMU_HWPT_ALLOC_NEST_PARENT,
      DIRTY_TRACKING: C.IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
      FAULT_ID_VALID: C.IOMMU_HWPT_FAULT_ID_VALID,
      PASID: C.IOMMU_HWPT_ALLOC_PASID,
    }),
    data_type: oneOf({
      NONE: C.IOMMU_HWPT_DATA_NONE,
      VTD_S1: C.IOMMU_HWPT_DATA_VTD_S1,
      ARM_SMMUV3: C.IOMMU_HWPT_DATA_ARM_SMMUV3,
      AMD_GUEST: C.IOMMU_HWPT_DATA_AMD_GUEST,
      RISCV_S1: C.IOMMU_HWPT_DATA_RISCV_S1,
      SELFTEST: C.IOMMU_HWPT_DATA_SELFTEST,
    }),
  },
  iommu_hw_info: {
    flags: flags({ INPUT_TYPE: C.IOMMU_HW_INFO_FLAG_INPUT_TYPE }),
    in_data_type: HW_INFO_TYPES,
    out_data_type: HW_INFO_TYPES,
    out_capabilities: flags({
      DIRTY_TRACKING: C.IOMMU_HW_CAP_DIRTY_TRACKING,
      PCI_PASID_EXEC: C.IOMMU_HW_CAP_PCI_PASID_EXEC,
      PCI_PASID_PRIV: C.IOMMU_HW_CAP_PCI_PASID_PRIV,
      PCI_ATS_NOT_SUPPORTED: C.IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
    }),
  },
  iommu_hw_info_vtd: {
    flags: flags({ ERRATA_772415_SPR17: C.IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17 }),
  },
  iommu_hwpt_set_dirty_tracking: {
    flags: flags({ ENABLE: C.IOMMU_HWPT_DIRTY_TRACKING_ENABLE }),
  },
  iommu_hwpt_get_dirty_bitmap: {
    flags: flags({ NO_CLEAR: C.IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR }),
  },
  iommu_hwpt_invalidate: {
    data_type: oneOf({
      VTD_S1: C.IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
      ARM_SMMUV3: C.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
      RISCV_S1: C.IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1,
      SELFTEST: C.IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
      VIOMMU_SELFTEST: C.IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
    }),
  },
  iommu_viommu_alloc: {
    type: oneOf({
      DEFAULT: C.IOMMU_VIOMMU_TYPE_DEFAULT,
      ARM_SMMUV3: C.IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
      TEGRA241_CMDQV: C.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
      SELFTEST: C.IOMMU_VIOMMU_TYPE_SELFTEST,
    }),
  },
  iommu_veventq_alloc: {
    type: oneOf({
      DEFAULT: C.IOMMU_VEVENTQ_TYPE_DEFAULT,
      ARM_SMMUV3: C.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
      TEGRA241_CMDQV: C.IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV,
      SELFTEST: C.IOMMU_VEVENTQ_TYPE_SELFTEST,
    }),
  },
  iommu_hw_queue_alloc: {
    type: oneOf({
      DEFAULT: C.IOMMU_HW_QUEUE_TYPE_DEFAULT,
      TEGRA241_CMDQV: C.IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
      SELFTEST: C.IOMMU_HW_QUEUE_TYPE_SELFTEST,
    }),
  },
  iommu_hwpt_vtd_s1: {
    flags: flags({
      SRE: C.IOMMU_VTD_S1_SRE,
      EAFE: C.IOMMU_VTD_S1_EAFE,
      WPE: C.IOMMU_VTD_S1_WPE,
    }),
  },
  iommu_hwpt_vtd_s1_invalidate: { flags: flags({ LEAF: C.IOMMU_VTD_INV_FLAGS_LEAF }) },
  iommu_hwpt_riscv_s1: {
    flags: flags({
      PSCID: C.IOMMU_RISCV_S1_PSCID,
      ACCESSED_DIRTY: C.IOMMU_RISCV_S1_ACCESSED_DIRTY,
    }),
    mode: oneOf({
      BARE: C.IOMMU_RISCV_MODE_BARE,
      SV39: C.IOMMU_RISCV_MODE_SV39,
      SV48: C.IOMMU_RISCV_MODE_SV48,
      SV57: C.IOMMU_RISCV_MODE_SV57,
    }),
  },
  iommu_hwpt_riscv_s1_invalidate: {
    flags: flags({ LEAF: C.IOMMU_RISCV_INV_LEAF, GLOBAL: C.IOMMU_RISCV_INV_GLOBAL }),
  },
  iommu_hwpt_invalidate_selftest: { flags: flags({ ALL: C.IOMMU_TEST_INVALIDATE_FLAG_ALL }) },
  iommu_viommu_invalidate_selftest: { flags: flags({ ALL: C.IOMMU_TEST_INVALIDATE_FLAG_ALL }) },
  iommu_hwpt_selftest: {
    pagetable_type: oneOf({ DEFAULT: C.MOCK_IOMMUPT_DEFAULT, HUGE: C.MOCK_IOMMUPT_HUGE }),
  },
  iommu_hwpt_pgfault: {
    flags: flags({
      PASID_VALID: C.IOMMU_PGFAULT_FLAGS_PASID_VALID,
      LAST_PAGE: C.IOMMU_PGFAULT_FLAGS_LAST_PAGE,
    }),
    perm: PERMISSIONS,
  },
  iommu_hwpt_page_response: {
    code: oneOf({ SUCCESS: C.IOMMUFD_PAGE_RESP_SUCCESS, INVALID: C.IOMMUFD_PAGE_RESP_INVALID }),
  },
  iommufd_vevent_header: { flags: flags({ LOST_EVENTS: C.IOMMU_VEVENTQ_FLAG_LOST_EVENTS }) },
  iommu_test_cmd: { op: TEST_OPS },
  'iommu_test_cmd.create_access': {
    flags: flags({ NEEDS_PIN_PAGES: C.MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES }),
  },
  'iommu_test_cmd.access_pages': {
    flags: flags({ WRITE: C.MOCK_FLAGS_ACCESS_WRITE, SYZ: C.MOCK_FLAGS_ACCESS_SYZ }),
  },
  'iommu_test_cmd.access_rw': {
    flags: flags({ WRITE: C.MOCK_ACCESS_RW_WRITE, SLOW_PATH: C.MOCK_ACCESS_RW_SLOW_PATH }),
  },
  'iommu_test_cmd.mock_domain_flags': {
    dev_flags: flags({
      NO_DIRTY: C.MOCK_FLAGS_DEVICE_NO_DIRTY,
      PASID: C.MOCK_FLAGS_DEVICE_PASID,
    }),
  },
  'iommu_test_cmd.trigger_iopf': { perm: PERMISSIONS },
  vfio_device_bind_iommufd: { flags: flags({ TOKEN: C.VFIO_DEVICE_BIND_FLAG_TOKEN }) },
  vfio_device_attach_iommufd_pt: { flags: flags({ PASID: C.VFIO_DEVICE_ATTACH_PASID }) },
  vfio_device_detach_iommufd_pt: { flags: flags({ PASID: C.VFIO_DEVICE_DETACH_PASID }) },
  vfio_iommu_type1_info: {
    flags: flags({ PGSIZES: C.VFIO_IOMMU_INFO_PGSIZES, CAPS: C.VFIO_IOMMU_INFO_CAPS }),
  },
  vfio_iommu_type1_dma_map: {
    flags: flags({
      READ: C.VFIO_DMA_MAP_FLAG_READ,
      WRITE: C.VFIO_DMA_MAP_FLAG_WRITE,
      VADDR: C.VFIO_DMA_MAP_FLAG_VADDR,
    }),
  },
  vfio_iommu_type1_dma_unmap: {
    flags: flags({
      GET_DIRTY_BITMAP: C.VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
      ALL: C.VFIO_DMA_UNMAP_FLAG_ALL,
      VADDR: C.VFIO_DMA_UNMAP_FLAG_VADDR,
    }),
  },
};

/** Names of a field of a structure; undefined where its values have none. */
export function symbolsOf(struct: string, field: string): Symbols | undefined {
  return SYMBOLS[struct]?.[field] ?? (field === 'op' ? testOps(struct) : undefined);
}

function testOps(struct: string): Symbols | undefined {
  return struct.startsWith('iommu_test_cmd.') ? TEST_OPS : undefined;
}
