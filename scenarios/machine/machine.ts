/**
 * The machine of a scenario: everything that lives in partition 0, wired together in one place.
 * Walk shards are partitions of their own (shard.ts).
 */

import { pageNumber } from '../../hw/address.ts';
import { DmaAccounting } from '../../hw/dma/accounting.ts';
import type { DmaColumns } from '../../hw/dma/recorded.ts';
import type { Domain } from '../../hw/host/drivers/driver.ts';
import type { MappingObserver } from '../../hw/host/observer.ts';
import { InvalidationRecorder, recordFindings } from '../../hw/host/safety-records.ts';
import { ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { AddressLimit } from '../../hw/iommu/address-limit.ts';
import type { Operation } from '../../hw/iommu/architecture.ts';
import { ContextCache } from '../../hw/iommu/caches/context-cache.ts';
import type { Iotlb } from '../../hw/iommu/caches/iotlb.ts';
import { DataAccess } from '../../hw/iommu/timed/data-access.ts';
import { DirectPath } from '../../hw/iommu/timed/direct-path.ts';
import { TimedIommu } from '../../hw/iommu/timed/unit.ts';
import { Walker } from '../../hw/iommu/walk/walker.ts';
import { MemoryView } from '../../hw/memory/memory-view.ts';
import type { PhysicalMemory } from '../../hw/memory/physical-memory.ts';
import { memoryTimingConfig } from '../../hw/memory/spec.ts';
import type { StoreLog } from '../../hw/memory/store-log.ts';
import { MemoryTiming } from '../../hw/memory/timing.ts';
import { type TransactionPort, Transactions } from '../../hw/pcie/transactions.ts';
import type { Partition } from '../../sim/parallel/partition.ts';
import type { Probe } from '../../sim/probe.ts';
import type { Clock } from '../../sim/time/clock.ts';
import { PHASE_OBSERVE } from '../../sim/time/event-queue.ts';
import { type RecordingSource, requesterId } from '../recording/source.ts';
import { firstRequester } from '../schema/requesters.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';
import { createDevice, type Device } from './devices.ts';
import { createIotlb, createUnit, frontEndOptions, redirectOf } from './iommu.ts';
import { Recording } from './recording.ts';
import { Software } from './software.ts';
import { UserSpace } from './user-space.ts';

/** Half of the cache and of DRAM is for data; the walk shards share the other half. */
const DATA_SLICES = 2;

/** Transactions that may be in flight in the whole machine. */
const TRANSACTIONS_PER_DEVICE = 1024;
const TRANSACTIONS_MIN = 4096;
const TRANSACTIONS_MAX = 1 << 17;

/** What a machine may have besides its scenario. */
export interface MachineExtras {
  /** Told of what software maps, beside the safety checker. */
  readonly observers?: readonly MappingObserver[];
  /** By device: DMAs that it issues instead of its own traffic. */
  readonly replayed?: readonly DmaColumns[] | undefined;
  /** The recording that the scenario names, with a device for each of its requesters. */
  readonly recording?: RecordingSource | undefined;
}

export class Machine {
  readonly scenario: ResolvedScenario;
  readonly clock: Clock;
  readonly partition: Partition;
  readonly memory: PhysicalMemory;
  readonly txns: Transactions;
  readonly timing: MemoryTiming;
  readonly accounting: DmaAccounting;
  readonly iotlb: Iotlb;
  readonly contexts: ContextCache;
  readonly iommu: TimedIommu;
  readonly software: Software;
  readonly devices: readonly Device[];
  readonly recording: Recording | null;
  /** Null: the scenario has no programs. */
  readonly userSpace: UserSpace | null;
  private readonly view: MemoryView;
  private readonly unmaps: readonly InvalidationRecorder[];

  constructor(
    scenario: ResolvedScenario,
    clock: Clock,
    partition: Partition,
    memory: PhysicalMemory,
    log: StoreLog,
    probe: Probe,
    extras: MachineExtras = {},
  ) {
    this.scenario = scenario;
    this.clock = clock;
    this.partition = partition;
    this.memory = memory;
    const { iommu } = scenario;
    const { events } = partition;
    this.view = new MemoryView(memory, log, events, false);
    const perDevice = Math.max(TRANSACTIONS_PER_DEVICE, scenario.recording.outstanding);
    const wanted = scenario.devices.length * perDevice;
    const capacity = Math.min(TRANSACTIONS_MAX, Math.max(TRANSACTIONS_MIN, wanted));
    this.txns = new Transactions(capacity);
    this.timing = new MemoryTiming(memoryTimingConfig(scenario.memory, clock, DATA_SLICES));
    this.accounting = new DmaAccounting(this.txns, scenario.devices.length, probe);
    this.unmaps = InvalidationRecorder.on(probe);
    this.iotlb = createIotlb(iommu);
    this.contexts = new ContextCache(iommu.caches.context);
    const data = new DataAccess(events, this.txns, this.timing);
    const deviceIds = requesterIds(scenario, extras.recording !== undefined);
    const domainOf = new Int32Array(scenario.devices.length);
    this.iommu = new TimedIommu(
      {
        partition,
        txns: this.txns,
        memory: this.view,
        timing: this.timing,
        data,
        iotlb: this.iotlb,
        contexts: this.contexts,
        createWalker: () => new Walker({ caches: null, redirect: redirectOf(iommu.arch) }),
        createUnit: (ports) => createUnit(scenario, ports),
        limit: (port, bits) => new AddressLimit(port, bits),
        observer: {
          use: (device, hi, lo, outHi, outLo, access, cycle) =>
            this.used(device, domainOf[device], hi, lo, outHi, outLo, access, cycle),
        },
        probe,
        deviceIds,
      },
      frontEndOptions(iommu, clock),
    );
    this.software = new Software(scenario, clock, events, this.iommu.unit, this.view, [
      ...this.unmaps,
      ...(extras.observers ?? []),
    ]);
    recordFindings(probe, this.software.safety);
    const direct = new DirectPath(events, this.txns, data);
    const rootComplex: TransactionPort = iommu.enabled ? this.iommu.frontEnd : direct;
    this.recording = this.createRecording(extras.recording, domainOf);
    this.devices = this.createDevices(
      rootComplex,
      data,
      deviceIds,
      domainOf,
      extras.replayed ?? null,
    );
    this.userSpace = this.createUserSpace(deviceIds, probe);
  }

  private createUserSpace(deviceIds: Int32Array, probe: Probe): UserSpace | null {
    const { scenario } = this;
    if (scenario.programs.length === 0) return null;
    const made = new UserSpace({
      scenario,
      clock: this.clock,
      events: this.partition.events,
      iommu: this.iommu,
      software: this.software,
      memory: this.view,
      devices: this.devices,
      deviceIds,
      completed: this.accounting.finishedBy,
      probe,
    });
    this.iommu.settle();
    return made;
  }

  /**
   * A DMA was translated. Programs move their devices between domains; while that is under way the
   * unit may use either context.
   */
  private used(
    device: number,
    configured: number,
    hi: number,
    lo: number,
    outHi: number,
    outLo: number,
    access: number,
    cycle: number,
  ): void {
    const { safety } = this.software;
    const { userSpace } = this;
    let domain = configured;
    if (userSpace !== null) {
      const now = userSpace.domainOf(device);
      if (now >= 0) domain = now;
      const before = userSpace.leaving(device);
      if (before >= 0 && !safety.permits(domain, hi, lo, outHi, outLo, access)) domain = before;
      if ((access & ACCESS_WRITE) !== 0) {
        userSpace.wrote(device, pageNumber(hi, lo), pageNumber(outHi, outLo));
      }
    }
    safety.use(domain, hi, lo, outHi, outLo, access, cycle);
  }

  /** @param domainOf domain of each device, kept up as the recording attaches them */
  private createRecording(
    source: RecordingSource | undefined,
    domainOf: Int32Array,
  ): Recording | null {
    if (source === undefined) return null;
    const { commands } = this.iommu.unit;
    const around = {
      scenario: this.scenario,
      clock: this.clock,
      events: this.partition.events,
      software: this.software,
      decode: (words: Int32Array, operation: Operation) => commands.decode(words, operation),
      attached: (device: number, domain: Domain) => {
        domainOf[device] = domain.index;
      },
    };
    return new Recording(around, source);
  }

  private createDevices(
    rootComplex: TransactionPort,
    data: DataAccess,
    deviceIds: Int32Array,
    domainOf: Int32Array,
    replayed: readonly DmaColumns[] | null,
  ): Device[] {
    const { scenario, software } = this;
    const around = {
      seed: scenario.seed,
      clock: this.clock,
      events: this.partition.events,
      txns: this.txns,
      accounting: this.accounting,
      masters: [] as TransactionPort[],
      rootComplex,
      software,
      memory: this.view,
      replayed,
      recording: this.recording,
    };
    return scenario.devices.map((wanted, index) => {
      const domain = software.domainOf(wanted.domain);
      domainOf[index] = domain.domain.index;
      const device = createDevice(around, wanted, domain, index, deviceIds[index]);
      data.returns.push(device.link.down);
      this.iommu.settle();
      return device;
    });
  }

  /** Ends set-up: from now on stores are logged, commands take time and devices are at work. */
  start(): void {
    this.recording?.start();
    this.iommu.start();
    this.view.start();
    this.iommu.onFence = () => {
      this.software.path.wake();
      this.recording?.wake();
    };
    const { events } = this.partition;
    const warmup = this.clock.ceil(this.scenario.run.warmup);
    if (warmup > 0) {
      const onWarm = events.register(PHASE_OBSERVE, 'warm', () => this.resetFigures());
      events.at(warmup, onWarm, 0, 0);
    }
    for (const device of this.devices) device.start();
    this.userSpace?.programs.start();
  }

  /** Cycles that the figures cover. */
  get measuredCycles(): number {
    return Math.max(0, this.partition.events.now - this.clock.ceil(this.scenario.run.warmup));
  }

  /** Work that must still end; a run without events but with open work stands still. */
  get open(): number {
    const messages = this.userSpace?.pageRequests?.open ?? 0;
    return this.txns.inFlight + this.iommu.open + (this.recording?.open ?? 0) + messages;
  }

  /** Every device has done what it was to do. */
  get finished(): boolean {
    // Asked at every window: most have a transaction in flight.
    if (this.txns.inFlight > 0) return false;
    for (const device of this.devices) if (!device.finished) return false;
    if (this.userSpace !== null && !this.userSpace.programs.done) return false;
    return this.open === 0;
  }

  /** Emits what is left for the trace; before the probe is flushed for the last time. */
  endTrace(): void {
    this.accounting.endTrace();
    for (const recorder of this.unmaps) recorder.finish(this.partition.events.now);
  }

  dump(): string {
    const lines = this.devices.map((device) => `${device.name}: ${device.dump()}`);
    if (this.recording !== null) lines.unshift(this.recording.dump());
    if (this.userSpace !== null) lines.push(...this.userSpace.dump());
    return [this.iommu.dump(), ...lines].join('\n  ');
  }

  private resetFigures(): void {
    this.accounting.reset();
    this.timing.resetStatistics();
    this.iommu.resetFigures();
    this.iotlb.resetStatistics();
    this.contexts.resetStatistics();
    this.software.resetFigures();
    this.userSpace?.programs.book.reset();
    this.userSpace?.pageRequests?.resetFigures();
    for (const device of this.devices) device.resetFigures?.();
  }
}

/** Recorded devices keep their ids; the others have those that are left. */
function requesterIds(scenario: ResolvedScenario, recorded: boolean): Int32Array {
  const own = scenario.devices.map(({ master }) =>
    recorded && master.kind === 'recorded' ? requesterId(master.requester) : -1,
  );
  const taken = new Set(own);
  let next = firstRequester(scenario.iommu);
  return Int32Array.from(own, (id) => {
    if (id >= 0) return id;
    while (taken.has(next)) next++;
    return next++;
  });
}
