/**
 * PASIDs of the 2020 interface, which were numbers of the whole machine: each belongs to the set of
 * the virtual machine that allocated it, and no other may use it (drivers/iommu/ioasid.c).
 */
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';

const ENTRY_BYTES = 64;
/** PASID 0 is kept for requests without one. */
const FIRST = 1;
export const IOASID_LIMIT = 1 << 20;

/** The PASIDs of one virtual machine. */
export class IoasidSet {
  readonly name: string;
  /** PASIDs that it may have at once. */
  readonly quota: number;
  used = 0;

  constructor(name: string, quota: number) {
    this.name = name;
    this.quota = quota;
  }
}

export class Ioasids {
  private readonly memory: KernelMemory;
  private readonly owners: Map<number, IoasidSet> = new Map();

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  get used(): number {
    return this.owners.size;
  }

  /** The lowest free PASID of a range; ENOSPC where it or the set's quota has none. */
  take(set: IoasidSet, min: number = FIRST, max: number = IOASID_LIMIT - 1): number {
    if (set.used >= set.quota)
      fail('ENOSPC', `${set.name} has all ${set.quota} PASIDs it may have`);
    let pasid = Math.max(min, FIRST);
    while (this.owners.has(pasid)) pasid++;
    if (pasid > max) fail('ENOSPC', `all PASIDs from ${min} to ${max} are taken`);
    this.memory.take(ENTRY_BYTES, 'PASID of a virtual machine');
    this.owners.set(pasid, set);
    set.used++;
    return pasid;
  }

  give(set: IoasidSet, pasid: number): void {
    this.checkOwner(set, BigInt(pasid));
    this.owners.delete(pasid);
    set.used--;
    this.memory.give(ENTRY_BYTES);
  }

  /** The rule of the interface: a PASID is used only by the machine that allocated it. */
  checkOwner(set: IoasidSet, pasid: bigint): void {
    if (this.owners.get(Number(pasid)) !== set) {
      fail('EINVAL', `PASID ${pasid} was not allocated by ${set.name}`);
    }
  }

  pasidsOf(set: IoasidSet): number[] {
    const found: number[] = [];
    for (const [pasid, owner] of this.owners) if (owner === set) found.push(pasid);
    return found.sort((a, b) => a - b);
  }
}
