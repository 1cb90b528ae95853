/**
 * What user space and the RISC-V driver tell each other: the first stage of a nested domain, the
 * invalidation of it, and the registers. Linux has none of it; the rules follow those of VT-d, but
 * everything is checked when the domain is made, so that a new domain never refuses a device.
 */
import { decodeCapabilities } from '../../../../iommu/riscv/capabilities.ts';
import { fail } from '../../../kernel/errno.ts';
import type { HardwareInfo, UserData, UserDataArray } from '../../driver.ts';
import {
  IOMMU_HW_INFO_TYPE_DEFAULT,
  IOMMU_HW_INFO_TYPE_RISCV,
  IOMMU_HWPT_DATA_RISCV_S1,
  IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1,
  IOMMU_RISCV_INV_GLOBAL,
  IOMMU_RISCV_INV_LEAF,
  IOMMU_RISCV_MODE_BARE,
  IOMMU_RISCV_MODE_SV39,
  IOMMU_RISCV_MODE_SV48,
  IOMMU_RISCV_MODE_SV57,
  IOMMU_RISCV_S1_ACCESSED_DIRTY,
  IOMMU_RISCV_S1_PSCID,
} from '../../uapi/constants.ts';
import { HW_INFO_RISCV, HWPT_RISCV_S1, HWPT_RISCV_S1_INVALIDATE } from '../../uapi/data-structs.ts';
import { copyEntry, copyStruct } from '../../user-data.ts';
import { hex, U64_MAX } from './bits.ts';

/** First stage of a nested domain, as user space gave it. */
export interface RiscvStage1 {
  /** Root page number in guest physical memory. */
  readonly root: bigint;
  /** iosatp.MODE. */
  readonly mode: number;
  /** -1: the host takes one. */
  readonly pscid: number;
  readonly accessedDirty: boolean;
}

const FLAGS = BigInt(IOMMU_RISCV_S1_PSCID | IOMMU_RISCV_S1_ACCESSED_DIRTY);
const INVALIDATE_FLAGS = IOMMU_RISCV_INV_LEAF | IOMMU_RISCV_INV_GLOBAL;
const PPN_BITS = 44n;
const PSCID_BITS = 20;
const PAGE = 4096n;

/** Reads and checks the data of a nested domain against the unit's capabilities register. */
export function readRiscvStage1(data: UserData, capabilities: bigint): RiscvStage1 {
  if (data.type !== IOMMU_HWPT_DATA_RISCV_S1) {
    fail('EOPNOTSUPP', `data type ${data.type}: a nested domain here takes RISCV_S1`);
  }
  const { minSize, size, at } = HWPT_RISCV_S1;
  const bytes = copyStruct(data, IOMMU_HWPT_DATA_RISCV_S1, minSize, size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getBigUint64(at.flags, true);
  if ((flags & ~FLAGS) !== 0n) {
    fail('EOPNOTSUPP', `flags ${hex(flags)}: PSCID 1 and ACCESSED_DIRTY 2 are known`);
  }
  const root = view.getBigUint64(at.root_ppn, true);
  const mode = view.getUint32(at.mode, true);
  const named = (flags & BigInt(IOMMU_RISCV_S1_PSCID)) !== 0n;
  const given = view.getUint32(at.pscid, true);
  if (!named && given !== 0) fail('EINVAL', `pscid ${given} without the flag PSCID`);
  const pscid = named ? given : -1;
  const accessedDirty = (flags & BigInt(IOMMU_RISCV_S1_ACCESSED_DIRTY)) !== 0n;
  const stage1 = { root, mode, pscid, accessedDirty };
  checkRiscvStage1(stage1, capabilities);
  return stage1;
}

/** EINVAL: a unit with these capabilities cannot use the first stage. */
export function checkRiscvStage1(stage1: RiscvStage1, capabilities: bigint): void {
  const { mode, root, pscid, accessedDirty } = stage1;
  const caps = decodeCapabilities(capabilities);
  const supported = new Map([
    [IOMMU_RISCV_MODE_BARE, true],
    [IOMMU_RISCV_MODE_SV39, caps.sv39],
    [IOMMU_RISCV_MODE_SV48, caps.sv48],
    [IOMMU_RISCV_MODE_SV57, caps.sv57],
  ]);
  if (supported.get(mode) !== true) fail('EINVAL', `the unit has no first-stage mode ${mode}`);
  if (root >> PPN_BITS !== 0n) fail('EINVAL', `root_ppn ${hex(root)} has more than 44 bits`);
  if (mode === IOMMU_RISCV_MODE_BARE && root !== 0n) fail('EINVAL', 'mode BARE with a root_ppn');
  if (pscid >= 2 ** PSCID_BITS) fail('EINVAL', `pscid ${pscid} has more than 20 bits`);
  if (accessedDirty && !caps.amoHwad) {
    fail('EINVAL', 'ACCESSED_DIRTY, but the unit does not set such bits (AMO_HWAD)');
  }
}

/** First stage pointer of a device context (iosatp). */
export function iosatpOf({ root, mode }: RiscvStage1): bigint {
  return (BigInt(mode) << 60n) | root;
}

/** One entry of an invalidation; `pages` -1: the whole address space. */
export interface RiscvInvalidation {
  readonly address: bigint;
  readonly pages: number;
  readonly leaf: boolean;
  readonly global: boolean;
}

/** Entries before a bad one have been carried out. */
export function invalidateRiscvStage1(
  array: UserDataArray,
  flush: (invalidation: RiscvInvalidation) => void,
): void {
  array.handled = 0;
  if (array.type !== IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1) {
    fail('EINVAL', `data type ${array.type}: invalidation here takes RISCV_S1`);
  }
  const { minSize, size } = HWPT_RISCV_S1_INVALIDATE;
  for (let i = 0; i < array.entries; i++) {
    const bytes = copyEntry(array, i, IOMMU_HWPT_INVALIDATE_DATA_RISCV_S1, minSize, size);
    flush(readEntry(bytes));
    array.handled++;
  }
}

function readEntry(bytes: Uint8Array): RiscvInvalidation {
  const { at } = HWPT_RISCV_S1_INVALIDATE;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = view.getUint32(at.flags, true);
  if ((flags & ~INVALIDATE_FLAGS) !== 0) {
    fail('EOPNOTSUPP', `flags ${hex(BigInt(flags))}: LEAF 1 and GLOBAL 2 are known`);
  }
  if (view.getUint32(at.__reserved, true) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  const address = view.getBigUint64(at.addr, true);
  const pages = view.getBigUint64(at.npages, true);
  const leaf = (flags & IOMMU_RISCV_INV_LEAF) !== 0;
  const global = (flags & IOMMU_RISCV_INV_GLOBAL) !== 0;
  if (address % PAGE !== 0n) fail('EINVAL', `addr ${hex(address)} is no page's start`);
  if (pages === U64_MAX) {
    if (address !== 0n) fail('EINVAL', `npages says all, but addr is ${hex(address)}`);
    return { address, pages: -1, leaf, global };
  }
  if (pages === 0n) fail('EINVAL', 'npages is 0');
  if (address + pages * PAGE > U64_MAX + 1n) fail('EOVERFLOW', 'addr + npages overflows');
  return { address, pages: Number(pages), leaf, global };
}

export function riscvHwInfo(type: number, capabilities: bigint, control: number): HardwareInfo {
  if (type !== IOMMU_HW_INFO_TYPE_DEFAULT && type !== IOMMU_HW_INFO_TYPE_RISCV) {
    fail('EOPNOTSUPP', `hardware information of type ${type} from a RISC-V unit`);
  }
  const { at, size } = HW_INFO_RISCV;
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(at.capabilities, capabilities, true);
  view.setUint32(at.fctl, control, true);
  return { type: IOMMU_HW_INFO_TYPE_RISCV, bytes };
}
