/** Short names that fields can be given by, and fields that need no name. */
import type { Layout } from '../../hw/host/iommufd/uapi/layout.ts';

/** By ioctl: what people call a field. Besides, `_id` can be left out: dev for dev_id. */
const SHORT: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  DESTROY: { object: 'id' },
  IOAS_MAP: { va: 'user_va', memory: 'user_va' },
  VFIO_IOMMU_MAP_DMA: { va: 'vaddr', memory: 'vaddr', length: 'size' },
  VFIO_IOMMU_UNMAP_DMA: { length: 'size' },
  IOAS_COPY: { dst: 'dst_ioas_id', src: 'src_ioas_id', dst_ioas: 'dst_ioas_id' },
  HWPT_ALLOC: { parent: 'pt_id', on: 'pt_id', ioas: 'pt_id', viommu: 'pt_id', type: 'data_type' },
  GET_HW_INFO: { type: 'in_data_type' },
  HWPT_INVALIDATE: { viommu: 'hwpt_id', type: 'data_type' },
  HWPT_GET_DIRTY_BITMAP: { bitmap: 'data' },
  VIOMMU_ALLOC: { parent: 'hwpt_id' },
  VEVENTQ_ALLOC: { depth: 'veventq_depth' },
  HW_QUEUE_ALLOC: { iova: 'nesting_parent_iova' },
  OPTION: { value: 'val64', ioas: 'object_id' },
  TEST_CMD: { dev: 'dev_id', pt: 'pt_id', ioas: 'ioas_id', va: 'uptr' },
};

/** Fields of words that stand by themselves: `destroy 3`. */
const POSITIONAL: Readonly<Record<string, readonly string[]>> = {
  DESTROY: ['id'],
  IOAS_MAP: ['ioas_id'],
  IOAS_MAP_FILE: ['ioas_id'],
  IOAS_UNMAP: ['ioas_id'],
  IOAS_ALLOW_IOVAS: ['ioas_id'],
  IOAS_IOVA_RANGES: ['ioas_id'],
  GET_HW_INFO: ['dev_id'],
  HWPT_SET_DIRTY_TRACKING: ['hwpt_id', 'flags'],
  HWPT_GET_DIRTY_BITMAP: ['hwpt_id'],
  HWPT_INVALIDATE: ['hwpt_id'],
  OPTION: ['option_id', 'op', 'val64'],
  VFIO_IOAS: ['op', 'ioas_id'],
  TEST_CMD: ['op', 'id'],
  VFIO_CHECK_EXTENSION: ['arg'],
  VFIO_SET_IOMMU: ['arg'],
};

export function positionalFields(key: string): readonly string[] {
  return POSITIONAL[key] ?? [];
}

/** Fields that can be given. */
export function fieldNames(layout: Layout): string[] {
  return Object.keys(layout.fields).filter((name) => !name.startsWith('out_'));
}

/** The field that a name means; null: none. */
export function findField(key: string, layout: Layout, name: string): string | null {
  const snake = name.toLowerCase().replaceAll('-', '_');
  const short = SHORT[key]?.[snake];
  const candidates = [snake, ...(short === undefined ? [] : [short]), `${snake}_id`];
  return candidates.find((candidate) => candidate in layout.fields) ?? null;
}
