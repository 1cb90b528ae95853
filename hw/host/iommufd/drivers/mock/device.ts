/**
 * A device behind the mock IOMMU (struct mock_dev): four words of a pretended cache that vIOMMU
 * invalidations clear, the vIOMMU whose nested domain it is attached to, and a PASID whose second
 * attachment in a row fails so that the core's way back is tried.
 */
import { InternalError } from '../../../../../sim/errors.ts';
import { fail } from '../../../kernel/errno.ts';
import type {
  IommuDevice,
  IommuDriver,
  PciTraits,
  ReservedRegion,
  ViommuHost,
} from '../../driver.ts';
import type { IommuGroup } from '../../iommu-core/group.ts';
import {
  IOMMU_TEST_DEV_CACHE_DEFAULT,
  MOCK_DEV_CACHE_NUM,
  MOCK_FLAGS_DEVICE_NO_DIRTY,
  MOCK_FLAGS_DEVICE_PASID,
  MOCK_PASID_WIDTH,
} from '../../uapi/test-constants.ts';

export class MockDevice implements IommuDevice {
  readonly name: string;
  readonly number: number;
  readonly driver: IommuDriver;
  readonly instance: object;
  readonly group: IommuGroup;
  readonly maxPasids: number;
  readonly pci: PciTraits | null = null;
  readonly reserved: readonly ReservedRegion[] = [];
  readonly dirtyTracking: boolean;
  readonly cache: Uint32Array = new Uint32Array(MOCK_DEV_CACHE_NUM).fill(
    IOMMU_TEST_DEV_CACHE_DEFAULT,
  );
  /** The vIOMMU that its events go to, and its virtual id there when it was attached. */
  viommu: ViommuHost | null = null;
  virtualId = 0n;
  /** The next attachment of the reserved PASID fails. */
  reservedPasidFails = false;

  constructor(
    number: number,
    flags: number,
    driver: IommuDriver,
    instance: object,
    group: IommuGroup,
  ) {
    this.number = number;
    this.name = `iommufd_mock${number}`;
    this.driver = driver;
    this.instance = instance;
    this.group = group;
    // Without the property its width is 0 bits: one PASID, which is the device itself.
    this.maxPasids = flags & MOCK_FLAGS_DEVICE_PASID ? 2 ** MOCK_PASID_WIDTH : 1;
    this.dirtyTracking = (flags & MOCK_FLAGS_DEVICE_NO_DIRTY) === 0;
  }
}

/** The mock device that a hook of the mock driver was called with. */
export function mockDevice(device: IommuDevice): MockDevice {
  if (device instanceof MockDevice) return device;
  throw new InternalError('mock-iommu', `${device.name} is not a mock device`);
}

/** The mock device that an op of IOMMU_TEST_CMD names; other drivers' devices are EINVAL. */
export function namedMockDevice(device: IommuDevice): MockDevice {
  if (device instanceof MockDevice) return device;
  return fail('EINVAL', `${device.name} is not a mock device`);
}
