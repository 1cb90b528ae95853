/**
 * Fields that only make sense together: for each call some sets of values with which it gets past
 * the tests of its arguments. Fields that a set does not name are chosen one by one.
 */
import * as C from '../uapi/constants.ts';
import * as T from '../uapi/test-constants.ts';
import type { Selector } from './selectors.ts';

/** A number, any of some numbers, or the id of an object that a selector finds. */
export type PresetValue = number | readonly number[] | Selector;
export type Preset = Readonly<Record<string, PresetValue>>;

const PAGE = 4096;
const PLAIN: readonly Preset[] = [{ flags: 0 }];
const LENGTHS = [PAGE, 2 * PAGE, 4 * PAGE];

const NO_DATA: Preset = { data_type: 0, data_len: 0 };
const ON_MOCK: Preset = { dev_id: 'mock-device' };
const ON_PAPER: Preset = { dev_id: 'paper-device', pt_id: 'parent' };
const MOCK_VIOMMU: Preset = {
  flags: 0,
  dev_id: 'mock-device',
  hwpt_id: 'mock-parent',
  type: T.IOMMU_VIOMMU_TYPE_SELFTEST,
};
const PAPER_VIOMMU: Preset = { flags: 0, dev_id: 'paper-device', hwpt_id: 'parent' };
const MOCK_QUEUE: Preset = {
  flags: 0,
  viommu_id: 'mock-viommu',
  type: T.IOMMU_HW_QUEUE_TYPE_SELFTEST,
};
const MOCK_DATA: Preset = { data_type: T.IOMMU_HWPT_DATA_SELFTEST, data_len: [4, 8] };

/** By the name of the call; a list of values: any of them. */
export const PRESETS: Readonly<Record<string, readonly Preset[]>> = {
  IOAS_ALLOC: PLAIN,
  IOAS_UNMAP: [{}, {}, {}, {}, {}, { iova: 0x1000000, length: [32 * PAGE, 512 * PAGE] }],
  FAULT_QUEUE_ALLOC: PLAIN,
  HWPT_ALLOC: [
    { pt_id: 'ioas', flags: [0, 1, 1, 2, 3, 8, 8, 10], ...NO_DATA },
    { pt_id: 'ioas', flags: [1, 8, 4, 12], ...NO_DATA },
    { ...ON_MOCK, pt_id: 'ioas', flags: [0, 1], ...MOCK_DATA },
    { ...ON_MOCK, pt_id: 'mock-parent', flags: [0, 4, 8, 12], ...MOCK_DATA },
    { ...ON_MOCK, pt_id: 'mock-viommu', flags: [0, 4, 8], ...MOCK_DATA },
    { ...ON_MOCK, pt_id: 'mock-viommu', flags: [0, 4], ...MOCK_DATA },
    { ...ON_PAPER, flags: [0, 4], data_type: C.IOMMU_HWPT_DATA_VTD_S1, data_len: 24 },
    {
      ...ON_PAPER,
      pt_id: 'viommu',
      flags: [0, 4],
      data_type: C.IOMMU_HWPT_DATA_ARM_SMMUV3,
      data_len: 16,
    },
    { dev_id: 'paper-device', pt_id: 'viommu', flags: 0, data_type: 3, data_len: 32 },
  ],
  VIOMMU_ALLOC: [
    { ...MOCK_VIOMMU, data_len: 0 },
    { ...MOCK_VIOMMU, data_len: [8, 24, 24] },
    { ...PAPER_VIOMMU, type: C.IOMMU_VIOMMU_TYPE_ARM_SMMUV3, data_len: 0 },
    { ...PAPER_VIOMMU, type: C.IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, data_len: 16 },
  ],
  VDEVICE_ALLOC: [{ dev_id: 'mock-device', viommu_id: 'mock-viommu' }, {}],
  VEVENTQ_ALLOC: [
    { flags: 0, type: T.IOMMU_VEVENTQ_TYPE_SELFTEST, veventq_depth: [1, 2, 5] },
    { flags: 0, type: C.IOMMU_VEVENTQ_TYPE_ARM_SMMUV3, veventq_depth: [1, 2, 5] },
  ],
  HW_QUEUE_ALLOC: [
    { ...MOCK_QUEUE, index: 0, length: [PAGE, 2048] },
    { ...MOCK_QUEUE, index: 1, length: [PAGE, 2048] },
    { flags: 0, type: C.IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV, index: [0, 0, 1], length: PAGE },
  ],
  MOCK_DOMAIN_REPLACE: [{ pt_id: 'virtual' }, { pt_id: 'pasid' }, {}, {}],
  HWPT_INVALIDATE: [
    { data_type: T.IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, entry_len: 8, entry_num: [0, 1, 2] },
    { data_type: T.IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, entry_len: 12, entry_num: [0, 1, 2] },
    { data_type: C.IOMMU_HWPT_INVALIDATE_DATA_VTD_S1, entry_len: 24, entry_num: [0, 1] },
    { data_type: C.IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3, entry_len: 16, entry_num: [1, 2] },
  ],
  GET_HW_INFO: [{ flags: 0 }],
  HWPT_SET_DIRTY_TRACKING: [{ hwpt_id: 'tracked', flags: [0, 1, 1] }],
  HWPT_GET_DIRTY_BITMAP: [
    { hwpt_id: 'tracked', flags: [0, 1], length: LENGTHS, page_size: [2048, PAGE] },
  ],
  OPTION: [{ option_id: 1 }, { option_id: 0, object_id: 0, op: 1 }],
  CREATE_ACCESS: [{ flags: [0, 1, 1, 1] }],
  TRIGGER_VEVENT: [{ dev_id: 'reporting' }],
  ACCESS_PAGES: [{ flags: [0, 1], length: LENGTHS, uptr: 0 }],
  ACCESS_RW: [{ flags: [0, 1, 4, 5], length: [1, 7, 600] }],
  DIRTY: [{ id: 'tracked', flags: 0, length: LENGTHS, page_size: [2048, PAGE] }],
  MD_CHECK_MAP: [{ length: 0 }],
  MD_CHECK_IOTLB: [{ iotlb: [0, 1, 2, 3, 4], iotlb_id: [0, 1, 2, 3] }],
  DEV_CHECK_CACHE: [{ cache: [0, 0xbaddad], cache_id: [0, 1, 2, 3] }],
  PASID_ATTACH: [{ pt_id: 'pasid', pasid: [5, 5, 100, 100, 1024] }],
  PASID_REPLACE: [{ pt_id: 'pasid', pasid: [5, 100] }],
  PASID_DETACH: [{ pasid: [5, 100, 1024] }],
  TRIGGER_IOPF: [{ pasid: [0, 0, 5, 100] }],
  DMABUF_GET: [{ length: [PAGE, 4 * PAGE], open_flags: 2 }],
  VFIO_IOAS: [{ op: [0, 1, 1, 1, 2] }],
  VFIO_DEVICE_BIND_IOMMUFD: PLAIN,
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: [{ flags: [0, 0, 1], pasid: [5, 100] }],
  VFIO_DEVICE_DETACH_IOMMUFD_PT: [{ flags: [0, 1], pasid: [5, 100] }],
  VFIO_IOMMU_MAP_DMA: [{ flags: [3, 3, 1] }],
  VFIO_IOMMU_UNMAP_DMA: [{ flags: [0, 0, 2] }, { flags: 2, iova: 0, size: 0 }],
};
