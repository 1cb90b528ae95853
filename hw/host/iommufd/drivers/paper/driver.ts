/**
 * What the drivers on paper share: one driver object for all units of its kind, its units and
 * devices, ids that tag translations, and a record of what hardware would have been told.
 */
import { type ErrnoName, fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import type { CallWork } from '../../../kernel/work.ts';
import type {
  Domain,
  IommuCapability,
  IommuDevice,
  IommuDriver,
  PageRequest,
  ResponseCode,
} from '../../driver.ts';
import { type DriverFigures, noFigures } from '../figures.ts';
import type { SmmuCommand } from '../formats/smmuv3-commands.ts';
import { PaperBlocked, type PaperDevice, type PaperDeviceOptions } from './device.ts';
import type { PagingObserver, PaperPaging } from './paging.ts';

/**
 * When two units may share a domain: 'instance' never, 'capability' where the unit can do what the
 * domain needs.
 */
export type Sharing = 'instance' | 'capability';

/** Something that a unit would have been told. */
export type PaperRecord =
  | { readonly kind: 'flush'; readonly unit: object; readonly domain: Domain }
  | {
      readonly kind: 'range';
      readonly unit: object;
      readonly domain: Domain;
      readonly first: bigint;
      readonly last: bigint;
      readonly leaf: boolean;
    }
  | {
      readonly kind: 'commands';
      readonly unit: object;
      readonly commands: readonly SmmuCommand[];
    }
  | {
      readonly kind: 'response';
      readonly device: IommuDevice;
      readonly request: PageRequest;
      readonly code: ResponseCode;
    };

export interface PaperOptions {
  readonly memory: KernelMemory;
  readonly sharing?: Sharing;
  readonly observe?: (record: PaperRecord) => void;
  /** Where invalidations are counted that the call under way waits for. */
  readonly work?: CallWork;
}

export abstract class PaperDriver<Unit extends object> implements IommuDriver, PagingObserver {
  readonly name: string;
  readonly userPasidTable: boolean;
  readonly blocked: Domain;
  readonly memory: KernelMemory;
  readonly sharing: Sharing;
  readonly units: Unit[] = [];
  readonly figures: DriverFigures = noFigures();
  private readonly work: CallWork | null;
  private readonly observe: (record: PaperRecord) => void;

  constructor(
    name: string,
    options: PaperOptions,
    traits: {
      readonly sharing: Sharing;
      readonly pasids: boolean;
      readonly userPasidTable: boolean;
    },
  ) {
    this.name = name;
    this.memory = options.memory;
    this.sharing = options.sharing ?? traits.sharing;
    this.observe = options.observe ?? (() => {});
    this.work = options.work ?? null;
    this.userPasidTable = traits.userPasidTable;
    this.blocked = new PaperBlocked(this, traits.pasids);
  }

  abstract capable(device: IommuDevice, capability: IommuCapability): boolean;

  abstract addDevice(name: string, unit: Unit, options?: PaperDeviceOptions): PaperDevice<Unit>;

  pageResponse(device: IommuDevice, request: PageRequest, code: ResponseCode): void {
    this.record({ kind: 'response', device, request, code });
  }

  flushed(domain: PaperPaging, unit: object): void {
    this.record({ kind: 'flush', unit, domain });
  }

  record(record: PaperRecord): void {
    const invalidations = invalidationsOf(record);
    this.figures.invalidations += invalidations;
    if (this.work !== null) this.work.invalidations += invalidations;
    this.observe(record);
  }
}

/** Commands of a virtual machine are waited for together. */
function invalidationsOf({ kind }: PaperRecord): number {
  return kind === 'response' ? 0 : 1;
}

/** The unit of a device of this driver. */
export function unitOf<Unit extends object>(device: IommuDevice): Unit {
  return device.instance as Unit;
}

/** Small ids that tag cached translations, lowest first. */
export class TagIds {
  private readonly taken: Set<number> = new Set();
  private readonly limit: number;
  private readonly what: string;
  private readonly first: number;

  /** `limit`: ids are below it. */
  constructor(limit: number, what: string, first = 1) {
    this.limit = limit;
    this.what = what;
    this.first = first;
  }

  take(code: ErrnoName = 'ENOSPC'): number {
    let id = this.first;
    while (this.taken.has(id)) id++;
    if (id >= this.limit) fail(code, `all ${this.what}s are taken`);
    this.taken.add(id);
    return id;
  }

  give(id: number): void {
    this.taken.delete(id);
  }

  get used(): number {
    return this.taken.size;
  }
}
