/**
 * IOMMU_OPTION: how a context accounts pinned pages, and whether an IOAS uses large pages. The
 * answer is the value alone, not the structure.
 */
import { fail } from '../kernel/errno.ts';
import type { Command, IoctlCall } from './call.ts';
import { Ioas } from './objects/ioas.ts';
import {
  IOMMU_OPTION_HUGE_PAGES,
  IOMMU_OPTION_OP_GET,
  IOMMU_OPTION_OP_SET,
  IOMMU_OPTION_RLIMIT_MODE,
} from './uapi/constants.ts';
import { OPTION } from './uapi/structs.ts';

const { at } = OPTION;
const VALUE_BYTES = 8;

function option(call: IoctlCall): void {
  if (call.u16(at.__reserved) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  const id = call.u32(at.option_id);
  if (id === IOMMU_OPTION_RLIMIT_MODE) rlimitMode(call);
  else if (id === IOMMU_OPTION_HUGE_PAGES) hugePages(call);
  else fail('EOPNOTSUPP', `option_id ${id} is unknown`);
  const value = call.bytes.subarray(at.val64, at.val64 + VALUE_BYTES);
  call.process.space.copyOut(call.address + BigInt(at.val64), value);
}

function unknownOperation(op: number): never {
  fail('EOPNOTSUPP', `op ${op} is neither SET nor GET`);
}

/** Can be set only by the privileged, and before the context has any object. */
function rlimitMode(call: IoctlCall): void {
  const { context } = call;
  if (call.u32(at.object_id) !== 0) fail('EOPNOTSUPP', 'RLIMIT_MODE belongs to no object');
  const op = call.u16(at.op);
  if (op === IOMMU_OPTION_OP_GET) {
    call.setU64(at.val64, context.accountMode === 'mm' ? 1n : 0n);
    return;
  }
  if (op !== IOMMU_OPTION_OP_SET) unknownOperation(op);
  if (!call.process.capabilities.sysResource) {
    fail('EPERM', 'RLIMIT_MODE can only be set with CAP_SYS_RESOURCE');
  }
  if (!context.objects.empty) fail('EBUSY', 'RLIMIT_MODE can only be set before the first object');
  const value = call.u64(at.val64);
  if (value > 1n) fail('EINVAL', `RLIMIT_MODE is 0 (user) or 1 (process memory), not ${value}`);
  context.accountMode = value === 1n ? 'mm' : 'user';
}

function hugePages(call: IoctlCall): void {
  const { objects } = call.context;
  const ioas = objects.get(call.u32(at.object_id), Ioas);
  try {
    const op = call.u16(at.op);
    if (op === IOMMU_OPTION_OP_GET) call.setU64(at.val64, ioas.table.largePages ? 1n : 0n);
    else if (op === IOMMU_OPTION_OP_SET) setHugePages(ioas, call.u64(at.val64));
    else unknownOperation(op);
  } finally {
    objects.put(ioas);
  }
}

function setHugePages(ioas: Ioas, value: bigint): void {
  if (value === 0n) ioas.table.disableLargePages();
  else if (value === 1n) ioas.table.enableLargePages();
  else fail('EINVAL', `HUGE_PAGES is 0 or 1, not ${value}`);
}

export const OPTION_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_OPTION',
    word: OPTION.word,
    size: OPTION.size,
    minSize: OPTION.minSize,
    run: option,
  },
];
