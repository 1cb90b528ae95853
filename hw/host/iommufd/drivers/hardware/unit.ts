/** An IOMMU unit as these drivers see it: the driver of its hardware, and the devices behind it. */
import type { HostDriver } from '../../../drivers/driver.ts';
import type { HardwareDevice } from './device.ts';

export class HardwareUnit<D extends HostDriver = HostDriver> {
  readonly name: string;
  readonly driver: D;
  /** By the id that the unit knows them by. */
  readonly devices: Map<number, HardwareDevice> = new Map();

  constructor(name: string, driver: D) {
    this.name = name;
    this.driver = driver;
  }
}
