/**
 * Hardware page tables as objects (struct iommufd_hw_pagetable), and the kind that the kernel
 * manages: it carries the mappings of one IOAS (struct iommufd_hwpt_paging).
 */
import { PAGE_SIZE } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import {
  type Domain,
  type IommuDevice,
  type PagingDomain,
  PROT_MMIO,
  PROT_READ,
  PROT_WRITE,
  type UserData,
} from '../driver.ts';
import type { AttachedHwpt, FaultQueue, IoasHwpt } from '../graph.ts';
import { type SwMsiPage, swMsiIova } from '../iommu-core/sw-msi.ts';
import { IommufdObject } from '../object.ts';
import {
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
  IOMMU_HWPT_ALLOC_NEST_PARENT,
  IOMMU_HWPT_ALLOC_PASID,
  IOMMU_HWPT_FAULT_ID_VALID,
} from '../uapi/constants.ts';
import type { Ioas } from './ioas.ts';

const HWPT_PAGING_BYTES = 160;

/** Flags of IOMMU_HWPT_ALLOC for a page table that stands on an IOAS. */
const PAGING_FLAGS =
  IOMMU_HWPT_ALLOC_NEST_PARENT |
  IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
  IOMMU_HWPT_FAULT_ID_VALID |
  IOMMU_HWPT_ALLOC_PASID;

export abstract class Hwpt extends IommufdObject implements AttachedHwpt {
  abstract override readonly type: 'hwpt-paging' | 'hwpt-nested';
  /** Allocated for use with PASIDs. */
  readonly pasidCompatible: boolean;
  private queue: FaultQueue | null = null;

  constructor(bytes: number, flags: number) {
    super(bytes);
    this.pasidCompatible = (flags & IOMMU_HWPT_ALLOC_PASID) !== 0;
  }

  abstract get domain(): Domain;

  /** find_hwpt_paging: itself, or the page table that a nested one stands on. */
  abstract get paging(): HwptPaging;

  get fault(): FaultQueue | null {
    return this.queue;
  }

  /** Page requests of its devices go to the queue. */
  routeFaults(queue: FaultQueue): void {
    this.queue = queue;
    queue.users++;
  }

  /** Frees the domain, null where the driver refused one, and lets go of the fault queue. */
  protected free(domain: Domain | null): void {
    domain?.free();
    if (this.queue !== null) this.queue.users--;
  }
}

export class HwptPaging extends Hwpt implements IoasHwpt {
  readonly type = 'hwpt-paging';
  readonly ioas: Ioas;
  readonly nestParent: boolean;
  /** Made by an attach to the IOAS: it goes with its last attachment. */
  autoDomain = false;
  enforceCoherency = false;
  private made: PagingDomain | null = null;
  /** Whether the IOAS fills it. */
  private listed = false;
  /** Doorbell pages mapped into it, by their number in the context. */
  private readonly swMsiPages: Set<number> = new Set();

  constructor(ioas: Ioas, flags: number) {
    super(HWPT_PAGING_BYTES, flags);
    this.ioas = ioas;
    this.nestParent = (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) !== 0;
  }

  override get domain(): PagingDomain {
    return this.made as PagingDomain;
  }

  override get paging(): HwptPaging {
    return this;
  }

  /** The driver's part of the allocation; the object has its id. */
  allocate(device: IommuDevice, flags: number, data: UserData | null): void {
    const { driver } = device;
    this.ioas.users++;
    const driverFlags = flags & ~IOMMU_HWPT_FAULT_ID_VALID;
    if (driver.allocPaging !== undefined) {
      this.made = driver.allocPaging(device, driverFlags, data);
    } else if (driver.allocPagingPlain !== undefined) {
      this.made = driver.allocPagingPlain(device);
    } else {
      fail('EOPNOTSUPP', `the driver ${driver.name} has no paging domains`);
    }
  }

  /** Before anything is mapped: some formats have a bit for it in each entry. */
  enforce(): void {
    this.enforceCoherency = this.domain.enforceCoherency?.() ?? false;
    if (!this.enforceCoherency) {
      fail('EINVAL', 'the driver promised enforced cache coherency, and the domain has none');
    }
  }

  /** Maps what the IOAS holds, and joins its list. */
  fill(): void {
    this.ioas.table.addDomain(this.domain);
    this.ioas.hwpts.push(this);
    this.listed = true;
  }

  /** iommufd_sw_msi_install. */
  mapDoorbell(page: SwMsiPage): void {
    if (this.swMsiPages.has(page.id)) return;
    const prot = PROT_READ | PROT_WRITE | PROT_MMIO;
    this.domain.map(swMsiIova(page), page.doorbell, BigInt(PAGE_SIZE), prot);
    this.swMsiPages.add(page.id);
  }

  /** Whether doorbells of interrupts have pages in it. */
  get msiCookie(): boolean {
    return this.swMsiPages.size > 0;
  }

  override destroy(): void {
    if (this.listed) {
      const { hwpts } = this.ioas;
      hwpts.splice(hwpts.indexOf(this), 1);
      this.ioas.table.removeDomain(this.domain);
    }
    this.free(this.made);
    this.ioas.users--;
  }
}

/** For whom a page table is allocated, and whether it is attached before it is filled. */
export interface PagingRequest {
  readonly device: IommuDevice;
  readonly enforceCoherency: boolean;
  readonly flags: number;
  readonly data: UserData | null;
  /** Attaches it before the IOAS fills it; and undoes that. */
  readonly attach?: (hwpt: HwptPaging) => void;
  readonly detach?: (hwpt: HwptPaging) => void;
}

/** iommufd_hwpt_paging_alloc: the page table has an id, and is not published. */
export function allocHwptPaging(context: Context, ioas: Ioas, request: PagingRequest): HwptPaging {
  const { device, flags, data } = request;
  checkPagingRequest(device, flags, data);
  const hwpt = new HwptPaging(ioas, flags);
  context.objects.reserve(hwpt);
  let attached = false;
  try {
    hwpt.allocate(device, flags, data);
    if (request.enforceCoherency) hwpt.enforce();
    if (request.attach !== undefined) {
      request.attach(hwpt);
      attached = true;
    }
    hwpt.fill();
  } catch (error) {
    if (attached) request.detach?.(hwpt);
    context.objects.abort(hwpt);
    throw error;
  }
  return hwpt;
}

function checkPagingRequest(device: IommuDevice, flags: number, data: UserData | null): void {
  const { driver } = device;
  if ((flags !== 0 || data !== null) && driver.allocPaging === undefined) {
    fail('EOPNOTSUPP', `the driver ${driver.name} takes no flags and no data for a page table`);
  }
  if ((flags & ~PAGING_FLAGS) !== 0) {
    fail(
      'EOPNOTSUPP',
      `flags 0x${flags.toString(16)} has a bit unknown for a page table of an IOAS`,
    );
  }
  if (
    (flags & IOMMU_HWPT_ALLOC_DIRTY_TRACKING) !== 0 &&
    !driver.capable(device, 'dirty-tracking')
  ) {
    fail('EOPNOTSUPP', `the IOMMU of ${device.name} does not track dirty pages`);
  }
  if ((flags & IOMMU_HWPT_FAULT_ID_VALID) !== 0 && (flags & IOMMU_HWPT_ALLOC_NEST_PARENT) !== 0) {
    fail('EOPNOTSUPP', 'a nesting parent cannot have a fault queue');
  }
}
