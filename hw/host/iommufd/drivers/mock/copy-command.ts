/**
 * IOAS_COPY as a kernel with the test driver has it: with a flag of that driver the source is not
 * an IOVA but the number of a mapping and an offset into it, which fuzzers find more easily.
 */
import type { Command, IoctlCall } from '../../call.ts';
import { Ioas } from '../../objects/ioas.ts';
import { IOAS_COMMANDS } from '../../objects/ioas-ioctls.ts';
import { IOAS_COPY } from '../../uapi/structs.ts';
import { MOCK_FLAGS_ACCESS_SYZ } from '../../uapi/test-constants.ts';

const PLAIN = IOAS_COMMANDS.find(({ word }) => word === IOAS_COPY.word) as Command;

/** IOVA for (number of a mapping, offset): the low and the high word; 0 if there are fewer. */
function iovaOfNth(ioas: Ioas, numbers: bigint): bigint {
  const { areas } = ioas.table;
  let area = areas.first;
  for (let left = BigInt.asUintN(32, numbers); left > 0n && area !== null; left--) {
    area = areas.next(area);
  }
  return area === null ? 0n : BigInt.asUintN(64, area.iova + (numbers >> 32n));
}

/** The structure changes before the flags are tested, and is answered as it then is. */
function copyFromNth(call: IoctlCall): unknown {
  const { at } = IOAS_COPY;
  const flags = call.u32(at.flags);
  if ((flags & MOCK_FLAGS_ACCESS_SYZ) !== 0) {
    call.setU32(at.flags, flags & ~MOCK_FLAGS_ACCESS_SYZ);
    const source = call.context.objects.peek(call.u32(at.src_ioas_id));
    if (source instanceof Ioas) call.setU64(at.src_iova, iovaOfNth(source, call.u64(at.src_iova)));
  }
  return PLAIN.run(call);
}

export const COPY_COMMAND: Command = { ...PLAIN, run: copyFromNth };
