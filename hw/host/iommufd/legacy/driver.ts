/**
 * What an IOMMU driver of 2020 offered for guest PASIDs (struct iommu_ops of v5.10), and one that
 * works like VT-d's without hardware: a table of bound PASIDs for each device, and a record of
 * invalidations and responses.
 */
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import {
  IOMMU_CACHE_INV_TYPE_DEV_IOTLB,
  IOMMU_CACHE_INV_TYPE_IOTLB,
  IOMMU_INV_GRANU_ADDR,
  IOMMU_INV_GRANU_PASID,
  IOMMU_PASID_FORMAT_INTEL_VTD,
  IOMMU_SVA_VTD_GPASID_SRE,
  IOMMU_SVA_VTD_GPASID_WPE,
} from '../uapi/legacy-constants.ts';
import { LEGACY_GPASID_BIND } from '../uapi/legacy-structs.ts';
import { IOASID_LIMIT } from './ioasid-sets.ts';
import type {
  GpasidBind,
  LegacyInvalidation,
  LegacyPageRequest,
  LegacyResponse,
} from './structures.ts';

/** A device with PASIDs behind an IOMMU of the time. */
export interface LegacyDevice {
  readonly name: string;
  readonly maxPasids: number;
}

/** A hook that is missing is ENODEV to the caller. */
export interface LegacyIommu {
  bindGpasid?(device: LegacyDevice, bind: GpasidBind): void;
  unbindGpasid?(device: LegacyDevice, pasid: bigint): void;
  invalidate?(device: LegacyDevice, invalidation: LegacyInvalidation): void;
  pageResponse?(device: LegacyDevice, request: LegacyPageRequest, response: LegacyResponse): void;
}

export interface VtdLegacyOptions {
  readonly memory: KernelMemory;
  /** ECAP.NEST and the domain's nesting mode. */
  readonly nesting?: boolean;
  readonly fiveLevels?: boolean;
  readonly supervisor?: boolean;
}

/** An invalidation or a response as the unit got it. */
export type LegacyRecord =
  | {
      readonly kind: 'invalidate';
      readonly device: LegacyDevice;
      readonly done: LegacyInvalidation;
    }
  | { readonly kind: 'response'; readonly device: LegacyDevice; readonly done: LegacyResponse };

const ENTRY_BYTES = 128;
const VTD_FLAGS = BigInt(2 * IOMMU_SVA_VTD_GPASID_WPE - 1);
const FOUR_LEVELS = 48;
const FIVE_LEVELS = 57;

/** Intel's driver of v5.10 (drivers/iommu/intel/svm.c, iommu.c), functionally. */
export class VtdLegacyIommu implements LegacyIommu {
  /** What the unit was told, oldest first. */
  readonly records: LegacyRecord[] = [];
  private readonly memory: KernelMemory;
  private readonly nesting: boolean;
  private readonly fiveLevels: boolean;
  private readonly supervisor: boolean;
  private readonly tables: Map<LegacyDevice, Map<bigint, GpasidBind>> = new Map();

  constructor(options: VtdLegacyOptions) {
    this.memory = options.memory;
    this.nesting = options.nesting ?? true;
    this.fiveLevels = options.fiveLevels ?? true;
    this.supervisor = options.supervisor ?? false;
  }

  /** What is bound at a PASID of a device; null: nothing. */
  boundAt(device: LegacyDevice, pasid: bigint): GpasidBind | null {
    return this.tables.get(device)?.get(pasid) ?? null;
  }

  /** intel_svm_bind_gpasid. */
  bindGpasid(device: LegacyDevice, bind: GpasidBind): void {
    if (bind.format !== IOMMU_PASID_FORMAT_INTEL_VTD) {
      fail('EINVAL', `format ${bind.format} is not that of VT-d`);
    }
    if (bind.argsz < LEGACY_GPASID_BIND.size) fail('EINVAL', 'argsz leaves out the VT-d data');
    if ((bind.vtdFlags & ~VTD_FLAGS) !== 0n) {
      fail('EINVAL', `VT-d flags 0x${bind.vtdFlags.toString(16)} are not known`);
    }
    if (device.maxPasids !== IOASID_LIMIT) fail('EINVAL', 'the device has no PASIDs of 20 bits');
    if (bind.hostPasid <= 0n || bind.hostPasid >= BigInt(IOASID_LIMIT)) {
      fail('EINVAL', `host PASID ${bind.hostPasid} is out of range`);
    }
    if (this.boundAt(device, bind.hostPasid) !== null) {
      fail('EBUSY', `PASID ${bind.hostPasid} of ${device.name} is bound already`);
    }
    this.checkTable(bind);
    this.memory.take(ENTRY_BYTES, 'guest PASID binding');
    const table = this.tables.get(device) ?? new Map<bigint, GpasidBind>();
    table.set(bind.hostPasid, bind);
    this.tables.set(device, table);
  }

  /** intel_svm_unbind_gpasid: what is not bound is not missed. */
  unbindGpasid(device: LegacyDevice, pasid: bigint): void {
    if (this.tables.get(device)?.delete(pasid) === true) this.memory.give(ENTRY_BYTES);
  }

  /** intel_iommu_sva_invalidate: cache after cache, so that an early one is done before EINVAL. */
  invalidate(device: LegacyDevice, invalidation: LegacyInvalidation): void {
    if (!this.nesting) fail('EINVAL', 'the domain is not in nesting mode');
    const { cache, granularity } = invalidation;
    for (let type = 1; type <= cache; type <<= 1) {
      if ((cache & type) === 0) continue;
      if (!granularityFits(type, granularity)) {
        fail('EINVAL', `cache ${type} has no invalidation of granularity ${granularity}`);
      }
      this.records.push({ kind: 'invalidate', device, done: { ...invalidation, cache: type } });
    }
  }

  pageResponse(device: LegacyDevice, _request: LegacyPageRequest, response: LegacyResponse): void {
    this.records.push({ kind: 'response', device, done: response });
  }

  private checkTable(bind: GpasidBind): void {
    if (!this.nesting) fail('EINVAL', 'the unit does not nest');
    if ((bind.vtdFlags & BigInt(IOMMU_SVA_VTD_GPASID_SRE)) !== 0n && !this.supervisor) {
      fail('EINVAL', 'SRE, but the unit has no supervisor requests');
    }
    const { addressWidth } = bind;
    const fits = addressWidth === FOUR_LEVELS || (addressWidth === FIVE_LEVELS && this.fiveLevels);
    if (!fits) fail('EINVAL', `addr_width ${addressWidth} is not one that the unit walks`);
  }
}

/** Which caches VT-d invalidates by PASID and by address. */
function granularityFits(type: number, granularity: number): boolean {
  if (type === IOMMU_CACHE_INV_TYPE_IOTLB) {
    return granularity === IOMMU_INV_GRANU_PASID || granularity === IOMMU_INV_GRANU_ADDR;
  }
  return type === IOMMU_CACHE_INV_TYPE_DEV_IOTLB && granularity === IOMMU_INV_GRANU_ADDR;
}
