/**
 * Types and flags of the RISC-V driver's data. Linux has no such driver for /dev/iommu yet: these
 * are this simulator's own, with type numbers ("RV") far from those that Linux hands out.
 */

/** Data of HWPT_ALLOC (iommu_hwpt_riscv_s1). */
export const IOMMU_HWPT_DATA_RISCV_S1 = 0x5256;
/** Entries of HWPT_INVALIDATE (iommu_hwpt_riscv_s1_invalidate). */
export const IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1 = 0x5256;
/** Answer of GET_HW_INFO (iommu_hw_info_riscv). */
export const IOMMU_HW_INFO_TYPE_RISCV = 0x5256;

/** The guest names the PSCID; otherwise the host takes an unused one. */
export const IOMMU_RISCV_S1_PSCID = 1;
/** Hardware sets accessed and dirty bits in the guest's tables (tc.SADE). */
export const IOMMU_RISCV_S1_ACCESSED_DIRTY = 2;

/** Modes of a first stage, as in iosatp. */
export const IOMMU_RISCV_MODE_BARE = 0;
export const IOMMU_RISCV_MODE_SV39 = 8;
export const IOMMU_RISCV_MODE_SV48 = 9;
export const IOMMU_RISCV_MODE_SV57 = 10;

/** Only leaf entries have changed: cached pointers to tables may stay. */
export const IOMMU_RISCV_INV_LEAF = 1;
/** Mappings marked global go too, for all address spaces of the guest. */
export const IOMMU_RISCV_INV_GLOBAL = 2;
