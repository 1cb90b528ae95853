/** IOMMU_GET_HW_INFO: what the IOMMU of a device is and can do, in its driver's words. */
import { fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { HardwareInfo, IommuDevice } from '../driver.ts';
import {
  IOMMU_HW_CAP_DIRTY_TRACKING,
  IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED,
  IOMMU_HW_CAP_PCI_PASID_EXEC,
  IOMMU_HW_CAP_PCI_PASID_PRIV,
  IOMMU_HW_INFO_FLAG_INPUT_TYPE,
  IOMMU_HW_INFO_TYPE_DEFAULT,
  IOMMU_HW_INFO_TYPE_NONE,
} from '../uapi/constants.ts';
import { GET_HW_INFO } from '../uapi/structs.ts';
import { Device } from './device.ts';

const { at } = GET_HW_INFO;
/** Kernel memory of the driver's answer while it is copied. */
const INFO_BYTES = 64;
const RESERVED_BYTES = 3;

function getHwInfo(call: IoctlCall): void {
  const flags = call.u32(at.flags);
  if ((flags & ~IOMMU_HW_INFO_FLAG_INPUT_TYPE) !== 0) {
    fail('EOPNOTSUPP', `flags 0x${flags.toString(16)} has an unknown bit`);
  }
  for (let i = 0; i < RESERVED_BYTES; i++) {
    if (call.u8(at.__reserved + i) !== 0) fail('EOPNOTSUPP', '__reserved is not zero');
  }
  const asked = (flags & IOMMU_HW_INFO_FLAG_INPUT_TYPE) !== 0;
  const type = asked ? call.u32(at.in_data_type) : IOMMU_HW_INFO_TYPE_DEFAULT;
  const { objects } = call.context;
  const device = objects.get(call.u32(at.dev_id), Device);
  try {
    answer(call, device.iommu, type);
  } finally {
    objects.put(device);
  }
}

function answer(call: IoctlCall, device: IommuDevice, type: number): void {
  const { memory } = call.context.services;
  const { driver } = device;
  if (driver.hwInfo === undefined) {
    respond(call, device, { type: IOMMU_HW_INFO_TYPE_NONE, bytes: new Uint8Array(0) });
    return;
  }
  const info = driver.hwInfo(device, type);
  memory.take(INFO_BYTES, 'hardware information');
  try {
    respond(call, device, info);
  } finally {
    memory.give(INFO_BYTES);
  }
}

function respond(call: IoctlCall, device: IommuDevice, info: HardwareInfo): void {
  const { space } = call.process;
  const address = call.u64(at.data_uptr);
  const given = call.u32(at.data_len);
  const copied = Math.min(given, info.bytes.length);
  if (copied > 0) space.copyOut(address, info.bytes.subarray(0, copied));
  if (given > copied) space.clear(address + BigInt(copied), BigInt(given - copied));
  call.setU32(at.out_data_type, info.type);
  call.setU32(at.data_len, info.bytes.length);
  call.setU64(at.out_capabilities, BigInt(capabilities(device)));
  const { maxPasids } = device;
  call.setU8(at.out_max_pasid_log2, maxPasids === 0 ? 0 : 31 - Math.clz32(maxPasids));
  call.respond();
}

function capabilities(device: IommuDevice): number {
  const { driver, pci } = device;
  let bits = 0;
  if (driver.capable(device, 'dirty-tracking')) bits |= IOMMU_HW_CAP_DIRTY_TRACKING;
  if (!driver.capable(device, 'pci-ats')) bits |= IOMMU_HW_CAP_PCI_ATS_NOT_SUPPORTED;
  if (device.maxPasids > 0 && pci !== null) {
    if (pci.pasidExecute) bits |= IOMMU_HW_CAP_PCI_PASID_EXEC;
    if (pci.pasidPrivileged) bits |= IOMMU_HW_CAP_PCI_PASID_PRIV;
  }
  return bits;
}

export const HW_INFO_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_GET_HW_INFO',
    word: GET_HW_INFO.word,
    size: GET_HW_INFO.size,
    minSize: GET_HW_INFO.minSize,
    run: getHwInfo,
  },
];
