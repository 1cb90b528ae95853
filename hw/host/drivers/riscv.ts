/**
 * Driver of the RISC-V IOMMU, after Linux drivers/iommu/riscv/iommu.c: discovers queue sizes and
 * directory modes by writing and reading back (WARL), invalidates page by page up to 2 MiB, and
 * fences with IOFENCE.C. Unlike Linux, which watches cqh, its fences store a sequence number to
 * memory (AV=1), so that waiting costs no register reads.
 */
import { InternalError, SimError } from '../../../sim/errors.ts';
import { PN_LO_MASK, pageNumber, pnHi, pnLo } from '../../address.ts';
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import type { PageTableFormat } from '../../iommu/walk/format.ts';
import type { TableFrames } from '../frames.ts';
import { GuestMemoryPort } from '../guest.ts';
import { PageTables, type TableOptions } from '../tables.ts';
import type {
  Domain,
  DomainKind,
  DomainOptions,
  DriverPorts,
  HostDriver,
  PageRange,
  SharedTables,
  UserStage,
} from './driver.ts';
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
import type { DeviceDirectory } from './riscv-directory.ts';
import { type HardwarePageRequest, RiscvPageRequests } from './riscv-page-requests.ts';
import {
  CAP_AMO_HWAD,
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
import { Tags } from './tags.ts';

const TC_V = 1n;
const TC_EN_ATS = 1n << 1n;
const TC_EN_PRI = 1n << 2n;
/** Responses to page requests with a PASID carry it. */
const TC_PRPR = 1n << 6n;
const TC_GADE = 1n << 7n;
const TC_SADE = 1n << 8n;
const TC_SXL = 1n << 11n;
const MODE_SHIFT = 60n;
const GSCID_SHIFT = 44n;
const PSCID_SHIFT = 12n;

/** Widths of the ids: 20 and 16 bits. */
const PSCIDS = 2 ** 20;
const GSCIDS = 2 ** 16;

/** iosatp and iohgatp modes; the 32-bit and 39-bit forms share a number (SXL and GXL tell). */
const ATP_MODES: Readonly<Record<string, bigint>> = {
  Sv32: 8n,
  Sv39: 8n,
  Sv48: 9n,
  Sv57: 10n,
  Sv32x4: 8n,
  Sv39x4: 8n,
  Sv48x4: 9n,
  Sv57x4: 10n,
};

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
  private readonly pscids: Tags;
  private readonly gscids: Tags;
  private pageRequests: RiscvPageRequests | null = null;
  /** Devices that may send page requests. */
  private readonly requesters: Set<number> = new Set();

  constructor(ports: DriverPorts, options: RiscvDriverOptions = DEFAULT_RISCV_DRIVER) {
    this.ports = ports;
    this.options = options;
    this.setup = new RiscvSetup(ports);
    const first = Math.max(1, ports.firstTag ?? 0);
    this.pscids = new Tags(first, PSCIDS);
    this.gscids = new Tags(first, GSCIDS);
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
    const { ports } = this;
    const { kind, format } = options;
    if (options.shared !== undefined) return this.shareTables(kind, options.shared);
    if (options.user !== undefined) return this.createUserStage(options.user, options.parent);
    const index = ports.nextDomain();
    if (kind === 'passthrough') {
      return { index, kind, tables: null, stage2: null, guest: null, tag1: -1, tag2: -1 };
    }
    if (format === undefined) throw new InternalError('domain', `a ${kind} domain has a format`);
    if (kind === 'nested') return this.createNested(index, format, options);
    const tables = new PageTables(format, ports.memory, ports.frames, {
      ...options.tables,
      ...guestLeaves(options, format),
    });
    if (kind === 'stage1') {
      const tag1 = options.tag ?? this.pscids.take();
      return { index, kind, tables, stage2: null, guest: null, tag1, tag2: -1 };
    }
    const guest = options.guest ?? null;
    const domain: Domain = {
      index,
      kind,
      tables,
      stage2: null,
      guest,
      tag1: -1,
      tag2: this.gscids.take(),
    };
    if (guest !== null) {
      const all = ACCESS_READ | ACCESS_WRITE | ACCESS_EXECUTE;
      const { base, hostBase, pages } = guest;
      tables.map(pnHi(base), pnLo(base), pnHi(hostBase), pnLo(hostBase), pages, all);
    }
    return domain;
  }

  releaseDomain(domain: Domain): void {
    if (domain.kind === 'stage2') this.gscids.give(domain.tag2);
    else if (domain.tag1 >= 0 && (domain.user?.tag ?? -1) < 0) this.pscids.give(domain.tag1);
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
    const nested = domain.kind === 'nested';
    const first = domain.kind === 'stage1' || nested ? domain.tables : null;
    const second = nested ? domain.stage2 : domain.kind === 'stage2' ? domain.tables : null;
    const hardwareAd = (this.setup.capabilities & CAP_AMO_HWAD) !== 0n;
    const user = domain.user;
    let tc = TC_V;
    if (hardwareAd && (user?.accessedDirty ?? true)) tc |= TC_SADE;
    if (hardwareAd && second !== null) tc |= TC_GADE;
    if (this.requesters.has(deviceId)) tc |= TC_EN_ATS | TC_EN_PRI | TC_PRPR;
    if (first?.format.name === 'Sv32' || second?.format.name === 'Sv32x4') tc |= TC_SXL;
    const gscid = BigInt(Math.max(0, domain.tag2)) << GSCID_SHIFT;
    const pscid = BigInt(Math.max(0, domain.tag1)) << PSCID_SHIFT;
    directory.write(
      second === null ? 0n : rootPointer(second) | gscid,
      first === null && user === undefined ? 0n : pscid,
      user?.root ?? (first === null ? 0n : rootPointer(first)),
    );
    directory.writeTc(tc);
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

  /** Answers a group of page requests (ATS.PRGR); pasid -1: the response carries none. */
  respond(deviceId: number, pasid: number, group: number, code: number): void {
    encodePageResponse(this.words, deviceId, pasid, group, code);
    if (!this.postCommand(this.words)) {
      throw new SimError('driver', 'no room in the command queue for a page response');
    }
    this.ring();
  }

  // -------------------------------------------------------------------------------------------

  private shareTables(kind: DomainKind, { index, tables }: SharedTables): Domain {
    const second = kind === 'stage2';
    const tag1 = second ? -1 : this.pscids.take();
    const tag2 = second ? this.gscids.take() : -1;
    return { index, kind, tables, stage2: null, guest: null, tag1, tag2 };
  }

  private createUserStage(user: UserStage, parent: Domain | undefined): Domain {
    const stage2 = parent?.tables ?? null;
    if (parent === undefined || stage2 === null) {
      throw new InternalError('domain', "a guest's own first stage stands on a second stage");
    }
    const tag1 = user.tag >= 0 ? user.tag : this.pscids.take();
    const { index } = user;
    return {
      index,
      kind: 'nested',
      tables: null,
      stage2,
      guest: null,
      tag1,
      tag2: parent.tag2,
      user,
    };
  }

  private createNested(index: number, format: PageTableFormat, options: DomainOptions): Domain {
    const { parent, guestFrames } = options;
    const guest = parent?.guest ?? null;
    const stage2 = parent?.tables ?? null;
    if (parent === undefined || guestFrames === undefined || guest === null || stage2 === null) {
      throw new InternalError('domain', 'a nested domain has a guest as parent, and its frames');
    }
    const memory = new GuestMemoryPort(guest, this.ports.memory);
    const tables = new PageTables(format, memory, guestFrames, options.tables);
    return {
      index,
      kind: 'nested',
      tables,
      stage2,
      guest,
      tag1: this.pscids.take(),
      tag2: parent.tag2,
    };
  }

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

/** MODE and PPN of a root table, as iosatp and iohgatp hold them. */
function rootPointer(tables: PageTables): bigint {
  const mode = ATP_MODES[tables.format.name];
  if (mode === undefined) {
    throw new SimError('driver', `${tables.format.name} is no format of the RISC-V IOMMU`);
  }
  return (mode << MODE_SHIFT) | BigInt(pageNumber(tables.rootHi, tables.rootLo));
}

function needTables(domain: Domain): PageTables {
  if (domain.tables === null)
    throw new InternalError('domain', 'a passthrough domain has no tables');
  return domain.tables;
}

/** Leaves of the size that a guest's memory is laid out in. */
function guestLeaves(options: DomainOptions, format: PageTableFormat): { maxLeafLevel?: number } {
  if (options.guest === undefined) return {};
  return { maxLeafLevel: Math.floor(options.guest.pageOrder / format.indexBits) };
}
