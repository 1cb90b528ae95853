/**
 * A recording in the machine: the recorded domains with their tables, a stream of accesses for each
 * recorded device, and the player that goes through all of it on a core.
 */
import type { DmaSurroundings } from '../../hw/dma/dma-port.ts';
import type { RecordedOptions } from '../../hw/dma/recorded.ts';
import type { MappedSpace } from '../../hw/host/dma-api.ts';
import type { Domain } from '../../hw/host/drivers/driver.ts';
import { type Mismatch, RecordedStream } from '../../hw/host/recorded-stream.ts';
import { type PlayerStatistics, RecordingPlayer } from '../../hw/host/recording-player.ts';
import { formatByName } from '../../hw/iommu/walk/registry.ts';
import { InputError, InternalError } from '../../sim/errors.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { type BuiltRecording, buildRecording, type StreamColumns } from '../recording/build.ts';
import type { DecodeCommand } from '../recording/commands.ts';
import type { TagColumn } from '../recording/domains.ts';
import type { OrderFigures } from '../recording/order.ts';
import { type RecordingSource, requesterId } from '../recording/source.ts';
import type { ResolvedDomain, ResolvedScenario } from '../schema/resolved.ts';
import { AUTO_FORMATS } from '../schema/specs.ts';
import { PAGE_ORDERS, type Software } from './software.ts';

export interface RecordingSurroundings {
  readonly scenario: ResolvedScenario;
  readonly clock: Clock;
  readonly events: EventQueue;
  readonly software: Software;
  readonly decode: DecodeCommand;
  /** A device is attached to a domain from now on. */
  attached(device: number, domain: Domain): void;
}

export class Recording {
  readonly order: OrderFigures;
  readonly events: number;
  private readonly around: RecordingSurroundings;
  private readonly built: BuiltRecording;
  /** Index of each recorded device, by requester id. */
  private readonly devices: ReadonlyMap<number, number>;
  private readonly streams: RecordedStream[] = [];
  private player: RecordingPlayer | null = null;

  constructor(around: RecordingSurroundings, source: RecordingSource) {
    const { scenario, clock, decode } = around;
    this.around = around;
    this.events = source.rows;
    this.devices = recordedDevices(scenario);
    const column: TagColumn = scenario.iommu.arch === 'riscv' ? 'tag1' : 'tag2';
    this.built = buildRecording(source, decode, column, this.devices, clock);
    this.order = this.built.figures;
  }

  /** Makes the stream of a device; devices are made in the order of the scenario. */
  stream(surroundings: DmaSurroundings, requester: number): RecordedStream {
    const { outstanding, keep_gaps } = this.around.scenario.recording;
    const options: RecordedOptions = { outstanding, keepGaps: keep_gaps };
    const { columns, answers } = this.built.streams[this.streams.length] as StreamColumns;
    const stream = new RecordedStream(surroundings, options, requester, columns, answers);
    this.streams.push(stream);
    return stream;
  }

  /** Makes the domains and lets the player begin; all streams are there. */
  start(): void {
    const { events, software } = this.around;
    const { domains, rows, commands } = this.built;
    const { driver, host, api, path, options } = software;
    const spaces = domains.tags.map((tag) => this.createSpace(tag));
    this.player = new RecordingPlayer(
      {
        events,
        host,
        api,
        driver,
        path,
        options,
        domains: spaces,
        streams: this.streams,
        attached: (deviceId, { domain }) => {
          const device = this.devices.get(deviceId);
          if (device !== undefined) this.around.attached(device, domain);
        },
      },
      rows,
      commands,
    );
    this.player.start();
  }

  wake(): void {
    this.player?.wake();
  }

  /** What is still to be played. */
  get open(): number {
    return this.player?.open ?? 1;
  }

  get progress(): number {
    return this.player?.progress ?? 0;
  }

  get statistics(): PlayerStatistics {
    if (this.player === null) throw new InternalError('recording', 'has not begun');
    return this.player.statistics;
  }

  get translations(): number {
    return this.streams.reduce((total, { completed }) => total + completed, 0);
  }

  get mismatches(): number {
    return this.streams.reduce((total, { mismatches }) => total + mismatches, 0);
  }

  /** The first mismatches of all devices, by their place in the recording. */
  get firstMismatches(): Mismatch[] {
    return this.streams
      .flatMap(({ firstMismatches }) => firstMismatches)
      .sort((a, b) => a.event - b.event);
  }

  dump(): string {
    return this.player?.dump() ?? 'recording: not begun';
  }

  private createSpace(tag: number): MappedSpace {
    const { scenario, software } = this.around;
    const { driver } = software;
    const model = modelDomain(scenario);
    const kind = scenario.iommu.arch === 'riscv' ? 'stage1' : 'stage2';
    const auto = AUTO_FORMATS[scenario.iommu.arch];
    const format = formatByName(model[kind] === 'auto' ? auto[kind] : model[kind]);
    const tables = { maxLeafLevel: PAGE_ORDERS[model.page] / 9 };
    return { driver, domain: driver.createDomain({ kind, format, tables, tag }) };
  }
}

/** Index of each recorded device by its requester id, in the order of the scenario. */
function recordedDevices({ devices }: ResolvedScenario): Map<number, number> {
  const found = new Map<number, number>();
  for (const [index, { master }] of devices.entries()) {
    if (master.kind === 'recorded') found.set(requesterId(master.requester), index);
  }
  return found;
}

/** The domain of the first recorded device says how all recorded domains are made. */
function modelDomain({ devices, domains, iommu }: ResolvedScenario): ResolvedDomain {
  const device = devices.find(({ master }) => master.kind === 'recorded');
  const model = domains.find(({ name }) => name === device?.domain);
  if (model === undefined) throw new InternalError('recording', 'no recorded device has a domain');
  const wanted = iommu.arch === 'riscv' ? 'stage1' : 'stage2';
  if (model.translation !== wanted) {
    throw new InputError(
      'recording.translation',
      `domain ${model.name}: recorded domains of ${iommu.arch} are of ${wanted}; got ${model.translation}`,
    );
  }
  return model;
}
