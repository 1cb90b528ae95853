/**
 * A mock device that user space has made (IOMMUFD_OBJ_SELFTEST): it stands for the driver that
 * would bind a device of its own, and goes with the object.
 */
import type { Context } from '../../context.ts';
import { IommufdObject } from '../../object.ts';
import { Device } from '../../objects/device.ts';
import type { MockDevice } from './device.ts';
import type { MockDriver } from './driver.ts';

const OBJECT_BYTES = 96;

export class SelftestDevice extends IommufdObject {
  readonly type = 'selftest';
  private readonly context: Context;
  private readonly driver: MockDriver;
  private made: MockDevice | null = null;
  private bound: Device | null = null;

  constructor(context: Context, driver: MockDriver) {
    super(OBJECT_BYTES);
    this.context = context;
    this.driver = driver;
  }

  get mock(): MockDevice {
    return this.made as MockDevice;
  }

  get device(): Device {
    return this.bound as Device;
  }

  /** Makes, binds and attaches the device; returns the id of the page table used. */
  start(flags: number, ptId: number): number {
    this.made = this.driver.createDevice(flags);
    this.bound = Device.bind(this.context, this.mock, this.mock.group, { test: true });
    return this.device.attach(0, ptId);
  }

  destroy(): void {
    if (this.bound !== null) {
      // Linux's mock forgets attached PASIDs, with a crash later; here they end with the device.
      for (const pasid of this.bound.pasids()) this.bound.detach(pasid);
      this.bound.unbind();
    }
    if (this.made !== null) this.driver.destroyDevice(this.made);
  }
}
