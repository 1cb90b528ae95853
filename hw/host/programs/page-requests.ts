/**
 * Page requests of devices as steps of a program have them: asked for through the device's own
 * interface where there is hardware, else told to the kernel at once, as by a driver on paper.
 */
import type { PageResponse, WantedPage } from '../../pcie/page-requester.ts';
import type { IommuDevice, PageRequest, ResponseCode } from '../iommufd/driver.ts';
import type { IommuGroup } from '../iommufd/iommu-core/group.ts';
import { reportPageRequest } from '../iommufd/objects/fault-routing.ts';
import { pasidOf, requestOf } from '../iommufd/page-request.ts';
import {
  IOMMU_PGFAULT_PERM_EXEC,
  IOMMU_PGFAULT_PERM_PRIV,
  IOMMU_PGFAULT_PERM_READ,
  IOMMU_PGFAULT_PERM_WRITE,
} from '../iommufd/uapi/constants.ts';

/** A device that asks for pages, and the responses that it got. */
export interface PageAsker {
  ask(page: WantedPage): void;
  /** Responses that nobody has looked at. */
  readonly waiting: number;
  /** The oldest of them; null: none. */
  takeResponse(): PageResponse | null;
}

/** Flags of `perm` in a page request. */
export function wantedPage(
  perm: number,
  page: Pick<WantedPage, 'address' | 'pasid' | 'group' | 'last'>,
): WantedPage {
  return {
    ...page,
    read: (perm & IOMMU_PGFAULT_PERM_READ) !== 0,
    write: (perm & IOMMU_PGFAULT_PERM_WRITE) !== 0,
    execute: (perm & IOMMU_PGFAULT_PERM_EXEC) !== 0,
    privileged: (perm & IOMMU_PGFAULT_PERM_PRIV) !== 0,
  };
}

/** For a device without hardware: the kernel hears of a request at the instant of the step. */
export class ImmediatePages implements PageAsker {
  private readonly group: IommuGroup;
  private readonly device: IommuDevice;
  private readonly received: PageResponse[] = [];

  constructor(group: IommuGroup, device: IommuDevice) {
    this.group = group;
    this.device = device;
  }

  get waiting(): number {
    return this.received.length;
  }

  ask(page: WantedPage): void {
    reportPageRequest(this.group, this.device, requestOf(page));
  }

  /** What the driver would have sent. */
  responded(request: PageRequest, code: ResponseCode): void {
    const { grpid: group } = request;
    this.received.push({ code: code.toUpperCase(), group, pasid: pasidOf(request), cycles: 0 });
  }

  takeResponse(): PageResponse | null {
    return this.received.shift() ?? null;
  }
}
