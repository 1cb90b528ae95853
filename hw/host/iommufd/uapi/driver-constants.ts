/**
 * Bits and limits of the hardware behind driver data: masks are those of the 64-bit words that user
 * space hands over (drivers/iommu/{arm/arm-smmu-v3,amd,intel}).
 */

/** Arm SMMUv3: words 0 and 1 of a stream table entry, and what a guest may set in them. */
export const SMMUV3_STE0 = {
  V: 0x1n,
  CFG: 0xen,
  S1FMT: 0x30n,
  S1CTXPTR: 0xfffffffffffc0n,
  S1CDMAX: 0xf800000000000000n,
} as const;
export const SMMUV3_STE0_CFG = {
  ABORT: 0,
  BYPASS: 4,
  S1_TRANS: 5,
  S2_TRANS: 6,
  NESTED: 7,
} as const;
export const SMMUV3_STE1 = {
  S1DSS: 0x3n,
  S1CIR: 0xcn,
  S1COR: 0x30n,
  S1CSH: 0xc0n,
  MEV: 0x80000n,
  S2FWB: 0x2000000n,
  S1STALLD: 0x8000000n,
  EATS: 0x30000000n,
  STRW: 0xc0000000n,
  SHCFG: 0x300000000000n,
} as const;
export const SMMUV3_STE1_EATS = {
  ABT: 0,
  TRANS: 1,
  S1CHK: 2,
} as const;
export const SMMUV3_NESTED_STE0 = 0xf80fffffffffffffn;
export const SMMUV3_NESTED_STE1 = 0x380000ffn;

/** Fields and opcodes of its commands, and the opcodes that a guest may send. */
export const SMMUV3_CMD = {
  OP: 0xffn,
  CFGI_SSID: 0xfffff000n,
  CFGI_SID: 0xffffffff00000000n,
  TLBI_NUM: 0x1f000n,
  TLBI_SCALE: 0x1f00000n,
  TLBI_VMID: 0xffff00000000n,
  TLBI_ASID: 0xffff000000000000n,
  ATC_SSID: 0xfffff000n,
  ATC_SID: 0xffffffff00000000n,
  ATC_GLOBAL: 0x200n,
} as const;
export const SMMUV3_CMD_OP = {
  PREFETCH_CFG: 1,
  CFGI_STE: 3,
  CFGI_ALL: 4,
  CFGI_CD: 5,
  CFGI_CD_ALL: 6,
  TLBI_NH_ALL: 16,
  TLBI_NH_ASID: 17,
  TLBI_NH_VA: 18,
  TLBI_NH_VAA: 19,
  TLBI_EL2_ALL: 32,
  TLBI_EL2_ASID: 33,
  TLBI_EL2_VA: 34,
  TLBI_S12_VMALL: 40,
  TLBI_S2_IPA: 42,
  TLBI_NSNH_ALL: 48,
  ATC_INV: 64,
  PRI_RESP: 65,
  RESUME: 68,
  CMD_SYNC: 70,
} as const;
export const SMMUV3_USER_OPS: readonly number[] = [48, 18, 19, 16, 17, 64, 5, 6];

/** Fields of its event records, and the event numbers that a vEVENTQ gets. */
export const SMMUV3_EVT = {
  ID: 0xffn,
  SSV: 0x800n,
  SSID: 0xfffff000n,
  SID: 0xffffffff00000000n,
  DW1_STAG: 0xffffn,
  DW1_STALL: 0x80000000n,
  DW1_PnU: 0x200000000n,
  DW1_InD: 0x400000000n,
  DW1_RnW: 0x800000000n,
  DW1_S2: 0x8000000000n,
  DW1_CLASS: 0x30000000000n,
} as const;
export const SMMUV3_VEVENT_IDS: readonly number[] = [4, 6, 8, 10, 16, 17, 18, 19];

/** Window of software-managed MSIs, and commands of one batch. */
export const SMMUV3_MSI_IOVA_BASE = 0x8000000;
export const SMMUV3_MSI_IOVA_LENGTH = 0x100000;
export const SMMUV3_CMDQ_BATCH_ENTRIES = 64;

/** AMD: fields of the words of a device table entry; reserved windows as [first, last]. */
export const AMD_DTE = {
  dw0_V: 0x1n,
  dw0_TV: 0x2n,
  dw0_HAD: 0x180n,
  dw0_MODE: 0xe00n,
  dw0_HOST_TRP: 0xffffffffff000n,
  dw0_PPR: 0x10000000000000n,
  dw0_GIOV: 0x40000000000000n,
  dw0_GV: 0x80000000000000n,
  dw0_GLX: 0x300000000000000n,
  dw0_GCR3_14_12: 0x1c00000000000000n,
  dw0_IR: 0x2000000000000000n,
  dw0_IW: 0x4000000000000000n,
  dw1_DOMID: 0xffffn,
  dw1_GCR3_30_15: 0xffff0000n,
  dw1_IOTLB: 0x100000000n,
  dw1_GCR3_51_31: 0xfffff80000000000n,
  dw2_GPT_LEVEL: 0xc0000000000000n,
} as const;
export const AMD_GPT_LEVEL = {
  FOUR_LEVEL: 0,
  FIVE_LEVEL: 1,
} as const;
export const AMD_MSI_RANGE = [0xfee00000n, 0xfeefffffn] as const;
export const AMD_HT_RANGE = [0xfd00000000n, 0xffffffffffn] as const;

/** VT-d. */
export const VTD_ADDR_WIDTH_4LEVEL = 48;
export const VTD_ADDR_WIDTH_5LEVEL = 57;
export const VTD_IOAPIC_RANGE = [0xfee00000n, 0xfeefffffn] as const;
export const VTD_PAGE = 4096;

/** Tegra241 CMDQV. */
export const TEGRA241_VINTF_MMAP_LENGTH = 0x10000;
export const TEGRA241_HW_QUEUE_MIN_LENGTH = 32;
