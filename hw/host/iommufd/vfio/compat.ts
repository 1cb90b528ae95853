/**
 * The ioctls of a VFIO type 1 container, carried out on one IOAS of a /dev/iommu context, the
 * compatibility IOAS (drivers/iommu/iommufd/vfio_compat.c). These structures begin with argsz and
 * flags instead of a size, and bytes past the part that is known are neither read nor tested.
 */
import type { Process } from '../../kernel/api.ts';
import { Errno, fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import { PROT_CACHE, PROT_READ, PROT_WRITE } from '../driver.ts';
import {
  VFIO_API_VERSION,
  VFIO_CHECK_EXTENSION,
  VFIO_DMA_CC_IOMMU,
  VFIO_DMA_MAP_FLAG_READ,
  VFIO_DMA_MAP_FLAG_WRITE,
  VFIO_DMA_UNMAP_FLAG_ALL,
  VFIO_GET_API_VERSION,
  VFIO_IOMMU_GET_INFO,
  VFIO_IOMMU_MAP_DMA,
  VFIO_IOMMU_UNMAP_DMA,
  VFIO_NOIOMMU_IOMMU,
  VFIO_SET_IOMMU,
  VFIO_TYPE1_IOMMU,
  VFIO_TYPE1v2_IOMMU,
  VFIO_UNMAP_ALL,
} from '../uapi/vfio-constants.ts';
import { VFIO_MAP_DMA, VFIO_UNMAP_DMA } from '../uapi/vfio-structs.ts';
import { vfioGetInfo } from './compat-info.ts';
import { compatIoas } from './compat-ioas.ts';
import { u32At, u64At } from './user-bytes.ts';

const U64 = 0xffff_ffff_ffff_ffffn;

/** iommufd_vfio_ioctl: every command outside the table of /dev/iommu comes here. */
export function vfioIoctl(
  context: Context,
  process: Process,
  command: number,
  argument: bigint,
): number {
  switch (command) {
    case VFIO_GET_API_VERSION:
      return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
      return checkExtension(context, argument);
    case VFIO_SET_IOMMU:
      return setIommu(context, process, argument);
    case VFIO_IOMMU_GET_INFO:
      return vfioGetInfo(context, process, argument);
    case VFIO_IOMMU_MAP_DMA:
      return mapDma(context, process, argument);
    case VFIO_IOMMU_UNMAP_DMA:
      return unmapDma(context, process, argument);
    default:
      return fail('ENOTTY', `command 0x${command.toString(16)} is not one of /dev/iommu's`);
  }
}

function checkExtension(context: Context, extension: bigint): number {
  switch (Number(extension)) {
    case VFIO_TYPE1_IOMMU:
    case VFIO_TYPE1v2_IOMMU:
    case VFIO_UNMAP_ALL:
      return context.noIommu ? 0 : 1;
    case VFIO_NOIOMMU_IOMMU:
      return 1;
    case VFIO_DMA_CC_IOMMU:
      return compatIoas(context).hwpts.every((hwpt) => hwpt.enforceCoherency) ? 1 : 0;
    default:
      return 0;
  }
}

function setIommu(context: Context, process: Process, argument: bigint): number {
  const type = Number(argument);
  if (type === VFIO_NOIOMMU_IOMMU && context.noIommu) {
    if (!process.capabilities.sysRawio) fail('EPERM', 'no-IOMMU mode needs CAP_SYS_RAWIO');
    return 0;
  }
  if (type !== VFIO_TYPE1_IOMMU && type !== VFIO_TYPE1v2_IOMMU) {
    fail('EINVAL', `IOMMU type ${type} is neither type 1 nor type 1 v2`);
  }
  if (context.noIommu) fail('EINVAL', 'the context is in no-IOMMU mode');
  const ioas = compatIoas(context);
  // Type 1 may unmap a part of a mapping, which no large table entry could give back.
  if (type === VFIO_TYPE1_IOMMU) ioas.table.disableLargePages();
  return 0;
}

function mapDma(context: Context, process: Process, argument: bigint): number {
  const bytes = new Uint8Array(VFIO_MAP_DMA.size);
  process.space.copyIn(argument, bytes);
  const argsz = u32At(bytes, 0);
  const flags = u32At(bytes, 4);
  if (argsz < VFIO_MAP_DMA.size) fail('EINVAL', `argsz ${argsz} is below ${VFIO_MAP_DMA.size}`);
  if ((flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only READ 1 and WRITE 2 are known`);
  }
  const ioas = compatIoas(context);
  let prot = PROT_CACHE;
  if ((flags & VFIO_DMA_MAP_FLAG_READ) !== 0) prot |= PROT_READ;
  if ((flags & VFIO_DMA_MAP_FLAG_WRITE) !== 0) prot |= PROT_WRITE;
  const address = u64At(bytes, VFIO_MAP_DMA.at.vaddr);
  const iova = u64At(bytes, VFIO_MAP_DMA.at.iova);
  const size = u64At(bytes, VFIO_MAP_DMA.at.size);
  ioas.table.mapUser(context, process, iova, true, address, size, prot);
  return 0;
}

function unmapDma(context: Context, process: Process, argument: bigint): number {
  const bytes = new Uint8Array(VFIO_UNMAP_DMA.size);
  process.space.copyIn(argument, bytes);
  const argsz = u32At(bytes, 0);
  const flags = u32At(bytes, 4);
  if (argsz < VFIO_UNMAP_DMA.size) fail('EINVAL', `argsz ${argsz} is below ${VFIO_UNMAP_DMA.size}`);
  if ((flags & ~VFIO_DMA_UNMAP_FLAG_ALL) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only ALL 2 is known`);
  }
  const { table } = compatIoas(context);
  const iova = u64At(bytes, VFIO_UNMAP_DMA.at.iova);
  const size = u64At(bytes, VFIO_UNMAP_DMA.at.size);
  const all = (flags & VFIO_DMA_UNMAP_FLAG_ALL) !== 0;
  if (all && (iova !== 0n || size !== 0n)) fail('EINVAL', 'ALL goes with iova 0 and size 0 only');
  if (!all && !table.largePages) {
    const last = (iova + size - 1n) & U64;
    table.cut(iova === 0n ? [last] : [last, iova - 1n]);
  }
  let refused: Errno | null = null;
  try {
    if (all) table.unmapAll();
    else table.unmap(iova, size);
  } catch (error) {
    if (!(error instanceof Errno)) throw error;
    refused = error;
  }
  // What was removed before a refusal stays removed, and is told to the caller.
  new DataView(bytes.buffer).setBigUint64(VFIO_UNMAP_DMA.at.size, table.unmappedBytes, true);
  process.space.copyOut(argument, bytes);
  if (refused !== null) throw refused;
  return 0;
}
