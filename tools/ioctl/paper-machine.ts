/** Devices behind drivers without hardware: Linux's mock driver, and drivers on paper. */
import type { IommuDevice } from '../../hw/host/iommufd/driver.ts';
import { mockDriverOf } from '../../hw/host/iommufd/drivers/mock/driver.ts';
import { createPaperDriver } from '../../hw/host/iommufd/drivers/paper/create.ts';
import type { PaperDriver, PaperRecord } from '../../hw/host/iommufd/drivers/paper/driver.ts';
import { CMDQV_FEATURES } from '../../hw/host/iommufd/drivers/paper/smmuv3-unit.ts';
import { IommuGroup } from '../../hw/host/iommufd/iommu-core/group.ts';
import { MOCK_FLAGS_DEVICE_PASID } from '../../hw/host/iommufd/uapi/test-constants.ts';
import type { Kernel } from '../../hw/host/kernel/kernel.ts';
import { paperDevices } from '../../scenarios/machine/paper-devices.ts';
import type { ResolvedIommufd } from '../../scenarios/schema/iommufd.ts';
import { recordText, unitName } from './hardware-records.ts';
import type { Devices, MadeDevice } from './machine-parts.ts';

interface DeviceRequest {
  readonly name: string;
  readonly unit: number;
  readonly pasids: number;
}

/** Three devices; the last is behind a unit of its own. */
const DEVICES: readonly DeviceRequest[] = [
  { name: 'vfio0', unit: 0, pasids: 1024 },
  { name: 'vfio1', unit: 0, pasids: 0 },
  { name: 'vfio2', unit: 1, pasids: 1024 },
];

export function mockDevices(
  kernel: Kernel,
  requests: readonly Pick<DeviceRequest, 'name' | 'pasids'>[] = DEVICES,
): Devices {
  const driver = mockDriverOf(kernel);
  const devices = requests.map(({ name, pasids }) => {
    const iommu = driver.createDevice(pasids > 0 ? MOCK_FLAGS_DEVICE_PASID : 0);
    return { name, iommu, group: iommu.group, unit: unitName(iommu.instance) };
  });
  return { devices, takeRecords: () => [], counters: () => ({}) };
}

/** Devices that a scenario describes. */
export function paperDevicesOf(iommufd: ResolvedIommufd, kernel: Kernel): Devices {
  const records: PaperRecord[] = [];
  const made = paperDevices(iommufd, kernel.memory, (record) => records.push(record));
  const driver = made[0]?.driver as PaperDriver<object> | undefined;
  return devicesOf(driver ?? null, made, kernel, records);
}

/** The usual devices behind a driver on paper by its name. */
export function paperMachine(name: string, kernel: Kernel): Devices {
  const records: PaperRecord[] = [];
  const observe = (record: PaperRecord): void => void records.push(record);
  const options = { memory: kernel.memory, observe };
  const finish = <Unit extends object>(driver: PaperDriver<Unit>, addUnit: () => Unit): Devices => {
    const made = DEVICES.map(({ name: device, unit, pasids }, i) => {
      while (driver.units.length <= unit) addUnit();
      const stream = (i + 1) << 3;
      return driver.addDevice(device, driver.units[unit] as Unit, { maxPasids: pasids, stream });
    });
    return devicesOf(driver as unknown as PaperDriver<object>, made, kernel, records);
  };
  switch (name) {
    case 'paper-vtd':
    case 'paper-vtd-legacy': {
      const driver = createPaperDriver('vtd', options);
      return finish(driver, () => driver.addUnit({ scalable: name === 'paper-vtd' }));
    }
    case 'paper-smmuv3':
    case 'paper-tegra241': {
      const driver = createPaperDriver('smmuv3', options);
      const cmdqv = name === 'paper-tegra241' ? CMDQV_FEATURES : null;
      return finish(driver, () => driver.addUnit({ cmdqv }));
    }
    case 'paper-amd': {
      const driver = createPaperDriver('amd', options);
      return finish(driver, () => driver.addUnit());
    }
    default: {
      const driver = createPaperDriver('riscv-linux', options);
      return finish(driver, () => driver.addUnit());
    }
  }
}

function devicesOf(
  driver: PaperDriver<object> | null,
  made: readonly IommuDevice[],
  kernel: Kernel,
  records: PaperRecord[],
): Devices {
  const devices = made.map((iommu): MadeDevice => {
    const group = new IommuGroup(kernel.memory);
    group.addDevice(iommu);
    return { name: iommu.name, iommu, group, unit: unitName(iommu.instance) };
  });
  return {
    devices,
    takeRecords: () => records.splice(0).map(recordText),
    counters: () =>
      driver === null ? {} : { 'flushes of the IOMMU': driver.figures.invalidations },
  };
}
