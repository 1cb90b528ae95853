/**
 * A dma-buf: pages of an exporter that importers map for their devices, until the exporter takes
 * them back. The exporter here is the one of Linux's iommufd test driver: zeroed memory of its own
 * in one run, which the CPU cannot map.
 */
import {
  type DeviceMapping,
  type DmaBuf,
  type DmaBufImporter,
  PAGE_SIZE,
  type PageAllocator,
} from './api.ts';
import { fail } from './errno.ts';

const POLLIN = 1;
const POLLOUT = 4;

export class DmaBufFile implements DmaBuf {
  readonly kind = 'dma-buf';
  refs = 1;
  revoked = false;
  readonly bytes: bigint;
  readonly frames: readonly number[];
  private readonly pages: PageAllocator;
  private readonly importers = new Set<DmaBufImporter>();

  constructor(pages: PageAllocator, count: number) {
    // Memory of 2^n pages is aligned to its size, as kmalloc gives it.
    let align = 1;
    while (align < count) align *= 2;
    const first = pages.allocPages(count, align);
    this.pages = pages;
    this.bytes = BigInt(count * PAGE_SIZE);
    this.frames = Array.from({ length: count }, (_, i) => first + i);
  }

  attach(importer: DmaBufImporter): void {
    this.importers.add(importer);
  }

  detach(importer: DmaBufImporter): void {
    this.importers.delete(importer);
  }

  /** Takes access back, or gives it again: importers are told of both (dma_buf_invalidate). */
  setRevoked(revoked: boolean): void {
    this.revoked = revoked;
    for (const importer of this.importers) importer.revoked();
  }

  /** Nobody uses the pages now: both directions are ready. */
  poll(): number {
    return POLLIN | POLLOUT;
  }

  mmap(): DeviceMapping {
    return fail('EINVAL', 'the exporter of the dma-buf has no mmap');
  }

  release(): void {
    this.pages.freePages(this.frames[0], this.frames.length);
  }
}
