/** Data of drivers by the name of its type, with the types of its fields. */
import { decode, encode, type Inputs, type Outputs } from '../uapi/codec.ts';
import * as C from '../uapi/constants.ts';
import type { Fields, Layout } from '../uapi/layout.ts';
import * as S from '../uapi/structs.ts';

/** Data of a page table that user space manages, by its type. */
export const HWPT_DATA = {
  VTD_S1: { number: C.IOMMU_HWPT_DATA_VTD_S1, layout: S.HWPT_VTD_S1 },
  ARM_SMMUV3: { number: C.IOMMU_HWPT_DATA_ARM_SMMUV3, layout: S.HWPT_ARM_SMMUV3 },
  AMD_GUEST: { number: C.IOMMU_HWPT_DATA_AMD_GUEST, layout: S.HWPT_AMD_GUEST },
  RISCV_S1: { number: C.IOMMU_HWPT_DATA_RISCV_S1, layout: S.HWPT_RISCV_S1 },
  SELFTEST: { number: C.IOMMU_HWPT_DATA_SELFTEST, layout: S.HWPT_SELFTEST },
} as const;

/** Entries of HWPT_INVALIDATE. */
export const INVALIDATIONS = {
  VTD_S1: { number: C.IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, layout: S.HWPT_VTD_S1_INVALIDATE },
  ARM_SMMUV3: {
    number: C.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3,
    layout: S.VIOMMU_ARM_SMMUV3_INVALIDATE,
  },
  RISCV_S1: {
    number: C.IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1,
    layout: S.HWPT_RISCV_S1_INVALIDATE,
  },
  SELFTEST: {
    number: C.IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
    layout: S.HWPT_INVALIDATE_SELFTEST,
  },
  VIOMMU_SELFTEST: {
    number: C.IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
    layout: S.VIOMMU_INVALIDATE_SELFTEST,
  },
} as const;

/** What GET_HW_INFO tells. */
export const HW_INFO_DATA = {
  INTEL_VTD: { number: C.IOMMU_HW_INFO_TYPE_INTEL_VTD, layout: S.HW_INFO_VTD },
  ARM_SMMUV3: { number: C.IOMMU_HW_INFO_TYPE_ARM_SMMUV3, layout: S.HW_INFO_ARM_SMMUV3 },
  TEGRA241_CMDQV: { number: C.IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, layout: S.HW_INFO_TEGRA241_CMDQV },
  AMD: { number: C.IOMMU_HW_INFO_TYPE_AMD, layout: S.HW_INFO_AMD },
  RISCV: { number: C.IOMMU_HW_INFO_TYPE_RISCV, layout: S.HW_INFO_RISCV },
  SELFTEST: { number: C.IOMMU_HW_INFO_TYPE_SELFTEST, layout: S.TEST_HW_INFO },
} as const;

/** Kinds of vIOMMU; the structure is answered, and partly given. */
export const VIOMMUS = {
  ARM_SMMUV3: { number: C.IOMMU_VIOMMU_TYPE_ARM_SMMUV3, layout: null },
  TEGRA241_CMDQV: {
    number: C.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
    layout: S.VIOMMU_TEGRA241_CMDQV,
  },
  SELFTEST: { number: C.IOMMU_VIOMMU_TYPE_SELFTEST, layout: S.VIOMMU_SELFTEST },
} as const;

/** Events of a vIOMMU. */
export const VEVENTS = {
  ARM_SMMUV3: { number: C.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, layout: S.VEVENT_ARM_SMMUV3 },
  TEGRA241_CMDQV: { number: C.IOMMU_VEVENTQ_TYPE_TEGRA241_CMDQV, layout: S.VEVENT_TEGRA241_CMDQV },
  SELFTEST: { number: C.IOMMU_VEVENTQ_TYPE_SELFTEST, layout: S.VEVENT_SELFTEST },
} as const;

export const HW_QUEUES = {
  TEGRA241_CMDQV: C.IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
  SELFTEST: C.IOMMU_HW_QUEUE_TYPE_SELFTEST,
} as const;

type FieldsOf<L> = L extends Layout<infer F> ? F : never;
type InputsOf<L> = Inputs<FieldsOf<L>>;
type OutputsOf<L> = Outputs<FieldsOf<L>>;

/** Data for HWPT_ALLOC: the name of its type beside its fields. */
export type HwptData = {
  [T in keyof typeof HWPT_DATA]: { readonly type: T } & InputsOf<(typeof HWPT_DATA)[T]['layout']>;
}[keyof typeof HWPT_DATA];

export type InvalidationType = keyof typeof INVALIDATIONS;

export type EntriesOf<T extends InvalidationType> = readonly InputsOf<
  (typeof INVALIDATIONS)[T]['layout']
>[];

/** Answer of GET_HW_INFO: fields of the driver's structure beside the name of its type. */
export type HwInfoData = {
  [T in keyof typeof HW_INFO_DATA]: { readonly type: T } & OutputsOf<
    (typeof HW_INFO_DATA)[T]['layout']
  >;
}[keyof typeof HW_INFO_DATA];

export type ViommuType = keyof typeof VIOMMUS;
export type ViommuInput<T extends ViommuType> = InputsOf<(typeof VIOMMUS)[T]['layout']>;
export type ViommuAnswer<T extends ViommuType> = OutputsOf<(typeof VIOMMUS)[T]['layout']>;

export type VeventType = keyof typeof VEVENTS;
export type VeventData<T extends VeventType> = OutputsOf<(typeof VEVENTS)[T]['layout']>;

export function encodeHwptData(data: HwptData): { number: number; bytes: Uint8Array } {
  const { type, ...fields } = data;
  const { number, layout } = HWPT_DATA[type];
  return { number, bytes: encode<Fields>(layout as Layout, fields as Inputs<Fields>) };
}

/** The driver's structure of a type number; null for a type without a name here. */
export function decodeHwInfo(number: number, bytes: Uint8Array): HwInfoData | null {
  for (const [type, known] of Object.entries(HW_INFO_DATA)) {
    if (known.number !== number) continue;
    return { type, ...decode<Fields>(known.layout as Layout, bytes) } as HwInfoData;
  }
  return null;
}
