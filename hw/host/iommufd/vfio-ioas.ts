/** IOMMU_VFIO_IOAS: which IOAS the VFIO container calls on the context work on. */
import { fail } from '../kernel/errno.ts';
import type { Command, IoctlCall } from './call.ts';
import { Ioas } from './objects/ioas.ts';
import {
  IOMMU_VFIO_IOAS_CLEAR,
  IOMMU_VFIO_IOAS_GET,
  IOMMU_VFIO_IOAS_SET,
} from './uapi/constants.ts';
import { VFIO_IOAS } from './uapi/structs.ts';

const { at } = VFIO_IOAS;

function vfioIoas(call: IoctlCall): void {
  const { context } = call;
  if (call.u16(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  const op = call.u16(at.op);
  switch (op) {
    case IOMMU_VFIO_IOAS_GET:
      if (context.vfioIoas === null) fail('ENODEV', 'the context has no compatibility IOAS');
      call.setU32(at.ioas_id, context.vfioIoas.id);
      call.respond();
      return;
    case IOMMU_VFIO_IOAS_SET: {
      const ioas = context.objects.get(call.u32(at.ioas_id), Ioas);
      context.vfioIoas = ioas;
      context.objects.put(ioas);
      return;
    }
    case IOMMU_VFIO_IOAS_CLEAR:
      context.vfioIoas = null;
      return;
    default:
      fail('EOPNOTSUPP', `op ${op} is none of GET, SET and CLEAR`);
  }
}

export const VFIO_IOAS_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_VFIO_IOAS',
    word: VFIO_IOAS.word,
    size: VFIO_IOAS.size,
    minSize: VFIO_IOAS.minSize,
    run: vfioIoas,
  },
];
