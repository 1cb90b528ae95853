/**
 * Fields that a caller would set anyway: flags that follow from the other fields, and memory to
 * map. What is filled in is told with the call; `--exact` leaves everything at zero.
 */
import type { CallValue } from '../../hw/host/iommufd/client/request.ts';
import type { Integer } from '../../hw/host/iommufd/uapi/codec.ts';
import * as C from '../../hw/host/iommufd/uapi/constants.ts';
import type { Session } from './session.ts';

export interface FilledIn {
  readonly field: string;
  readonly value: Integer;
  readonly why: string;
}

type Given = Readonly<Record<string, CallValue>>;

const PAGE_BYTES = 4096;
/** Larger mappings than this get no memory by themselves. */
const MOST_BYTES = 1 << 30;

export function fillIn(key: string, given: Given, session: Session): FilledIn[] {
  switch (key) {
    case 'IOAS_MAP':
      return [...mapFlags(given, 'iova'), ...memory(given, 'user_va', 'length', session)];
    case 'IOAS_MAP_FILE':
      return mapFlags(given, 'iova');
    case 'IOAS_COPY':
      return mapFlags(given, 'dst_iova');
    case 'HWPT_ALLOC':
      return implied(given, 'fault_id', C.IOMMU_HWPT_FAULT_ID_VALID);
    case 'GET_HW_INFO':
      return implied(given, 'in_data_type', C.IOMMU_HW_INFO_FLAG_INPUT_TYPE);
    case 'HWPT_GET_DIRTY_BITMAP':
      if ('page_size' in given) return [];
      return [{ field: 'page_size', value: PAGE_BYTES, why: 'not given' }];
    case 'VFIO_DEVICE_BIND_IOMMUFD':
      if ('iommufd' in given || session.fd < 0) return [];
      return [{ field: 'iommufd', value: session.fd, why: 'the open /dev/iommu' }];
    case 'VFIO_DEVICE_ATTACH_IOMMUFD_PT':
    case 'VFIO_DEVICE_DETACH_IOMMUFD_PT':
      return implied(given, 'pasid', C.VFIO_DEVICE_ATTACH_PASID);
    case 'VFIO_IOMMU_MAP_DMA': {
      const both = C.VFIO_DMA_MAP_FLAG_READ | C.VFIO_DMA_MAP_FLAG_WRITE;
      const flags = 'flags' in given ? [] : [{ field: 'flags', value: both, why: 'not given' }];
      return [...flags, ...memory(given, 'vaddr', 'size', session)];
    }
    default:
      return [];
  }
}

function mapFlags(given: Given, iova: string): FilledIn[] {
  if ('flags' in given) return [];
  const both = C.IOMMU_IOAS_MAP_READABLE | C.IOMMU_IOAS_MAP_WRITEABLE;
  if (!(iova in given)) return [{ field: 'flags', value: both, why: 'not given' }];
  const value = both | C.IOMMU_IOAS_MAP_FIXED_IOVA;
  return [{ field: 'flags', value, why: `not given; ${iova} is` }];
}

/** A flag that says that another field counts. */
function implied(given: Given, field: string, flag: number): FilledIn[] {
  const flags = BigInt((given.flags ?? 0) as Integer);
  if (!(field in given) || (flags & BigInt(flag)) !== 0n) return [];
  return [{ field: 'flags', value: flags | BigInt(flag), why: `${field} is given` }];
}

function memory(given: Given, field: string, length: string, session: Session): FilledIn[] {
  const bytes = Number((given[length] ?? 0) as Integer);
  if (field in given || bytes <= 0 || bytes > MOST_BYTES) return [];
  const { address, name } = session.allocate(bytes, null);
  return [{ field, value: address, why: `new memory @${name}` }];
}
