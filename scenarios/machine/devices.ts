/**
 * Devices: a link, a DMA master behind it, and the buffers that its driver maps for it.
 */

import { pnHi, pnLo } from '../../hw/address.ts';
import type { DmaAccounting } from '../../hw/dma/accounting.ts';
import type { DmaSurroundings } from '../../hw/dma/dma-port.ts';
import { Nic } from '../../hw/dma/nic.ts';
import { type NicSpec, nicDriverOptions, nicOptions } from '../../hw/dma/nic-spec.ts';
import { PatternMaster, windowPages } from '../../hw/dma/pattern.ts';
import type { DmaColumns, RecordedMaster } from '../../hw/dma/recorded.ts';
import { type PatternSpec, patternOptions } from '../../hw/dma/spec.ts';
import type { DmaDevice } from '../../hw/host/dma-api.ts';
import { GuestMemoryPort } from '../../hw/host/guest.ts';
import { NicDriver } from '../../hw/host/nic-driver.ts';
import type { Traffic } from '../../hw/host/programs/environment.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import type { MemoryPort } from '../../hw/memory/port.ts';
import { Link } from '../../hw/pcie/link.ts';
import { linkOptions } from '../../hw/pcie/spec.ts';
import type { TransactionPort, Transactions } from '../../hw/pcie/transactions.ts';
import { InputError } from '../../sim/errors.ts';
import { RandomStream } from '../../sim/random/stream.ts';
import type { Values } from '../../sim/spec.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import { requesterId } from '../recording/source.ts';
import type { ResolvedDevice } from '../schema/resolved.ts';
import type { Recording } from './recording.ts';
import type { DomainSoftware, Software } from './software.ts';
import { createReplay, mapTouched } from './what-if.ts';

/** What all devices share. */
export interface DeviceSurroundings {
  readonly seed: number;
  readonly clock: Clock;
  readonly events: EventQueue;
  readonly txns: Transactions;
  readonly accounting: DmaAccounting;
  /** Masters by index, as links return transactions. */
  readonly masters: TransactionPort[];
  readonly rootComplex: TransactionPort;
  readonly software: Software;
  /** The host's memory. */
  readonly memory: MemoryPort;
  /** By device: DMAs of a trace that it issues instead of its own traffic; null: none does. */
  readonly replayed: readonly DmaColumns[] | null;
  /** Where recorded devices have their accesses from. */
  readonly recording: Recording | null;
}

/** A device as the machine knows it. */
export interface Device {
  readonly name: string;
  readonly index: number;
  readonly domain: DomainSoftware;
  readonly link: Link;
  /** Starts its traffic. */
  start(): void;
  /** No DMA will follow and none is in flight. */
  readonly finished: boolean;
  /** Null: its driver says when it works, not a program. */
  readonly traffic: DeviceTraffic | null;
  /** Figures count from now on. */
  resetFigures?(): void;
  /** What the device itself counts. */
  figures(): Record<string, number>;
  dump(): string;
}

/** What a program has in hand of a device. */
export interface DeviceTraffic {
  /** A NIC's: set up in a guest before its first start. */
  readonly driver: Traffic['driver'];
  /** Begins to use the window at an input page; -1: where it was. */
  start(page: number): void;
  stop(): void;
  readonly idle: boolean;
}

export function createDevice(
  around: DeviceSurroundings,
  wanted: ResolvedDevice,
  domain: DomainSoftware,
  index: number,
  deviceId: number,
): Device {
  const { clock, events, txns, masters, rootComplex, software } = around;
  const link = new Link(events, txns, linkOptions(wanted.link, clock), rootComplex, masters);
  const { master: kind } = wanted;
  const { recording } = around;
  const master =
    kind.kind === 'recorded' && recording !== null
      ? createRecorded(around, recording, kind.requester, link)
      : domain.user
        ? createUserMaster(around, wanted, index, link)
        : createMaster(around, wanted, domain, software.attach(domain, index, deviceId), link);
  return {
    name: wanted.name,
    index,
    domain,
    link,
    traffic: master.traffic ?? null,
    start: () => master.start(),
    get finished() {
      return master.finished;
    },
    resetFigures: () => master.resetFigures?.(),
    figures: () => master.figures(),
    dump: () => master.dump(),
  };
}

type Master = Pick<Device, 'start' | 'finished' | 'resetFigures' | 'figures' | 'dump'> & {
  readonly traffic?: DeviceTraffic;
};

function createMaster(
  around: DeviceSurroundings,
  wanted: ResolvedDevice,
  domain: DomainSoftware,
  dma: DmaDevice,
  link: Link,
): Master {
  const { events, txns, accounting, masters } = around;
  const surroundings = { events, txns, accounting, link: link.up, master: masters.length };
  if (around.replayed !== null) {
    const columns = around.replayed[dma.index];
    return createReplayed(
      around,
      createReplay(surroundings, wanted, columns),
      domain,
      dma,
      columns,
    );
  }
  const random = new RandomStream(around.seed, wanted.name);
  switch (wanted.master.kind) {
    case 'pattern':
      return createPattern(around, surroundings, wanted.master, domain, dma, random);
    case 'nic':
      return createNic(around, surroundings, wanted.master, domain, dma, random);
    case 'recorded':
      throw new InputError(
        'recorded',
        `device ${wanted.name}: recorded devices have mappings only while their recording plays`,
      );
  }
}

/** The recording itself attaches its devices to its domains. */
function createRecorded(
  { events, txns, accounting, masters }: DeviceSurroundings,
  recording: Recording,
  requester: string,
  link: Link,
): Master {
  const surroundings = { events, txns, accounting, link: link.up, master: masters.length };
  const stream = recording.stream(surroundings, requesterId(requester));
  const { master } = stream;
  masters.push(master);
  return {
    start: () => {},
    get finished() {
      return master.finished;
    },
    figures: () => ({ translations: stream.completed, mismatches: stream.mismatches }),
    dump: () => master.dump(),
  };
}

function createReplayed(
  around: DeviceSurroundings,
  master: RecordedMaster,
  domain: DomainSoftware,
  dma: DmaDevice,
  columns: DmaColumns,
): Master {
  mapTouched(around.software.api, domain, dma, columns);
  around.masters.push(master);
  return {
    start: () => master.resume(),
    get finished() {
      return master.finished;
    },
    figures: () => ({ requests: master.position }),
    dump: () => master.dump(),
  };
}

function createPattern(
  around: DeviceSurroundings,
  surroundings: DmaSurroundings,
  values: Values<PatternSpec>,
  domain: DomainSoftware,
  dma: DmaDevice,
  random: RandomStream,
): Master {
  const options = patternOptions(values, around.clock);
  const pages = windowPages(options);
  const frame = domain.buffers.allocRun(pages, alignmentOf(pages));
  const page = around.software.api.mapNow(dma, frame, pages, ACCESS_READ | ACCESS_WRITE);
  const place = { device: dma.index, pasid: -1, hi: pnHi(page), lo: pnLo(page) };
  const master = new PatternMaster(surroundings, options, place, random);
  around.masters.push(master);
  return {
    start: () => master.start(),
    get finished() {
      return master.finished;
    },
    figures: () => ({ requests: master.requests }),
    dump: () => master.dump(),
  };
}

/** A device that programs attach and start; where its window lies they say. */
function createUserMaster(
  around: DeviceSurroundings,
  wanted: ResolvedDevice,
  index: number,
  link: Link,
): Master {
  const { events, txns, accounting, masters, seed } = around;
  if (around.replayed !== null) {
    const message = `device ${wanted.name}: a stream needs mappings, and programs make those of a user domain`;
    throw new InputError('user-device', message);
  }
  const surroundings = { events, txns, accounting, link: link.up, master: masters.length };
  const random = new RandomStream(seed, wanted.name);
  switch (wanted.master.kind) {
    case 'pattern':
      return createUserPattern(around, surroundings, wanted.master, index, random);
    case 'nic':
      return createUserNic(around, surroundings, wanted.master, index, random);
    case 'recorded':
      throw new InputError(
        'user-device',
        `device ${wanted.name}: a device of a user domain generates its traffic itself`,
      );
  }
}

function createUserPattern(
  { clock, masters }: DeviceSurroundings,
  surroundings: DmaSurroundings,
  values: Values<PatternSpec>,
  index: number,
  random: RandomStream,
): Master {
  const options = patternOptions(values, clock);
  const place = { device: index, pasid: -1, hi: 0, lo: 0 };
  let page = 0;
  const master = new PatternMaster(surroundings, options, place, random);
  master.stop();
  masters.push(master);
  return {
    start: () => {},
    traffic: {
      driver: null,
      start(at) {
        if (at >= 0) page = at;
        master.move(pnHi(page), pnLo(page));
      },
      stop: () => master.stop(),
      get idle() {
        return master.idle;
      },
    },
    get finished() {
      return master.finished;
    },
    figures: () => ({ requests: master.requests }),
    dump: () => master.dump(),
  };
}

/** A NIC whose driver runs in a guest of a program. */
function createUserNic(
  { clock, events, software, memory, masters }: DeviceSurroundings,
  surroundings: DmaSurroundings,
  values: Values<NicSpec>,
  index: number,
  random: RandomStream,
): Master {
  const options = nicOptions(values, clock);
  const nic = new Nic(surroundings, memory, index, options, random);
  masters.push(nic);
  const { doorbellCycles } = software.options.invalidation;
  const driverOptions = nicDriverOptions(values, clock, doorbellCycles);
  let driver: NicDriver | null = null;
  let works = false;
  const done = (): boolean => !(works && nic.running) && nic.idle && driver?.idle !== false;
  return {
    start: () => {},
    traffic: {
      driver: {
        get ready() {
          return driver !== null;
        },
        setUp({ mapping, memory: own, frames }) {
          const { host, api } = software;
          const device = mapping.device(index);
          const ports = { events, host, api, nic, device, memory: own, frames };
          driver = new NicDriver(ports, options, driverOptions);
        },
      },
      start() {
        works = driver !== null;
        driver?.start();
      },
      stop() {
        works = false;
        driver?.stop();
      },
      get idle() {
        return done();
      },
    },
    get finished() {
      return done();
    },
    resetFigures: () => {
      nic.resetFigures();
      driver?.resetFigures();
    },
    figures: () => nic.counters.toPlain(),
    dump: () => nic.describe(),
  };
}

function createNic(
  around: DeviceSurroundings,
  surroundings: DmaSurroundings,
  values: Values<NicSpec>,
  domain: DomainSoftware,
  dma: DmaDevice,
  random: RandomStream,
): Master {
  const { clock, software, memory, masters } = around;
  const options = nicOptions(values, clock);
  const nic = new Nic(surroundings, memory, dma.index, options, random);
  masters.push(nic);
  const { guest } = domain.domain;
  const { doorbellCycles } = software.options.invalidation;
  const driver = new NicDriver(
    {
      events: around.events,
      host: software.host,
      api: software.api,
      nic,
      device: dma,
      memory: guest === null ? memory : new GuestMemoryPort(guest, memory),
      frames: domain.buffers,
    },
    options,
    nicDriverOptions(values, clock, doorbellCycles),
  );
  return {
    start: () => {
      driver.start();
      nic.start();
    },
    get finished() {
      return !nic.running;
    },
    resetFigures: () => {
      nic.resetFigures();
      driver.resetFigures();
    },
    figures: () => nic.counters.toPlain(),
    dump: () => nic.describe(),
  };
}

/** Runs of pages start where the largest page that could map them would. */
function alignmentOf(pages: number): number {
  if (pages >= 2 ** 18) return 2 ** 18;
  return pages >= 512 ? 512 : 1;
}
