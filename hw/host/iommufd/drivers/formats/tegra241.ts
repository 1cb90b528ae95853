/**
 * Virtual command queues of Tegra241 (CMDQV, an extension of SMMUv3): a guest gets an interface of
 * its own (VINTF), a page window of it in its memory, and queues that the hardware reads directly
 * (drivers/iommu/arm/arm-smmu-v3/tegra241-cmdqv.c).
 */
import { fail } from '../../../kernel/errno.ts';
import type { HardwareInfo, HwQueueRequest, UserData } from '../../driver.ts';
import {
  IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV,
  IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV,
  IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV,
} from '../../uapi/constants.ts';
import { HW_INFO_TEGRA241_CMDQV, VIOMMU_TEGRA241_CMDQV } from '../../uapi/data-structs.ts';
import {
  TEGRA241_HW_QUEUE_MIN_LENGTH,
  TEGRA241_VINTF_MMAP_LENGTH,
} from '../../uapi/driver-constants.ts';
import { copyBack, copyStruct } from '../../user-data.ts';
import { bytesOf, hex } from './bits.ts';

/** Sizes of the extension in one SMMU. */
export interface CmdqvFeatures {
  readonly version: number;
  /** Interfaces, the host's own included. */
  readonly interfaces: number;
  readonly queuesPerInterfaceLog2: number;
  /** Slots of an interface that replace virtual stream ids by real ones. */
  readonly streamsPerInterfaceLog2: number;
}

/** Command queue entries are 16 bytes. */
const ENTRY_LOG2 = 4;
const VIRTUAL_STREAM_MAX = 0xffff_ffffn;

export function cmdqvHwInfo(type: number, features: CmdqvFeatures): HardwareInfo {
  if (type !== IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV) {
    fail('EOPNOTSUPP', `hardware information of type ${type} from a CMDQV`);
  }
  const { at, size } = HW_INFO_TEGRA241_CMDQV;
  const bytes = new Uint8Array(size);
  bytes[at.version] = features.version;
  bytes[at.log2vcmdqs] = features.queuesPerInterfaceLog2;
  bytes[at.log2vsids] = features.streamsPerInterfaceLog2;
  return { type: IOMMU_HW_INFO_TYPE_TEGRA241_CMDQV, bytes };
}

/** The vIOMMU's data must be there before anything is built: the answer goes into it. */
export function checkVintfData(data: UserData | null): UserData {
  if (data === null) fail('EINVAL', 'a vIOMMU of type TEGRA241_CMDQV needs its data');
  const { minSize, size } = VIOMMU_TEGRA241_CMDQV;
  copyStruct(data, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, minSize, size);
  return data;
}

export function answerVintf(data: UserData, mmapOffset: bigint): void {
  const { at, size, minSize } = VIOMMU_TEGRA241_CMDQV;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(at.out_vintf_mmap_offset, mmapOffset, true);
  view.setBigUint64(at.out_vintf_mmap_length, BigInt(TEGRA241_VINTF_MMAP_LENGTH), true);
  copyBack(data, bytes, IOMMU_VIOMMU_TYPE_TEGRA241_CMDQV, minSize);
}

/** What a guest holds of a CMDQV: its queues by index, and its stream slots. */
export class Vintf {
  private readonly features: CmdqvFeatures;
  private readonly commandQueueLog2: number;
  /** Queues by index, ascending without holes. */
  private queues = 0;
  /** Virtual stream ids by slot. */
  private readonly slots: (bigint | null)[] = [];

  constructor(features: CmdqvFeatures, commandQueueLog2: number) {
    this.features = features;
    this.commandQueueLog2 = commandQueueLog2;
  }

  /** tegra241_vintf_init_vsid: the lowest free slot matches the id. */
  addStream(virtualStream: bigint): void {
    if (virtualStream > VIRTUAL_STREAM_MAX) {
      fail('EINVAL', `virt_id ${hex(virtualStream)} is wider than a stream id`);
    }
    const free = this.slots.indexOf(null);
    const slot = free < 0 ? this.slots.length : free;
    if (slot >= 2 ** this.features.streamsPerInterfaceLog2) {
      fail('ENOSPC', 'all slots for virtual stream ids of the interface are taken');
    }
    this.slots[slot] = virtualStream;
  }

  removeStream(virtualStream: bigint): void {
    const slot = this.slots.indexOf(virtualStream);
    if (slot >= 0) this.slots[slot] = null;
  }

  /** tegra241_vintf_alloc_lvcmdq_user: the checks of a queue, in their order. */
  addQueue(request: HwQueueRequest): void {
    const { index, base, length, type } = request;
    if (type !== IOMMU_HW_QUEUE_TYPE_TEGRA241_CMDQV) fail('EOPNOTSUPP', `queue type ${type}`);
    if (index >= 2 ** this.features.queuesPerInterfaceLog2) {
      fail('EINVAL', `queue ${index} is past the interface's last`);
    }
    if (index < this.queues) fail('EEXIST', `queue ${index} is there already`);
    if (index > this.queues) fail('EIO', `queue ${index} before queue ${index - 1}`);
    const most = 1n << BigInt(this.commandQueueLog2 + ENTRY_LOG2);
    if (length < BigInt(TEGRA241_HW_QUEUE_MIN_LENGTH) || length > most) {
      fail('EINVAL', `length ${length} is not within 32 to ${most} bytes`);
    }
    if ((length & (length - 1n)) !== 0n) fail('EINVAL', `length ${length} is no power of two`);
    if ((base & (length - 1n)) !== 0n) fail('EINVAL', `base ${hex(base)} is not aligned to length`);
    this.queues++;
  }

  /** The newest queue goes first: each one depends on the one before it. */
  removeQueue(): void {
    this.queues--;
  }
}

/** Event of the interface: a bit for each queue that stopped on an error. */
export function queueErrorEvent(queues: bigint): Uint8Array {
  return bytesOf([queues & 0xffff_ffff_ffff_ffffn, queues >> 64n]);
}
