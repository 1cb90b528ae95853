/**
 * What user space and a VT-d driver tell each other: the stage-1 table of a nested domain, checked
 * in two halves (the structure when the domain is made, its values when a device is attached), the
 * invalidation of that table, and the capability registers (drivers/iommu/intel/nested.c, pasid.c).
 */
import { fail } from '../../../kernel/errno.ts';
import type { HardwareInfo, UserData, UserDataArray } from '../../driver.ts';
import {
  IOMMU_HW_INFO_TYPE_DEFAULT,
  IOMMU_HW_INFO_TYPE_INTEL_VTD,
  IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17,
  IOMMU_HWPT_DATA_VTD_S1,
  IOMMU_HWPT_INVALIDATE_DATA_VTD_S1,
  IOMMU_VTD_INV_FLAGS_LEAF,
  IOMMU_VTD_S1_EAFE,
  IOMMU_VTD_S1_SRE,
  IOMMU_VTD_S1_WPE,
} from '../../uapi/constants.ts';
import { HW_INFO_VTD, HWPT_VTD_S1, HWPT_VTD_S1_INVALIDATE } from '../../uapi/data-structs.ts';
import {
  VTD_ADDR_WIDTH_4LEVEL,
  VTD_ADDR_WIDTH_5LEVEL,
  VTD_PAGE,
} from '../../uapi/driver-constants.ts';
import { copyEntry, copyStruct } from '../../user-data.ts';
import { hex, U64_MAX } from './bits.ts';

/** Stage-1 table of a nested domain, as user space gave it: nothing but its length is checked. */
export interface VtdStage1 {
  readonly flags: bigint;
  readonly table: bigint;
  readonly addressWidth: number;
}

/** What a unit must have for the values of a stage-1 table. */
export interface VtdStage1Support {
  /** 5-level first stage (CAP.FL5LP). */
  readonly fiveLevels: boolean;
  /** Supervisor requests (ECAP.SRS). */
  readonly supervisor: boolean;
  /** Extended accessed flags (ECAP.EAFS). */
  readonly extendedAccessed: boolean;
}

/** The scalable-mode PASID entry of a nested domain, by its fields. */
export interface VtdNestedEntry {
  readonly stage1Table: bigint;
  /** FLPM: 0 for four levels, 1 for five. */
  readonly stage1Levels: 4 | 5;
  readonly supervisor: boolean;
  readonly writeProtect: boolean;
  readonly extendedAccessed: boolean;
  readonly pageSnoop: boolean;
  readonly stage2Dirty: boolean;
}

/** The type of a nested domain's data; it is looked at before the parent. */
export function checkVtdType(data: UserData): void {
  if (data.type !== IOMMU_HWPT_DATA_VTD_S1) {
    fail('EOPNOTSUPP', `data type ${data.type}: a nested domain here takes VTD_S1 1`);
  }
}

/** Reads the data of a nested domain. Unknown flags and the width are not looked at here. */
export function readVtdStage1(data: UserData): VtdStage1 {
  const { minSize, size, at } = HWPT_VTD_S1;
  const bytes = copyStruct(data, IOMMU_HWPT_DATA_VTD_S1, minSize, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    flags: view.getBigUint64(at.flags, true),
    table: view.getBigUint64(at.pgtbl_addr, true),
    addressWidth: view.getUint32(at.addr_width, true),
  };
}

/** intel_pasid_setup_nested: what attaching a device tests. */
export function checkVtdStage1(stage1: VtdStage1, support: VtdStage1Support): void {
  const { addressWidth, flags } = stage1;
  if (addressWidth === VTD_ADDR_WIDTH_5LEVEL) {
    if (!support.fiveLevels) fail('EINVAL', 'addr_width 57, but the unit walks four levels only');
  } else if (addressWidth !== VTD_ADDR_WIDTH_4LEVEL) {
    fail('EINVAL', `addr_width ${addressWidth} is neither 48 nor 57`);
  }
  if ((flags & BigInt(IOMMU_VTD_S1_SRE)) !== 0n && !support.supervisor) {
    fail('EINVAL', 'SRE, but the unit has no supervisor requests (ECAP.SRS)');
  }
  if ((flags & BigInt(IOMMU_VTD_S1_EAFE)) !== 0n && !support.extendedAccessed) {
    fail('EINVAL', 'EAFE, but the unit has no extended accessed flag (ECAP.EAFS)');
  }
}

/** The entry that is installed; WPE counts only together with SRE. */
export function vtdNestedEntry(
  stage1: VtdStage1,
  parent: { readonly snoops: boolean; readonly tracksDirty: boolean },
): VtdNestedEntry {
  const has = (flag: number): boolean => (stage1.flags & BigInt(flag)) !== 0n;
  const supervisor = has(IOMMU_VTD_S1_SRE);
  return {
    stage1Table: stage1.table,
    stage1Levels: stage1.addressWidth === VTD_ADDR_WIDTH_5LEVEL ? 5 : 4,
    supervisor,
    writeProtect: supervisor && has(IOMMU_VTD_S1_WPE),
    extendedAccessed: has(IOMMU_VTD_S1_EAFE),
    pageSnoop: parent.snoops,
    stage2Dirty: parent.tracksDirty,
  };
}

/** Drops what is cached of input addresses first to last; `leaf`: of leaf entries only. */
export type VtdFlush = (first: bigint, last: bigint, leaf: boolean) => void;

/** intel_nested_cache_invalidate_user: entries before a bad one have been carried out. */
export function invalidateVtdStage1(array: UserDataArray, flush: VtdFlush): void {
  array.handled = 0;
  if (array.type !== IOMMU_HWPT_INVALIDATE_DATA_VTD_S1) {
    fail('EINVAL', `data type ${array.type}: invalidation here takes VTD_S1 0`);
  }
  const { minSize, size } = HWPT_VTD_S1_INVALIDATE;
  for (let i = 0; i < array.entries; i++) {
    const bytes = copyEntry(array, i, IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, minSize, size);
    invalidateOne(bytes, flush);
    array.handled++;
  }
}

function invalidateOne(bytes: Uint8Array, flush: VtdFlush): void {
  const { at } = HWPT_VTD_S1_INVALIDATE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint32(at.flags, true);
  if ((flags & ~IOMMU_VTD_INV_FLAGS_LEAF) !== 0) {
    fail('EOPNOTSUPP', `flags ${hex(BigInt(flags))}: only LEAF 1 is known`);
  }
  if (view.getUint32(at.__reserved, true) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  const address = view.getBigUint64(at.addr, true);
  const pages = view.getBigUint64(at.npages, true);
  if (address % BigInt(VTD_PAGE) !== 0n) fail('EINVAL', `addr ${hex(address)} is no page's start`);
  if (pages === U64_MAX && address !== 0n) {
    fail('EINVAL', `npages says all, but addr is ${hex(address)}`);
  }
  const leaf = (flags & IOMMU_VTD_INV_FLAGS_LEAF) !== 0;
  if (pages === U64_MAX) flush(0n, U64_MAX, leaf);
  else flush(address, (address + pages * BigInt(VTD_PAGE) - 1n) & U64_MAX, leaf);
}

/** intel_iommu_hw_info: the erratum bit is set whatever the part. */
export function vtdHwInfo(type: number, capability: bigint, extended: bigint): HardwareInfo {
  if (type !== IOMMU_HW_INFO_TYPE_DEFAULT && type !== IOMMU_HW_INFO_TYPE_INTEL_VTD) {
    fail('EOPNOTSUPP', `hardware information of type ${type} from a VT-d unit`);
  }
  const { at, size } = HW_INFO_VTD;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setUint32(at.flags, IOMMU_HW_INFO_VTD_ERRATA_772415_SPR17, true);
  view.setBigUint64(at.cap_reg, capability, true);
  view.setBigUint64(at.ecap_reg, extended, true);
  return { type: IOMMU_HW_INFO_TYPE_INTEL_VTD, bytes };
}
