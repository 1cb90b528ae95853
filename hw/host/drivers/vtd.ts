/**
 * Driver of a VT-d unit in legacy mode, after Linux drivers/iommu/intel: root and context tables,
 * second-stage page tables, a queued-invalidation ring of 256 descriptors, and waits whose status
 * write is watched in memory, one status word per ring entry.
 */
import { InternalError, SimError } from '../../../sim/errors.ts';
import { addressOf, pageNumber, pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { VTD_SNOOP, VTD_SUPERPAGE_1G, VTD_SUPERPAGE_2M } from '../../iommu/vtd/formats.ts';
import type { PageTableFormat } from '../../iommu/walk/format.ts';
import type { TableFrames } from '../frames.ts';
import { PageTables, type TableOptions } from '../tables.ts';
import type { Domain, DomainOptions, DriverPorts, HostDriver, PageRange } from './driver.ts';
import { NO_TOKEN } from './driver.ts';
import { CommandRing } from './ring.ts';
import { Tags } from './tags.ts';
import {
  coveringOrder,
  drainBits,
  encodeContextInvalidate,
  encodeIotlbInvalidate,
  encodePageInvalidate,
  encodeWait,
  GRANULARITY_DOMAIN,
  GRANULARITY_GLOBAL,
  GRANULARITY_SELECTIVE,
  leafLevels,
  widestLevels,
} from './vtd-commands.ts';
import { clearPage, VtdContexts } from './vtd-contexts.ts';
import { takeFaults } from './vtd-faults.ts';

// Register offsets (VT-d specification, "Register Descriptions").
const REG_CAP = 0x08;
const REG_ECAP = 0x10;
const REG_GCMD = 0x18;
const REG_GSTS = 0x1c;
const REG_RTADDR = 0x20;
const REG_FECTL = 0x38;
const REG_FEDATA = 0x3c;
const REG_FEADDR = 0x40;
const REG_FEUADDR = 0x44;
const REG_IQH = 0x80;
const REG_IQT = 0x88;
const REG_IQA = 0x90;

const CAP_ESRTPS = 1n << 63n;
const CAP_PSI = 1n << 39n;
const CAP_CACHING_MODE = 1n << 7n;
const ECAP_PASS_THROUGH = 1n << 6n;
const ECAP_SNOOP_CONTROL = 1n << 7n;
const ECAP_QUEUED_INVALIDATION = 2n;
const GCMD_TRANSLATION = 1n << 31n;
const GCMD_ROOT_POINTER = 1n << 30n;
const GCMD_QUEUED_INVALIDATION = 1n << 26n;
/** Bits of GSTS that are commands to keep up when GCMD is written: not the one-shot ones. */
const GSTS_KEEP = 0x96ffffffn;

/** 0xfee00000 to 0xfeefffff: writes there are interrupts (Linux reserves the range likewise). */
const INTERRUPT_RANGE: PageRange = { first: 0xfee00, pages: 0x100 };
const TRANSLATION_PASS_THROUGH = 2n << 2n;
/** Ids 0 (kept by caching mode) and 1 (Linux FLPT_DEFAULT_DID) are not given to domains. */
const FIRST_DOMAIN_ID = 2;
/** Status values of Linux's ring entries (QI_IN_USE, QI_DONE). */
const STATUS_IN_USE = 1;
const STATUS_DONE = 2;
/** Above any level that a unit has leaves at. */
const HIGHEST_LEAF = 9;
/** One page of 16-byte descriptors (QI_LENGTH). */
const RING_ENTRIES = 256;
const STATUS_READS = 1000;

export interface VtdDriverOptions {
  /** Message that the unit sends for a recorded fault. */
  readonly faultAddress: number;
  readonly faultData: number;
}

export const DEFAULT_VTD_DRIVER: VtdDriverOptions = { faultAddress: 0xfee00000, faultData: 0x20 };

export class VtdDriver implements HostDriver {
  readonly name = 'vtd';
  readonly reserved: readonly PageRange[] = [INTERRUPT_RANGE];
  private readonly ports: DriverPorts;
  private readonly options: VtdDriverOptions;
  private readonly words = new Int32Array(4);
  /** CAP and ECAP. */
  capabilities = 0n;
  extended = 0n;
  private drain = 0;
  private pageSelective = false;
  private maxMask = 0;
  private commands: CommandRing | null = null;
  private statusHi = 0;
  private statusLo = 0;
  /** Fences not known to be reached: command numbers, oldest first. */
  private readonly fences: Float64Array = new Float64Array(RING_ENTRIES);
  private fenceHead = 0;
  private fenceCount = 0;
  private contexts: VtdContexts | null = null;
  private tags: Tags = new Tags(0, 0);

  constructor(ports: DriverPorts, options: VtdDriverOptions = DEFAULT_VTD_DRIVER) {
    this.ports = ports;
    this.options = options;
  }

  initialise(): void {
    this.capabilities = this.read(REG_CAP, 8);
    this.extended = this.read(REG_ECAP, 8);
    if ((this.extended & ECAP_QUEUED_INVALIDATION) === 0n) {
      throw new SimError('driver', 'the VT-d unit has no queued invalidation');
    }
    this.drain = drainBits(this.capabilities);
    this.pageSelective = (this.capabilities & CAP_PSI) !== 0n;
    this.maxMask = Number((this.capabilities >> 48n) & 0x3fn);
    this.enableQueue();
    const domainIds = 2 ** (4 + 2 * Number(this.capabilities & 7n));
    this.tags = new Tags(Math.max(FIRST_DOMAIN_ID, this.ports.firstTag ?? 0), domainIds);
    this.contexts = new VtdContexts(this.ports);
    this.write(REG_RTADDR, 8, BigInt(this.contexts.root) << 12n);
    this.command(GCMD_ROOT_POINTER);
    if ((this.capabilities & CAP_ESRTPS) === 0n) {
      encodeContextInvalidate(this.words, GRANULARITY_GLOBAL, 0, 0);
      this.push();
      encodeIotlbInvalidate(this.words, GRANULARITY_GLOBAL, 0, this.drain);
      this.push();
      this.postFence();
      this.ring();
    }
    this.write(REG_FEDATA, 4, BigInt(this.options.faultData));
    this.write(REG_FEADDR, 4, BigInt(this.options.faultAddress));
    this.write(REG_FEUADDR, 4, 0n);
    this.write(REG_FECTL, 4, 0n);
    this.command(GCMD_TRANSLATION);
  }

  createDomain(options: DomainOptions): Domain {
    const { ports } = this;
    const { kind, format } = options;
    const tag2 = options.tag ?? this.tags.take();
    if (options.shared !== undefined) {
      const { index, tables } = options.shared;
      return { index, kind, tables, stage2: null, guest: null, tag1: -1, tag2 };
    }
    const index = ports.nextDomain();
    if (kind === 'passthrough') {
      if ((this.extended & ECAP_PASS_THROUGH) === 0n) {
        throw new SimError('driver', 'the VT-d unit has no pass-through translation');
      }
      return { index, kind, tables: null, stage2: null, guest: null, tag1: -1, tag2 };
    }
    if (kind !== 'stage2' || format === undefined) {
      throw new SimError('driver', `VT-d legacy mode has second-stage domains only, not ${kind}`);
    }
    const guest = options.guest ?? null;
    const most = options.tables?.maxLeafLevel ?? HIGHEST_LEAF;
    const maxLeafLevel = guest === null ? most : Math.min(most, Math.floor(guest.pageOrder / 9));
    const tables = this.createTables(format, ports.frames, { ...options.tables, maxLeafLevel });
    if (guest !== null) {
      const { base, hostBase, pages } = guest;
      const all = ACCESS_READ | ACCESS_WRITE;
      tables.map(pnHi(base), pnLo(base), pnHi(hostBase), pnLo(hostBase), pages, all);
    }
    return { index, kind, tables, stage2: null, guest, tag1: -1, tag2 };
  }

  createTables(format: PageTableFormat, frames: TableFrames, options: TableOptions): PageTables {
    const snoop = (this.extended & ECAP_SNOOP_CONTROL) !== 0n ? VTD_SNOOP : 0;
    const highest = Math.min(leafLevels(this.capabilities), options.maxLeafLevel ?? HIGHEST_LEAF);
    return new PageTables(format, this.ports.memory, frames, {
      ...options,
      maxLeafLevel: highest,
      flags: snoop | VTD_SUPERPAGE_2M | VTD_SUPERPAGE_1G,
    });
  }

  releaseDomain(domain: Domain): void {
    this.tags.give(domain.tag2);
  }

  attach(domain: Domain, deviceId: number): void {
    const contexts = this.needContexts();
    contexts.seek(deviceId);
    const replaced = contexts.present;
    if (replaced) this.clearContext(contexts, deviceId);
    const tables = domain.tables;
    const levels = tables === null ? widestLevels(this.capabilities) : tables.format.levels;
    const low =
      tables === null
        ? TRANSLATION_PASS_THROUGH
        : BigInt(pageNumber(tables.rootHi, tables.rootLo)) << 12n;
    contexts.write(low, domain.tag2, levels);
    // Units without caching mode do not cache absent entries.
    if (!replaced && (this.capabilities & CAP_CACHING_MODE) === 0n) return;
    this.needRoom(3);
    encodeContextInvalidate(this.words, GRANULARITY_SELECTIVE, 0, deviceId & 0xffff);
    this.push();
    encodeIotlbInvalidate(this.words, GRANULARITY_DOMAIN, domain.tag2, this.drain);
    this.push();
    this.postFence();
    this.ring();
  }

  detach(deviceId: number): void {
    const contexts = this.needContexts();
    contexts.seek(deviceId);
    if (!contexts.present) return;
    this.clearContext(contexts, deviceId);
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
    needTables(domain).map(hi, lo, frameHi, frameLo, pages, access);
  }

  unmap(domain: Domain, hi: number, lo: number, pages: number): number {
    return needTables(domain).unmap(hi, lo, pages);
  }

  commandsFor(domain: Domain): number {
    return domain.kind === 'passthrough' ? 0 : 1;
  }

  postInvalidation(domain: Domain, hi: number, lo: number, pages: number): number {
    if (domain.kind === 'passthrough') return pages;
    const order = coveringOrder(pageNumber(hi, lo), pages);
    if (!this.pageSelective || order > this.maxMask) {
      return this.postDomainInvalidation(domain) ? pages : 0;
    }
    if (this.room() === 0) return 0;
    const leavesOnly = needTables(domain).removed.length === 0;
    encodePageInvalidate(this.words, domain.tag2, this.drain, hi, lo, order, leavesOnly);
    this.push();
    return pages;
  }

  postDomainInvalidation(domain: Domain): boolean {
    if (domain.kind === 'passthrough') return true;
    if (this.room() === 0) return false;
    encodeIotlbInvalidate(this.words, GRANULARITY_DOMAIN, domain.tag2, this.drain);
    this.push();
    return true;
  }

  postFence(): number {
    if (this.room() === 0) return NO_TOKEN;
    const ring = this.needRing();
    const token = ring.written;
    const place = ring.tail * 4;
    this.ports.memory.write32(this.statusHi, this.statusLo, place, STATUS_IN_USE);
    encodeWait(this.words, STATUS_DONE, this.statusHi, this.statusLo, place);
    this.push();
    this.fences[(this.fenceHead + this.fenceCount++) & (RING_ENTRIES - 1)] = token;
    return token;
  }

  postCommand(words: Int32Array): boolean {
    const ring = this.needRing();
    if (ring.free === 0) this.commandsPassed();
    if (ring.free === 0) return false;
    ring.push(words);
    return true;
  }

  commandsWritten(): number {
    return this.needRing().written;
  }

  commandsPassed(): number {
    const ring = this.needRing();
    ring.noteHead(Number(this.read(REG_IQH, 8)) >>> 4);
    return ring.retired;
  }

  ring(): void {
    this.write(REG_IQT, 4, BigInt(this.needRing().tail << 4));
  }

  fenceReached(token: number): boolean {
    this.reclaim();
    return token < this.needRing().retired;
  }

  room(): number {
    const ring = this.needRing();
    if (ring.free < 2) this.reclaim();
    return ring.free;
  }

  serviceFaults(): number {
    return takeFaults(this.ports.registers, this.capabilities);
  }

  // -------------------------------------------------------------------------------------------

  /** Linux dmar_enable_qi: tail 0, base address, then QIE in GCMD. */
  private enableQueue(): void {
    const { frames, memory } = this.ports;
    const base = frames.alloc();
    clearPage(this.ports, base);
    const status = frames.alloc();
    clearPage(this.ports, status);
    this.statusHi = pnHi(status);
    this.statusLo = pnLo(status);
    this.commands = new CommandRing(memory, base, RING_ENTRIES);
    this.write(REG_IQT, 4, 0n);
    this.write(REG_IQA, 8, addressOf(pnHi(base), pnLo(base), 0));
    this.command(GCMD_QUEUED_INVALIDATION);
  }

  /** Gives a command by GCMD, with those in force kept up, and waits for its status bit. */
  private command(bit: bigint): void {
    const keep = this.read(REG_GSTS, 4) & GSTS_KEEP;
    this.write(REG_GCMD, 4, keep | bit);
    for (let i = 0; i < STATUS_READS; i++) {
      if ((this.read(REG_GSTS, 4) & bit) !== 0n) return;
    }
    throw new SimError('driver', `the VT-d unit does not answer global command ${bit}`);
  }

  /** Takes a present context away: clear, then flush context and translations. */
  private clearContext(contexts: VtdContexts, deviceId: number): void {
    this.needRoom(5);
    const oldId = contexts.domainId;
    contexts.clear();
    encodeContextInvalidate(this.words, GRANULARITY_SELECTIVE, oldId, deviceId & 0xffff);
    this.push();
    encodeIotlbInvalidate(this.words, GRANULARITY_DOMAIN, oldId, this.drain);
    this.push();
  }

  /** Retires all commands up to the last fence whose status says done. */
  private reclaim(): void {
    const ring = this.needRing();
    while (this.fenceCount > 0) {
      const command = this.fences[this.fenceHead];
      const place = ring.slotOf(command) * 4;
      if (this.ports.memory.read32(this.statusHi, this.statusLo, place) !== STATUS_DONE) return;
      ring.retired = Math.max(ring.retired, command + 1);
      this.fenceHead = (this.fenceHead + 1) & (RING_ENTRIES - 1);
      this.fenceCount--;
    }
  }

  private needRoom(commands: number): void {
    if (this.needRing().free < commands) this.reclaim();
    if (this.needRing().free < commands) {
      throw new SimError('driver', 'no room in the invalidation queue for the change of a context');
    }
  }

  private push(): void {
    this.needRing().push(this.words);
  }

  private needRing(): CommandRing {
    if (this.commands === null)
      throw new InternalError('driver', 'the driver is initialised first');
    return this.commands;
  }

  private needContexts(): VtdContexts {
    if (this.contexts === null)
      throw new InternalError('driver', 'the driver is initialised first');
    return this.contexts;
  }

  private read(register: number, size: number): bigint {
    return this.ports.registers.read(register, size);
  }

  private write(register: number, size: number, value: bigint): void {
    this.ports.registers.write(register, size, value);
  }
}

function needTables(domain: Domain): PageTables {
  if (domain.tables === null)
    throw new InternalError('domain', 'a passthrough domain has no tables');
  return domain.tables;
}
