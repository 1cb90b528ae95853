/** What a machine of the line tool is: a kernel with one process, and devices with VFIO nodes. */
import type { FrameAllocator } from '../../hw/host/frames.ts';
import type { KernelProcess } from '../../hw/host/iommufd/client/kernel-process.ts';
import type { IommuDevice } from '../../hw/host/iommufd/driver.ts';
import type { IommuGroup } from '../../hw/host/iommufd/iommu-core/group.ts';
import type { Kernel } from '../../hw/host/kernel/kernel.ts';
import type { PhysicalMemory } from '../../hw/memory/physical-memory.ts';

/** What a device's access met: an address, or the fault in words. */
export type AccessResult =
  | { readonly address: bigint; readonly fault: null }
  | { readonly address: null; readonly fault: string };

/** A device with what is known of it before it has a node. */
export interface MadeDevice {
  readonly name: string;
  readonly iommu: IommuDevice;
  readonly group: IommuGroup;
  readonly unit: string;
  /** An access through the unit; absent: there is no unit. */
  access?(iova: bigint, write: boolean): AccessResult;
}

export interface MachineDevice extends MadeDevice {
  /** Its node: /dev/vfio/devices/... */
  readonly path: string;
}

/** Devices of one driver. */
export interface Devices {
  readonly devices: readonly MadeDevice[];
  /** What hardware was told since the last time, in words. */
  takeRecords(): string[];
  /** Figures of the driver. */
  counters(): Readonly<Record<string, number>>;
}

export interface IoctlMachine {
  /** One line on what it is. */
  readonly title: string;
  readonly kernel: Kernel;
  readonly process: KernelProcess;
  readonly devices: readonly MachineDevice[];
  takeRecords(): string[];
  counters(): Readonly<Record<string, number>>;
}

/** What devices are made from. */
export interface Ground {
  readonly kernel: Kernel;
  readonly memory: PhysicalMemory;
  /** Frames for tables. */
  readonly tables: FrameAllocator;
}
