/** What programs need of the machine that they run on. */
import type { Channel } from '../../../sim/probe.ts';
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import type { MemoryPort } from '../../memory/port.ts';
import type { Host } from '../core.ts';
import type { DmaApi } from '../dma-api.ts';
import type { IommuDriver, PageRange } from '../drivers/driver.ts';
import type { FrameAllocator } from '../frames.ts';
import type { InvalidationPath } from '../invalidation.ts';
import type { IommuDevice } from '../iommufd/driver.ts';
import type { DeferredSync } from '../iommufd/hardware-sync.ts';
import type { IommuGroup } from '../iommufd/iommu-core/group.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { CallWork } from '../kernel/work.ts';
import type { MappingObserver } from '../observer.ts';
import type { DomainMapping } from '../policies/make.ts';
import type { HostOptions } from '../spec.ts';
import type { CallCosts } from './costs.ts';
import type { LegacyCalls } from './legacy.ts';
import type { PageAsker } from './page-requests.ts';

/** A device that programs bind, attach and start. */
export interface ProgramDevice {
  readonly name: string;
  readonly iommu: IommuDevice;
  readonly group: IommuGroup;
  /** Null: there is no hardware, only what drivers know of the device. */
  readonly traffic: Traffic | null;
  /** Null: it asks for no pages. */
  readonly pages: PageAsker | null;
}

/** What was written since it was last asked, each ascending. */
export interface WrittenPages {
  readonly inputs: readonly number[];
  /** Frames behind them. */
  readonly frames: ReadonlySet<number>;
}

/** Where the driver of a device runs: its DMA API, memory and frames. */
export interface DriverSide {
  readonly mapping: DomainMapping;
  readonly memory: MemoryPort;
  readonly frames: FrameAllocator;
}

export interface Traffic {
  /** Not null: a driver works with the device, and is set up before its first start. */
  readonly driver: { readonly ready: boolean; setUp(side: DriverSide): void } | null;
  /** Begins to use the window at an input page; -1: where it was. */
  start(page: number): void;
  stop(): void;
  /** DMAs done since the run began. */
  readonly completed: number;
  readonly idle: boolean;
  takeWritten(): WrittenPages;
}

export interface Environment {
  readonly events: EventQueue;
  readonly host: Host;
  readonly kernel: Kernel;
  /** What the call under way does. */
  readonly work: CallWork;
  readonly costs: CallCosts;
  readonly sync: DeferredSync;
  /** Where system calls are recorded; null: nobody listens. */
  readonly trace: Channel | null;
  /** Told of what guests map. */
  readonly observer: MappingObserver;
  /** The DMA API, its costs, and input pages that it leaves out. */
  readonly api: DmaApi;
  readonly options: HostOptions;
  readonly reserved: readonly PageRange[];
  /** Null: the machine has no interface of 2020. */
  readonly legacy: LegacyCalls | null;
  readonly devices: ReadonlyMap<string, ProgramDevice>;
  /** How a driver's invalidations reach its unit. */
  pathOf(driver: IommuDriver): InvalidationPath;
  /** False: what calls ask to invalidate is left out, as by a kernel that forgets it. */
  readonly invalidates: boolean;
  /** Cycles of a duration in picoseconds. */
  cycles(ps: number): number;
}
