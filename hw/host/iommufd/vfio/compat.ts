/**
 * The ioctls of a VFIO type 1 container, carried out on one IOAS of a /dev/iommu context, the
 * compatibility IOAS (drivers/iommu/iommufd/vfio_compat.c). These structures begin with argsz and
 * flags instead of a size, and bytes past the part that is known are neither read nor tested.
 */
import type { Process } from '../../kernel/api.ts';
import { Errno, fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import { PROT_CACHE, PROT_READ, PROT_WRITE } from '../driver.ts';
import { vfioGetInfo } from './compat-info.ts';
import { compatIoas } from './compat-ioas.ts';
import { u32At, u64At } from './user-bytes.ts';

export const VFIO_GET_API_VERSION = 0x3b64;
export const VFIO_CHECK_EXTENSION = 0x3b65;
export const VFIO_SET_IOMMU = 0x3b66;
export const VFIO_IOMMU_GET_INFO = 0x3b70;
export const VFIO_IOMMU_MAP_DMA = 0x3b71;
export const VFIO_IOMMU_UNMAP_DMA = 0x3b72;
export const VFIO_IOMMU_DIRTY_PAGES = 0x3b75;

export const VFIO_API_VERSION = 0;

/** Extensions, the first, third and eighth of them also types of VFIO_SET_IOMMU. */
export const VFIO_TYPE1_IOMMU = 1n;
export const VFIO_TYPE1V2_IOMMU = 3n;
export const VFIO_DMA_CC_IOMMU = 4n;
export const VFIO_NOIOMMU_IOMMU = 8n;
export const VFIO_UNMAP_ALL = 9n;

export const VFIO_DMA_MAP_FLAG_READ = 1;
export const VFIO_DMA_MAP_FLAG_WRITE = 2;
export const VFIO_DMA_UNMAP_FLAG_ALL = 2;

const MAP_BYTES = 32;
const UNMAP_BYTES = 24;
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
  switch (extension) {
    case VFIO_TYPE1_IOMMU:
    case VFIO_TYPE1V2_IOMMU:
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

function setIommu(context: Context, process: Process, type: bigint): number {
  if (type === VFIO_NOIOMMU_IOMMU && context.noIommu) {
    if (!process.capabilities.sysRawio) fail('EPERM', 'no-IOMMU mode needs CAP_SYS_RAWIO');
    return 0;
  }
  if (type !== VFIO_TYPE1_IOMMU && type !== VFIO_TYPE1V2_IOMMU) {
    fail('EINVAL', `IOMMU type ${type} is neither type 1 nor type 1 v2`);
  }
  if (context.noIommu) fail('EINVAL', 'the context is in no-IOMMU mode');
  const ioas = compatIoas(context);
  // Type 1 may unmap a part of a mapping, which no large table entry could give back.
  if (type === VFIO_TYPE1_IOMMU) ioas.table.disableLargePages();
  return 0;
}

function mapDma(context: Context, process: Process, argument: bigint): number {
  const bytes = new Uint8Array(MAP_BYTES);
  process.space.copyIn(argument, bytes);
  const argsz = u32At(bytes, 0);
  const flags = u32At(bytes, 4);
  if (argsz < MAP_BYTES) fail('EINVAL', `argsz ${argsz} is below ${MAP_BYTES}`);
  if ((flags & ~(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only READ 1 and WRITE 2 are known`);
  }
  const ioas = compatIoas(context);
  let prot = PROT_CACHE;
  if ((flags & VFIO_DMA_MAP_FLAG_READ) !== 0) prot |= PROT_READ;
  if ((flags & VFIO_DMA_MAP_FLAG_WRITE) !== 0) prot |= PROT_WRITE;
  const address = u64At(bytes, 8);
  const iova = u64At(bytes, 16);
  ioas.table.mapUser(context, process, iova, true, address, u64At(bytes, 24), prot);
  return 0;
}

function unmapDma(context: Context, process: Process, argument: bigint): number {
  const bytes = new Uint8Array(UNMAP_BYTES);
  process.space.copyIn(argument, bytes);
  const argsz = u32At(bytes, 0);
  const flags = u32At(bytes, 4);
  if (argsz < UNMAP_BYTES) fail('EINVAL', `argsz ${argsz} is below ${UNMAP_BYTES}`);
  if ((flags & ~VFIO_DMA_UNMAP_FLAG_ALL) !== 0) {
    fail('EINVAL', `flags 0x${flags.toString(16)}: only ALL 2 is known`);
  }
  const { table } = compatIoas(context);
  const iova = u64At(bytes, 8);
  const size = u64At(bytes, 16);
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
  new DataView(bytes.buffer).setBigUint64(16, table.unmappedBytes, true);
  process.space.copyOut(argument, bytes);
  if (refused !== null) throw refused;
  return 0;
}
