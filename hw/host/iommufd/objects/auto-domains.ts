/**
 * Page tables that an attach to an IOAS brings with it (iommufd_device_auto_get_domain): one that
 * was made this way and that takes the device is used again; EINVAL is the only refusal after which
 * the next is tried.
 */
import { isErrno } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { IommuDevice } from '../driver.ts';
import { allocHwptPaging, type Hwpt, type HwptPaging } from './hwpt-paging.ts';
import type { Ioas } from './ioas.ts';

/** A way to come to a page table: plain attach, or replace. */
export interface AttachWay {
  readonly device: IommuDevice;
  readonly enforceCoherency: boolean;
  /** Attaches; returns a page table that was left and still has one count, or null. */
  attach(hwpt: Hwpt): Hwpt | null;
  /** Undoes an attach to a page table that cannot be filled. */
  detach(): void;
  /**
   * The driver first, the contents of the IOAS after it: for drivers whose domains are finished by
   * their first attach. Not for replace, where DMA goes on.
   */
  readonly attachBeforeFill: boolean;
}

export interface AutoDomain {
  readonly hwpt: HwptPaging;
  readonly left: Hwpt | null;
}

export function attachAutomatic(context: Context, ioas: Ioas, way: AttachWay): AutoDomain {
  for (const listed of ioas.hwpts) {
    const hwpt = listed as HwptPaging;
    if (!hwpt.autoDomain) continue;
    try {
      return { hwpt, left: way.attach(hwpt) };
    } catch (error) {
      if (!isErrno(error, 'EINVAL')) throw error;
      context.services.attaching.misfits++;
    }
  }
  return attachFresh(context, ioas, way);
}

/** Makes a page table for the device; if that one is EINVAL as well, its driver is to blame. */
function attachFresh(context: Context, ioas: Ioas, way: AttachWay): AutoDomain {
  const attach = (made: HwptPaging): Hwpt | null => {
    try {
      return way.attach(made);
    } catch (error) {
      if (isErrno(error, 'EINVAL')) context.services.attaching.freshMisfits++;
      throw error;
    }
  };
  const { device, enforceCoherency } = way;
  const request = { device, enforceCoherency, flags: 0, data: null };
  if (way.attachBeforeFill) {
    const hwpt = allocHwptPaging(context, ioas, {
      ...request,
      attach: (made) => void attach(made),
      detach: () => way.detach(),
    });
    return publish(context, hwpt, null);
  }
  const hwpt = allocHwptPaging(context, ioas, request);
  let left: Hwpt | null;
  try {
    left = attach(hwpt);
  } catch (error) {
    context.objects.abort(hwpt);
    throw error;
  }
  return publish(context, hwpt, left);
}

function publish(context: Context, hwpt: HwptPaging, left: Hwpt | null): AutoDomain {
  hwpt.autoDomain = true;
  context.objects.publish(hwpt);
  return { hwpt, left };
}

/** iommufd_hw_pagetable_put: drops a count; a page table made automatically goes with the last. */
export function putHwpt(context: Context, hwpt: Hwpt): void {
  hwpt.users--;
  const automatic = hwpt.type === 'hwpt-paging' && (hwpt as HwptPaging).autoDomain;
  if (automatic && hwpt.users === 1) context.objects.remove(hwpt);
}
