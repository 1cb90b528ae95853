/**
 * A timed IOMMU: front end, context unit and command unit around one architecture's unit, in
 * partition 0. Its walk shards are partitions of their own (shard.ts).
 */
import type { Partition } from '../../../sim/parallel/partition.ts';
import type { Probe } from '../../../sim/probe.ts';
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import type { MemoryPort } from '../../memory/port.ts';
import type { MemoryTiming } from '../../memory/timing.ts';
import type { Transactions } from '../../pcie/transactions.ts';
import {
  type DeviceMessage,
  type IommuUnit,
  OP_INVALIDATE_TRANSLATIONS,
  Operation,
  type UnitPorts,
} from '../architecture.ts';
import type { ContextCache } from '../caches/context-cache.ts';
import type { Iotlb } from '../caches/iotlb.ts';
import type { Walker } from '../walk/walker.ts';
import { type CommandOptions, CommandUnit } from './command-unit.ts';
import { ContextUnit } from './context-unit.ts';
import type { DataAccess } from './data-access.ts';
import { FrontEnd } from './front-end.ts';
import type { FrontEndOptions, UseObserver } from './front-end-ports.ts';
import { type PageRequestTarget, PageRequestUnit } from './page-requests.ts';

export interface TimedIommuPorts {
  readonly partition: Partition;
  readonly txns: Transactions;
  readonly memory: MemoryPort;
  readonly timing: MemoryTiming;
  readonly data: DataAccess;
  readonly iotlb: Iotlb;
  readonly contexts: ContextCache;
  /** Makes the walker for structures in guest memory, given the architecture's unit. */
  readonly createWalker: (unit: IommuUnit) => Walker;
  /** Makes the architecture's unit on the given ports. */
  readonly createUnit: (ports: UnitPorts) => IommuUnit;
  /** Memory as the unit may address it: accesses above its width are refused. */
  readonly limit: (memory: MemoryPort, addressBits: number) => MemoryPort;
  readonly observer: UseObserver | null;
  readonly probe: Probe;
  readonly deviceIds: Int32Array;
}

export class TimedIommu {
  readonly unit: IommuUnit;
  readonly frontEnd: FrontEnd;
  readonly contextUnit: ContextUnit;
  readonly commandUnit: CommandUnit;
  interrupts = 0;
  deviceMessages = 0;
  flushes = 0;
  /** Told of every interrupt: message-signalled (address known) or wired (vector). */
  onInterrupt: ((vector: number) => void) | null = null;
  /** Told of messages to devices; the link takes them there. */
  onDeviceMessage: ((message: DeviceMessage) => void) | null = null;
  /** Where page requests of devices arrive; null: the machine has none. */
  private pageRequests: { readonly open: number } | null = null;
  private readonly events: EventQueue;
  /** False during set-up: commands are then carried out at once, as nothing is cached yet. */
  private running = false;
  private readonly words = new Int32Array(16);

  private readonly memory: MemoryPort;

  constructor(ports: TimedIommuPorts, options: FrontEndOptions & CommandOptions) {
    this.memory = ports.memory;
    this.unit = ports.createUnit(this.unitPorts(ports.memory));
    const { partition, txns, timing, iotlb, contexts, data, observer, probe, deviceIds } = ports;
    this.events = partition.events;
    const unit = this.unit;
    const memory = ports.limit(ports.memory, unit.addressBits);
    this.contextUnit = new ContextUnit({
      events: partition.events,
      unit,
      walker: ports.createWalker(unit),
      memory,
      timing,
      cache: contexts,
    });
    const contextUnit = this.contextUnit;
    // Spread, the ports of every machine would be of another shape to the compiler.
    this.frontEnd = new FrontEnd(
      { partition, txns, unit, iotlb, contexts, contextUnit, data, observer, probe, deviceIds },
      options,
    );
    const frontEnd = this.frontEnd;
    this.commandUnit = new CommandUnit(
      { partition, unit, memory, timing, frontEnd, contexts, contextUnit, data, probe },
      options,
    );
  }

  /** Requests, walks and commands that are still open: zero at rest. */
  get open(): number {
    const { frontEnd, contextUnit, commandUnit, pageRequests } = this;
    return frontEnd.open + contextUnit.open + commandUnit.open + (pageRequests?.open ?? 0);
  }

  /** Gives the unit its input of page requests. */
  takePageRequests<M>(target: PageRequestTarget<M>, recordCycles: number): PageRequestUnit<M> {
    const { events, contextUnit, frontEnd } = this;
    const ports = { events, target, contextUnit, faults: frontEnd.faults };
    const made = new PageRequestUnit<M>(ports, recordCycles);
    this.pageRequests = made;
    return made;
  }

  private unitPorts(memory: MemoryPort): UnitPorts {
    return {
      memory,
      storeInterrupt: (hi, lo, offset, value) => {
        memory.write32(hi, lo, offset, value);
        this.interrupts++;
        this.onInterrupt?.(value);
      },
      setInterruptLine: (vector, level) => {
        if (!level) return;
        this.interrupts++;
        this.onInterrupt?.(vector);
      },
      doorbell: () => {
        if (this.running) this.commandUnit.doorbell();
      },
      flushAll: () => {
        if (this.running) this.flushAll();
      },
      deviceMessage: (message) => {
        this.deviceMessages++;
        this.onDeviceMessage?.(message);
      },
    };
  }

  /** Told when a fence has completed: whoever waits for it may look. */
  set onFence(handler: () => void) {
    this.commandUnit.onFence = handler;
  }

  /** Figures count from now on. */
  resetFigures(): void {
    for (const unit of [this.frontEnd, this.contextUnit, this.commandUnit]) {
      for (const name of Object.keys(unit.statistics)) {
        (unit.statistics as unknown as Record<string, number>)[name] = 0;
      }
    }
    this.frontEnd.faults.resetFigures();
    this.commandUnit.fenceLatency.reset();
  }

  dump(): string {
    return (
      `iommu: ${this.frontEnd.open} requests wait, ${this.contextUnit.open} contexts are being ` +
      `fetched, ${this.commandUnit.open} commands or acknowledgements are open`
    );
  }

  /** Carries out the commands of set-up; what follows takes time. */
  start(): void {
    this.settle();
    this.running = true;
  }

  /** Carries out the commands in the queue at once, while nothing is cached. */
  settle(): void {
    const queue = this.unit.commands;
    const operation = new Operation();
    while (!this.running && queue.pending()) {
      for (let i = 0; 4 * i < queue.bytes; i++) {
        this.words[i] = this.memory.read32(queue.hi, queue.lo, queue.offset + 4 * i);
      }
      queue.decode(this.words, operation);
      queue.complete(operation);
    }
  }

  private flushAll(): void {
    this.flushes++;
    const everything = new Operation();
    everything.kind = OP_INVALIDATE_TRANSLATIONS;
    this.commandUnit.flush(everything);
  }
}
