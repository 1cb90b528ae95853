/**
 * Driver of the RISC-V IOMMU, after Linux drivers/iommu/riscv/iommu.c: discovers queue sizes and
 * directory modes by writing and reading back (WARL), invalidates page by page up to 2 MiB, and
 * fences with IOFENCE.C. Unlike Linux, which watches cqh, its fences store a sequence number to
 * memory (AV=1), so that waiting costs no register reads.
 */
import { InternalError, SimError } from '../../../sim/errors.ts';
import { PN_LO_MASK, pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import type { PageTableFormat } from '../../iommu/walk/format.ts';
import type { TableFrames } from '../frames.ts';
import { PageTables, type TableOptions } from '../tables.ts';
import type { Domain, DomainOptions, DriverPorts, HostDriver, PageRange } from './driver.ts';
import { NO_TOKEN } from './driver.ts';
import { CommandRing } from './ring.ts';
import {
  encodeFence,
  encodeInvalDdt,
  encodeInvalGvma,
  encodeInvalVma,
  encodePageResponse,
  restrictToPage,
} from './riscv-commands.ts';
import { contextOf, GSCID_SHIFT, TC_V } from './riscv-contexts.ts';
import type { DeviceDirectory } from './riscv-directory.ts';
import { RiscvDomains } from './riscv-domains.ts';
import { type HardwarePageRequest, RiscvPageRequests } from './riscv-page-requests.ts';
import {
  CAP_ATS,
  IPSR_FIP,
  QUEUE_MEMORY_FAULT,
  QUEUE_OVERFLOW,
  REG_CQB,
  REG_CQCSR,
  REG_CQH,
  REG_CQT,
  REG_FCTL,
  REG_FQB,
  REG_FQCSR,
  REG_FQH,
  REG_FQT,
  REG_IPSR,
  RiscvSetup,
} from './riscv-setup.ts';

/** From 2 MiB on Linux invalidates the whole address space (RISCV_IOMMU_IOTLB_INVAL_LIMIT). */
const PAGEWISE_LIMIT = 512;

export interface RiscvDriverOptions {
  /** Wanted entries of the queues (Linux: 8192 and 4096). */
  readonly commandEntries: number;
  readonly faultEntries: number;
  /** Wanted levels of the device directory, 1 to 3; fewer if the unit refuses. */
  readonly directoryLevels: number;
  /** Wanted entries of the page-request queue; none without it, nor where the unit has no ATS. */
  readonly pageRequestEntries?: number;
}

export const DEFAULT_RISCV_DRIVER: RiscvDriverOptions = {
  commandEntries: 8192,
  faultEntries: 4096,
  directoryLevels: 3,
};

export class RiscvDriver implements HostDriver {
  readonly name = 'riscv';
  readonly reserved: readonly PageRange[] = [];
  private readonly ports: DriverPorts;
  private readonly options: RiscvDriverOptions;
  private readonly words = new Int32Array(4);
  private readonly setup: RiscvSetup;
  private commands: CommandRing | null = null;
  private faultEntries = 0;
  private directory: DeviceDirectory | null = null;
  /** Where fences store their sequence number. */
  private statusHi = 0;
  private statusLo = 0;
  private fences = 0;
  private readonly domains: RiscvDomains;
  private pageRequests: RiscvPageRequests | null = null;
  /** Devices that may send page requests. */
  private readonly requesters: Set<number> = new Set();

  constructor(ports: DriverPorts, options: RiscvDriverOptions = DEFAULT_RISCV_DRIVER) {
    this.ports = ports;
    this.options = options;
    this.setup = new RiscvSetup(ports);
    this.domains = new RiscvDomains(ports);
  }

  initialise(): void {
    const { ports, options, setup } = this;
    setup.initialise();
    const status = ports.frames.alloc();
    this.statusHi = pnHi(status);
    this.statusLo = pnLo(status);
    ports.memory.write32(this.statusHi, this.statusLo, 0, 0);
    const ring = setup.setUpQueue(REG_CQB, options.commandEntries, 16);
    this.commands = new CommandRing(ports.memory, ring.base, ring.entries);
    this.faultEntries = setup.setUpQueue(REG_FQB, options.faultEntries, 32).entries;
    setup.enableQueue(REG_CQCSR);
    setup.enableQueue(REG_FQCSR);
    const { pageRequestEntries = 0 } = options;
    if (pageRequestEntries > 0 && (setup.capabilities & CAP_ATS) !== 0n) {
      this.pageRequests = new RiscvPageRequests(setup, ports.memory, pageRequestEntries);
    }
    this.directory = setup.setDirectory(options.directoryLevels);
    encodeInvalDdt(this.words, -1);
    this.push();
    encodeInvalVma(this.words, -1, -1);
    this.push();
    this.postFence();
    this.ring();
  }

  get capabilities(): bigint {
    return this.setup.capabilities;
  }

  /** The register fctl. */
  get featureControl(): number {
    return Number(this.setup.read(REG_FCTL, 4));
  }

  createTables(format: PageTableFormat, frames: TableFrames, options: TableOptions): PageTables {
    return new PageTables(format, this.ports.memory, frames, options);
  }

  createDomain(options: DomainOptions): Domain {
    return this.domains.create(options);
  }

  releaseDomain(domain: Domain): void {
    this.domains.release(domain);
  }

  /** Contexts of the device allow ATS and page requests, from its next attachment on. */
  allowPageRequests(deviceId: number): void {
    this.requesters.add(deviceId);
  }

  attach(domain: Domain, deviceId: number): void {
    const directory = this.needDirectory();
    directory.seek(deviceId);
    // Invalid contexts are not cached (Linux riscv_iommu_iodir_update): a first attachment needs no
    // command.
    const replaced = directory.readTc() & TC_V;
    if (replaced !== 0n) this.clearContext(directory, deviceId);
    const context = contextOf(domain, this.setup.capabilities, this.requesters.has(deviceId));
    directory.write(context.iohgatp, context.ta, context.fsc);
    directory.writeTc(context.tc);
    if (replaced === 0n) return;
    encodeInvalDdt(this.words, deviceId);
    this.push();
    this.postFence();
    this.ring();
  }

  detach(deviceId: number): void {
    const directory = this.needDirectory();
    directory.seek(deviceId);
    if ((directory.readTc() & TC_V) === 0n) return;
    this.clearContext(directory, deviceId);
    this.postFence();
    this.ring();
  }

  map(
    domain: Domain,
    hi: number,
    lo: number,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
  ): void {
    // Entries cannot permit writing without reading (Linux riscv_iommu_map_pages likewise).
    const permitted = (access & ACCESS_WRITE) !== 0 ? access | ACCESS_READ : access;
    needTables(domain).map(hi, lo, frameHi, frameLo, pages, permitted);
  }

  unmap(domain: Domain, hi: number, lo: number, pages: number): number {
    return needTables(domain).unmap(hi, lo, pages);
  }

  commandsFor(domain: Domain, pages: number): number {
    if (domain.kind === 'passthrough') return 0;
    return pages >= PAGEWISE_LIMIT ? 1 : pages;
  }

  postInvalidation(domain: Domain, hi: number, lo: number, pages: number): number {
    if (domain.kind === 'passthrough') return pages;
    if (pages >= PAGEWISE_LIMIT) return this.postDomainInvalidation(domain) ? pages : 0;
    const room = this.roomFor(pages);
    for (let i = 0; i < room; i++) {
      const pageLo = lo + i;
      this.encodeDomain(domain);
      restrictToPage(this.words, hi + (pageLo > PN_LO_MASK ? 1 : 0), pageLo & PN_LO_MASK);
      this.push();
    }
    return room;
  }

  postDomainInvalidation(domain: Domain): boolean {
    if (domain.kind === 'passthrough') return true;
    if (this.roomFor(1) === 0) return false;
    this.encodeDomain(domain);
    this.push();
    return true;
  }

  postFence(): number {
    if (this.roomFor(1) === 0) return NO_TOKEN;
    this.fences = (this.fences + 1) & 0x7fffffff;
    encodeFence(this.words, this.fences, this.statusHi, this.statusLo, 0);
    this.push();
    return this.fences;
  }

  postCommand(words: Int32Array): boolean {
    if (this.roomFor(1) === 0) return false;
    this.needRing().push(words);
    return true;
  }

  commandsWritten(): number {
    return this.needRing().written;
  }

  commandsPassed(): number {
    this.room();
    return this.needRing().retired;
  }

  ring(): void {
    this.setup.write(REG_CQT, 4, BigInt(this.needRing().tail));
  }

  fenceReached(token: number): boolean {
    const reached = this.ports.memory.read32(this.statusHi, this.statusLo, 0);
    // Modulo 2^31: the sequence number wraps, and fences complete in order.
    return ((reached - token) & 0x40000000) === 0;
  }

  room(): number {
    const ring = this.needRing();
    ring.noteHead(Number(this.setup.read(REG_CQH, 4)));
    return ring.free;
  }

  serviceFaults(): number {
    const head = Number(this.setup.read(REG_FQH, 4));
    const tail = Number(this.setup.read(REG_FQT, 4));
    this.setup.write(REG_IPSR, 4, IPSR_FIP);
    this.setup.write(REG_FQH, 4, BigInt(tail));
    const csr = this.setup.read(REG_FQCSR, 4);
    if ((csr & (QUEUE_MEMORY_FAULT | QUEUE_OVERFLOW)) !== 0n) this.setup.write(REG_FQCSR, 4, csr);
    return (tail - head) & (this.faultEntries - 1);
  }

  /** Hands over the page requests that the unit has queued, oldest first; returns how many. */
  takePageRequests(taken: (request: HardwarePageRequest) => void): number {
    return this.pageRequests?.take(taken) ?? 0;
  }

  /** How often the page-request queue was found to have been full. */
  get pageRequestOverflows(): number {
    return this.pageRequests?.overflows ?? 0;
  }

  /** Answers a group of page requests (ATS.PRGR); pasid -1: the response carries none. */
  respond(deviceId: number, pasid: number, group: number, code: number): void {
    encodePageResponse(this.words, deviceId, pasid, group, code);
    if (!this.postCommand(this.words)) {
      throw new SimError('driver', 'no room in the command queue for a page response');
    }
    this.ring();
  }

  // -------------------------------------------------------------------------------------------

  /** Takes a valid context away (specification, "Changing device directory table entry"). */
  private clearContext(directory: DeviceDirectory, deviceId: number): void {
    if (this.roomFor(5) < 5) {
      throw new SimError('driver', 'no room in the command queue for the change of a context');
    }
    const { words } = this;
    directory.writeTc(0n);
    encodeInvalDdt(words, deviceId);
    this.push();
    if (directory.secondStage() !== 0n) {
      const gscid = Number((directory.secondStage() >> GSCID_SHIFT) & 0xffffn);
      encodeInvalVma(words, -1, gscid);
      this.push();
      encodeInvalGvma(words, gscid);
      this.push();
    } else if (directory.firstStage() !== 0n) {
      encodeInvalVma(words, directory.pscid(), -1);
      this.push();
    }
  }

  private encodeDomain(domain: Domain): void {
    if (domain.kind === 'stage2') encodeInvalGvma(this.words, domain.tag2);
    else encodeInvalVma(this.words, domain.tag1, domain.tag2);
  }

  /** As many of `wanted` places as are free; asks the unit only when it must. */
  private roomFor(wanted: number): number {
    const ring = this.needRing();
    const free = ring.free >= wanted ? ring.free : this.room();
    return Math.min(wanted, free);
  }

  private push(): void {
    this.needRing().push(this.words);
  }

  private needRing(): CommandRing {
    if (this.commands === null)
      throw new InternalError('driver', 'the driver is initialised first');
    return this.commands;
  }

  private needDirectory(): DeviceDirectory {
    if (this.directory === null)
      throw new InternalError('driver', 'the driver is initialised first');
    return this.directory;
  }
}

function needTables(domain: Domain): PageTables {
  if (domain.tables === null)
    throw new InternalError('domain', 'a passthrough domain has no tables');
  return domain.tables;
}
