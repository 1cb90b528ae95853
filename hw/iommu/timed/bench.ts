/**
 * For tests: a timed RISC-V IOMMU with its driver, one walk shard and devices that issue DMAs at
 * given cycles. A cycle is a nanosecond; memory answers after `MEMORY_CYCLES`, without a cache.
 */

import { Engine } from '../../../sim/parallel/engine.ts';
import type { Partition, PartitionHandle } from '../../../sim/parallel/partition.ts';
import { SILENT_PROBE } from '../../../sim/probe.ts';
import { defaults } from '../../../sim/spec.ts';
import { Clock } from '../../../sim/time/clock.ts';
import { type EventQueue, PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import type { Domain } from '../../host/drivers/driver.ts';
import { DEFAULT_RISCV_DRIVER, RiscvDriver } from '../../host/drivers/riscv.ts';
import { FrameAllocator } from '../../host/frames.ts';
import { MemoryView } from '../../memory/memory-view.ts';
import { PhysicalMemory, type SharedMemory } from '../../memory/physical-memory.ts';
import { memorySpec, memoryTimingConfig } from '../../memory/spec.ts';
import { StoreExchange, StoreLog } from '../../memory/store-log.ts';
import { MemoryTiming } from '../../memory/timing.ts';
import { Transactions, TXN_FAULT } from '../../pcie/transactions.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { ContextCache } from '../caches/context-cache.ts';
import { Iotlb, iotlbArrays } from '../caches/iotlb.ts';
import { WalkCaches } from '../caches/walk-caches.ts';
import { DEFAULT_RISCV_SPEC } from '../riscv/capabilities.ts';
import { RiscvIommu } from '../riscv/unit.ts';
import { formatByName } from '../walk/registry.ts';
import { Walker } from '../walk/walker.ts';
import type { CommandOptions } from './command-unit.ts';
import { DataAccess } from './data-access.ts';
import type { FrontEndOptions } from './front-end-ports.ts';
import { WalkShard } from './shard.ts';
import { TimedIommu } from './unit.ts';

export const MEMORY_CYCLES = 100;
/** Way between front end and shard: the window. */
export const TRANSIT_CYCLES = 30;
const DEVICES = 4;
const FIRST_ID = 0x100;
const CACHE = { sets: 4, ways: 4, policy: 'lru' } as const;

export interface BenchOptions {
  readonly inOrder?: boolean;
  readonly mergeMisses?: boolean;
  readonly walkSlots?: number;
  /** Sizes of the unit's own queues; Linux's if not given. */
  readonly commandEntries?: number;
  readonly faultEntries?: number;
  readonly lookupCycles?: number;
  readonly regionOrder?: number;
}

/** Something that happened to a DMA. */
export interface DmaNote {
  readonly cycle: number;
  readonly device: number;
  /** Input page. */
  readonly page: number;
}

export interface Translated extends DmaNote {
  readonly frame: number;
}

export interface Returned extends DmaNote {
  readonly faulted: boolean;
}

interface ShardConfig {
  readonly slots: number;
}

interface Shared {
  readonly memory: SharedMemory;
  readonly logs: readonly SharedArrayBuffer[];
}

const timing = (): MemoryTiming => {
  const values = { ...defaults(memorySpec), llc_size: 0, llc_latency: 0, dram_latency: 100_000 };
  return new MemoryTiming(memoryTimingConfig(values, new Clock(1e9)));
};

/** Builds the shard; called by the engine. */
export function benchShard(
  partition: Partition,
  { slots }: ShardConfig,
  shared: Shared,
): PartitionHandle {
  const memory = PhysicalMemory.attach(shared.memory);
  const view = new MemoryView(memory, new StoreLog(shared.logs[partition.id]), partition.events);
  const stage = Array.from({ length: 5 }, () => CACHE);
  const caches = new WalkCaches({ stage1: stage, stage2: stage, nested: [], nestedFinal: true });
  const walker = new Walker({ caches, redirect: null });
  const ports = { walker, caches, memory: view, view, timing: timing(), probe: SILENT_PROBE };
  const options = { slots, transitCycles: TRANSIT_CYCLES, updateCycles: 10 };
  const shard = new WalkShard(partition, ports, options);
  return { dump: () => shard.dump() };
}

export class TimedBench {
  readonly iommu: TimedIommu;
  readonly iotlb: Iotlb;
  readonly driver: RiscvDriver;
  readonly translated: Translated[] = [];
  readonly returned: Returned[] = [];
  /** What the IOTLB did for the DMAs that came back: OUTCOME_*. */
  readonly outcomes: number[] = [];
  /** Cycles in which fences completed. */
  readonly fences: number[] = [];
  /** Called after each of them. */
  afterFence: () => void = () => {};
  private readonly partition: Partition;
  private readonly txns = new Transactions(64);
  private readonly script: (() => void)[] = [];
  private readonly onScript: number;
  private readonly view: MemoryView;

  constructor(partition: Partition, memory: PhysicalMemory, log: StoreLog, options: BenchOptions) {
    const { events } = partition;
    const { txns } = this;
    this.partition = partition;
    this.view = new MemoryView(memory, log, events, false);
    this.iotlb = new Iotlb(iotlbArrays(CACHE, 'unified'));
    const memoryTiming = timing();
    const data = new DataAccess(events, txns, memoryTiming);
    for (let device = 0; device < DEVICES; device++) {
      data.returns.push({ accept: (txn) => this.takeBack(txn) });
    }
    this.iommu = new TimedIommu(
      {
        partition,
        txns,
        memory: this.view,
        timing: memoryTiming,
        data,
        iotlb: this.iotlb,
        contexts: new ContextCache(CACHE),
        createWalker: () => new Walker({ caches: null, redirect: null }),
        createUnit: (ports) => new RiscvIommu(DEFAULT_RISCV_SPEC, ports),
        limit: (port) => port,
        observer: {
          use: (device, hi, lo, outHi, outLo, _access, cycle) => {
            const [page, frame] = [pageNumber(hi, lo), pageNumber(outHi, outLo)];
            this.translated.push({ cycle, device, page, frame });
          },
        },
        probe: SILENT_PROBE,
        deviceIds: Int32Array.from({ length: DEVICES }, (_, device) => FIRST_ID + device),
      },
      timedOptions(options),
    );
    let domains = 0;
    this.driver = new RiscvDriver(
      {
        registers: this.iommu.unit.registers,
        memory: this.view,
        frames: new FrameAllocator({ base: 0x80000, frames: 0x4000 }),
        nextDomain: () => domains++,
      },
      {
        ...DEFAULT_RISCV_DRIVER,
        commandEntries: options.commandEntries ?? DEFAULT_RISCV_DRIVER.commandEntries,
        faultEntries: options.faultEntries ?? DEFAULT_RISCV_DRIVER.faultEntries,
      },
    );
    this.driver.initialise();
    this.iommu.onFence = () => {
      this.fences.push(events.now);
      this.afterFence();
    };
    this.onScript = events.register(PHASE_UNIT, 'script', (step) => this.script[step]());
  }

  get events(): EventQueue {
    return this.partition.events;
  }

  get now(): number {
    return this.events.now;
  }

  /** Ends set-up: commands take time from now on. */
  start(): void {
    this.iommu.start();
    this.view.start();
  }

  at(cycle: number, step: () => void): void {
    this.events.at(cycle, this.onScript, this.script.push(step) - 1, 0);
  }

  /** A first-stage domain with pages 1, 2, ... mapped to the frames from `frame` on. */
  domain(frame: number, pages = 8): Domain {
    const domain = this.driver.createDomain({ kind: 'stage1', format: formatByName('Sv39') });
    const access = ACCESS_READ | ACCESS_WRITE;
    this.driver.map(domain, 0, 1, pnHi(frame), pnLo(frame), pages, access);
    return domain;
  }

  /** A first-stage domain that maps pages 512 to 1023 by one superpage. */
  wideDomain(frame: number): Domain {
    const format = formatByName('Sv39');
    const domain = this.driver.createDomain({
      kind: 'stage1',
      format,
      tables: { maxLeafLevel: 1 },
    });
    this.driver.map(domain, 0, 512, pnHi(frame), pnLo(frame), 512, ACCESS_READ);
    return domain;
  }

  attach(domain: Domain, ...devices: readonly number[]): void {
    for (const device of devices) {
      this.driver.attach(domain, FIRST_ID + device);
      this.iommu.settle();
    }
  }

  dma(device: number, page: number): void {
    const { txns } = this;
    const txn = txns.allocate(this.now);
    txns.device[txn] = device;
    txns.access[txn] = ACCESS_READ;
    txns.hi[txn] = pnHi(page);
    txns.lo[txn] = pnLo(page);
    txns.offset[txn] = 0;
    txns.bytes[txn] = 64;
    this.iommu.frontEnd.accept(txn);
  }

  /** Posts the invalidation of a page and a fence behind it. */
  invalidate(domain: Domain, page: number): void {
    this.driver.postInvalidation(domain, pnHi(page), pnLo(page), 1);
    this.fence();
  }

  fence(): void {
    this.driver.postFence();
    this.driver.ring();
  }

  /** The cycle in which the first DMA to a page was translated. */
  cycleOf(page: number): number {
    return this.translated.find((use) => use.page === page)?.cycle ?? -1;
  }

  private takeBack(txn: number): void {
    const { txns } = this;
    this.returned.push({
      cycle: this.now,
      device: txns.device[txn],
      page: pageNumber(txns.hi[txn], txns.lo[txn]),
      faulted: txns.status[txn] === TXN_FAULT,
    });
    this.outcomes.push(txns.outcome[txn]);
    txns.release(txn);
  }
}

function timedOptions(options: BenchOptions): FrontEndOptions & CommandOptions {
  return {
    slots: 16,
    inOrder: options.inOrder ?? false,
    lookupCycles: options.lookupCycles ?? 2,
    lookupPorts: 4,
    mergeMisses: options.mergeMisses ?? true,
    faultCycles: 5,
    shards: [1],
    transitCycles: TRANSIT_CYCLES,
    regionOrder: options.regionOrder ?? 9,
    doorbellCycles: 5,
    fetchBatch: 4,
    executeCycles: 2,
    completeCycles: 3,
  };
}

/** Sets a bench up by `script`, runs it until nothing is left to do, and returns it. */
export async function runBench(
  options: BenchOptions,
  script: (bench: TimedBench) => void,
): Promise<TimedBench> {
  const memory = PhysicalMemory.create({ bytes: 64 * 2 ** 20 });
  const logs = [StoreLog.allocate(), StoreLog.allocate()];
  const storeLogs = logs.map((buffer) => new StoreLog(buffer));
  const config: ShardConfig = { slots: options.walkSlots ?? 4 };
  let bench: TimedBench | null = null;
  const engine = new Engine({
    window: TRANSIT_CYCLES,
    main: (partition) => {
      const built = new TimedBench(partition, memory, storeLogs[0], options);
      script(built);
      built.start();
      bench = built;
      return { dump: () => built.iommu.dump() };
    },
    others: [{ module: import.meta.url, export: 'benchShard', config }],
    shared: { memory: memory.share(), logs },
    hooks: [new StoreExchange(memory, storeLogs)],
    openWork: () => bench?.iommu.open ?? 0,
  });
  await engine.run();
  return bench as unknown as TimedBench;
}
