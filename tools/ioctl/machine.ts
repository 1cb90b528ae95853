/**
 * The machine behind `iommusim ioctl`: a kernel with /dev/iommu, one process, and devices with VFIO
 * nodes. Behind them Linux's mock driver, a driver on paper, or drivers of simulated units, which
 * carry out everything at once: no time passes here.
 */
import { FrameAllocator, type FrameSpec } from '../../hw/host/frames.ts';
import { KernelProcess } from '../../hw/host/iommufd/client/kernel-process.ts';
import { MOCK_COMMANDS } from '../../hw/host/iommufd/drivers/mock/test-commands.ts';
import { openIommufd } from '../../hw/host/iommufd/iommufd-file.ts';
import { VfioDeviceFile } from '../../hw/host/iommufd/vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../../hw/host/iommufd/vfio/device.ts';
import { Kernel } from '../../hw/host/kernel/kernel.ts';
import { Syscalls } from '../../hw/host/kernel/syscalls.ts';
import { PhysicalMemory } from '../../hw/memory/physical-memory.ts';
import { loadScenario } from '../../scenarios/loader.ts';
import { didYouMean } from '../../scenarios/nearest.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';
import { InputError } from '../../sim/errors.ts';
import { hardwareDevices } from './hardware-devices.ts';
import type { Devices, Ground, IoctlMachine, MachineDevice, MadeDevice } from './machine-parts.ts';
import { mockDevices, paperDevicesOf, paperMachine } from './paper-machine.ts';

/** Drivers that need no scenario. */
export const DRIVERS: Readonly<Record<string, string>> = {
  mock: "Linux's mock driver (iommufd_mock), with IOMMU_TEST_CMD",
  vtd: 'a simulated VT-d unit in legacy mode',
  riscv: "a simulated RISC-V unit with this simulator's own driver (nesting, dirty tracking)",
  'paper-vtd': 'VT-d in scalable mode, on paper',
  'paper-vtd-legacy': 'VT-d in legacy mode, on paper',
  'paper-smmuv3': 'SMMUv3, on paper',
  'paper-tegra241': 'SMMUv3 with the command queues of Tegra241 (CMDQV), on paper',
  'paper-amd': 'AMD, on paper',
  'paper-riscv': "RISC-V as in Linux's driver (bind is refused), on paper",
};

/** Tables from 256 MiB, user memory from 1 GiB: below what 32-bit table entries reach. */
const TABLES: FrameSpec = { base: 2 ** 16, frames: 2 ** 17 };
const USER: FrameSpec = { base: 2 ** 18, frames: 2 ** 20 };

export interface MachineOptions {
  /** Memory that may be touched. */
  readonly memoryBytes: number;
  /** Pages that the process may lock; absent: no limit. */
  readonly memlockPages?: number;
}

/** A machine with a driver by its name. */
export function driverMachine(driver: string, options: MachineOptions): IoctlMachine {
  const title = DRIVERS[driver];
  if (title === undefined) {
    const names = Object.keys(DRIVERS);
    const hint = didYouMean(driver, names) || ` (there are ${names.join(', ')})`;
    throw new InputError('ioctl-driver', `--driver ${driver}: no such driver${hint}`);
  }
  if (driver === 'vtd' || driver === 'riscv') {
    const scenario = smallScenario(driver);
    return build(title, false, options, (ground) => hardwareDevices(ground, scenario));
  }
  return build(title, driver === 'mock', options, ({ kernel }) =>
    driver === 'mock' ? mockDevices(kernel) : paperMachine(driver, kernel),
  );
}

/** The IOMMU and the devices of a scenario. */
export function scenarioMachine(scenario: ResolvedScenario, options: MachineOptions): IoctlMachine {
  const { iommufd, name, iommu } = scenario;
  const mock = iommufd.driver === 'mock';
  const title = `${name}: ${iommufd.driver === 'hardware' ? `a simulated ${iommu.arch} unit` : DRIVERS[iommufd.driver]}`;
  return build(title, mock, options, (ground) => {
    if (mock) return mockDevices(ground.kernel, iommufd.devices);
    if (iommufd.driver === 'hardware') return hardwareDevices(ground, scenario);
    return paperDevicesOf(iommufd, ground.kernel);
  });
}

/** Three devices behind a unit of the architecture. */
function smallScenario(arch: string): ResolvedScenario {
  const text = `
iommu: { arch: ${arch} }
iommufd: { riscv_iommufd: true }
domains: [{ name: user, translation: user }]
devices:
  - { name: vfio0, domain: user, master: { kind: pattern } }
  - { name: vfio1, domain: user, master: { kind: pattern } }
  - { name: vfio2, domain: user, master: { kind: pattern } }
`;
  const files = { home: '', read: () => text, presets: () => [] };
  return loadScenario(arch, { files }).points[0].scenario;
}

function build(
  title: string,
  mock: boolean,
  { memoryBytes, memlockPages }: MachineOptions,
  make: (ground: Ground) => Devices,
): IoctlMachine {
  const memory = PhysicalMemory.create({ bytes: memoryBytes });
  const kernel = new Kernel({ memory, frames: new FrameAllocator(USER) });
  const capabilities = { ipcLock: memlockPages === undefined, sysResource: true, sysRawio: true };
  const process = kernel.createProcess({
    capabilities,
    ...(memlockPages !== undefined && { memlockPages }),
  });
  for (const path of ['/dev/iommu', '/dev/vfio/vfio']) {
    kernel.registerNode(path, () => openIommufd(kernel, path, mock ? MOCK_COMMANDS : []));
  }
  const made = make({ kernel, memory, tables: new FrameAllocator(TABLES) });
  return {
    title,
    kernel,
    process: new KernelProcess(new Syscalls(kernel, process)),
    devices: made.devices.map((device) => withNode(kernel, device)),
    takeRecords: () => made.takeRecords(),
    counters: () => made.counters(),
  };
}

function withNode(kernel: Kernel, device: MadeDevice): MachineDevice {
  const path = `/dev/vfio/devices/${device.name}`;
  const vfio = new VfioDevice(device.name, new PhysicalBackend(device.iommu, device.group));
  kernel.registerNode(path, () => new VfioDeviceFile(kernel, vfio));
  return { ...device, path };
}
