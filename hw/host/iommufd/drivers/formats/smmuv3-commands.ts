/**
 * Invalidation commands of a guest for SMMUv3: which are let through, what is overwritten in them
 * (VMID, stream id), and how they go to the command queue in batches
 * (drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3-iommufd.c). Two kernels: the base, which passes all
 * other bits as they are, and a newer one, which knows the bits of each command.
 */
import { fail } from '../../../kernel/errno.ts';
import type { UserDataArray } from '../../driver.ts';
import { IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3 } from '../../uapi/constants.ts';
import { VIOMMU_ARM_SMMUV3_INVALIDATE } from '../../uapi/data-structs.ts';
import {
  SMMUV3_CMD,
  SMMUV3_CMD_OP,
  SMMUV3_CMDQ_BATCH_ENTRIES,
} from '../../uapi/driver-constants.ts';
import { copyWhole } from '../../user-data.ts';
import { getField, hex, putField, setField, wordsOf } from './bits.ts';
import { type CommandSupport, checkCommandBits } from './smmuv3-command-bits.ts';

/** A 128-bit command as two words. */
export type SmmuCommand = readonly [bigint, bigint];

export interface GuestCommandPort {
  readonly vmid: number;
  /** First stream id of the device with a virtual stream id; null: the guest has no such device. */
  streamOf(virtualStream: number): number | null;
  /** Sends commands with a final sync; an Errno: none of them is known to be done. */
  issue(commands: readonly SmmuCommand[]): void;
}

/** Commands that go out together: one place of a batch is kept for the sync. */
export const BATCH_COMMANDS: number = SMMUV3_CMDQ_BATCH_ENTRIES - 1;
/** The largest array that the kernel takes in one piece (KMALLOC_MAX_SIZE). */
const ALLOCATION_MAX = 4 << 20;

/** arm_vsmmu_convert_user_cmd. */
export function hostCommand(command: SmmuCommand, port: GuestCommandPort): SmmuCommand {
  const [word0, word1] = command;
  const vmid = BigInt(port.vmid);
  const op = Number(word0 & SMMUV3_CMD.OP);
  switch (op) {
    case SMMUV3_CMD_OP.TLBI_NSNH_ALL:
      // All of the guest's world is all of its VMID.
      return [BigInt(SMMUV3_CMD_OP.TLBI_NH_ALL) | putField(SMMUV3_CMD.TLBI_VMID, vmid), 0n];
    case SMMUV3_CMD_OP.TLBI_NH_ALL:
    case SMMUV3_CMD_OP.TLBI_NH_ASID:
    case SMMUV3_CMD_OP.TLBI_NH_VA:
    case SMMUV3_CMD_OP.TLBI_NH_VAA:
      return [setField(word0, SMMUV3_CMD.TLBI_VMID, vmid), word1];
    case SMMUV3_CMD_OP.ATC_INV:
    case SMMUV3_CMD_OP.CFGI_CD:
    case SMMUV3_CMD_OP.CFGI_CD_ALL: {
      const virtual = Number(getField(word0, SMMUV3_CMD.CFGI_SID));
      const stream =
        port.streamOf(virtual) ??
        fail('EIO', `no vDEVICE has the stream id ${hex(BigInt(virtual))}`);
      return [setField(word0, SMMUV3_CMD.CFGI_SID, BigInt(stream)), word1];
    }
    default:
      return fail('EIO', `command ${hex(BigInt(op))} is not one that a guest may give`);
  }
}

function readCommands(array: UserDataArray): SmmuCommand[] {
  const { size } = VIOMMU_ARM_SMMUV3_INVALIDATE;
  if (array.entries * size > ALLOCATION_MAX) {
    fail('ENOMEM', `${array.entries} commands are more than one allocation holds`);
  }
  const type = IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3;
  return copyWhole(array, type, size).map((bytes) => wordsOf(bytes) as unknown as SmmuCommand);
}

/**
 * arm_vsmmu_cache_invalidate of the base. At a bad command the count is its index, though those of
 * its batch before it were never issued; where the queue fails, the index of the batch's last.
 */
export function invalidateSmmuBase(array: UserDataArray, port: GuestCommandPort): void {
  array.handled = 0;
  const commands = readCommands(array);
  const batch: SmmuCommand[] = [];
  for (let i = 0; i < commands.length; i++) {
    array.handled = i;
    batch.push(hostCommand(commands[i] as SmmuCommand, port));
    if (i + 1 === commands.length || batch.length === BATCH_COMMANDS) {
      port.issue(batch);
      batch.length = 0;
    }
  }
  array.handled = commands.length;
}

/**
 * The newer kernel: a batch is checked whole before it is issued, and counts only once it is done;
 * no entry at all is a question for the data type, and answered with success.
 */
export function invalidateSmmuStrict(
  array: UserDataArray,
  port: GuestCommandPort,
  support: CommandSupport,
): void {
  array.handled = 0;
  if (array.type !== IOMMU_VIOMMU_INVALIDATE_DATA_ARM_SMMUV3) {
    fail('EINVAL', `data type ${array.type}: invalidation here takes ARM_SMMUV3 1`);
  }
  if (array.entries === 0) return;
  const commands = readCommands(array);
  for (let first = 0; first < commands.length; first += BATCH_COMMANDS) {
    const batch = commands.slice(first, first + BATCH_COMMANDS).map((command) => {
      checkCommandBits(command, support);
      return hostCommand(command, port);
    });
    port.issue(batch);
    array.handled = first + batch.length;
  }
}
