/**
 * Doorbell pages of interrupts where software chooses their IOVA (SMMUv3, virtio-iommu): page k of
 * a window belongs to one doorbell for all domains and devices of a context (iommufd_sw_msi).
 */
import { PAGE_SIZE } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';

export interface SwMsiPage {
  /** Number among all of the context: groups and page tables keep sets of these. */
  readonly id: number;
  /** First IOVA of the window that it is in. */
  readonly windowStart: bigint;
  /** Physical address of the doorbell's page. */
  readonly doorbell: bigint;
  /** Number of the page in its window. */
  readonly index: number;
}

/** Bits of the set of pages that a group needs (struct iommufd_sw_msi_maps). */
export const SW_MSI_PAGES_MAX = 64;
const PAGE_BYTES = 48;

export class SwMsiPages {
  private readonly pages: SwMsiPage[] = [];
  private readonly memory: KernelMemory;

  constructor(memory: KernelMemory) {
    this.memory = memory;
  }

  /** The page of a doorbell in a window, made if there is none; EOVERFLOW: no number is left. */
  get(windowStart: bigint, doorbell: bigint): SwMsiPage {
    let index = 0;
    for (const page of this.pages) {
      if (page.windowStart !== windowStart) continue;
      if (page.doorbell === doorbell) return page;
      index = Math.max(index, page.index + 1);
    }
    const id = this.pages.length;
    if (id >= SW_MSI_PAGES_MAX) {
      fail('EOVERFLOW', `the context has its ${SW_MSI_PAGES_MAX} doorbell pages already`);
    }
    this.memory.take(PAGE_BYTES, 'software MSI page');
    const page = { id, windowStart, doorbell, index };
    this.pages.push(page);
    return page;
  }

  /** Pages of a window that the set names, in the order in which they were made. */
  needed(windowStart: bigint, ids: ReadonlySet<number>): SwMsiPage[] {
    return this.pages.filter((page) => page.windowStart === windowStart && ids.has(page.id));
  }

  close(): void {
    for (const _ of this.pages) this.memory.give(PAGE_BYTES);
    this.pages.length = 0;
  }
}

/** IOVA at which a doorbell's page appears. */
export function swMsiIova(page: SwMsiPage): bigint {
  return page.windowStart + BigInt(page.index * PAGE_SIZE);
}
