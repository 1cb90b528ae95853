/** An IOMMU unit as these drivers see it: the driver of its hardware, and the devices behind it. */
import type { HostDriver } from '../../../drivers/driver.ts';
import type { IommuDevice } from '../../driver.ts';
import type { IommuGroup } from '../../iommu-core/group.ts';

/** A device as its unit knows it. */
export interface UnitDevice extends IommuDevice {
  readonly group: IommuGroup;
}

export class HardwareUnit<D extends HostDriver = HostDriver> {
  readonly name: string;
  readonly driver: D;
  /** By the id that the unit knows them by. */
  readonly devices: Map<number, UnitDevice> = new Map();

  constructor(name: string, driver: D) {
    this.name = name;
    this.driver = driver;
  }
}
