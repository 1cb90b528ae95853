/**
 * What every domain of the mock does when a device or one of its PASIDs comes to it
 * (mock_domain_nop_attach, mock_domain_set_dev_pasid_nop): nothing but checks and notes.
 */
import { fail } from '../../../kernel/errno.ts';
import type { Domain, IommuDevice, IommuDriver, ViommuHost } from '../../driver.ts';
import { IOMMU_TEST_PASID_RESERVED } from '../../uapi/test-constants.ts';
import { mockDevice } from './device.ts';

/** Attaches a device; `viommu`: the one that a nested domain was made through. */
export function attachDevice(
  iommuDevice: IommuDevice,
  dirtyTracking: boolean,
  viommu: ViommuHost | null,
): void {
  const device = mockDevice(iommuDevice);
  if (dirtyTracking && !device.dirtyTracking) {
    fail('EINVAL', `${device.name} cannot track dirty pages, which the domain does`);
  }
  let virtualId = 0n;
  if (viommu !== null) {
    const id = viommu.virtualIdOf(device);
    if (id === null) fail('ENOENT', `${device.name} has no vDEVICE in the domain's vIOMMU`);
    virtualId = id;
  }
  if (device.viommu !== viommu) {
    device.viommu = viommu;
    device.virtualId = virtualId;
  }
}

/** Sets the domain of a PASID; the reserved one refuses every second time. */
export function setDevicePasid(iommuDevice: IommuDevice, pasid: number, blocked: boolean): void {
  if (pasid !== IOMMU_TEST_PASID_RESERVED) return;
  const device = mockDevice(iommuDevice);
  const fails = device.reservedPasidFails && !blocked;
  device.reservedPasidFails = !blocked && !fails;
  if (fails) fail('ENOMEM', `the mock refuses PASID ${pasid} the second time in a row`);
}

/** The domain in which nothing is translated: what mock devices have while nobody uses them. */
export class MockBlockedDomain implements Domain {
  readonly kind = 'blocked';
  readonly driver: IommuDriver;

  constructor(driver: IommuDriver) {
    this.driver = driver;
  }

  attach(device: IommuDevice): void {
    attachDevice(device, false, null);
  }

  setPasid(device: IommuDevice, pasid: number): void {
    setDevicePasid(device, pasid, true);
  }

  /** One for all devices, never freed. */
  free(): void {}
}
