/**
 * Kernel-managed page table of a driver on paper: the map, its limits, dirty flags that hardware
 * would set, and flushes that it would be asked for. A driver adds who may attach.
 */
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import {
  type DirtyTracking,
  type Domain,
  type IommuDevice,
  type IommuDriver,
  type PagingDomain,
  PROT_WRITE,
} from '../../driver.ts';
import type { DriverFigures } from '../figures.ts';
import type { PaperDevice, PaperDomain } from './device.ts';
import { PageMap } from './page-map.ts';

export interface PagingShape {
  /** Bits of an input address, the sign bit left out where there is one. */
  readonly inputBits: number;
  readonly outputBits: number;
  /** Bit n: leaves of 2^n bytes; of them 4 KiB, 2 MiB and 1 GiB are really made. */
  readonly pageSizes: bigint;
  readonly dirty: boolean;
  /** Mappings without write permission are refused (erratum of VT-d nesting parents). */
  readonly refuseReadOnly: boolean;
}

/** Told of what happens to a paging domain's hardware, and keeps the count. */
export interface PagingObserver {
  readonly figures: DriverFigures;
  flushed(domain: PaperPaging, unit: object): void;
}

const PAGE_SHIFT = 12n;
const PAGE_BITS = 12;
const LEVEL_BITS = 9;
const DOMAIN_BYTES = 512;

export abstract class PaperPaging implements PagingDomain, PaperDomain {
  readonly kind = 'paging';
  readonly driver: IommuDriver;
  readonly pageSizes: bigint;
  readonly apertureStart = 0n;
  readonly apertureEnd: bigint;
  declare readonly dirty?: DirtyTracking;
  /** Hardware sets dirty flags now. */
  tracking = false;
  /** Coherent accesses are forced whatever the device asks for. */
  coherencyForced = false;
  /** Attachments by device: its own and each PASID count. */
  readonly users: Map<PaperDevice, number> = new Map();
  protected readonly memory: KernelMemory;
  private readonly shape: PagingShape;
  private readonly observer: PagingObserver;
  private readonly pages: PageMap;
  private unflushed = false;

  constructor(
    driver: IommuDriver,
    memory: KernelMemory,
    shape: PagingShape,
    observer: PagingObserver,
  ) {
    this.driver = driver;
    this.memory = memory;
    this.shape = shape;
    this.observer = observer;
    this.pageSizes = shape.pageSizes;
    this.apertureEnd = (1n << BigInt(shape.inputBits)) - 1n;
    memory.take(DOMAIN_BYTES, `${driver.name} paging domain`);
    try {
      const top = topLevel(shape.inputBits);
      this.pages = new PageMap(memory, leafLevels(shape.pageSizes), top, observer.figures);
    } catch (error) {
      memory.give(DOMAIN_BYTES);
      throw error;
    }
    observer.figures.domains++;
    if (shape.dirty) this.dirty = this.makeDirty();
  }

  abstract attach(device: IommuDevice, old: Domain | null): void;

  /** Whether the table's content as of now lets coherency be forced. */
  abstract enforceCoherency(): boolean;

  /** Frames of tables now in use. */
  get tables(): number {
    return this.pages.tables;
  }

  map(iova: bigint, physical: bigint, bytes: bigint, prot: number): void {
    const { inputBits, outputBits, refuseReadOnly } = this.shape;
    if (refuseReadOnly && (prot & PROT_WRITE) === 0) {
      fail('EINVAL', 'read-only mappings are refused on a nesting parent (erratum)');
    }
    if ((iova + bytes - 1n) >> BigInt(inputBits) !== 0n) {
      fail('ERANGE', `the input address has more than ${inputBits} bits`);
    }
    if ((physical + bytes - 1n) >> BigInt(outputBits) !== 0n) {
      fail('ERANGE', `the output address has more than ${outputBits} bits`);
    }
    this.observer.figures.mapCalls++;
    this.pages.map(pageOf(iova), pageOf(physical), pageOf(bytes), prot);
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    this.observer.figures.unmapCalls++;
    const pages = this.pages.unmap(pageOf(iova), pageOf(bytes));
    if (pages > 0) this.unflushed = true;
    return BigInt(pages) << PAGE_SHIFT;
  }

  sync(): void {
    if (!this.unflushed) return;
    this.unflushed = false;
    this.flush();
  }

  iovaToPhys(iova: bigint): bigint | null {
    const page = pageOf(iova);
    const found = this.pages.find(page);
    if (found === null) return null;
    const frame = found.leaf.frame + (page - found.first);
    return (BigInt(frame) << PAGE_SHIFT) | (iova & ((1n << PAGE_SHIFT) - 1n));
  }

  /** A device's write at an address; false: not mapped, or not writable. */
  write(iova: bigint): boolean {
    const found = this.pages.find(pageOf(iova));
    if (found === null || (found.leaf.prot & PROT_WRITE) === 0) return false;
    if (this.tracking) found.leaf.dirty = true;
    return true;
  }

  /** Permissions at an address; 0: not mapped. */
  protAt(iova: bigint): number {
    return this.pages.find(pageOf(iova))?.leaf.prot ?? 0;
  }

  joined(device: PaperDevice): void {
    this.users.set(device, (this.users.get(device) ?? 0) + 1);
    if (this.units().length > 1) this.observer.figures.sharedAttachments++;
  }

  left(device: PaperDevice): void {
    const count = this.users.get(device) ?? 0;
    if (count > 1) this.users.set(device, count - 1);
    else this.users.delete(device);
  }

  /** Units that have devices in the domain. */
  units(): object[] {
    return [...new Set([...this.users.keys()].map((device) => device.instance))];
  }

  free(): void {
    this.pages.free();
    this.memory.give(DOMAIN_BYTES);
  }

  /** Tracking of dirty pages is switched; nested domains on this one may have to follow. */
  protected trackingSet(): void {}

  private flush(): void {
    const units = this.units();
    for (const unit of units) this.observer.flushed(this, unit);
    this.observer.figures.broadcasts += Math.max(0, units.length - 1);
  }

  private makeDirty(): DirtyTracking {
    return {
      setTracking: (enable) => {
        if (this.tracking === enable) return;
        this.tracking = enable;
        this.trackingSet();
      },
      readAndClear: (iova, bytes, clear, found) => {
        const end = pageOf(iova + bytes - 1n) + 1;
        for (let page = pageOf(iova); page < end; ) page = this.readDirty(page, end, clear, found);
      },
      flush: () => this.flush(),
    };
  }

  /** Reports one leaf; returns the page after it. */
  private readDirty(
    page: number,
    end: number,
    clear: boolean,
    report: (iova: bigint, bytes: bigint) => void,
  ): number {
    const found = this.pages.find(page);
    if (found === null) return page + 1;
    const after = Math.min(found.first + found.pages, end);
    if (found.leaf.dirty) {
      report(BigInt(page) << PAGE_SHIFT, BigInt(after - page) << PAGE_SHIFT);
      if (clear) found.leaf.dirty = false;
    }
    return after;
  }
}

function pageOf(address: bigint): number {
  return Number(address >> PAGE_SHIFT);
}

/** Levels above a page at which leaves are made: 4 KiB, 2 MiB, 1 GiB. */
function leafLevels(pageSizes: bigint): number[] {
  return [0, 1, 2].filter(
    (level) => (pageSizes & (1n << BigInt(PAGE_BITS + LEVEL_BITS * level))) !== 0n,
  );
}

function topLevel(inputBits: number): number {
  return Math.max(1, Math.ceil((inputBits - PAGE_BITS) / LEVEL_BITS));
}
