/**
 * The SMMUv3 driver on paper (drivers/iommu/arm/arm-smmu-v3), with Tegra241's CMDQV: nested domains
 * through vIOMMUs, commands and events of guests. A domain belongs to one unit, unless the scenario
 * lets units share (`share_across_instances`).
 */
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type PagingDomain,
  type ReservedRegion,
  type UserData,
  type ViommuDriver,
  type ViommuHost,
} from '../../driver.ts';
import {
  IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
  IOMMU_VEVENTQ_TYPE_ARM_SMMUV3,
  IOMMU_VIOMMU_TYPE_ARM_SMMUV3,
  IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
} from '../../uapi/constants.ts';
import { SMMUV3_MSI_IOVA_BASE, SMMUV3_MSI_IOVA_LENGTH } from '../../uapi/driver-constants.ts';
import {
  type EventRoute,
  guestEvent,
  routeEvent,
  type SmmuEvent,
} from '../formats/smmuv3-events.ts';
import { smmuHwInfo } from '../formats/smmuv3-info.ts';
import { cmdqvHwInfo } from '../formats/tegra241.ts';
import { PaperDevice, type PaperDeviceOptions } from './device.ts';
import { PaperDriver, type PaperOptions, unitOf } from './driver.ts';
import { type SmmuDevice, SmmuNested, SmmuPaging, type SmmuShape } from './smmuv3-domains.ts';
import { SMMU_FEATURES, SmmuUnit, type SmmuUnitFeatures } from './smmuv3-unit.ts';
import { CmdqvViommu, SmmuViommu } from './smmuv3-viommu.ts';

export interface SmmuPaperOptions extends PaperOptions {
  /** How guest commands are vetted: as the base kernel, or as a newer one by each bit. */
  readonly invalidation?: 'base' | 'strict';
}

const DOORBELLS: ReservedRegion = {
  start: BigInt(SMMUV3_MSI_IOVA_BASE),
  length: BigInt(SMMUV3_MSI_IOVA_LENGTH),
  kind: 'sw-msi',
};

export class SmmuPaperDriver extends PaperDriver<SmmuUnit> {
  readonly strict: boolean;

  constructor(options: SmmuPaperOptions) {
    super('smmuv3', options, { sharing: 'instance', pasids: true, userPasidTable: true });
    this.strict = options.invalidation === 'strict';
  }

  addUnit(features: Partial<SmmuUnitFeatures> = {}): SmmuUnit {
    const unit = new SmmuUnit(`smmu${this.units.length}`, { ...SMMU_FEATURES, ...features });
    this.units.push(unit);
    return unit;
  }

  addDevice(name: string, unit: SmmuUnit, options: PaperDeviceOptions = {}): SmmuDevice {
    const most = unit.features.substreamBits > 0 ? 2 ** unit.features.substreamBits : 0;
    const maxPasids = Math.min(options.maxPasids ?? 0, most);
    return new PaperDevice(name, this, unit, [DOORBELLS], { ...options, maxPasids });
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    const unit = unitOf<SmmuUnit>(device);
    const { ats, alwaysCoherent } = device as SmmuDevice;
    switch (capability) {
      case 'cache-coherency':
        return unit.features.coherentWalks;
      case 'enforce-cache-coherency':
        return alwaysCoherent;
      case 'dirty-tracking':
        return unit.tracksDirty;
      case 'pci-ats':
        return unit.features.ats && ats;
    }
  }

  hwInfo(device: IommuDevice, type: number): HardwareInfo {
    const { features, registers } = unitOf<SmmuUnit>(device);
    if (type === IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV && features.cmdqv !== null) {
      return cmdqvHwInfo(type, features.cmdqv);
    }
    return smmuHwInfo(type, registers);
  }

  /** arm_smmu_domain_alloc_paging_flags: each combination of flags has one stage, or none. */
  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    const unit = unitOf<SmmuUnit>(device);
    if ((flags & ~(ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING | ALLOC_PASID)) !== 0) {
      fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} are not known`);
    }
    if (data !== null) fail('EOPNOTSUPP', 'a kernel-managed domain takes no data');
    return new SmmuPaging(this, unit, shapeFor(unit, flags));
  }

  supportsViommu(device: IommuDevice, type: number): boolean {
    const { alwaysCoherent, instance } = device as SmmuDevice;
    if (!instance.nests) return false;
    // A guest must not be able to go around the caches, which nobody cleans for it.
    if (!alwaysCoherent && !instance.features.stage2Writeback) return false;
    if (type === IOMMU_VIOMMU_TYPE_ARM_SMMUV3) return true;
    return type === IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV && instance.features.cmdqv !== null;
  }

  /** arm_vsmmu_init. */
  initViommu(
    device: IommuDevice,
    type: number,
    parent: PagingDomain,
    host: ViommuHost,
    data: UserData | null,
  ): ViommuDriver {
    const unit = unitOf<SmmuUnit>(device);
    if (!(parent instanceof SmmuPaging)) fail('EINVAL', 'the parent is no domain of an SMMUv3');
    parent.checkUnit(unit);
    if (type === IOMMU_VIOMMU_TYPE_ARM_SMMUV3) return new SmmuViommu(this, unit, parent, host);
    return new CmdqvViommu(this, unit, parent, host, data);
  }

  /** An event record of the hardware: forwards what is the guest's, and says where it went. */
  reportEvent(device: SmmuDevice, event: SmmuEvent): EventRoute {
    const { domain } = device;
    const host = domain instanceof SmmuNested ? domain.host : null;
    const virtual = host?.virtualIdOf(device) ?? null;
    const route = routeEvent(event, virtual !== null);
    if (route === 'vevent') {
      host?.report(IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, guestEvent(event, virtual as bigint));
    }
    return route;
  }
}

function shapeFor(unit: SmmuUnit, flags: number): SmmuShape {
  const { stage1 } = unit.features;
  switch (flags) {
    case 0:
      return { stage: stage1 ? 1 : 2, nestParent: false, dirty: false };
    case ALLOC_NEST_PARENT:
      if (!unit.nests) fail('EOPNOTSUPP', 'NEST_PARENT needs both stages');
      return { stage: 2, nestParent: true, dirty: false };
    case ALLOC_DIRTY_TRACKING:
    case ALLOC_PASID:
    case ALLOC_DIRTY_TRACKING | ALLOC_PASID:
      if (!stage1) fail('EOPNOTSUPP', 'dirty tracking and PASIDs need stage 1');
      return { stage: 1, nestParent: false, dirty: (flags & ALLOC_DIRTY_TRACKING) !== 0 };
    default:
      return fail('EOPNOTSUPP', `no stage can do flags 0x${flags.toString(16)} together`);
  }
}
