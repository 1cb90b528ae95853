/** IOMMU_TEST_CMD: one command of /dev/iommu with an operation each for everything a test needs. */
import { fail } from '../../../kernel/errno.ts';
import type { Command, IoctlCall } from '../../call.ts';
import { Ioas } from '../../objects/ioas.ts';
import * as OP from '../../uapi/test-constants.ts';
import { TEST_ADD_RESERVED, TEST_CMD, TEST_MEMORY_LIMIT } from '../../uapi/test-structs.ts';
import {
  accessPages,
  accessReadWrite,
  accessReplaceIoas,
  createAccess,
  destroyAccessPages,
} from './access-commands.ts';
import { checkDeviceCache, checkIotlb, checkMap, checkRefs, dirtyPages } from './check-commands.ts';
import { COPY_COMMAND } from './copy-command.ts';
import {
  mockDomain,
  mockDomainReplace,
  pasidAttach,
  pasidCheckHwpt,
  pasidDetach,
  pasidReplace,
} from './device-commands.ts';
import { dmabufGet, dmabufRevoke } from './dmabuf-commands.ts';
import { triggerPageRequest, triggerVirtualEvent } from './event-commands.ts';

const U64_MAX = 0xffffffffffffffffn;
/** A page frame number and a count: the least that a batch of pages can be. */
const BATCH_ENTRY_BYTES = 12;

/** ADD_RESERVED: reserves IOVAs for nobody in particular. */
function addReserved(call: IoctlCall): void {
  const { at } = TEST_ADD_RESERVED;
  const start = call.u64(at.start);
  const length = call.u64(at.length);
  if (length === 0n) fail('EINVAL', 'the range is empty');
  const last = start + length - 1n;
  if (last > U64_MAX) fail('EOVERFLOW', 'the range ends above the last IOVA');
  const { objects } = call.context;
  const ioas = objects.get(call.u32(at.id), Ioas);
  try {
    ioas.table.reserve(start, last, null);
  } finally {
    objects.put(ioas);
  }
}

/** SET_TEMP_MEMORY_LIMIT: how pages are batched shows in nothing that is simulated. */
function setTempMemoryLimit(call: IoctlCall): void {
  const limit = call.u32(TEST_MEMORY_LIMIT.at.limit);
  if (limit < BATCH_ENTRY_BYTES) fail('EINVAL', `${limit} bytes hold no entry of a batch`);
}

type Operation = Command['run'];

const OPERATIONS: ReadonlyMap<number, Operation> = new Map<number, Operation>([
  [OP.IOMMU_TEST_OP_ADD_RESERVED, addReserved],
  [OP.IOMMU_TEST_OP_MOCK_DOMAIN, mockDomain],
  [OP.IOMMU_TEST_OP_MD_CHECK_MAP, checkMap],
  [OP.IOMMU_TEST_OP_MD_CHECK_REFS, checkRefs],
  [OP.IOMMU_TEST_OP_CREATE_ACCESS, createAccess],
  [OP.IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, destroyAccessPages],
  [OP.IOMMU_TEST_OP_ACCESS_PAGES, accessPages],
  [OP.IOMMU_TEST_OP_ACCESS_RW, accessReadWrite],
  [OP.IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, setTempMemoryLimit],
  [OP.IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE, mockDomainReplace],
  [OP.IOMMU_TEST_OP_ACCESS_REPLACE_IOAS, accessReplaceIoas],
  [OP.IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, mockDomain],
  [OP.IOMMU_TEST_OP_DIRTY, dirtyPages],
  [OP.IOMMU_TEST_OP_MD_CHECK_IOTLB, checkIotlb],
  [OP.IOMMU_TEST_OP_TRIGGER_IOPF, triggerPageRequest],
  [OP.IOMMU_TEST_OP_DEV_CHECK_CACHE, checkDeviceCache],
  [OP.IOMMU_TEST_OP_TRIGGER_VEVENT, triggerVirtualEvent],
  [OP.IOMMU_TEST_OP_PASID_ATTACH, pasidAttach],
  [OP.IOMMU_TEST_OP_PASID_REPLACE, pasidReplace],
  [OP.IOMMU_TEST_OP_PASID_DETACH, pasidDetach],
  [OP.IOMMU_TEST_OP_PASID_CHECK_HWPT, pasidCheckHwpt],
  [OP.IOMMU_TEST_OP_DMABUF_GET, dmabufGet],
  [OP.IOMMU_TEST_OP_DMABUF_REVOKE, dmabufRevoke],
]);

const runTestCommand: Operation = (call) => {
  const op = call.u32(TEST_CMD.at.op);
  const operation = OPERATIONS.get(op);
  if (operation === undefined) fail('EOPNOTSUPP', `${op} is no operation of IOMMU_TEST_CMD`);
  return operation(call);
};

/** The calls of a kernel with the test driver, to be given to `openIommufd`. */
export const MOCK_COMMANDS: readonly Command[] = [
  COPY_COMMAND,
  {
    name: 'IOMMU_TEST_CMD',
    word: TEST_CMD.word,
    size: TEST_CMD.size,
    minSize: TEST_CMD.minSize,
    run: runTestCommand,
  },
];
