/** What steps do with the guests of a process. */
import { InputError } from '../../../sim/errors.ts';
import { PAGE_SIZE } from '../../address.ts';
import { RiscvNested } from '../iommufd/drivers/hardware/riscv-nested.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import type { IommufdObject } from '../iommufd/object.ts';
import { HwptNested } from '../iommufd/objects/hwpt-nested.ts';
import { Ioas } from '../iommufd/objects/ioas.ts';
import { Errno } from '../kernel/errno.ts';
import type { UserProcess } from '../kernel/process.ts';
import { DomainMapping } from '../policies/make.ts';
import type { Environment, ProgramDevice, Traffic } from './environment.ts';
import { Guest, type GuestTable } from './guest.ts';
import { type CallRecorder, GuestIommu } from './guest-iommu.ts';
import {
  type GuestTranslation,
  NestedTranslation,
  ShadowTranslation,
} from './guest-translation.ts';
import type { FieldValue, Step } from './step.ts';

export const DEFAULT_GUEST = 'guest';
/** Linux hands out input addresses below 4 GiB first. */
const ADDRESS_BITS = 32;

export class GuestActions {
  private readonly environment: Environment;
  private readonly process: UserProcess;
  private readonly value: (written: FieldValue) => bigint;
  private readonly record: CallRecorder;
  private readonly guests: Map<string, Guest> = new Map();
  /** What drivers in guests work with. */
  private readonly running: { readonly iommu: GuestIommu; readonly traffic: Traffic }[] = [];
  /** Guests whose invalidations are left out. */
  private readonly forgotten: Set<Guest> = new Set();

  constructor(
    environment: Environment,
    process: UserProcess,
    value: (written: FieldValue) => bigint,
    record: CallRecorder,
  ) {
    this.environment = environment;
    this.process = process;
    this.value = value;
    this.record = record;
  }

  named(name: FieldValue | undefined): Guest | null {
    return this.guests.get(String(name ?? DEFAULT_GUEST)) ?? null;
  }

  /** Returns the guest page number of the root table. */
  create({ given }: Step): number {
    const { observer, events } = this.environment;
    const table = String(given.tables ?? 'SV48') as GuestTable;
    const guest = new Guest(
      this.process.space,
      this.value(given.memory),
      Number(this.value(given.size)),
      table,
      observer,
      () => events.now,
    );
    this.guests.set(String(given.name ?? DEFAULT_GUEST), guest);
    if (this.value(given.invalidates ?? 1) === 0n) this.forgotten.add(guest);
    return guest.root;
  }

  change({ verb, given }: Step): void {
    const guest = this.named(given.guest);
    if (guest === null) return;
    const page = this.page(given.at);
    const pages = this.page(given.length);
    const { work } = this.environment;
    if (verb === 'guest_map') {
      guest.map(page, this.page(given.to), pages);
      work.mapCalls++;
      work.pagesMapped += pages;
    } else if (verb === 'guest_unmap') {
      guest.unmap(page, pages);
      work.unmapCalls++;
      work.pagesUnmapped += pages;
    } else {
      guest.free(page, pages);
    }
  }

  /** A nested page table was made: the guest whose root it stands on is told its number. */
  nested(fd: number, hwpt: number): void {
    this.withObject(fd, hwpt, (object) => {
      if (!(object instanceof HwptNested) || !(object.domain instanceof RiscvNested)) return;
      const { stage1, index } = object.domain;
      for (const guest of this.guests.values()) {
        if (guest.root === Number(stage1.root)) guest.nestedAs(index);
      }
    });
  }

  /** A driver in a guest sets up its device and starts it; returns the cycles that it waited. */
  start({ given }: Step, { name, traffic }: ProgramDevice): number {
    const { environment } = this;
    const { events, host, api, options, work } = environment;
    const driver = traffic?.driver ?? null;
    if (traffic === null || driver === null || driver.ready) {
      const why = driver === null ? 'has no driver in a guest' : 'has its driver already';
      throw new InputError('guest', `start: ${name} ${why}`);
    }
    const guest = this.named(given.guest);
    if (guest === null) throw new InputError('guest', `start: ${name}: there is no guest yet`);
    const fd = Number(this.value('$iommu'));
    const translation = this.translationOf(fd, Number(this.value(given.through ?? 0)), guest);
    const iommu = new GuestIommu(environment, this.process, fd, translation, this.record);
    const { domain, observer } = iommu;
    const use = { domain, driver: iommu, path: iommu, addressBits: ADDRESS_BITS, observer };
    const mapping = new DomainMapping(events, host, api, options, { ...use, policy: 'strict' });
    this.running.push({ iommu, traffic });
    driver.setUp({ mapping, memory: guest.memory, frames: guest.frames });
    traffic.start(-1);
    // Calls of the set-up are booked, and what they cost is owed.
    work.reset();
    return iommu.takeOwed();
  }

  /** The process ends, and its guests with it; the kernel resets their devices. */
  end(): void {
    for (const { iommu, traffic } of this.running) {
      traffic.stop();
      iommu.end();
    }
    for (const guest of this.guests.values()) guest.end();
  }

  private translationOf(fd: number, id: number, guest: Guest): GuestTranslation {
    const invalidates = !this.forgotten.has(guest);
    const table = BigInt(id);
    let found: GuestTranslation | undefined;
    try {
      found = this.withObject(fd, id, (object) => {
        if (object instanceof HwptNested) return new NestedTranslation(guest, table, invalidates);
        return object instanceof Ioas
          ? new ShadowTranslation(guest, table, invalidates)
          : undefined;
      });
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
    if (found !== undefined) return found;
    const message = `start: through ${id}: expected a nested page table or an address space`;
    throw new InputError('guest', message);
  }

  private withObject<T>(fd: number, id: number, use: (object: IommufdObject) => T): T | undefined {
    const file = this.process.file(fd);
    if (!(file instanceof IommufdFile)) return undefined;
    const { objects } = file.context;
    const object = objects.getAny(id);
    try {
      return use(object);
    } finally {
      objects.put(object);
    }
  }

  private page(written: FieldValue): number {
    return Number(this.value(written) / BigInt(PAGE_SIZE));
  }
}
