/**
 * Hardware page table that user space manages, on top of one that the kernel manages: made from
 * that, or from a vIOMMU that stands on it (struct iommufd_hwpt_nested).
 */
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { IommuDevice, NestedDomain, UserData, ViommuDriver } from '../driver.ts';
import type { NestedViommu } from '../graph.ts';
import { IOMMU_HWPT_ALLOC_PASID, IOMMU_HWPT_FAULT_ID_VALID } from '../uapi/constants.ts';
import { Hwpt, type HwptPaging } from './hwpt-paging.ts';

const HWPT_NESTED_BYTES = 128;
const NESTED_FLAGS = IOMMU_HWPT_FAULT_ID_VALID | IOMMU_HWPT_ALLOC_PASID;

export class HwptNested extends Hwpt {
  readonly type = 'hwpt-nested';
  readonly parent: HwptPaging;
  /** The vIOMMU that it was made from; it counts the vIOMMU then, not the parent. */
  readonly viommu: NestedViommu | null;
  private made: NestedDomain | null = null;

  constructor(parent: HwptPaging, viommu: NestedViommu | null, flags: number) {
    super(HWPT_NESTED_BYTES, flags);
    this.parent = parent;
    this.viommu = viommu;
  }

  override get domain(): NestedDomain {
    return this.made as NestedDomain;
  }

  override get paging(): HwptPaging {
    return this.parent;
  }

  /** The driver's part of the allocation; the object has its id. */
  allocate(alloc: (driverFlags: number) => NestedDomain, flags: number): void {
    (this.viommu ?? this.parent).users++;
    this.made = alloc(flags & ~IOMMU_HWPT_FAULT_ID_VALID);
    if (this.made.kind !== 'nested') {
      fail('EOPNOTSUPP', 'the driver made a domain that is not nested');
    }
  }

  override destroy(): void {
    this.free(this.made);
    (this.viommu ?? this.parent).users--;
  }
}

function build(
  context: Context,
  hwpt: HwptNested,
  flags: number,
  alloc: (driverFlags: number) => NestedDomain,
): HwptNested {
  context.objects.reserve(hwpt);
  try {
    hwpt.allocate(alloc, flags);
  } catch (error) {
    context.objects.abort(hwpt);
    throw error;
  }
  return hwpt;
}

/** iommufd_hwpt_nested_alloc: the page table has an id, and is not published. */
export function allocHwptNested(
  context: Context,
  parent: HwptPaging,
  device: IommuDevice,
  flags: number,
  data: UserData,
): HwptNested {
  const { driver } = device;
  if ((flags & ~NESTED_FLAGS) !== 0) {
    fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} has a bit unknown for a nested page table`);
  }
  if (data.length === 0) fail('EOPNOTSUPP', 'a nested page table needs data of its driver');
  if (driver.allocNested === undefined) {
    fail('EOPNOTSUPP', `the driver ${driver.name} cannot nest on a page table`);
  }
  if (parent.autoDomain) fail('EINVAL', `hwpt ${parent.id} was made automatically: no parent`);
  if (!parent.nestParent) fail('EINVAL', `hwpt ${parent.id} was not made as a nesting parent`);
  if (parent.domain.driver !== driver) {
    fail('EINVAL', `hwpt ${parent.id} is one of another driver`);
  }
  const hwpt = new HwptNested(parent, null, flags);
  return build(context, hwpt, flags, (driverFlags) =>
    driver.allocNested!(device, parent.domain, driverFlags, data),
  );
}

/** What a nested page table needs of the vIOMMU that it is made from. */
export interface NestingViommu extends NestedViommu {
  readonly parent: HwptPaging;
  readonly driver: ViommuDriver;
}

/** iommufd_viommu_alloc_hwpt_nested: as above, from a vIOMMU. */
export function allocHwptOnViommu(
  context: Context,
  viommu: NestingViommu,
  device: IommuDevice,
  flags: number,
  data: UserData,
): HwptNested {
  if (viommu.instance !== device.instance) {
    fail('EINVAL', `${device.name} is behind another IOMMU than vIOMMU ${viommu.id}`);
  }
  if ((flags & ~NESTED_FLAGS) !== 0) {
    fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} has a bit unknown for a nested page table`);
  }
  if (data.length === 0) fail('EOPNOTSUPP', 'a nested page table needs data of its driver');
  const { driver } = viommu;
  if (driver.allocNested === undefined) {
    fail('EOPNOTSUPP', 'the driver of the vIOMMU cannot nest');
  }
  const hwpt = new HwptNested(viommu.parent, viommu, flags);
  return build(context, hwpt, flags, (driverFlags) =>
    driver.allocNested!(device, driverFlags, data),
  );
}
