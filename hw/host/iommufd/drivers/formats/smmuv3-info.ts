/**
 * What an SMMUv3 tells user space about itself: its identification registers as they are
 * (arm_smmu_hw_info), here computed from the features of the unit.
 */
import { fail } from '../../../kernel/errno.ts';
import type { HardwareInfo } from '../../driver.ts';
import { IOMMU_HW_INFO_TYPE_ARM_SMMUV3, IOMMU_HW_INFO_TYPE_DEFAULT } from '../../uapi/constants.ts';
import { HW_INFO_ARM_SMMUV3 } from '../../uapi/data-structs.ts';

/** Identification registers. */
export interface SmmuRegisters {
  /** IDR0 to IDR5. */
  readonly idr: readonly number[];
  readonly iidr: number;
  readonly aidr: number;
}

/** Features that the identification registers tell. */
export interface SmmuFeatures {
  readonly stage1: boolean;
  readonly stage2: boolean;
  /** The unit's table walks are coherent with the CPU's caches (IDR0.COHACC). */
  readonly coherentWalks: boolean;
  /** The unit sets dirty flags itself (IDR0.HTTU 2). */
  readonly dirtyFlags: boolean;
  readonly ats: boolean;
  readonly pri: boolean;
  readonly wideAsid: boolean;
  readonly wideVmid: boolean;
  /** log2 of the entries of its command queue. */
  readonly commandQueueLog2: number;
  readonly substreamBits: number;
  readonly streamBits: number;
  /** Stage 2 can override cache attributes (IDR3.FWB). */
  readonly stage2Writeback: boolean;
  readonly rangeInvalidation: boolean;
  readonly largeAddresses: boolean;
}

const TTF_AARCH64 = 2;
const HTTU_DIRTY = 2;
const TWO_LEVEL_STREAMS = 1;
const QUEUE_LOG2 = 19;
/** 48 bits of output address; 52 with large addresses. */
const OAS_48 = 5;
const OAS_52 = 6;

/** Registers by their fields (Arm SMMUv3 specification, "SMMU_IDR0" and following). */
export function smmuRegisters(features: SmmuFeatures): SmmuRegisters {
  const bit = (set: boolean, at: number): number => (set ? 2 ** at : 0);
  const idr0 =
    bit(features.stage2, 0) +
    bit(features.stage1, 1) +
    TTF_AARCH64 * 2 ** 2 +
    bit(features.coherentWalks, 4) +
    (features.dirtyFlags ? HTTU_DIRTY * 2 ** 6 : 0) +
    bit(features.ats, 10) +
    bit(features.wideAsid, 12) +
    bit(features.pri, 16) +
    bit(features.wideVmid, 18) +
    TWO_LEVEL_STREAMS * 2 ** 27;
  const idr1 =
    features.streamBits +
    features.substreamBits * 2 ** 6 +
    (features.pri ? QUEUE_LOG2 * 2 ** 11 : 0) +
    QUEUE_LOG2 * 2 ** 16 +
    features.commandQueueLog2 * 2 ** 21;
  const idr3 = bit(features.stage2Writeback, 8) + bit(features.rangeInvalidation, 10);
  const granules = bit(true, 4) + bit(true, 5) + bit(true, 6);
  const idr5 =
    (features.largeAddresses ? OAS_52 : OAS_48) + granules + bit(features.largeAddresses, 7);
  return { idr: [idr0, idr1, 0, idr3, 0, idr5], iidr: 0x43b, aidr: 2 };
}

export function smmuHwInfo(type: number, registers: SmmuRegisters): HardwareInfo {
  if (type !== IOMMU_HW_INFO_TYPE_DEFAULT && type !== IOMMU_HW_INFO_TYPE_ARM_SMMUV3) {
    fail('EOPNOTSUPP', `hardware information of type ${type} from an SMMUv3`);
  }
  const { at, size } = HW_INFO_ARM_SMMUV3;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  registers.idr.forEach((value, i) => {
    view.setUint32(at.idr + 4 * i, value, true);
  });
  view.setUint32(at.iidr, registers.iidr, true);
  view.setUint32(at.aidr, registers.aidr, true);
  return { type: IOMMU_HW_INFO_TYPE_ARM_SMMUV3, bytes };
}
