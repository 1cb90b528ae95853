/**
 * Driver-specific data in user memory (iommu_copy_struct_from_user and its relatives of
 * include/linux/iommu.h). Unlike an ioctl's own structure, one that is longer than the kernel's is
 * refused whatever its tail; only the copy of a whole array looks at tails.
 */

import type { AddressSpace } from '../kernel/api.ts';
import { fail } from '../kernel/errno.ts';
import { checkZeroTail } from './dispatch.ts';
import type { UserData, UserDataArray } from './driver.ts';

function checkType(given: number, expected: number): void {
  if (given !== expected) {
    fail('EINVAL', `data type 0x${given.toString(16)} is not 0x${expected.toString(16)}`);
  }
}

function checkLength(length: number, minLength: number, kernelLength: number): void {
  if (length < minLength || length > kernelLength) {
    fail('EINVAL', `data of ${length} bytes, where ${minLength} to ${kernelLength} are understood`);
  }
}

/** One structure, zero-extended to the kernel's length. */
export function copyStruct(
  data: UserData,
  type: number,
  minLength: number,
  kernelLength: number,
): Uint8Array {
  checkType(data.type, type);
  checkLength(data.length, minLength, kernelLength);
  const bytes = new Uint8Array(kernelLength);
  data.space.copyIn(data.address, bytes.subarray(0, data.length));
  return bytes;
}

/** One element of an array, as `copyStruct`. */
export function copyEntry(
  array: UserDataArray,
  index: number,
  type: number,
  minLength: number,
  kernelLength: number,
): Uint8Array {
  checkType(array.type, type);
  checkLength(array.entryLength, minLength, kernelLength);
  const bytes = new Uint8Array(kernelLength);
  const address = array.address + BigInt(array.entryLength) * BigInt(index);
  array.space.copyIn(address, bytes.subarray(0, array.entryLength));
  return bytes;
}

/**
 * All elements: shorter ones are zero-extended, longer ones need a zero tail (E2BIG). The caller
 * answers an empty array itself, where that is to be fine: here it is EINVAL.
 */
export function copyWhole(array: UserDataArray, type: number, kernelLength: number): Uint8Array[] {
  checkType(array.type, type);
  if (array.entries === 0) fail('EINVAL', 'the array has no entries');
  const entries: Uint8Array[] = [];
  for (let i = 0; i < array.entries; i++) {
    const bytes = new Uint8Array(kernelLength);
    const address = array.address + BigInt(array.entryLength) * BigInt(i);
    copyExtended(array.space, address, array.entryLength, bytes);
    entries.push(bytes);
  }
  return entries;
}

/** copy_struct_from_user: `into` is the kernel's structure, `length` what the caller has. */
export function copyExtended(
  space: AddressSpace,
  address: bigint,
  length: number,
  into: Uint8Array,
): void {
  if (length > into.length) {
    checkZeroTail(space, address + BigInt(into.length), length - into.length);
  }
  space.copyIn(address, length < into.length ? into.subarray(0, length) : into);
}

/** iommu_copy_struct_to_user: the answer of a driver, cut to the length that the caller has. */
export function copyBack(
  data: UserData,
  bytes: Uint8Array,
  type: number = data.type,
  minLength = 0,
): void {
  checkType(data.type, type);
  checkLength(data.length, minLength, bytes.length);
  data.space.copyOut(data.address, bytes.subarray(0, data.length));
}
