/**
 * Runs a scenario: builds the machine and its shards, carries them through the engine, writes the
 * trace, gathers the statistics and judges the expectations.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DMA_RECORD } from '../hw/dma/accounting.ts';
import type { DmaColumns } from '../hw/dma/recorded.ts';
import { WAIT_RECORD } from '../hw/dma/wait-totals.ts';
import { SYSCALL_RECORD } from '../hw/host/programs/statistics.ts';
import { EXPOSED_USE_RECORD, INVALIDATION_RECORD } from '../hw/host/safety-records.ts';
import {
  COMMAND_RECORD,
  FAULT_RECORD,
  REFERENCE_RECORD,
  WALK_RECORD,
} from '../hw/iommu/timed/records.ts';
import { WALK_TOTAL_RECORD } from '../hw/iommu/timed/walk-totals.ts';
import { PhysicalMemory } from '../hw/memory/physical-memory.ts';
import { StoreExchange, StoreLog } from '../hw/memory/store-log.ts';
import { InternalError } from '../sim/errors.ts';
import { Engine } from '../sim/parallel/engine.ts';
import type { RunResult } from '../sim/parallel/options.ts';
import { Clock } from '../sim/time/clock.ts';
import { ChunkProbe } from '../traces/probe.ts';
import type { DmaStream } from '../traces/stream.ts';
import { TraceWriter } from '../traces/writer.ts';
import * as collect from './collect.ts';
import { userSpaceFigures } from './collect-programs.ts';
import { evaluate } from './expect.ts';
import { transitCycles } from './machine/iommu.ts';
import { Machine } from './machine/machine.ts';
import type { ShardReport, SharedState } from './machine/shard.ts';
import { shardSources } from './machine/shard-sources.ts';
import { splitStream } from './machine/what-if.ts';
import { openRecording, type RecordingSource, withRequesters } from './recording/source.ts';
import type { RunOptions, RunOutcome } from './run-api.ts';
import type { ResolvedScenario } from './schema/resolved.ts';
import { type EngineFigures, type RunStats, STATS_SCHEMA } from './stats.ts';
import { PROGRAM, VERSION } from './version.ts';

/** Every kind of record that a run can emit. */
export const RECORD_KINDS = [
  DMA_RECORD,
  WALK_RECORD,
  REFERENCE_RECORD,
  COMMAND_RECORD,
  FAULT_RECORD,
  WAIT_RECORD,
  WALK_TOTAL_RECORD,
  INVALIDATION_RECORD,
  EXPOSED_USE_RECORD,
  SYSCALL_RECORD,
] as const;

const EXTENSION = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const HOST_CLOCK = {
  module: new URL(`./host-clock${EXTENSION}`, import.meta.url).href,
  export: 'hostNanoseconds',
};
/** The work of the front end and the devices, in parts of what all shards do together. */
const MAIN_SHARE = 0.3;

class Run {
  readonly machine: Machine;
  private readonly scenario: ResolvedScenario;
  private readonly options: RunOptions;
  private readonly clock: Clock;
  private readonly engine: Engine;
  private readonly writer: TraceWriter | null;
  private readonly probe: ChunkProbe;

  constructor(
    scenario: ResolvedScenario,
    options: RunOptions,
    recording: RecordingSource | undefined,
  ) {
    this.scenario = scenario;
    this.options = options;
    this.clock = new Clock(scenario.clock);
    const { walkers } = scenario.iommu;
    const memory = PhysicalMemory.create({ bytes: scenario.memory.size });
    const logs = Array.from({ length: 1 + walkers.shards }, () => StoreLog.allocate());
    const storeLogs = logs.map((buffer) => new StoreLog(buffer));
    this.writer = options.tracePath === undefined ? null : this.openTrace(options.tracePath);
    const level = this.writer === null ? 'off' : options.traceLevel;
    let built: { machine: Machine; probe: ChunkProbe } | null = null;
    const shared: SharedState = { memory: memory.share(), logs };
    this.engine = new Engine({
      window: transitCycles(scenario.iommu, this.clock),
      threads: options.threads,
      main: (partition) => {
        const probe = new ChunkProbe(0, level, (bytes) => partition.emitBlob(bytes.slice()));
        const machine = new Machine(scenario, this.clock, partition, memory, storeLogs[0], probe, {
          replayed: replayedOf(scenario, options),
          recording,
        });
        machine.start();
        built = { machine, probe };
        return { finish: () => this.finishMain(), dump: () => machine.dump() };
      },
      mainWeight: MAIN_SHARE * walkers.shards,
      others: shardSources(scenario, this.clock, level),
      shared,
      hooks: [new StoreExchange(memory, storeLogs)],
      onBlob: (partition, bytes) => this.writer?.append(partition, bytes),
      openWork: () => this.machine.open,
      hostClock: HOST_CLOCK,
    });
    if (built === null) throw new InternalError('runner', 'the engine built no partition 0');
    ({ machine: this.machine, probe: this.probe } = built as {
      machine: Machine;
      probe: ChunkProbe;
    });
  }

  async execute(): Promise<RunOutcome> {
    const { scenario, options, machine } = this;
    const until = this.clock.ceil(scenario.run.for);
    const most = scenario.run.max_dmas === 0 ? Number.POSITIVE_INFINITY : scenario.run.max_dmas;
    let started = process.hrtime.bigint();
    let result: RunResult;
    try {
      result = await this.engine.run({
        until,
        // Starting worker threads is set-up, not simulation.
        onStart: () => {
          started = process.hrtime.bigint();
        },
        shouldStop: () => machine.accounting.finished >= most || machine.finished,
        onProgress: (cycle, events) => this.progress(cycle, events, until, most),
      });
    } catch (error) {
      this.writer?.abort();
      throw error;
    }
    const wall = Number(process.hrtime.bigint() - started) / 1e9;
    this.writer?.close();
    const stats = this.stats(result, wall);
    const tracePath = options.tracePath ?? null;
    return {
      stats,
      expectations: evaluate(scenario.expect, stats),
      tracePath,
      traceHash: tracePath === null ? null : hashOf(tracePath),
    };
  }

  private openTrace(path: string): TraceWriter {
    const { scenario, options } = this;
    const shards = Array.from({ length: scenario.iommu.walkers.shards }, (_, i) => `shard${i}`);
    return new TraceWriter(path, {
      program: `${PROGRAM} ${VERSION}`,
      scenario,
      seed: scenario.seed,
      level: options.traceLevel,
      clockHz: scenario.clock,
      partitions: ['fabric', ...shards],
      kinds: [...RECORD_KINDS],
    });
  }

  private finishMain(): Record<string, unknown> {
    this.machine.endTrace();
    this.probe.flush();
    return {};
  }

  private progress(cycle: number, events: number, until: number, most: number): void {
    const { onProgress } = this.options;
    if (onProgress === undefined) return;
    const dmas = this.machine.accounting.finished;
    const played = this.machine.recording?.progress ?? 0;
    const done = Math.min(1, Math.max(cycle / until, dmas / most, played));
    onProgress({ simulated_ps: this.clock.ps(Math.min(cycle, until)), events, dmas, done });
  }

  private stats(result: RunResult, wall: number): RunStats {
    const { scenario, machine, clock, options } = this;
    const cycles = machine.measuredCycles;
    const shards = result.finished.slice(1) as unknown as ShardReport[];
    return {
      schema: STATS_SCHEMA,
      version: VERSION,
      scenario: scenario.name,
      point: options.point ?? null,
      seed: scenario.seed,
      time: {
        simulated_ps: clock.ps(machine.partition.events.now),
        measured_ps: clock.ps(cycles),
        cycles: machine.partition.events.now,
        clock_hz: scenario.clock,
        end: this.endOf(result),
      },
      dma: collect.dmaFigures(machine.accounting.total(), clock, cycles),
      devices: Object.fromEntries(
        machine.devices.map((device) => [
          device.name,
          collect.deviceFigures(machine, device, cycles),
        ]),
      ),
      iommu: scenario.iommu.enabled ? collect.iommuFigures(machine, shards) : null,
      memory: collect.memoryFigures(machine, shards, cycles),
      host: collect.hostFigures(machine, cycles),
      safety: collect.safetyFigures(machine),
      recording: collect.recordingFigures(machine),
      ...userSpaceFigures(machine),
      engine: this.engineFigures(result, wall),
    };
  }

  private endOf(result: RunResult): string {
    if (result.reason === 'until') return 'time';
    if (this.machine.finished) return 'finished';
    return result.reason === 'stopped' ? 'dmas' : 'finished';
  }

  private engineFigures(result: RunResult, wall: number): EngineFigures {
    const events = result.events.reduce((total, count) => total + count, 0);
    const waits = result.threads.map(({ waitNs }) => waitNs / 1e9);
    const busy = waits.reduce((total, wait) => total + Math.max(0, wall - wait), 0);
    return {
      threads: result.threads.length,
      wall_seconds: wall,
      events,
      events_per_s: wall === 0 ? 0 : Math.round(events / wall),
      dmas_per_s: wall === 0 ? 0 : Math.round(this.machine.accounting.finished / wall),
      partitions: result.events.length,
      windows: result.windows,
      wait_seconds: waits[0],
      speedup: wall === 0 ? 1 : busy / wall,
    };
  }
}

function hashOf(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function replayedOf(
  scenario: ResolvedScenario,
  { stream, streamDevices = [] }: RunOptions,
): readonly DmaColumns[] | undefined {
  return stream === undefined ? undefined : splitStream(stream, streamDevices, scenario);
}

/** A given stream is driven to its end, and all of it is measured. */
function untilStreamEnds(scenario: ResolvedScenario, stream: DmaStream): ResolvedScenario {
  const run = { ...scenario.run, for: Number.MAX_SAFE_INTEGER, max_dmas: stream.count, warmup: 0 };
  return { ...scenario, run };
}

/** Runs a resolved scenario to its end. */
export async function runScenario(
  scenario: ResolvedScenario,
  options: RunOptions,
): Promise<RunOutcome> {
  const { stream } = options;
  if (stream !== undefined) {
    return new Run(untilStreamEnds(scenario, stream), options, undefined).execute();
  }
  const recording = openRecording(scenario) ?? undefined;
  const whole = recording === undefined ? scenario : withRequesters(scenario, recording);
  return new Run(whole, options, recording).execute();
}
