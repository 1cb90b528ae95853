/** What steps do with the guests of a process. */
import { PAGE_SIZE } from '../../address.ts';
import { RiscvNested } from '../iommufd/drivers/hardware/riscv-nested.ts';
import { IommufdFile } from '../iommufd/iommufd-file.ts';
import { HwptNested } from '../iommufd/objects/hwpt-nested.ts';
import type { UserProcess } from '../kernel/process.ts';
import type { Environment } from './environment.ts';
import { Guest, type GuestTable } from './guest.ts';
import type { FieldValue, Step } from './step.ts';

export const DEFAULT_GUEST = 'guest';

export class GuestActions {
  private readonly environment: Environment;
  private readonly process: UserProcess;
  private readonly value: (written: FieldValue) => bigint;
  private readonly guests: Map<string, Guest> = new Map();

  constructor(
    environment: Environment,
    process: UserProcess,
    value: (written: FieldValue) => bigint,
  ) {
    this.environment = environment;
    this.process = process;
    this.value = value;
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
    const file = this.process.file(fd);
    if (!(file instanceof IommufdFile)) return;
    const { objects } = file.context;
    const object = objects.getAny(hwpt);
    try {
      if (!(object instanceof HwptNested) || !(object.domain instanceof RiscvNested)) return;
      const { stage1, index } = object.domain;
      for (const guest of this.guests.values()) {
        if (guest.root === Number(stage1.root)) guest.nestedAs(index);
      }
    } finally {
      objects.put(object);
    }
  }

  private page(written: FieldValue): number {
    return Number(this.value(written) / BigInt(PAGE_SIZE));
  }
}
