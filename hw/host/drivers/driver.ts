/**
 * What an IOMMU driver is to the rest of the host: it initialises the unit, builds contexts and
 * page tables in simulated memory and writes commands into the ring. It holds no timing: the
 * callers (hw/host/invalidation.ts, the DMA API) spend the cycles and wait.
 */
import type { RegisterFile } from '../../iommu/architecture.ts';
import type { PageTableFormat } from '../../iommu/walk/format.ts';
import type { MemoryPort } from '../../memory/port.ts';
import type { FrameAllocator, TableFrames } from '../frames.ts';
import type { GuestMemory } from '../guest.ts';
import type { PageTables, TableOptions } from '../tables.ts';

/**
 * passthrough: output = input. stage1, stage2: one stage, changed by map and unmap. nested: a
 * guest's first stage, changed by map and unmap, over its parent's second stage.
 */
export const DOMAIN_KINDS = ['passthrough', 'stage1', 'stage2', 'nested'] as const;
export type DomainKind = (typeof DOMAIN_KINDS)[number];

export interface DomainOptions {
  readonly kind: DomainKind;
  /** Format of the stage that map and unmap change; none for passthrough. */
  readonly format?: PageTableFormat;
  readonly tables?: TableOptions;
  /** stage2: maps the whole of this guest's memory at once, in pages of the guest's choice. */
  readonly guest?: GuestMemory;
  /** nested: the stage2 domain of the guest, and the guest's frames for its tables. */
  readonly parent?: Domain;
  readonly guestFrames?: FrameAllocator;
  /** The hardware id (PSCID, domain id) to use; the next unused one if not given. */
  readonly tag?: number;
  /** stage1, stage2: tables that exist, and the number of the address space that they are. */
  readonly shared?: SharedTables;
  /** nested: first stage that the guest sets up itself. */
  readonly user?: UserStage;
}

/** Tables that the domains of several units have in common. */
export interface SharedTables {
  readonly index: number;
  readonly tables: PageTables;
}

/** A first stage that no driver of the host changes. */
export interface UserStage {
  /** Number of the address space. */
  readonly index: number;
  /** Mode and root as the unit's context holds them. */
  readonly root: bigint;
  /** PSCID; -1: an unused one. */
  readonly tag: number;
  /** Hardware sets accessed and dirty bits. */
  readonly accessedDirty: boolean;
}

/** An address space that devices can be attached to. */
export interface Domain {
  /** Number that is unique in the simulation: what the safety checker knows it by. */
  readonly index: number;
  readonly kind: DomainKind;
  /** Tables that map and unmap change; null for passthrough. */
  readonly tables: PageTables | null;
  /** nested: the parent's tables. */
  readonly stage2: PageTables | null;
  /** The guest whose addresses are the input (stage2) or the first stage's output (nested). */
  readonly guest: GuestMemory | null;
  /** PSCID; -1 where the architecture has none for this kind. */
  readonly tag1: number;
  /** GSCID or domain id, likewise. */
  readonly tag2: number;
  /** nested: the guest's own first stage; `tables` is null then. */
  readonly user?: UserStage;
}

/** What a driver needs of its surroundings. */
export interface DriverPorts {
  readonly registers: RegisterFile;
  /** The host's view of memory. */
  readonly memory: MemoryPort;
  readonly frames: FrameAllocator;
  /** The next unused Domain.index. */
  nextDomain(): number;
  /** Hardware ids below it are for those who name one. */
  readonly firstTag?: number;
}

export interface IommuDriver {
  readonly name: string;
  /** Input pages that are never memory to a device, such as its interrupt messages. */
  readonly reserved: readonly PageRange[];
  /** Finds out what the unit can do, sets up its queues and tables and enables translation. */
  initialise(): void;
  createDomain(options: DomainOptions): Domain;
  /** Points the device's context at the domain; posts what must be invalidated if it had one. */
  attach(domain: Domain, deviceId: number): void;
  /** Frames are what the domain's tables hold: guest frames for a nested domain. */
  map(
    domain: Domain,
    hi: number,
    lo: number,
    frameHi: number,
    frameLo: number,
    pages: number,
    access: number,
  ): void;
  /** Clears the entries; returns the number of pages that were mapped. Invalidates nothing. */
  unmap(domain: Domain, hi: number, lo: number, pages: number): number;
  /** Commands that `postInvalidation` writes for a range. */
  commandsFor(domain: Domain, pages: number): number;
  /** Writes commands for a range; returns the pages they cover: fewer when the ring is full. */
  postInvalidation(domain: Domain, hi: number, lo: number, pages: number): number;
  /** Writes a command for everything in the domain; false when the ring is full. */
  postDomainInvalidation(domain: Domain): boolean;
  /** Writes a fence; returns its token, or NO_TOKEN when the ring is full. */
  postFence(): number;
  /** Writes a command as given (four words); false when the ring is full. */
  postCommand(words: Int32Array): boolean;
  /** Commands ever written, and how many of them the unit's head has passed. */
  commandsWritten(): number;
  commandsPassed(): number;
  /** The doorbell: tells the unit of all commands written so far. */
  ring(): void;
  /** Whether the unit has written the status of this fence to memory. */
  fenceReached(token: number): boolean;
  /** Free places in the ring, as the unit reports now. */
  room(): number;
  /** Takes the recorded faults off the unit; returns how many. */
  serviceFaults(): number;
}

/** What changes the entries of a domain: a driver, or a guest's that its hypervisor stands behind. */
export type Mapper = Pick<IommuDriver, 'reserved' | 'map' | 'unmap'>;

/** A driver whose domains come and go, and whose tables are shared between units. */
export interface HostDriver extends IommuDriver {
  /** The unit's capability register. */
  readonly capabilities: bigint;
  /** Tables for `shared`, with leaves of the sizes that the unit has. */
  createTables(format: PageTableFormat, frames: TableFrames, options: TableOptions): PageTables;
  /** The domain's hardware id may be used again; its tables are not touched. */
  releaseDomain(domain: Domain): void;
  /** Refuses all requests of a device from now on; posts what must be invalidated. */
  detach(deviceId: number): void;
}

export interface PageRange {
  readonly first: number;
  readonly pages: number;
}

export const NO_TOKEN = -1;
