/**
 * The descriptor that stands for an in-kernel user of an IOAS (struct selftest_access): an access
 * object, and the ranges that it has pinned, which it lets go when they are unmapped.
 */
import type { KernelServices, OpenFile } from '../../../kernel/api.ts';
import { fail } from '../../../kernel/errno.ts';
import type { Access } from '../../objects/access.ts';

const FILE_BYTES = 256;
const ITEM_BYTES = 48;
const ALL = 0xffffffffffffffffn;

interface PinnedItem {
  readonly id: number;
  readonly iova: bigint;
  readonly length: bigint;
}

export class AccessFile implements OpenFile {
  readonly kind = 'access';
  refs = 1;
  /** Whether it may pin pages. */
  readonly pins: boolean;
  private readonly services: KernelServices;
  private made: Access | null = null;
  private readonly items: PinnedItem[] = [];
  private nextId = 0;

  constructor(services: KernelServices, pins: boolean) {
    services.memory.take(FILE_BYTES, 'access file');
    this.services = services;
    this.pins = pins;
  }

  get access(): Access {
    return this.made as Access;
  }

  /** The object is complete: it ends with the file from now on. */
  adopt(access: Access): void {
    this.made = access;
  }

  /** Notes a range that was pinned; returns its number. */
  addItem(iova: bigint, length: bigint): number {
    this.services.memory.take(ITEM_BYTES, 'pinned item');
    const id = this.nextId++;
    this.items.push({ id, iova, length });
    return id;
  }

  /** Lets the newest item go without unpinning it: its number was never told. */
  dropNewest(): void {
    this.items.pop();
    this.services.memory.give(ITEM_BYTES);
  }

  unpinItem(id: number): void {
    const index = this.items.findIndex((item) => item.id === id);
    if (index < 0) fail('ENOENT', `nothing is pinned under the number ${id}`);
    this.unpinAt(index);
  }

  /** iommufd_access_ops.unmap: nothing of the range may stay pinned. */
  unmapped(iova: bigint, length: bigint): void {
    const last = iova + length - 1n;
    for (let i = 0; i < this.items.length; ) {
      const item = this.items[i] as PinnedItem;
      if (iova > item.iova + item.length - 1n || last < item.iova) i++;
      else this.unpinAt(i);
    }
  }

  release(): void {
    if (this.made !== null) {
      this.unmapped(0n, ALL);
      this.made.close();
    }
    this.services.memory.give(FILE_BYTES);
  }

  private unpinAt(index: number): void {
    const { iova, length } = this.items[index] as PinnedItem;
    this.items.splice(index, 1);
    this.access.unpinPages(iova, length);
    this.services.memory.give(ITEM_BYTES);
  }
}
