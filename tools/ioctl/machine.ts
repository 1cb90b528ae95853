/**
 * The machine behind `iommusim ioctl`: a kernel with /dev/iommu, one process, and devices with VFIO
 * nodes behind a driver that is Linux's mock one or one on paper. Functional: no time passes.
 */
import { FrameAllocator } from '../../hw/host/frames.ts';
import { KernelProcess } from '../../hw/host/iommufd/client/kernel-process.ts';
import type { IommuDevice } from '../../hw/host/iommufd/driver.ts';
import { mockDriverOf } from '../../hw/host/iommufd/drivers/mock/driver.ts';
import { MOCK_COMMANDS } from '../../hw/host/iommufd/drivers/mock/test-commands.ts';
import { createPaperDriver } from '../../hw/host/iommufd/drivers/paper/create.ts';
import type { PaperDriver, PaperRecord } from '../../hw/host/iommufd/drivers/paper/driver.ts';
import { CMDQV_FEATURES } from '../../hw/host/iommufd/drivers/paper/smmuv3-unit.ts';
import { IommuGroup } from '../../hw/host/iommufd/iommu-core/group.ts';
import { openIommufd } from '../../hw/host/iommufd/iommufd-file.ts';
import { MOCK_FLAGS_DEVICE_PASID } from '../../hw/host/iommufd/uapi/test-constants.ts';
import { VfioDeviceFile } from '../../hw/host/iommufd/vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../../hw/host/iommufd/vfio/device.ts';
import { PAGE_SIZE } from '../../hw/host/kernel/api.ts';
import { Kernel } from '../../hw/host/kernel/kernel.ts';
import { Syscalls } from '../../hw/host/kernel/syscalls.ts';
import { PhysicalMemory } from '../../hw/memory/physical-memory.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import { InputError } from '../../sim/errors.ts';

export interface MachineDevice {
  readonly name: string;
  /** Its node: /dev/vfio/devices/vfioN. */
  readonly path: string;
  readonly iommu: IommuDevice;
  readonly group: IommuGroup;
  readonly unit: string;
}

export interface IoctlMachine {
  /** One line on what it is. */
  readonly title: string;
  readonly driver: string;
  readonly kernel: Kernel;
  readonly process: KernelProcess;
  readonly devices: readonly MachineDevice[];
  /** What hardware would have been told since the last time; empty where nobody notes it. */
  takeRecords(): PaperRecord[];
  /** Flushes that the driver asked for; null where it does not count them. */
  flushes(): number | null;
}

/** A device to be had, and which of the machine's IOMMU units is above it. */
export interface DeviceRequest {
  readonly name: string;
  readonly unit: number;
  readonly maxPasids: number;
}

export const DRIVERS: Readonly<Record<string, string>> = {
  mock: "Linux's mock driver (iommufd_mock), with IOMMU_TEST_CMD",
  'paper-vtd': 'VT-d in scalable mode, on paper',
  'paper-vtd-legacy': 'VT-d in legacy mode, on paper',
  'paper-smmuv3': 'SMMUv3, on paper',
  'paper-tegra241': 'SMMUv3 with the command queues of Tegra241 (CMDQV), on paper',
  'paper-amd': 'AMD, on paper',
  'paper-riscv': "RISC-V as in Linux's driver (bind is refused), on paper",
};

/** Three devices; the last is behind a unit of its own. */
const DEVICES: readonly DeviceRequest[] = [
  { name: 'vfio0', unit: 0, maxPasids: 1024 },
  { name: 'vfio1', unit: 0, maxPasids: 0 },
  { name: 'vfio2', unit: 1, maxPasids: 1024 },
];
/** Frames of user memory begin above the first 16 MiB. */
const FIRST_FRAME = 0x1000;

export interface MachineSpec {
  readonly driver: string;
  /** Memory that may be touched. */
  readonly memoryBytes: number;
  readonly devices?: readonly DeviceRequest[];
  /** Pages that the process may lock, and whether it may go beyond; absent: no limit. */
  readonly memlockPages?: number;
}

export function buildMachine(spec: MachineSpec): IoctlMachine {
  const { driver, memoryBytes, memlockPages } = spec;
  const title = DRIVERS[driver];
  if (title === undefined) {
    const names = Object.keys(DRIVERS);
    const hint = didYouMean(driver, names) || ` (there are ${names.join(', ')})`;
    throw new InputError('ioctl-driver', `--driver ${driver}: no such driver${hint}`);
  }
  const memory = PhysicalMemory.create({ bytes: memoryBytes });
  const frames = new FrameAllocator({ base: FIRST_FRAME, frames: memoryBytes / PAGE_SIZE });
  const kernel = new Kernel({ memory, frames });
  const capabilities = { ipcLock: memlockPages === undefined, sysResource: true, sysRawio: true };
  const process = kernel.createProcess({
    capabilities,
    ...(memlockPages !== undefined && { memlockPages }),
  });
  const base = { title, driver, kernel, process: new KernelProcess(new Syscalls(kernel, process)) };
  const commands = driver === 'mock' ? MOCK_COMMANDS : [];
  for (const path of ['/dev/iommu', '/dev/vfio/vfio']) {
    kernel.registerNode(path, () => openIommufd(kernel, path, commands));
  }
  const requests = spec.devices ?? DEVICES;
  if (driver === 'mock') {
    const devices = requests.map((request) => mockDevice(kernel, request));
    return { ...base, devices, takeRecords: () => [], flushes: () => null };
  }
  const records: PaperRecord[] = [];
  const plug = paperPlug(driver, kernel, (record) => records.push(record));
  const devices = requests.map((request) => {
    const iommu = plug.add(request);
    const group = new IommuGroup(kernel.memory);
    group.addDevice(iommu);
    return vfioDevice(kernel, request.name, iommu, group, nameOf(iommu.instance));
  });
  return {
    ...base,
    devices,
    takeRecords: () => records.splice(0),
    flushes: () => plug.driver.flushes,
  };
}

function mockDevice(kernel: Kernel, { name, maxPasids }: DeviceRequest): MachineDevice {
  const flags = maxPasids > 0 ? MOCK_FLAGS_DEVICE_PASID : 0;
  const iommu = mockDriverOf(kernel).createDevice(flags);
  return vfioDevice(kernel, name, iommu, iommu.group, nameOf(iommu.instance));
}

function nameOf(unit: object): string {
  return 'name' in unit ? String(unit.name) : 'unit';
}

/** Gives a device its VFIO node. */
function vfioDevice(
  kernel: Kernel,
  name: string,
  iommu: IommuDevice,
  group: IommuGroup,
  unit: string,
): MachineDevice {
  const path = `/dev/vfio/devices/${name}`;
  const device = new VfioDevice(name, new PhysicalBackend(iommu, group));
  kernel.registerNode(path, () => new VfioDeviceFile(kernel, device));
  return { name, path, iommu, group, unit };
}

interface PaperPlug {
  readonly driver: PaperDriver<object>;
  add(request: DeviceRequest): IommuDevice;
}

function paperPlug(
  name: string,
  kernel: Kernel,
  observe: (record: PaperRecord) => void,
): PaperPlug {
  const options = { memory: kernel.memory, observe };
  switch (name) {
    case 'paper-vtd':
    case 'paper-vtd-legacy': {
      const driver = createPaperDriver('vtd', options);
      return plugOf(driver, () => driver.addUnit({ scalable: name === 'paper-vtd' }));
    }
    case 'paper-smmuv3':
    case 'paper-tegra241': {
      const driver = createPaperDriver('smmuv3', options);
      const cmdqv = name === 'paper-tegra241' ? CMDQV_FEATURES : null;
      return plugOf(driver, () => driver.addUnit({ cmdqv }));
    }
    case 'paper-amd': {
      const driver = createPaperDriver('amd', options);
      return plugOf(driver, () => driver.addUnit());
    }
    default: {
      const driver = createPaperDriver('riscv-linux', options);
      return plugOf(driver, () => driver.addUnit());
    }
  }
}

/** Devices by requests; a unit is made when the first device needs it. */
function plugOf<Unit extends object>(driver: PaperDriver<Unit>, addUnit: () => Unit): PaperPlug {
  let devices = 0;
  return {
    driver: driver as unknown as PaperDriver<object>,
    add: ({ name, unit, maxPasids }) => {
      while (driver.units.length <= unit) addUnit();
      const stream = ++devices << 3;
      return driver.addDevice(name, driver.units[unit] as Unit, { maxPasids, stream });
    },
  };
}
