/**
 * How a VMM keeps what devices reach in step with what its guest maps. Nested: the guest's own
 * first-stage tables are walked, and what it invalidates is passed on. Shadowed: the kernel's
 * tables hold what the guest maps, put there by IOAS_MAP and taken out by IOAS_UNMAP, as for the
 * requests of virtio-iommu.
 */
import { PAGE_SIZE } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import type { CallFields } from '../iommufd/client/request.ts';
import type { Guest } from './guest.ts';

/** A system call of the VMM. */
export interface VmmCall {
  readonly ioctl: string;
  readonly fields: CallFields;
}

export interface GuestTranslation {
  /** The kernel keeps to itself what the VMM's calls ask to invalidate. */
  readonly dropsInvalidations: boolean;
  /** Null: the guest does it without the VMM. */
  map(page: number, guestPage: number, pages: number, access: number): VmmCall | null;
  unmap(page: number, pages: number): number;
  /** Pages < 0: everything. Null: the VMM does nothing. */
  invalidate(page: number, pages: number): VmmCall | null;
  /** The guest knows that its invalidation is complete. */
  acknowledged(page: number, pages: number): void;
}

const EVERY_PAGE = 2n ** 64n - 1n;

function address(page: number): bigint {
  return BigInt(page) * BigInt(PAGE_SIZE);
}

export class NestedTranslation implements GuestTranslation {
  readonly dropsInvalidations = false;
  private readonly guest: Guest;
  private readonly hwpt: bigint;
  private readonly invalidates: boolean;

  /** @param invalidates false: the VMM forgets what the guest asks for */
  constructor(guest: Guest, hwpt: bigint, invalidates: boolean) {
    this.guest = guest;
    this.hwpt = hwpt;
    this.invalidates = invalidates;
  }

  map(page: number, guestPage: number, pages: number, access: number): null {
    this.guest.map(page, guestPage, pages, access);
    return null;
  }

  unmap(page: number, pages: number): number {
    return this.guest.unmap(page, pages);
  }

  invalidate(page: number, pages: number): VmmCall | null {
    if (!this.invalidates) return null;
    const entry =
      pages < 0
        ? { addr: 0, npages: EVERY_PAGE, flags: 'LEAF' }
        : { addr: address(page), npages: pages, flags: 'LEAF' };
    const fields = { hwpt_id: this.hwpt, data_type: 'RISCV_S1', data: [entry] };
    return { ioctl: 'HWPT_INVALIDATE', fields };
  }

  acknowledged(page: number, pages: number): void {
    this.guest.free(page, pages);
  }
}

export class ShadowTranslation implements GuestTranslation {
  readonly dropsInvalidations: boolean;
  private readonly guest: Guest;
  private readonly ioas: bigint;

  /** @param invalidates false: the kernel forgets to invalidate what it unmaps for the guest */
  constructor(guest: Guest, ioas: bigint, invalidates: boolean) {
    this.guest = guest;
    this.ioas = ioas;
    this.dropsInvalidations = !invalidates;
  }

  map(page: number, guestPage: number, pages: number, access: number): VmmCall {
    const permitted = [
      ...((access & ACCESS_READ) !== 0 ? ['READABLE'] : []),
      ...((access & ACCESS_WRITE) !== 0 ? ['WRITEABLE'] : []),
    ];
    return {
      ioctl: 'IOAS_MAP',
      fields: {
        ioas_id: this.ioas,
        flags: ['FIXED_IOVA', ...permitted],
        iova: address(page),
        user_va: this.guest.userAddress(guestPage),
        length: address(pages),
      },
    };
  }

  /** The table changes with the request that makes it known. */
  unmap(_page: number, pages: number): number {
    return pages;
  }

  invalidate(page: number, pages: number): VmmCall {
    const range =
      pages < 0 ? { iova: 0, length: EVERY_PAGE } : { iova: address(page), length: address(pages) };
    return { ioctl: 'IOAS_UNMAP', fields: { ioas_id: this.ioas, ...range } };
  }

  acknowledged(): void {}
}
