/**
 * The I/O page table of an IOAS (struct io_pagetable): which IOVA stands for which memory, in every
 * domain of the IOAS and for its in-kernel users; what is reserved, what is allowed, and how
 * everything must be aligned.
 */
import { InternalError } from '../../../../sim/errors.ts';
import type { KernelServices, OpenFile, Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import { type IommuDevice, type PagingDomain, PROT_WRITE } from '../driver.ts';
import { AccessList, type TableAccess } from './access-list.ts';
import { chargeMode } from './accounting.ts';
import { AREA_BYTES, type Area, nameOf } from './area.ts';
import type { AreaTable } from './area-table.ts';
import { AreaTree } from './area-tree.ts';
import { splitArea } from './cut.ts';
import { readDirty, setDirtyTracking, type UserBitmap } from './dirty.ts';
import { fillDomain, fillDomains, unfillDomain, unfillDomains } from './fill.ts';
import { IovaLimits, softwareMsiWindow } from './iova-limits.ts';
import { DmaBufPages, FilePages, type Pages, UserPages } from './pages.ts';
import { newArea, placeAreas } from './placement.ts';
import type { AllowedRanges, IovaRange } from './ranges.ts';
import { isDmaBuf } from './sources.ts';
import { PAGE, PAGE_MASK, U64_MAX } from './units.ts';

const SLOT_BYTES = 8;
/** Times that in-kernel users are asked to let go of an area. */
const UNMAP_TRIES = 100;

export class IoPageTable implements AreaTable {
  readonly services: KernelServices;
  readonly areas: AreaTree = new AreaTree();
  /** In order of addition. */
  readonly domains: PagingDomain[] = [];
  /** IOVA, lengths and offsets in pages are multiples of it. */
  alignment = 1n;
  largePages = true;
  /** Bytes that the last unmap removed, also where it was refused in the midst. */
  unmappedBytes = 0n;
  private readonly limits: IovaLimits;
  private readonly accesses: AccessList;

  constructor(services: KernelServices) {
    this.services = services;
    this.limits = new IovaLimits(services.memory);
    this.accesses = new AccessList(services.memory);
  }

  get reserved(): readonly IovaRange[] {
    return this.limits.reserved;
  }

  get allowed(): readonly IovaRange[] {
    return this.limits.allowed;
  }

  /** Last call for the table: everything else has let go of it. */
  destroy(): void {
    this.limits.destroy();
    if (this.areas.size + this.domains.length !== 0) {
      throw new InternalError('iopt', 'an IOAS is destroyed that is not empty');
    }
  }

  // Reserved and allowed ranges

  /** Nobody may map [start, last] from now on. */
  reserve(start: bigint, last: bigint, owner: object | null): void {
    if (this.areas.find(start, last) !== null) {
      const range = `0x${start.toString(16)}-0x${last.toString(16)}`;
      fail('EADDRINUSE', `${range} is to be reserved, but has an area`);
    }
    this.limits.reserve(start, last, owner);
  }

  removeReserved(owner: object | null): void {
    this.limits.removeReserved(owner);
  }

  /** Reserves the regions of a device; returns where its software-managed MSI window begins. */
  enforceReserved(device: IommuDevice): bigint | null {
    this.services.memory.point('EINVAL', 'reserved regions of a device');
    try {
      for (const { start, length, kind } of device.reserved) {
        if (kind !== 'direct-relaxable') this.reserve(start, start + length - 1n, device);
      }
      return softwareMsiWindow(device);
    } catch (error) {
      this.removeReserved(device);
      throw error;
    }
  }

  setAllowed(allowed: AllowedRanges): void {
    this.limits.setAllowed(allowed);
  }

  /** What could be mapped, as far as reservations go. */
  iovaRanges(): IovaRange[] {
    return this.limits.holes();
  }

  // Domains, in-kernel users, alignment

  /** Maps everything into one more domain, and keeps to what it can address. */
  addDomain(domain: PagingDomain): void {
    const needed = smallestPage(domain);
    const alignment = needed > this.alignment ? needed : this.alignment;
    if (alignment > PAGE) fail('EINVAL', `the domain's smallest page, ${needed}, is above 4096`);
    if (alignment !== this.alignment) this.checkAlignment(alignment);
    try {
      const { apertureStart, apertureEnd } = domain;
      if (apertureStart !== 0n) this.reserve(0n, apertureStart - 1n, domain);
      if (apertureEnd !== U64_MAX) this.reserve(apertureEnd + 1n, U64_MAX, domain);
      this.services.memory.take(SLOT_BYTES, 'slot of a domain');
    } catch (error) {
      this.removeReserved(domain);
      throw error;
    }
    const reached = this.fill(domain);
    if (reached !== null) {
      this.unfill(domain, reached.area);
      this.services.memory.give(SLOT_BYTES);
      this.removeReserved(domain);
      throw reached.error;
    }
    this.alignment = alignment;
    this.domains.push(domain);
  }

  /** Where filling stopped, and why; null: all areas are mapped. */
  private fill(domain: PagingDomain): { area: Area; error: unknown } | null {
    for (let area = this.areas.first; area !== null; area = this.areas.next(area)) {
      try {
        fillDomain(area, domain, this.largePages);
      } catch (error) {
        return { area, error };
      }
    }
    return null;
  }

  /** Takes the areas below one (null: all) out of a domain that is not in the list. */
  private unfill(domain: PagingDomain, end: Area | null): void {
    const isLast = this.domains.length === 0;
    let area = this.areas.first;
    while (area !== null && area !== end) {
      unfillDomain(area, domain, isLast);
      area = this.areas.next(area);
    }
  }

  removeDomain(domain: PagingDomain): void {
    const at = this.domains.indexOf(domain);
    if (at < 0) throw new InternalError('iopt', 'a domain is removed that is not in the IOAS');
    this.domains.splice(at, 1);
    this.unfill(domain, null);
    this.services.memory.give(SLOT_BYTES);
    this.removeReserved(domain);
    this.recalculateAlignment();
  }

  addAccess(access: TableAccess): void {
    this.accesses.add(access);
    try {
      this.recalculateAlignment();
    } catch (error) {
      this.accesses.remove(access);
      throw error;
    }
  }

  removeAccess(access: TableAccess): void {
    this.accesses.remove(access);
    this.recalculateAlignment();
  }

  /** Every page is mapped by itself from now on, so that areas can be cut. */
  disableLargePages(): void {
    if (!this.largePages) return;
    if (this.domains.length !== 0 && this.areas.size !== 0) {
      fail('EINVAL', 'areas are mapped in domains, maybe with large pages');
    }
    this.largePages = false;
    try {
      this.recalculateAlignment();
    } catch (error) {
      this.largePages = true;
      throw error;
    }
  }

  enableLargePages(): void {
    this.largePages = true;
    this.recalculateAlignment();
  }

  private recalculateAlignment(): void {
    let alignment = this.largePages ? this.accesses.alignment : PAGE;
    for (const domain of this.domains) {
      const needed = smallestPage(domain);
      if (needed > alignment) alignment = needed;
    }
    if (alignment > this.alignment) this.checkAlignment(alignment);
    this.alignment = alignment;
  }

  private checkAlignment(alignment: bigint): void {
    const mask = alignment - 1n;
    for (let area = this.areas.first; area !== null; area = this.areas.next(area)) {
      const bits = area.iova | area.length | BigInt(area.pageOffset);
      if ((bits & mask) === 0n) continue;
      const where = `0x${area.iova.toString(16)}`;
      fail('EADDRINUSE', `the area at ${where} is not aligned to ${alignment}`);
    }
  }

  // Dirty tracking

  setDirtyTracking(domain: PagingDomain, enable: boolean): void {
    setDirtyTracking(this, domain, enable);
  }

  /** Adds the bits of written pages to a bitmap in user memory; the range has been tested. */
  readDirty(
    domain: PagingDomain,
    iova: bigint,
    length: bigint,
    pageSize: bigint,
    clear: boolean,
    bitmap: UserBitmap,
  ): void {
    const last = iova + length - 1n < 0n ? U64_MAX : iova + length - 1n;
    readDirty(this, domain, { iova, last, pageSize, clear, bitmap });
  }

  // Mappings

  /** Maps memory of a process; returns the IOVA. */
  mapUser(
    context: Context,
    process: Process,
    iova: bigint,
    fixed: boolean,
    address: bigint,
    length: bigint,
    prot: number,
  ): bigint {
    const mode = chargeMode(process, context.accountMode);
    const writable = (prot & PROT_WRITE) !== 0;
    const pages = UserPages.make(this.services, process, mode, address, length, writable);
    return this.mapPages(pages, iova, fixed, address & PAGE_MASK, length, prot);
  }

  /** Maps part of a file or of a dma-buf; returns the IOVA. */
  mapFile(
    context: Context,
    process: Process,
    iova: bigint,
    fixed: boolean,
    file: OpenFile,
    start: bigint,
    length: bigint,
    prot: number,
  ): bigint {
    const mode = chargeMode(process, context.accountMode);
    const writable = (prot & PROT_WRITE) !== 0;
    const pages = isDmaBuf(file)
      ? new DmaBufPages(this.services, process, file, start, length, writable)
      : new FilePages(this.services, process, mode, file, start, length, writable);
    return this.mapPages(pages, iova, fixed, start & PAGE_MASK, length, prot);
  }

  /** Takes over the reference to the pages. */
  private mapPages(
    pages: Pages,
    iova: bigint,
    fixed: boolean,
    startByte: bigint,
    length: bigint,
    prot: number,
  ): bigint {
    let taken = false;
    try {
      this.services.memory.take(AREA_BYTES, 'area');
      taken = true;
      const at = placeAreas(this, iova, fixed, pages, startByte, length);
      const area = newArea(this, at, length, pages, startByte, prot);
      fillDomains(area, this.domains, this.largePages);
      this.areas.insert(area);
      return at;
    } catch (error) {
      if (taken) this.services.memory.give(AREA_BYTES);
      pages.put();
      throw error;
    }
  }

  /** Removes the areas in a range; returns their bytes, also in `unmappedBytes`. */
  unmap(iova: bigint, length: bigint): bigint {
    this.unmappedBytes = 0n;
    if (length === 0n) fail('EINVAL', 'length is 0');
    const last = iova + length - 1n;
    if (last > U64_MAX) fail('EOVERFLOW', `IOVA + length ${length} overflows`);
    return this.unmapRange(iova, last);
  }

  unmapAll(): bigint {
    this.unmappedBytes = 0n;
    return this.unmapRange(0n, U64_MAX);
  }

  private unmapRange(start: bigint, last: bigint): bigint {
    let from = start;
    let tries = 0;
    for (;;) {
      const area = this.areas.find(from, last);
      if (area === null) break;
      if (area.locks !== 0) fail('EBUSY', `${nameOf(area)} is locked by a hardware queue`);
      if (area.iova < from || area.last > last) {
        fail('ENOENT', `${nameOf(area)} is not wholly inside the range`);
      }
      if (area.iova !== from) tries = 0;
      if (area.accesses !== 0) {
        from = area.iova;
        area.preventAccess = true;
        this.accesses.notify(area.iova, area.length);
        tries++;
        if (tries > UNMAP_TRIES) fail('EDEADLOCK', `${nameOf(area)}: its users do not let go`);
        continue;
      }
      this.removeArea(area);
      if (area.last >= last) break;
      from = area.last + 1n;
    }
    return this.unmappedBytes;
  }

  private removeArea(area: Area): void {
    unfillDomains(area, this.domains);
    this.areas.remove(area);
    this.services.memory.give(AREA_BYTES);
    area.pages.put();
    this.unmappedBytes += area.length;
  }

  /** Cuts areas behind the given addresses, so that parts can be unmapped (VFIO type 1). */
  cut(iovas: readonly bigint[]): void {
    for (const iova of iovas) {
      const area = this.areas.find(iova, iova);
      if (area !== null) splitArea(this, area, iova);
    }
  }
}

function smallestPage(domain: PagingDomain): bigint {
  return domain.pageSizes & -domain.pageSizes;
}
