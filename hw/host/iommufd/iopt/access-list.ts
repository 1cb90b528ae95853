/** In-kernel users of an I/O page table, by the id that each was given in it: the lowest free. */
import type { KernelMemory } from '../../kernel/kernel-memory.ts';

const SLOT_BYTES = 8;

/** An in-kernel user of the memory, as the table knows it. */
export interface TableAccess {
  /** Alignment that it needs: a page where it pins, a byte otherwise. */
  readonly alignment: bigint;
  /** Belongs to the kernel's own objects: nobody to ask, its areas are locked instead. */
  readonly internal: boolean;
  /** It has to let go of what it pinned in a range. */
  unmapped(iova: bigint, length: bigint): void;
}

export class AccessList {
  private readonly memory: KernelMemory;
  private readonly slots: (TableAccess | null)[] = [];

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  add(access: TableAccess): void {
    this.memory.take(SLOT_BYTES, 'slot of an access');
    const free = this.slots.indexOf(null);
    this.slots[free < 0 ? this.slots.length : free] = access;
  }

  remove(access: TableAccess): void {
    this.slots[this.slots.indexOf(access)] = null;
    this.memory.give(SLOT_BYTES);
  }

  /** The largest alignment that one of them needs. */
  get alignment(): bigint {
    let alignment = 1n;
    for (const access of this.slots) {
      if (access !== null && access.alignment > alignment) alignment = access.alignment;
    }
    return alignment;
  }

  /** iommufd_access_notify_unmap: all are asked to let go of a range. */
  notify(iova: bigint, length: bigint): void {
    for (const access of [...this.slots]) {
      if (access !== null && !access.internal) access.unmapped(iova, length);
    }
  }
}
