/**
 * One open /dev/iommu (struct iommufd_ctx): its objects, its groups, how it accounts pinned pages,
 * the IOAS that the VFIO calls work on. It imports no class of an object: the objects import it.
 */
import { InternalError } from '../../../sim/errors.ts';
import type { KernelServices, OpenFile } from '../kernel/api.ts';
import { SwMsiPages } from './iommu-core/sw-msi.ts';
import { MmapRegions } from './mmap-regions.ts';
import { type IommufdObject, ObjectTable } from './object.ts';

/** How pinned pages are charged: per user (RLIMIT_MEMLOCK of the user) or per process memory. */
export type AccountMode = 'user' | 'mm';

const CONTEXT_BYTES = 512;

export class Context {
  readonly services: KernelServices;
  readonly objects: ObjectTable;
  accountMode: AccountMode = 'user';
  /** The IOAS of the VFIO container calls (always an `Ioas`); holds no count of it. */
  vfioIoas: IommufdObject | null = null;
  noIommu = false;
  readonly mmaps: MmapRegions = new MmapRegions();
  /** The context's view of each group of devices bound to it, by the core's group. */
  readonly groups: Map<object, object> = new Map();
  readonly swMsi: SwMsiPages;
  /** Has references for each bound device, access and event file, so that it outlives them. */
  file: OpenFile = new Unopened();

  constructor(services: KernelServices) {
    services.memory.take(CONTEXT_BYTES, 'iommufd context');
    this.services = services;
    this.objects = new ObjectTable(services.memory);
    this.swMsi = new SwMsiPages(services.memory);
  }

  /** The last reference to the file is gone. */
  close(): void {
    this.objects.close();
    this.swMsi.close();
    if (this.groups.size !== 0) {
      throw new InternalError('iommufd', 'groups are left in a context that closes');
    }
    this.services.memory.give(CONTEXT_BYTES);
  }
}

/** Stands for the file of a context that nobody opened through a path. */
class Unopened implements OpenFile {
  readonly kind: string = 'iommufd';
  refs = 1;

  release(): void {}
}
