/** The domain in which all requests of a device are refused: its context is not valid. */
import type { Domain, IommuDevice, IommuDriver } from '../../driver.ts';
import type { HardwareCore } from './core.ts';
import { hardwareDevice } from './device.ts';

export class HardwareBlocked implements Domain {
  readonly kind = 'blocked';
  readonly driver: IommuDriver;
  private readonly core: HardwareCore;

  constructor(driver: IommuDriver, core: HardwareCore) {
    this.driver = driver;
    this.core = core;
  }

  attach(device: IommuDevice): void {
    const target = hardwareDevice(device);
    const { unit, domain } = target;
    unit.driver.detach(target.deviceId);
    if (domain === null) return;
    this.core.sync.fence(unit.driver, domain.domainOf(unit));
    target.moved(null);
  }

  free(): void {}
}
