/**
 * Plays a recording on a core: builds the recorded tables, posts the recorded commands and lets
 * devices issue the recorded accesses that stood between them. The order is kept, not the recorded
 * time: an unmap waits for the accesses recorded before it, a fence for its completion.
 */
import { InternalError } from '../../sim/errors.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { PHASE_RETRY } from '../../sim/time/event-queue.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import { OP_FENCE, OP_INVALIDATE_TRANSLATIONS } from '../iommu/architecture.ts';
import { tagCovers } from '../iommu/caches/ranges.ts';
import type { Core, Host } from './core.ts';
import type { DmaApi, MappedSpace } from './dma-api.ts';
import type { IommuDriver } from './drivers/driver.ts';
import type { InvalidationPath } from './invalidation.ts';
import { PendingRanges } from './pending-ranges.ts';
import type { RecordedStream } from './recorded-stream.ts';
import {
  type RecordedCommands,
  type RecordedRows,
  ROW_ACCESS,
  ROW_ATTACH,
  ROW_COMMAND,
  ROW_MAP,
  ROW_UNMAP,
} from './recording.ts';
import type { HostOptions } from './spec.ts';

export interface PlayerPorts {
  readonly events: EventQueue;
  readonly host: Host;
  readonly api: DmaApi;
  readonly driver: IommuDriver;
  readonly path: InvalidationPath;
  readonly options: HostOptions;
  readonly domains: readonly MappedSpace[];
  readonly streams: readonly RecordedStream[];
  /** The device of an id belongs to another domain from now on. */
  attached(deviceId: number, space: MappedSpace): void;
}

export interface PlayerStatistics {
  attaches: number;
  maps: number;
  unmaps: number;
  commands: number;
  fences: number;
}

const WAIT_NONE = 0;
/** For devices: the core is free meanwhile. */
const WAIT_ACCESSES = 1;
/** The core spins. */
const WAIT_ROOM = 2;
const WAIT_FENCE = 3;
/** What it waited for is there; the core has not looked yet. */
const WAIT_LOOK = 4;

export class RecordingPlayer {
  readonly statistics: PlayerStatistics = {
    attaches: 0,
    maps: 0,
    unmaps: 0,
    commands: 0,
    fences: 0,
  };
  private readonly ports: PlayerPorts;
  private readonly rows: RecordedRows;
  private readonly commands: RecordedCommands;
  private readonly core: Core;
  private readonly onStep: number;
  private readonly onFence: number;
  private readonly onPoll: number;
  private readonly pending = new PendingRanges();
  private readonly words = new Int32Array(4);
  /** Domain of each stream's device now, -1 none. */
  private readonly domainOf: Int32Array;
  /** Calls of unmap since the last fence: when they began. */
  private readonly unmapsSince: number[] = [];
  private row = 0;
  /** The time of the row in hand has been spent. */
  private paid = false;
  private begun = 0;
  private locked = false;
  private wait = WAIT_NONE;
  /** Commands that must be done, while waiting for a fence. */
  private target = 0;
  private posted = 0;
  private asked = 0;

  constructor(ports: PlayerPorts, rows: RecordedRows, commands: RecordedCommands) {
    this.ports = ports;
    this.rows = rows;
    this.commands = commands;
    const { host, events, streams } = ports;
    this.core = host.cores[host.cores.length - 1];
    this.onStep = host.register(() => this.step());
    this.onFence = host.register(() => this.fenceSeen());
    this.onPoll = events.register(PHASE_RETRY, 'recording-poll', () => this.poll());
    this.domainOf = new Int32Array(streams.length).fill(-1);
    for (const stream of streams) stream.onFreed = () => this.accessDone();
  }

  start(): void {
    this.core.run(0, this.onStep, 0, 0);
  }

  /** Rows still to be played, and one for a wait: zero at the end. */
  get open(): number {
    return this.rows.count - this.row + (this.wait === WAIT_NONE ? 0 : 1);
  }

  /** Share of the rows that have been played. */
  get progress(): number {
    return this.rows.count === 0 ? 1 : this.row / this.rows.count;
  }

  dump(): string {
    const waits = ['nothing', 'accesses to come back', 'room for commands', 'a fence', 'its core'];
    return `recording: row ${this.row} of ${this.rows.count}, waits for ${waits[this.wait]}`;
  }

  /** The unit completed a fence: look again. */
  wake(): void {
    if (this.wait !== WAIT_FENCE && this.wait !== WAIT_ROOM) return;
    const { driver } = this.ports;
    const forFence = this.wait === WAIT_FENCE;
    const passed = driver.commandsPassed();
    if (forFence ? passed < this.target : driver.room() === 0) return;
    this.wait = WAIT_LOOK;
    const { pollCycles } = this.ports.options.invalidation;
    const late = this.core.spinningFor % pollCycles;
    const delay = late === 0 ? 1 : pollCycles - late;
    this.core.resume(delay, forFence ? this.onFence : this.onStep, 0, 0);
  }

  // -------------------------------------------------------------------------------------------

  private step(): void {
    const { rows } = this;
    this.wait = WAIT_NONE;
    for (;;) {
      this.letAccessesGo();
      const row = this.row;
      if (row === rows.count) return;
      if (!this.paid) {
        if (this.mustWait(row)) return;
        this.paid = true;
        this.begun = this.ports.events.now;
        this.core.proceed(this.costOf(row), this.onStep, 0, 0);
        return;
      }
      if (!this.act(row)) return;
      this.paid = false;
    }
  }

  /** Grants the accesses that stand next, up to the next action of the host. */
  private letAccessesGo(): void {
    const { kind, subject, count } = this.rows;
    const { streams } = this.ports;
    let row = this.row;
    while (row < count && kind[row] === ROW_ACCESS) streams[subject[row++]].grant();
    if (row === this.row) return;
    this.row = row;
    for (const stream of streams) stream.open();
  }

  /** Whether something must end before this row: accesses, or another core's use of the queue. */
  private mustWait(row: number): boolean {
    const { kind } = this.rows;
    if (kind[row] === ROW_COMMAND) {
      if (this.locked) return false;
      this.locked = true;
      this.asked = this.ports.events.now;
      return !this.ports.path.lock.acquire(this.core, this.onStep);
    }
    if (!this.accessesOpen(row)) return false;
    this.wait = WAIT_ACCESSES;
    return true;
  }

  /** Whether accesses that the row would disturb are still to come back. */
  private accessesOpen(row: number): boolean {
    const { kind, domain, subject } = this.rows;
    const { streams } = this.ports;
    if (kind[row] === ROW_MAP) return this.rows.replaces[row] !== 0 && !this.allQuiet(domain[row]);
    if (kind[row] === ROW_UNMAP) return !this.allQuiet(domain[row]);
    for (const stream of streams) {
      if (stream.deviceId === subject[row] && !stream.quiet) return true;
    }
    return false;
  }

  private allQuiet(domain: number): boolean {
    const { streams } = this.ports;
    for (let i = 0; i < streams.length; i++) {
      if (this.domainOf[i] === domain && !streams[i].quiet) return false;
    }
    return true;
  }

  private accessDone(): void {
    if (this.wait !== WAIT_ACCESSES || this.accessesOpen(this.row)) return;
    this.wait = WAIT_LOOK;
    this.core.run(0, this.onStep, 0, 0);
  }

  private costOf(row: number): number {
    const { kind, pages } = this.rows;
    const { mapping, invalidation } = this.ports.options;
    switch (kind[row]) {
      case ROW_MAP:
        return mapping.mapCycles + pages[row] * mapping.mapPageCycles;
      case ROW_UNMAP:
        return mapping.unmapCycles + pages[row] * mapping.unmapPageCycles;
      case ROW_COMMAND:
        return invalidation.commandCycles + (this.rings(row) ? invalidation.doorbellCycles : 0);
      default:
        return mapping.mapCycles;
    }
  }

  /** Whether the doorbell follows this command: at a fence, and before anything else. */
  private rings(row: number): boolean {
    const { kind, subject, count } = this.rows;
    if (this.commands.kind[subject[row]] === OP_FENCE) return true;
    return row + 1 === count || kind[row + 1] !== ROW_COMMAND;
  }

  /** Carries the row out; false when the core must wait before it goes on. */
  private act(row: number): boolean {
    switch (this.rows.kind[row]) {
      case ROW_ATTACH:
        return this.attach(row);
      case ROW_MAP:
        this.map(row);
        break;
      case ROW_UNMAP:
        this.unmap(row);
        break;
      case ROW_COMMAND:
        return this.command(row);
      default:
        throw new InternalError('recording', `row ${row} is of no known kind`);
    }
    this.row++;
    return true;
  }

  private attach(row: number): boolean {
    const { rows, ports } = this;
    const space = ports.domains[rows.domain[row]];
    const deviceId = rows.subject[row];
    const { driver } = ports;
    const before = driver.commandsWritten();
    driver.attach(space.domain, deviceId);
    ports.attached(deviceId, space);
    for (const [i, stream] of ports.streams.entries()) {
      if (stream.deviceId === deviceId) this.domainOf[i] = rows.domain[row];
    }
    this.statistics.attaches++;
    this.row++;
    // The driver itself posts commands, and a fence, when it replaces a context.
    const written = driver.commandsWritten();
    if (written === before) return true;
    this.paid = false;
    this.asked = ports.events.now;
    this.posted = this.asked;
    this.awaitFence(written);
    return false;
  }

  private map(row: number): void {
    const { rows, ports } = this;
    const { events, api } = ports;
    const domain = rows.domain[row];
    const space = ports.domains[domain];
    const hi = rows.hi[row];
    const lo = rows.lo[row];
    const pages = rows.pages[row];
    if (rows.replaces[row] !== 0) this.clear(domain, hi, lo, pages);
    // The kernel gives an address out again only after it has been assured of it.
    const first = pageNumber(hi, lo);
    this.pending.takeRange(domain, first, first + pages, this.acknowledge);
    const frameHi = rows.frameHi[row];
    const frameLo = rows.frameLo[row];
    api.install(space, hi, lo, frameHi, frameLo, pages, rows.access[row]);
    api.countMap(events.now - this.begun);
    this.statistics.maps++;
  }

  private unmap(row: number): void {
    const { rows } = this;
    this.clear(rows.domain[row], rows.hi[row], rows.lo[row], rows.pages[row]);
    this.unmapsSince.push(this.begun);
    this.statistics.unmaps++;
  }

  private clear(domain: number, hi: number, lo: number, pages: number): void {
    const { api, domains } = this.ports;
    api.clear(domains[domain], hi, lo, pages);
    this.pending.add(domain, pageNumber(hi, lo), pages);
  }

  private command(row: number): boolean {
    const { rows, ports, commands, statistics } = this;
    const { driver } = ports;
    const command = rows.subject[row];
    for (let i = 0; i < 4; i++) this.words[i] = commands.words[command * 4 + i];
    if (!driver.postCommand(this.words)) {
      driver.ring();
      this.wait = WAIT_ROOM;
      this.core.spin();
      ports.events.after(ports.options.invalidation.pollCycles, this.onPoll, 0, 0);
      return false;
    }
    statistics.commands++;
    this.cover(command);
    this.row++;
    if (!this.rings(row)) return true;
    driver.ring();
    this.locked = false;
    ports.path.lock.release(this.core);
    if (commands.kind[command] !== OP_FENCE) return true;
    statistics.fences++;
    this.posted = ports.events.now;
    this.paid = false;
    this.letAccessesGo();
    this.awaitFence(driver.commandsWritten());
    return false;
  }

  private cover(command: number): void {
    const { commands, ports } = this;
    if (commands.kind[command] !== OP_INVALIDATE_TRANSLATIONS) return;
    const tag1 = commands.tag1[command];
    const tag2 = commands.tag2[command];
    this.pending.cover(commands.first[command], commands.end[command], (index) => {
      const { domain } = ports.domains[index];
      return tagCovers(tag1, domain.tag1) && tagCovers(tag2, domain.tag2);
    });
  }

  private awaitFence(commands: number): void {
    this.target = commands;
    this.wait = WAIT_FENCE;
    this.core.spin();
  }

  private fenceSeen(): void {
    const { path, api, events } = this.ports;
    const { now } = events;
    path.latency.record(now - this.posted);
    path.total.record(now - this.asked);
    for (const begun of this.unmapsSince) api.countUnmap(now - begun);
    this.unmapsSince.length = 0;
    this.pending.takeCovered(this.acknowledge);
    this.step();
  }

  private readonly acknowledge = (domain: number, first: number, pages: number): void => {
    const { api, domains } = this.ports;
    api.acknowledge(domains[domain], pnHi(first), pnLo(first), pages);
  };

  private poll(): void {
    if (this.wait !== WAIT_ROOM) return;
    this.wake();
    if (this.wait !== WAIT_ROOM) return;
    this.ports.events.after(this.ports.options.invalidation.pollCycles, this.onPoll, 0, 0);
  }
}
