/**
 * The host's software: cores, the driver of the IOMMU, domains with their tables, and the DMA API
 * of each domain with its mapping policy.
 */

import { Host } from '../../hw/host/core.ts';
import { DmaApi, type DmaDevice } from '../../hw/host/dma-api.ts';
import type { Domain, DomainKind } from '../../hw/host/drivers/driver.ts';
import { RiscvDriver } from '../../hw/host/drivers/riscv.ts';
import { VtdDriver } from '../../hw/host/drivers/vtd.ts';
import { FrameAllocator, type FrameSpec } from '../../hw/host/frames.ts';
import { GuestMemory } from '../../hw/host/guest.ts';
import { InvalidationPath } from '../../hw/host/invalidation.ts';
import { type MappingObserver, ObserverGroup } from '../../hw/host/observer.ts';
import { DomainMapping } from '../../hw/host/policies/make.ts';
import { SafetyChecker } from '../../hw/host/safety.ts';
import { type HostOptions, hostOptions } from '../../hw/host/spec.ts';
import type { IommuUnit } from '../../hw/iommu/architecture.ts';
import { formatByName } from '../../hw/iommu/walk/registry.ts';
import type { MemoryPort } from '../../hw/memory/port.ts';
import { InternalError } from '../../sim/errors.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import type { ResolvedDomain, ResolvedScenario } from '../schema/resolved.ts';
import { AUTO_FORMATS } from '../schema/specs.ts';

/** Where frames come from: first page and number of frames of each region, end of the guests'. */
interface Layout {
  readonly kernel: FrameSpec;
  readonly buffers: FrameSpec;
  readonly guests: number;
}

/** Kernel from 256 MiB, buffers from 64 GiB, guests from 256 GiB. */
const WIDE: Layout = {
  kernel: { base: 2 ** 16, frames: 2 ** 22 },
  buffers: { base: 2 ** 24, frames: 2 ** 25 },
  guests: 2 ** 26,
};
/** For 32-bit table entries, which reach 16 GiB: kernel, buffers from 1 GiB, guests from 8 GiB. */
const NARROW: Layout = {
  kernel: { base: 2 ** 16, frames: 2 ** 17 },
  buffers: { base: 2 ** 18, frames: 2 ** 20 },
  guests: 2 ** 21,
};
/**
 * For a recording: tables stand at 48 GiB, above the memory of any recorded machine, because its
 * fences store their status at recorded addresses.
 */
const RECORDED: Layout = { ...WIDE, kernel: { base: 3 * 2 ** 22, frames: 2 ** 22 } };

export const PAGE_ORDERS = { '4KiB': 0, '2MiB': 9, '1GiB': 18 } as const;

/** What a device needs of its domain. */
export interface DomainSoftware {
  readonly name: string;
  readonly domain: Domain;
  readonly mapping: DomainMapping;
  /** Programs attach its devices to what they make. */
  readonly user: boolean;
  /** Frames for the buffers of the domain's devices: the guest's where it has one. */
  readonly buffers: FrameAllocator;
  /** Input pages that were mapped at given addresses. */
  readonly mappedPages: Set<number>;
}

export class Software {
  readonly host: Host;
  readonly api: DmaApi;
  readonly driver: VtdDriver | RiscvDriver;
  readonly path: InvalidationPath;
  readonly safety: SafetyChecker = new SafetyChecker();
  readonly options: HostOptions;
  readonly domains: ReadonlyMap<string, DomainSoftware>;
  private readonly events: EventQueue;
  private readonly scenario: ResolvedScenario;
  /** Frames for tables, and for buffers and the memory of programs. */
  readonly kernel: FrameAllocator;
  readonly buffers: FrameAllocator;
  /** Told of all that is mapped. */
  readonly observer: MappingObserver;
  private nextGuestFrame: number;
  private domainCount = 0;

  constructor(
    scenario: ResolvedScenario,
    clock: Clock,
    events: EventQueue,
    unit: IommuUnit,
    memory: MemoryPort,
    observers: readonly MappingObserver[],
  ) {
    this.scenario = scenario;
    this.events = events;
    const narrow = scenario.domains.some(({ stage1, stage2 }) =>
      [stage1, stage2].some((name) => name.startsWith('Sv32')),
    );
    const recorded = scenario.recording.folder !== '';
    const layout = recorded ? RECORDED : narrow ? NARROW : WIDE;
    this.kernel = new FrameAllocator(layout.kernel);
    this.buffers = new FrameAllocator(layout.buffers);
    this.nextGuestFrame = layout.guests;
    this.options = hostOptions(scenario.host, clock);
    this.host = new Host(events, this.options.cores);
    this.observer = new ObserverGroup([this.safety, ...observers]);
    this.api = new DmaApi(events, this.host, this.observer);
    const ports = {
      registers: unit.registers,
      memory,
      frames: this.kernel,
      nextDomain: () => this.nextDomain(),
      ...(recorded ? { firstTag: unrecordedTag(scenario.iommu) } : {}),
    };
    this.driver =
      scenario.iommu.arch === 'vtd'
        ? new VtdDriver(ports)
        : new RiscvDriver(ports, {
            commandEntries: 8192,
            faultEntries: 4096,
            directoryLevels: scenario.iommu.riscv.directory_levels,
            pageRequestEntries: pageRequestEntries(scenario),
          });
    this.driver.initialise();
    const { invalidation } = this.options;
    this.path = new InvalidationPath(events, this.host, this.driver, invalidation, true);
    this.domains = new Map(
      scenario.domains.map((domain) => [domain.name, this.createDomain(domain)]),
    );
  }

  /** The DMA API's view of device `index` in a domain; points the unit's context at the domain. */
  attach(domain: DomainSoftware, index: number, deviceId: number): DmaDevice {
    this.driver.attach(domain.domain, deviceId);
    return domain.mapping.device(index);
  }

  /** Figures count from now on; the safety checker's go on from the start. */
  resetFigures(): void {
    this.host.resetFigures();
    this.api.resetFigures();
    this.path.resetFigures();
  }

  /** The next unused number of a domain. */
  nextDomain(): number {
    return this.domainCount++;
  }

  domainOf(name: string): DomainSoftware {
    const domain = this.domains.get(name);
    if (domain === undefined) throw new InternalError('domain', `no domain ${name}`);
    return domain;
  }

  private createDomain(wanted: ResolvedDomain): DomainSoftware {
    const guest = wanted.translation === 'nested' ? this.createGuest(wanted) : null;
    const buffers =
      guest === null ? this.buffers : new FrameAllocator({ base: guest.base, frames: guest.pages });
    const domain = this.createTables(wanted, guest, buffers);
    // A user domain stands for what programs attach its devices to: nothing is mapped in itself.
    const passthrough = wanted.translation === 'passthrough' || wanted.translation === 'user';
    const mapping = new DomainMapping(this.events, this.host, this.api, this.options, {
      domain,
      driver: this.driver,
      path: this.path,
      policy: passthrough ? 'passthrough' : wanted.policy,
      addressBits: wanted.address_bits,
    });
    const user = wanted.translation === 'user';
    return { name: wanted.name, domain, mapping, user, buffers, mappedPages: new Set() };
  }

  private createTables(
    wanted: ResolvedDomain,
    guest: GuestMemory | null,
    guestFrames: FrameAllocator,
  ): Domain {
    const { driver, scenario } = this;
    if (wanted.translation === 'user') return driver.createDomain({ kind: 'passthrough' });
    const kind: DomainKind = wanted.translation;
    if (kind === 'passthrough') return driver.createDomain({ kind });
    const auto = AUTO_FORMATS[scenario.iommu.arch];
    const named = (name: string, otherwise: string) =>
      formatByName(name === 'auto' ? otherwise : name);
    const tables = { maxLeafLevel: PAGE_ORDERS[wanted.page] / 9 };
    if (guest === null) {
      const format =
        kind === 'stage1' ? named(wanted.stage1, auto.stage1) : named(wanted.stage2, auto.stage2);
      return driver.createDomain({ kind, format, tables });
    }
    const parent = driver.createDomain({
      kind: 'stage2',
      format: named(wanted.stage2, auto.stage2),
      guest,
    });
    const format = named(wanted.stage1, auto.stage1);
    return driver.createDomain({ kind, format, tables, parent, guestFrames });
  }

  private createGuest(wanted: ResolvedDomain): GuestMemory {
    const pageOrder = PAGE_ORDERS[wanted.stage2_page];
    const size = 2 ** pageOrder;
    const pages = Math.ceil(wanted.guest_memory / 4096 / size) * size;
    const hostBase = this.nextGuestFrame;
    const gigabyte = 2 ** 18;
    this.nextGuestFrame += Math.ceil(pages / gigabyte) * gigabyte;
    // The guest's first gigabyte starts where guests of the kind have their memory: at 2 GiB.
    return new GuestMemory({ base: 2 * gigabyte, pages, hostBase, pageOrder });
  }
}

/** Without a device that asks for pages there is no queue for them. */
function pageRequestEntries({ devices, iommu }: ResolvedScenario): number {
  const wanted = devices.some((device) => device.page_requests);
  return wanted ? iommu.riscv.page_request_entries : 0;
}

/** Hardware ids of the upper half are not expected in a recording. */
function unrecordedTag(iommu: ResolvedScenario['iommu']): number {
  return iommu.arch === 'vtd' ? 2 ** (Number(iommu.vtd.domain_id_bits) - 1) : 2 ** 15;
}
