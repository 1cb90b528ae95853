/**
 * What programs run on: a kernel over the machine's memory with /dev/iommu, the driver behind it,
 * and a VFIO file for each device that programs may bind.
 */

import { VtdDriver } from '../../hw/host/drivers/vtd.ts';
import type { Command } from '../../hw/host/iommufd/call.ts';
import type { IommuDevice } from '../../hw/host/iommufd/driver.ts';
import type { DriverFigures } from '../../hw/host/iommufd/drivers/figures.ts';
import type { HardwareCore } from '../../hw/host/iommufd/drivers/hardware/core.ts';
import type { HardwareDevice } from '../../hw/host/iommufd/drivers/hardware/device.ts';
import { RiscvIommufdDriver } from '../../hw/host/iommufd/drivers/hardware/riscv.ts';
import { VtdIommufdDriver } from '../../hw/host/iommufd/drivers/hardware/vtd.ts';
import { mockDriverOf } from '../../hw/host/iommufd/drivers/mock/driver.ts';
import { MOCK_COMMANDS } from '../../hw/host/iommufd/drivers/mock/test-commands.ts';
import { PaperDriver, type PaperRecord } from '../../hw/host/iommufd/drivers/paper/driver.ts';
import { DeferredSync } from '../../hw/host/iommufd/hardware-sync.ts';
import { IommuGroup } from '../../hw/host/iommufd/iommu-core/group.ts';
import { openIommufd } from '../../hw/host/iommufd/iommufd-file.ts';
import { VtdLegacyIommu } from '../../hw/host/iommufd/legacy/driver.ts';
import { LegacyUapi } from '../../hw/host/iommufd/legacy/uapi.ts';
import { VfioDeviceFile } from '../../hw/host/iommufd/vfio/cdev.ts';
import { PhysicalBackend, VfioDevice } from '../../hw/host/iommufd/vfio/device.ts';
import { Kernel } from '../../hw/host/kernel/kernel.ts';
import { devicePath } from '../../hw/host/programs/actions.ts';
import { CallCosts } from '../../hw/host/programs/costs.ts';
import type { ProgramDevice, Traffic, WrittenPages } from '../../hw/host/programs/environment.ts';
import { LegacyCalls } from '../../hw/host/programs/legacy.ts';
import { ImmediatePages, type PageAsker } from '../../hw/host/programs/page-requests.ts';
import { Programs } from '../../hw/host/programs/programs.ts';
import { SYSCALL_RECORD } from '../../hw/host/programs/statistics.ts';
import type { MemoryPort } from '../../hw/memory/port.ts';
import type { Probe } from '../../sim/probe.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';
import type { Device } from './devices.ts';
import { PageRequestPath, type PageRequestSurroundings } from './page-requests.ts';
import { paperDevices } from './paper-devices.ts';

const NODES = ['/dev/iommu', '/dev/vfio/vfio'] as const;
interface PaperDevice {
  readonly name: string;
  readonly device: IommuDevice;
  readonly group: IommuGroup;
}

const NO_COMMANDS: readonly Command[] = [];

/** Pages that DMAs have written. */
class Written {
  private inputs = new Set<number>();
  private frames = new Set<number>();

  add(page: number, frame: number): void {
    this.inputs.add(page);
    this.frames.add(frame);
  }

  take(): WrittenPages {
    const { inputs, frames } = this;
    this.inputs = new Set();
    this.frames = new Set();
    return { inputs: [...inputs].sort((a, b) => a - b), frames };
  }
}

/** The driver of simulated hardware. */
interface Drive {
  readonly core: HardwareCore;
  readonly pageRequests: PageRequestPath | null;
  add(name: string, id: number, pageRequests: boolean): HardwareDevice;
}

export interface UserSpaceSurroundings extends PageRequestSurroundings {
  readonly memory: MemoryPort;
  readonly devices: readonly Device[];
  /** DMAs done, by device. */
  readonly completed: Float64Array;
  readonly probe: Probe;
}

export class UserSpace {
  readonly kernel: Kernel;
  readonly programs: Programs;
  /** What the driver of the IOMMU counts; null: it counts nothing. */
  readonly figures: DriverFigures | null;
  /** By device; null: programs cannot bind it. */
  private readonly pagesOnPaper: Map<IommuDevice, ImmediatePages> = new Map();
  private readonly bound: (HardwareDevice | null)[];
  /** Null: no device asks for pages through hardware. */
  readonly pageRequests: PageRequestPath | null;
  /** By device: input pages and frames that were written. */
  private readonly written: (Written | null)[];

  constructor(around: UserSpaceSurroundings) {
    const { scenario, clock, events, software, memory } = around;
    const { iommufd } = scenario;
    this.kernel = new Kernel({ memory, frames: software.buffers });
    const sync = new DeferredSync();
    const commands = iommufd.driver === 'mock' ? MOCK_COMMANDS : NO_COMMANDS;
    for (const path of NODES) {
      this.kernel.registerNode(path, () => openIommufd(this.kernel, path, commands));
    }
    const devices = new Map<string, ProgramDevice>();
    const add = (
      name: string,
      iommu: IommuDevice,
      group: IommuGroup,
      traffic: Traffic | null,
      pages: PageAsker | null,
    ): void => {
      const vfio = new VfioDevice(name, new PhysicalBackend(iommu, group));
      const open = (): VfioDeviceFile => new VfioDeviceFile(this.kernel, vfio);
      this.kernel.registerNode(devicePath(name), open);
      devices.set(name, { name, iommu, group, traffic, pages });
    };
    const users = around.devices.map((device) => (device.domain.user ? device : null));
    this.written = users.map((device) => (device === null ? null : new Written()));
    const hardware = users.some((device) => device !== null) ? this.drive(around, sync) : null;
    this.pageRequests = hardware?.pageRequests ?? null;
    this.bound = users.map((device, index) => {
      if (device === null || hardware === null) return null;
      const pages = this.pageRequests?.requesters[index] ?? null;
      const iommu = hardware.add(device.name, around.deviceIds[index], pages !== null);
      add(device.name, iommu, iommu.group, this.trafficOf(device, around.completed), pages);
      return iommu;
    });
    const paper = this.paperDevices(scenario);
    for (const { name, device, group } of paper) {
      const pages = new ImmediatePages(group, device);
      this.pagesOnPaper.set(device, pages);
      add(name, device, group, null, pages);
    }
    const onPaper = paper[0]?.device.driver;
    const figures = onPaper instanceof PaperDriver ? onPaper.figures : null;
    this.figures = hardware?.core.figures ?? figures;
    this.programs = new Programs(
      {
        events,
        host: software.host,
        kernel: this.kernel,
        work: this.kernel.work,
        costs: new CallCosts(scenario.syscalls, clock),
        sync,
        trace: around.probe.channel(SYSCALL_RECORD),
        observer: software.observer,
        api: software.api,
        options: software.options,
        reserved: software.driver.reserved,
        legacy: iommufd.legacy_uapi === 'none' ? null : this.legacyCalls(),
        devices,
        pathOf: () => software.path,
        invalidates: iommufd.invalidation,
        cycles: (ps) => clock.nearest(ps),
      },
      scenario.programs,
    );
  }

  /** Number of the domain that a device is in now; -1: it is none that programs bind. */
  domainOf(device: number): number {
    const bound = this.bound[device];
    if (bound === null || bound === undefined || bound.domain === null) return -1;
    return bound.domain.domainOf(bound.unit).index;
  }

  /** Number of the domain that a device is being taken out of; -1: none. */
  leaving(device: number): number {
    return this.bound[device]?.leaving ?? -1;
  }

  /** A DMA was translated. */
  wrote(device: number, page: number, frame: number): void {
    this.written[device]?.add(page, frame);
  }

  dump(): string[] {
    return this.programs.list.map((program) => program.describe());
  }

  // -------------------------------------------------------------------------------------------

  /** The driver of the machine's own unit. */
  private drive(around: UserSpaceSurroundings, sync: DeferredSync): Drive {
    const { scenario, events, software, memory } = around;
    const { iommufd } = scenario;
    const ports = {
      services: this.kernel,
      memory,
      frames: software.kernel,
      sync,
      nextDomain: () => software.nextDomain(),
      observer: software.observer,
      now: () => events.now,
      shareAcrossInstances: iommufd.share_across_instances !== 'instance',
    };
    const { driver } = software;
    if (driver instanceof VtdDriver) {
      const made = new VtdIommufdDriver(ports);
      const unit = made.addUnit(driver);
      const add: Drive['add'] = (name, id) => made.addDevice(unit, name, id);
      return { core: made.core, pageRequests: null, add };
    }
    const made = new RiscvIommufdDriver(ports, { iommufd: iommufd.riscv_iommufd });
    const unit = made.addUnit(driver);
    const asked = scenario.devices.some((device) => device.page_requests);
    return {
      core: made.core,
      pageRequests: asked ? new PageRequestPath(around, made, unit) : null,
      add: (name, id, pageRequests) => made.addDevice(unit, name, id, { pageRequests }),
    };
  }

  private observe(record: PaperRecord): void {
    if (record.kind !== 'response') return;
    this.pagesOnPaper.get(record.device)?.responded(record.request, record.code);
  }

  /** VT-d's driver of the time. */
  private legacyCalls(): LegacyCalls {
    const { memory } = this.kernel;
    return new LegacyCalls(new LegacyUapi(memory, new VtdLegacyIommu({ memory })));
  }

  private trafficOf(device: Device, completed: Float64Array): Traffic | null {
    const { traffic, index } = device;
    if (traffic === null) return null;
    const written = this.written[index];
    return {
      driver: traffic.driver,
      start: (page) => traffic.start(page),
      stop: () => traffic.stop(),
      get completed() {
        return completed[index];
      },
      get idle() {
        return traffic.idle;
      },
      takeWritten() {
        return written?.take() ?? { inputs: [], frames: new Set() };
      },
    };
  }

  private paperDevices({ iommufd }: ResolvedScenario): PaperDevice[] {
    if (iommufd.driver === 'mock') {
      const driver = mockDriverOf(this.kernel);
      const PASID = 4;
      return iommufd.devices.map(({ name, pasids }) => {
        const device = driver.createDevice(pasids > 0 ? PASID : 0);
        return { name, device, group: device.group };
      });
    }
    const { memory, work } = this.kernel;
    return paperDevices(iommufd, memory, (record) => this.observe(record), work).map((device) => {
      const group = new IommuGroup(this.kernel.memory);
      group.addDevice(device);
      return { name: device.name, device, group };
    });
  }
}
