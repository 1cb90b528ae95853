/**
 * The ioctls by name: layout of the argument, which fields come back, how data behind its pointers
 * is found, and a sentence for help. Everything that calls by name (the client, scenario programs,
 * `iommusim ioctl`) is driven by this table.
 */
import { VFIO_CHECK_EXTENSION, VFIO_GET_API_VERSION, VFIO_SET_IOMMU } from './constants.ts';
import type { IoctlLayout, Layout } from './layout.ts';
import * as S from './structs.ts';

/** Data of one structure, whose layout depends on a type field. */
export interface StructData {
  readonly form: 'struct';
  readonly pointer: string;
  readonly type: string;
  readonly length: string;
  /** By name of the type; null: the type has no data. */
  readonly layouts: Readonly<Record<string, Layout | null>>;
}

/** An array of structures of one type. */
export interface EntryData {
  readonly form: 'entries';
  readonly pointer: string;
  readonly type: string;
  readonly entryLength: string;
  readonly count: string;
  readonly layouts: Readonly<Record<string, Layout | null>>;
}

/** A buffer for the kernel to fill with a structure whose type it tells. */
export interface AnswerData {
  readonly form: 'answer';
  readonly pointer: string;
  readonly type: string;
  readonly length: string;
  readonly layouts: Readonly<Record<string, Layout | null>>;
}

/** An array of IOVA ranges, given or filled by the kernel. */
export interface RangeData {
  readonly form: 'ranges';
  readonly pointer: string;
  readonly count: string;
  readonly filled: boolean;
}

/** A bitmap with one bit for each page of [iova, iova + length), set by the kernel. */
export interface BitmapData {
  readonly form: 'bitmap';
  readonly pointer: string;
}

export type DataSpec = StructData | EntryData | AnswerData | RangeData | BitmapData;

export interface IoctlSpec {
  /** Linux name of the command. */
  readonly name: string;
  readonly layout: IoctlLayout;
  readonly help: string;
  /** Fields that come back besides those called out_... */
  readonly answers: readonly string[];
  readonly data: DataSpec | null;
  /** The answer is written also when the call is refused. */
  readonly answersRefusals: boolean;
}

const HWPT_DATA: StructData = {
  form: 'struct',
  pointer: 'data_uptr',
  type: 'data_type',
  length: 'data_len',
  layouts: {
    NONE: null,
    VTD_S1: S.HWPT_VTD_S1,
    ARM_SMMUV3: S.HWPT_ARM_SMMUV3,
    AMD_GUEST: S.HWPT_AMD_GUEST,
    RISCV_S1: S.HWPT_RISCV_S1,
    SELFTEST: S.HWPT_SELFTEST,
  },
};

const VIOMMU_DATA: StructData = {
  form: 'struct',
  pointer: 'data_uptr',
  type: 'type',
  length: 'data_len',
  layouts: {
    DEFAULT: null,
    ARM_SMMUV3: null,
    TEGRA241_CMDQV: S.VIOMMU_TEGRA241_CMDQV,
    SELFTEST: S.VIOMMU_SELFTEST,
  },
};

const INVALIDATE_DATA: EntryData = {
  form: 'entries',
  pointer: 'data_uptr',
  type: 'data_type',
  entryLength: 'entry_len',
  count: 'entry_num',
  layouts: {
    VTD_S1: S.HWPT_VTD_S1_INVALIDATE,
    ARM_SMMUV3: S.VIOMMU_ARM_SMMUV3_INVALIDATE,
    RISCV_S1: S.HWPT_RISCV_S1_INVALIDATE,
    SELFTEST: S.HWPT_INVALIDATE_SELFTEST,
    VIOMMU_SELFTEST: S.VIOMMU_INVALIDATE_SELFTEST,
  },
};

const HW_INFO_DATA: AnswerData = {
  form: 'answer',
  pointer: 'data_uptr',
  type: 'out_data_type',
  length: 'data_len',
  layouts: {
    NONE: null,
    DEFAULT: null,
    INTEL_VTD: S.HW_INFO_VTD,
    ARM_SMMUV3: S.HW_INFO_ARM_SMMUV3,
    TEGRA241_CMDQV: S.HW_INFO_TEGRA241_CMDQV,
    AMD: S.HW_INFO_AMD,
    RISCV: S.HW_INFO_RISCV,
    SELFTEST: S.TEST_HW_INFO,
  },
};

function ranges(filled: boolean): RangeData {
  return { form: 'ranges', pointer: 'allowed_iovas', count: 'num_iovas', filled };
}

function spec(
  name: string,
  layout: IoctlLayout,
  help: string,
  answers: readonly string[] = [],
  data: DataSpec | null = null,
): IoctlSpec {
  const answersRefusals = layout === S.HWPT_INVALIDATE || layout === S.IOAS_IOVA_RANGES;
  return { name, layout, help, answers, data, answersRefusals };
}

/** By name without IOMMU_. */
export const IOCTLS: Readonly<Record<string, IoctlSpec>> = {
  DESTROY: spec('IOMMU_DESTROY', S.DESTROY, 'destroys an object that nothing else uses'),
  IOAS_ALLOC: spec('IOMMU_IOAS_ALLOC', S.IOAS_ALLOC, 'makes an empty address space'),
  IOAS_ALLOW_IOVAS: spec(
    'IOMMU_IOAS_ALLOW_IOVAS',
    S.IOAS_ALLOW_IOVAS,
    'says which ranges automatic IOVAs come from, and no reservation may take',
    [],
    ranges(false),
  ),
  IOAS_COPY: spec('IOMMU_IOAS_COPY', S.IOAS_COPY, 'maps the pages of another mapping', [
    'dst_iova',
  ]),
  IOAS_IOVA_RANGES: spec(
    'IOMMU_IOAS_IOVA_RANGES',
    S.IOAS_IOVA_RANGES,
    'lists the ranges that are not reserved, and the alignment',
    ['num_iovas'],
    ranges(true),
  ),
  IOAS_MAP: spec('IOMMU_IOAS_MAP', S.IOAS_MAP, 'maps user memory', ['iova']),
  IOAS_UNMAP: spec('IOMMU_IOAS_UNMAP', S.IOAS_UNMAP, 'removes all mappings within a range', [
    'length',
  ]),
  OPTION: spec('IOMMU_OPTION', S.OPTION, 'reads or sets an option', ['val64']),
  VFIO_IOAS: spec('IOMMU_VFIO_IOAS', S.VFIO_IOAS, 'names the address space of VFIO calls', [
    'ioas_id',
  ]),
  HWPT_ALLOC: spec(
    'IOMMU_HWPT_ALLOC',
    S.HWPT_ALLOC,
    'makes a hardware page table: on an address space, on a nesting parent, or on a vIOMMU',
    [],
    HWPT_DATA,
  ),
  GET_HW_INFO: spec(
    'IOMMU_GET_HW_INFO',
    S.GET_HW_INFO,
    'tells what the IOMMU of a device can do',
    ['data_len'],
    HW_INFO_DATA,
  ),
  HWPT_SET_DIRTY_TRACKING: spec(
    'IOMMU_HWPT_SET_DIRTY_TRACKING',
    S.HWPT_SET_DIRTY_TRACKING,
    'turns the recording of written pages on or off',
  ),
  HWPT_GET_DIRTY_BITMAP: spec(
    'IOMMU_HWPT_GET_DIRTY_BITMAP',
    S.HWPT_GET_DIRTY_BITMAP,
    'sets the bits of pages that were written',
    [],
    { form: 'bitmap', pointer: 'data' },
  ),
  HWPT_INVALIDATE: spec(
    'IOMMU_HWPT_INVALIDATE',
    S.HWPT_INVALIDATE,
    'invalidates what the IOMMU has cached of tables that user space manages',
    ['entry_num'],
    INVALIDATE_DATA,
  ),
  FAULT_QUEUE_ALLOC: spec(
    'IOMMU_FAULT_QUEUE_ALLOC',
    S.FAULT_QUEUE_ALLOC,
    'makes a queue of page requests, read and answered through a file',
  ),
  IOAS_MAP_FILE: spec('IOMMU_IOAS_MAP_FILE', S.IOAS_MAP_FILE, 'maps pages of a memfd or dma-buf', [
    'iova',
  ]),
  VIOMMU_ALLOC: spec(
    'IOMMU_VIOMMU_ALLOC',
    S.VIOMMU_ALLOC,
    'makes a virtual IOMMU: the share of a physical one that a guest gets',
    [],
    VIOMMU_DATA,
  ),
  VDEVICE_ALLOC: spec(
    'IOMMU_VDEVICE_ALLOC',
    S.VDEVICE_ALLOC,
    'gives a device the number under which the guest knows it',
  ),
  IOAS_CHANGE_PROCESS: spec(
    'IOMMU_IOAS_CHANGE_PROCESS',
    S.IOAS_CHANGE_PROCESS,
    'charges all pinned pages to the calling process',
  ),
  VEVENTQ_ALLOC: spec(
    'IOMMU_VEVENTQ_ALLOC',
    S.VEVENTQ_ALLOC,
    'makes a queue of the events that a guest is to see',
  ),
  HW_QUEUE_ALLOC: spec(
    'IOMMU_HW_QUEUE_ALLOC',
    S.HW_QUEUE_ALLOC,
    'gives a guest a hardware queue of its own in its memory',
  ),
  IOAS_NOIOMMU_GET_PA: spec(
    'IOMMU_IOAS_NOIOMMU_GET_PA',
    S.IOAS_NOIOMMU_GET_PA,
    'tells the physical address behind an IOVA where there is no IOMMU',
    ['length'],
  ),
  TEST_CMD: spec('IOMMU_TEST_CMD', S.TEST_CMD, 'drives the mock devices of a test build', [
    'pt_id',
  ]),
  VFIO_DEVICE_BIND_IOMMUFD: spec(
    'VFIO_DEVICE_BIND_IOMMUFD',
    S.VFIO_BIND,
    'hands a VFIO device to a context',
  ),
  VFIO_DEVICE_ATTACH_IOMMUFD_PT: spec(
    'VFIO_DEVICE_ATTACH_IOMMUFD_PT',
    S.VFIO_ATTACH,
    'attaches a device, or one of its PASIDs, to an address space or page table',
    ['pt_id'],
  ),
  VFIO_DEVICE_DETACH_IOMMUFD_PT: spec(
    'VFIO_DEVICE_DETACH_IOMMUFD_PT',
    S.VFIO_DETACH,
    'detaches a device or one of its PASIDs',
  ),
  VFIO_IOMMU_GET_INFO: spec('VFIO_IOMMU_GET_INFO', S.VFIO_INFO, 'tells page sizes and ranges', [
    'argsz',
    'flags',
    'iova_pgsizes',
    'cap_offset',
  ]),
  VFIO_IOMMU_MAP_DMA: spec('VFIO_IOMMU_MAP_DMA', S.VFIO_MAP_DMA, 'maps user memory (type 1)'),
  VFIO_IOMMU_UNMAP_DMA: spec('VFIO_IOMMU_UNMAP_DMA', S.VFIO_UNMAP_DMA, 'unmaps (type 1)', ['size']),
};

/** The layout that an op of TEST_CMD uses. */
export const TEST_FORMS: Readonly<Record<string, Layout>> = {
  ADD_RESERVED: S.TEST_ADD_RESERVED,
  MOCK_DOMAIN: S.TEST_MOCK_DOMAIN,
  MD_CHECK_MAP: S.TEST_CHECK_MAP,
  MD_CHECK_REFS: S.TEST_CHECK_REFS,
  CREATE_ACCESS: S.TEST_CREATE_ACCESS,
  DESTROY_ACCESS_PAGES: S.TEST_DESTROY_ACCESS_PAGES,
  ACCESS_PAGES: S.TEST_ACCESS_PAGES,
  ACCESS_RW: S.TEST_ACCESS_RW,
  SET_TEMP_MEMORY_LIMIT: S.TEST_MEMORY_LIMIT,
  MOCK_DOMAIN_REPLACE: S.TEST_MOCK_DOMAIN_REPLACE,
  ACCESS_REPLACE_IOAS: S.TEST_ACCESS_REPLACE_IOAS,
  MOCK_DOMAIN_FLAGS: S.TEST_MOCK_DOMAIN_FLAGS,
  DIRTY: S.TEST_DIRTY,
  MD_CHECK_IOTLB: S.TEST_CHECK_IOTLB,
  TRIGGER_IOPF: S.TEST_TRIGGER_IOPF,
  DEV_CHECK_CACHE: S.TEST_CHECK_DEV_CACHE,
  TRIGGER_VEVENT: S.TEST_TRIGGER_VEVENT,
  PASID_ATTACH: S.TEST_PASID_ATTACH,
  PASID_REPLACE: S.TEST_PASID_REPLACE,
  PASID_DETACH: S.TEST_PASID_DETACH,
  PASID_CHECK_HWPT: S.TEST_PASID_CHECK,
  DMABUF_GET: S.TEST_DMABUF_GET,
  DMABUF_REVOKE: S.TEST_DMABUF_REVOKE,
};

export interface PlainIoctl {
  readonly name: string;
  readonly word: number;
  readonly help: string;
}

/** VFIO calls whose argument is a number. */
export const PLAIN_IOCTLS: Readonly<Record<string, PlainIoctl>> = {
  VFIO_GET_API_VERSION: {
    name: 'VFIO_GET_API_VERSION',
    word: VFIO_GET_API_VERSION,
    help: 'returns the version of the VFIO interface',
  },
  VFIO_CHECK_EXTENSION: {
    name: 'VFIO_CHECK_EXTENSION',
    word: VFIO_CHECK_EXTENSION,
    help: 'returns whether the extension `arg` is there',
  },
  VFIO_SET_IOMMU: {
    name: 'VFIO_SET_IOMMU',
    word: VFIO_SET_IOMMU,
    help: 'chooses the kind of container `arg`',
  },
};
