/**
 * Device pages that vIOMMU drivers offer to user space through mmap of the context (struct
 * iommufd_mmap, drivers/iommu/iommufd/driver.c): offsets from a range allocator, lowest free first,
 * above the first page. A region can only be mapped whole; every mapping is a user of its owner.
 */
import { InternalError } from '../../../sim/errors.ts';
import { type DeviceMapping, PAGE_SIZE } from '../kernel/api.ts';
import { fail } from '../kernel/errno.ts';
import type { KernelMemory } from '../kernel/kernel-memory.ts';
import type { IommufdObject } from './object.ts';

const REGION_BYTES = 64;
/** Node of the tree of offsets (maple tree): taken with every region, given back with it. */
const NODE_BYTES = 256;
const FIRST_OFFSET = BigInt(PAGE_SIZE);
const OFFSET_END = 1n << 64n;

interface Region {
  readonly start: bigint;
  readonly length: bigint;
  readonly owner: IommufdObject;
  readonly frames: readonly number[];
  readonly memory: KernelMemory;
  /** Mappings that are there now, each a user of the owner. */
  mappings: number;
}

export class MmapRegions {
  /** In ascending order of their offsets. */
  private readonly regions: Region[] = [];

  /** How many regions there are. */
  get count(): number {
    return this.regions.length;
  }

  /** iommufd_alloc_mmap: registers pages; returns the offset under which they can be mapped. */
  allocate(memory: KernelMemory, owner: IommufdObject, frames: readonly number[]): bigint {
    if (frames.length === 0) fail('EINVAL', 'a region for mmap has at least one page');
    memory.take(REGION_BYTES, 'region for mmap');
    try {
      memory.take(NODE_BYTES, 'offset of a region for mmap');
    } catch (error) {
      memory.give(REGION_BYTES);
      throw error;
    }
    const length = BigInt(frames.length * PAGE_SIZE);
    let start = FIRST_OFFSET;
    let slot = 0;
    for (; slot < this.regions.length; slot++) {
      const next = this.regions[slot] as Region;
      if (next.start - start >= length) break;
      start = next.start + next.length;
    }
    if (start + length > OFFSET_END) {
      memory.give(NODE_BYTES);
      memory.give(REGION_BYTES);
      fail('EBUSY', 'no offset is left for a region of this size');
    }
    this.regions.splice(slot, 0, { start, length, owner, frames, memory, mappings: 0 });
    return start;
  }

  /** iommufd_destroy_mmap: nobody maps the region any more, for its owner is going. */
  free(offset: bigint): void {
    const slot = this.regions.findIndex(({ start }) => start === offset);
    const [region] = slot < 0 ? [] : this.regions.splice(slot, 1);
    if (region === undefined) {
      throw new InternalError('iommufd', `no region for mmap has the offset ${offset}`);
    }
    region.memory.give(NODE_BYTES);
    region.memory.give(REGION_BYTES);
  }

  /** The pages of a region for one mapping, which counts as a user of the owner from here on. */
  map(offset: bigint, length: bigint): DeviceMapping {
    const region = this.regions.find(
      ({ start, length: bytes }) => start <= offset && offset < start + bytes,
    );
    if (region === undefined || region.owner.users === 0) {
      fail('ENXIO', `no vIOMMU offers pages at offset 0x${offset.toString(16)}`);
    }
    if (region.start !== offset || region.length !== length) {
      fail(
        'ENXIO',
        `the pages at offset 0x${region.start.toString(16)} can only be mapped whole ` +
          `(0x${region.length.toString(16)} bytes)`,
      );
    }
    return new RegionMapping(region);
  }

  /** Mappings of an owner's regions that are there now (for invariants, reports). */
  mappingsOf(owner: IommufdObject): number {
    let mappings = 0;
    for (const region of this.regions) if (region.owner === owner) mappings += region.mappings;
    return mappings;
  }
}

/** One mapping of a region; duplicates of it (fork, split) count again. */
class RegionMapping implements DeviceMapping {
  readonly frames: readonly number[];
  private readonly region: Region;

  constructor(region: Region) {
    this.frames = region.frames;
    this.region = region;
    this.opened();
  }

  opened(): void {
    this.region.mappings++;
    this.region.owner.users++;
  }

  closed(): void {
    this.region.mappings--;
    this.region.owner.users--;
  }
}
