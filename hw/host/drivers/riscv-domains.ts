/** Address spaces of a RISC-V unit: their tables and their hardware ids. */
import { InternalError } from '../../../sim/errors.ts';
import { pnHi, pnLo } from '../../address.ts';
import { ACCESS_EXECUTE, ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import type { PageTableFormat } from '../../iommu/walk/format.ts';
import { GuestMemoryPort } from '../guest.ts';
import { PageTables } from '../tables.ts';
import type {
  Domain,
  DomainKind,
  DomainOptions,
  DriverPorts,
  SharedTables,
  UserStage,
} from './driver.ts';
import { Tags } from './tags.ts';

/** Widths of the ids: 20 and 16 bits. */
const PSCIDS = 2 ** 20;
const GSCIDS = 2 ** 16;

export class RiscvDomains {
  private readonly ports: DriverPorts;
  private readonly pscids: Tags;
  private readonly gscids: Tags;

  constructor(ports: DriverPorts) {
    const first = Math.max(1, ports.firstTag ?? 0);
    this.ports = ports;
    this.pscids = new Tags(first, PSCIDS);
    this.gscids = new Tags(first, GSCIDS);
  }

  create(options: DomainOptions): Domain {
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

  /** The ids may be used again. */
  release(domain: Domain): void {
    if (domain.kind === 'stage2') this.gscids.give(domain.tag2);
    else if (domain.tag1 >= 0 && (domain.user?.tag ?? -1) < 0) this.pscids.give(domain.tag1);
  }

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
}

/** Leaves of the size that a guest's memory is laid out in. */
function guestLeaves(options: DomainOptions, format: PageTableFormat): { maxLeafLevel?: number } {
  if (options.guest === undefined) return {};
  return { maxLeafLevel: Math.floor(options.guest.pageOrder / format.indexBits) };
}
