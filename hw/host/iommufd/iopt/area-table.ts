/** What the parts of an I/O page table know of the whole. */
import type { KernelServices } from '../../kernel/api.ts';
import type { PagingDomain } from '../driver.ts';
import type { AreaTree } from './area-tree.ts';
import type { IovaRange } from './ranges.ts';

export interface AreaTable {
  readonly services: KernelServices;
  readonly areas: AreaTree;
  /** Ascending, without overlap. */
  readonly reserved: readonly IovaRange[];
  /** Ascending, ranges that touch as one; empty: everything is allowed. */
  readonly allowed: readonly IovaRange[];
  /** IOVA, lengths and offsets in pages are multiples of it. */
  readonly alignment: bigint;
  readonly largePages: boolean;
  /** In order of addition. */
  readonly domains: readonly PagingDomain[];
}
