/**
 * VFIO_IOMMU_GET_INFO on the compatibility IOAS: page sizes and a chain of capabilities, the number
 * of mappings left (DMA_AVAIL) and the usable address ranges (IOVA_RANGE). A capability is written
 * as soon as it fits; the caller is pointed to the chain only when the whole chain fits.
 */
import { PAGE_SIZE, type Process } from '../../kernel/api.ts';
import { fail } from '../../kernel/errno.ts';
import type { Context } from '../context.ts';
import type { Ioas } from '../objects/ioas.ts';
import {
  VFIO_IOMMU_INFO_CAPS,
  VFIO_IOMMU_INFO_PGSIZES,
  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
  VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL,
} from '../uapi/vfio-constants.ts';
import {
  VFIO_CAP_DMA_AVAIL,
  VFIO_CAP_HEADER,
  VFIO_CAP_IOVA_RANGE,
  VFIO_INFO,
  VFIO_IOVA_RANGE,
} from '../uapi/vfio-structs.ts';
import { compatIoas } from './compat-ioas.ts';
import { u32At, u32Bytes } from './user-bytes.ts';

const MIN_BYTES = VFIO_INFO.minSize;
const INFO_BYTES = VFIO_INFO.size;
const DMA_AVAIL_BYTES = VFIO_CAP_DMA_AVAIL.size;
const RANGES_AT = VFIO_CAP_IOVA_RANGE.size;
const RANGE_BYTES = VFIO_IOVA_RANGE.size;
const SUB_PAGE = BigInt(PAGE_SIZE - 1);

export function vfioGetInfo(context: Context, process: Process, argument: bigint): number {
  const head = new Uint8Array(MIN_BYTES);
  process.space.copyIn(argument, head);
  const argsz = u32At(head, 0);
  if (argsz < MIN_BYTES) fail('EINVAL', `argsz ${argsz} is below ${MIN_BYTES}`);
  const ioas = compatIoas(context);
  const availAt = INFO_BYTES;
  const rangesAt = availAt + align8(DMA_AVAIL_BYTES);
  if (argsz >= availAt + DMA_AVAIL_BYTES) {
    process.space.copyOut(argument + BigInt(availAt), dmaAvail());
  }
  const ranges = putRanges(ioas, process, argument + BigInt(rangesAt), argsz - rangesAt);
  if (argsz >= rangesAt) {
    process.space.copyOut(argument + BigInt(availAt + VFIO_CAP_HEADER.at.next), u32Bytes(rangesAt));
  }
  const needed = rangesAt + align8(ranges);
  const info = new DataView(new ArrayBuffer(INFO_BYTES));
  const { at } = VFIO_INFO;
  info.setUint32(at.argsz, needed, true);
  info.setUint32(at.flags, VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, true);
  info.setBigUint64(at.iova_pgsizes, pageSizes(ioas), true);
  info.setUint32(at.cap_offset, argsz >= needed ? INFO_BYTES : 0, true);
  const given = Math.min(argsz, INFO_BYTES);
  process.space.copyOut(argument, new Uint8Array(info.buffer, 0, given));
  return 0;
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Sizes that all domains have; what is smaller than a page counts as one page. */
function pageSizes(ioas: Ioas): bigint {
  let sizes = 0xffff_ffff_ffff_ffffn;
  for (const domain of ioas.table.domains) sizes &= domain.pageSizes;
  if ((sizes & SUB_PAGE) !== 0n) sizes = (sizes & ~SUB_PAGE) | BigInt(PAGE_SIZE);
  const { alignment } = ioas.table;
  return sizes > alignment ? sizes : alignment;
}

/** The limit is the memory cgroup's, not a number of mappings: as many as the field can say. */
function dmaAvail(): Uint8Array {
  const bytes = new Uint8Array(DMA_AVAIL_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(VFIO_CAP_HEADER.at.id, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, true);
  view.setUint16(VFIO_CAP_HEADER.at.version, 1, true);
  view.setUint32(VFIO_CAP_DMA_AVAIL.at.avail, 0xffff_ffff, true);
  return bytes;
}

/** Ranges that fit are written even if not all do; the header only with all of them. */
function putRanges(ioas: Ioas, process: Process, address: bigint, available: number): number {
  const element = new DataView(new ArrayBuffer(RANGE_BYTES));
  let length = RANGES_AT;
  for (const { start, last } of ioas.table.iovaRanges()) {
    if (available >= length + RANGE_BYTES) {
      element.setBigUint64(VFIO_IOVA_RANGE.at.start, start, true);
      element.setBigUint64(VFIO_IOVA_RANGE.at.end, last, true);
      process.space.copyOut(address + BigInt(length), new Uint8Array(element.buffer));
    }
    length += RANGE_BYTES;
  }
  if (available >= length) {
    const header = new DataView(new ArrayBuffer(RANGES_AT));
    header.setUint16(VFIO_CAP_HEADER.at.id, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, true);
    header.setUint16(VFIO_CAP_HEADER.at.version, 1, true);
    header.setUint32(VFIO_CAP_IOVA_RANGE.at.nr_iovas, (length - RANGES_AT) / RANGE_BYTES, true);
    process.space.copyOut(address, new Uint8Array(header.buffer));
  }
  return length;
}
