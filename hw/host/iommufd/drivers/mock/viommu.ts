/**
 * The mock's side of a vIOMMU (struct mock_viommu): two pages that user space can map and that
 * begin with the word it gave, invalidation of the cache words of devices by their virtual ids, and
 * two queues of which the second stands on the first.
 */
import { PAGE_SIZE, type PageAllocator } from '../../../kernel/api.ts';
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import type {
  HwQueueDriver,
  HwQueueRequest,
  IommuDevice,
  NestedDomain,
  UserData,
  UserDataArray,
  ViommuDriver,
  ViommuHost,
} from '../../driver.ts';
import { VIOMMU_INVALIDATE_SELFTEST } from '../../uapi/data-structs.ts';
import {
  IOMMU_HW_QUEUE_TYPE_SELFTEST,
  IOMMU_TEST_HW_QUEUE_MAX,
  IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST,
  MOCK_DEV_CACHE_NUM,
} from '../../uapi/test-constants.ts';
import { copyWhole } from '../../user-data.ts';
import { mockDevice } from './device.ts';
import { checkInvalidation, clearWords } from './invalidation.ts';

/** Pages that user space can map (an allocation of order 1). */
export const VIOMMU_PAGES = 2;
/** Largest single allocation of the kernel's object allocator (KMALLOC_MAX_SIZE). */
const ALLOCATION_MAX_BYTES = 4 << 20;

/** Makes a nested domain for a device from its data, bound to this vIOMMU. */
export type NestedFactory = (flags: number, data: UserData) => NestedDomain;

export class MockViommu implements ViommuDriver {
  private readonly host: ViommuHost;
  private readonly memory: KernelMemory;
  private readonly nested: NestedFactory;
  private readonly pages: LoopbackPages | null;
  private readonly queues: boolean[] = new Array<boolean>(IOMMU_TEST_HW_QUEUE_MAX).fill(false);

  constructor(
    host: ViommuHost,
    memory: KernelMemory,
    nested: NestedFactory,
    pages: LoopbackPages | null,
  ) {
    this.host = host;
    this.memory = memory;
    this.nested = nested;
    this.pages = pages;
  }

  destroy(): void {
    this.pages?.free(this.host);
  }

  allocNested(_device: IommuDevice, flags: number, data: UserData): NestedDomain {
    return this.nested(flags, data);
  }

  /** mock_viommu_cache_invalidate: all entries are read before the first is carried out. */
  invalidate(array: UserDataArray): void {
    array.handled = 0;
    if (array.entries === 0 && array.type === IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST) return;
    const { at, size } = VIOMMU_INVALIDATE_SELFTEST;
    const bytes = array.entries * size;
    try {
      if (bytes > ALLOCATION_MAX_BYTES) fail('ENOMEM', `${bytes} bytes in one allocation`);
      this.memory.take(bytes, 'invalidation entries');
    } catch (error) {
      // Linux leaves the number of entries as the caller gave it here.
      array.handled = array.entries;
      throw error;
    }
    try {
      for (const entry of copyWhole(array, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, size)) {
        const view = new DataView(entry.buffer, entry.byteOffset, entry.byteLength);
        const flags = view.getUint32(at.flags, true);
        const index = view.getUint32(at.cache_id, true);
        checkInvalidation(MOCK_DEV_CACHE_NUM, flags, index);
        const virtualId = view.getUint32(at.vdev_id, true);
        const device = this.host.deviceOf(BigInt(virtualId));
        if (device === null) fail('EINVAL', `no vDEVICE has the virtual id ${virtualId}`);
        clearWords(mockDevice(device).cache, flags, index);
        array.handled++;
      }
    } finally {
      this.memory.give(bytes);
    }
  }

  supportsHwQueue(type: number): boolean {
    return type === IOMMU_HW_QUEUE_TYPE_SELFTEST;
  }

  initHwQueue({ index }: HwQueueRequest): HwQueueDriver {
    const { queues } = this;
    if (index >= queues.length) fail('EINVAL', `queue ${index}: there are ${queues.length}`);
    if (queues[index]) fail('EEXIST', `queue ${index} is in use`);
    if (index > 0 && !queues[index - 1]) {
      fail('EIO', `queue ${index} needs queue ${index - 1}, which is not there`);
    }
    queues[index] = true;
    return {
      dependsOn: index - 1,
      destroy: () => {
        queues[index] = false;
      },
    };
  }
}

/** The pages of a vIOMMU that user space can map. */
export class LoopbackPages {
  readonly offset: bigint;
  private readonly allocator: PageAllocator;
  private readonly first: number;

  constructor(host: ViommuHost, allocator: PageAllocator) {
    this.allocator = allocator;
    this.first = allocator.allocPages(VIOMMU_PAGES, VIOMMU_PAGES);
    try {
      this.offset = host.allocMmap(this.frames);
    } catch (error) {
      allocator.freePages(this.first, VIOMMU_PAGES);
      throw error;
    }
  }

  get frames(): number[] {
    return Array.from({ length: VIOMMU_PAGES }, (_, page) => this.first + page);
  }

  get bytes(): bigint {
    return BigInt(VIOMMU_PAGES * PAGE_SIZE);
  }

  free(host: ViommuHost): void {
    host.freeMmap(this.offset);
    this.allocator.freePages(this.first, VIOMMU_PAGES);
  }
}
