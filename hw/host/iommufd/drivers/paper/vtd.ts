/**
 * The VT-d driver on paper (drivers/iommu/intel): first- and second-stage domains, nesting by data
 * VTD_S1, units that share a domain where their capabilities allow it.
 */
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type NestedDomain,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
} from '../../driver.ts';
import { VTD_IOAPIC_RANGE } from '../../uapi/driver-constants.ts';
import type { VtdNestedEntry } from '../formats/vtd.ts';
import { checkVtdType, readVtdStage1, vtdHwInfo } from '../formats/vtd.ts';
import { PaperDevice, type PaperDeviceOptions } from './device.ts';
import { PaperDriver, type PaperOptions, unitOf } from './driver.ts';
import { VtdNested, VtdPaging } from './vtd-domains.ts';
import { VTD_FEATURES, type VtdFeatures, VtdUnit } from './vtd-unit.ts';

/** What a PASID table entry says: a kernel-managed table by its stage, or a nested one. */
export type VtdEntry =
  | { readonly translation: 'first' | 'second'; readonly domainId: number }
  | (VtdNestedEntry & { readonly translation: 'nested'; readonly domainId: number });

export type VtdDevice = PaperDevice<VtdUnit, VtdEntry>;

/** 0xfee00000 to 0xfeefffff: writes there are interrupts. */
const INTERRUPTS: ReservedRegion = {
  start: VTD_IOAPIC_RANGE[0],
  length: VTD_IOAPIC_RANGE[1] - VTD_IOAPIC_RANGE[0] + 1n,
  kind: 'msi',
};

export class VtdPaperDriver extends PaperDriver<VtdUnit> {
  constructor(options: PaperOptions) {
    super('vtd', options, { sharing: 'capability', pasids: true, userPasidTable: false });
  }

  addUnit(features: Partial<VtdFeatures> = {}): VtdUnit {
    const unit = new VtdUnit(`dmar${this.units.length}`, { ...VTD_FEATURES, ...features });
    this.units.push(unit);
    return unit;
  }

  addDevice(name: string, unit: VtdUnit, options: PaperDeviceOptions = {}): VtdDevice {
    const maxPasids = unit.pasids ? (options.maxPasids ?? 0) : 0;
    return new PaperDevice(name, this, unit, [INTERRUPTS], { ...options, maxPasids });
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    const unit = unitOf<VtdUnit>(device);
    switch (capability) {
      case 'cache-coherency':
        return true;
      case 'enforce-cache-coherency':
        return unit.features.snoopControl;
      case 'dirty-tracking':
        return unit.tracksDirty;
      case 'pci-ats':
        return unit.features.deviceTlb && (device as VtdDevice).ats;
    }
  }

  hwInfo(device: IommuDevice, type: number): HardwareInfo {
    const unit = unitOf<VtdUnit>(device);
    return vtdHwInfo(type, unit.capability, unit.extended);
  }

  /** intel_iommu_domain_alloc_paging_flags: the first stage where it can do what is asked. */
  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    if (data !== null) fail('EOPNOTSUPP', 'a kernel-managed domain takes no data');
    const unit = unitOf<VtdUnit>(device);
    if ((flags & ~ALLOC_PASID) === 0 && unit.hasFirstStage) {
      return new VtdPaging(this, unit, { stage: 1, nestParent: false, dirty: false });
    }
    if ((flags & ~(ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING | ALLOC_PASID)) !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} are not known`);
    }
    const nestParent = (flags & ALLOC_NEST_PARENT) !== 0;
    const dirty = (flags & ALLOC_DIRTY_TRACKING) !== 0;
    if (nestParent && !unit.nests) {
      fail('EOPNOTSUPP', 'NEST_PARENT needs scalable mode and ECAP.NEST');
    }
    if (dirty && !unit.tracksDirty) {
      fail('EOPNOTSUPP', 'DIRTY_TRACKING needs scalable mode, ECAP.SLADS and ECAP.SMPWCS');
    }
    if (!unit.hasSecondStage) fail('EOPNOTSUPP', 'the unit has no second stage (ECAP.SSTS)');
    return new VtdPaging(this, unit, { stage: 2, nestParent, dirty });
  }

  /** intel_iommu_domain_alloc_nested. */
  allocNested(
    device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): NestedDomain {
    if (!unitOf<VtdUnit>(device).nests) fail('EOPNOTSUPP', 'the unit does not nest');
    if ((flags & ~ALLOC_PASID) !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)}: a nested domain takes PASID 8 only`);
    }
    checkVtdType(data);
    if (!isNestingParent(parent)) fail('EINVAL', 'the parent is no second-stage nesting parent');
    return new VtdNested(this, parent, readVtdStage1(data));
  }
}

function isNestingParent(domain: PagingDomain): domain is VtdPaging {
  return domain instanceof VtdPaging && domain.stage === 2 && domain.nestParent;
}
