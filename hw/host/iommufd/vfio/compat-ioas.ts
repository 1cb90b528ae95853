/**
 * The one IOAS of a context that the VFIO container calls work on, since their structures name
 * none. The pointer holds no count: destroying the IOAS clears it.
 */
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import { Ioas } from '../objects/ioas.ts';

/** get_compat_ioas. */
export function compatIoas(context: Context): Ioas {
  const ioas = context.vfioIoas;
  if (!(ioas instanceof Ioas)) fail('ENODEV', 'the context has no compatibility IOAS');
  return ioas;
}

/** iommufd_vfio_compat_ioas_create: a VFIO group is attached, and needs an IOAS to be there. */
export function createCompatIoas(context: Context): void {
  const ioas = new Ioas(context);
  context.objects.reserve(ioas);
  if (context.noIommu || context.vfioIoas !== null) {
    context.objects.abort(ioas);
    if (context.noIommu) fail('EINVAL', 'the context is in no-IOMMU mode: it can have no IOAS');
    return;
  }
  context.vfioIoas = ioas;
  context.objects.publish(ioas);
}

/** iommufd_vfio_compat_set_no_iommu: a device without IOMMU is attached. */
export function setNoIommu(context: Context): void {
  if (context.vfioIoas !== null) {
    fail('EINVAL', 'the context has a compatibility IOAS: no-IOMMU mode is excluded');
  }
  context.noIommu = true;
}
