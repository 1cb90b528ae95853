/**
 * A user-managed domain of the mock (struct mock_iommu_domain_nested): four words of a pretended
 * IOTLB that start with the user's value and become zero where they are invalidated.
 */
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import type {
  IommuDevice,
  IommuDriver,
  NestedDomain,
  PagingDomain,
  UserDataArray,
  ViommuHost,
} from '../../driver.ts';
import { HWPT_INVALIDATE_SELFTEST } from '../../uapi/data-structs.ts';
import {
  IOMMU_HWPT_INVALIDATE_DATA_SELFTEST,
  MOCK_NESTED_DOMAIN_IOTLB_NUM,
} from '../../uapi/test-constants.ts';
import { copyEntry } from '../../user-data.ts';
import { attachDevice, setDevicePasid } from './attach.ts';
import { checkInvalidation, clearWords } from './invalidation.ts';

const DOMAIN_BYTES = 160;

export class MockNestedDomain implements NestedDomain {
  readonly kind = 'nested';
  readonly driver: IommuDriver;
  readonly parent: PagingDomain;
  readonly iotlb: Uint32Array;
  /** The vIOMMU that it was made through: its devices need a vDEVICE there. */
  private readonly viommu: ViommuHost | null;
  private readonly memory: KernelMemory;

  constructor(
    driver: IommuDriver,
    memory: KernelMemory,
    parent: PagingDomain,
    iotlb: number,
    viommu: ViommuHost | null,
  ) {
    memory.take(DOMAIN_BYTES, 'mock nested domain');
    this.driver = driver;
    this.memory = memory;
    this.parent = parent;
    this.viommu = viommu;
    this.iotlb = new Uint32Array(MOCK_NESTED_DOMAIN_IOTLB_NUM).fill(iotlb);
  }

  attach(device: IommuDevice): void {
    attachDevice(device, false, this.viommu);
  }

  setPasid(device: IommuDevice, pasid: number): void {
    setDevicePasid(device, pasid, false);
  }

  /** mock_domain_cache_invalidate_user: entry after entry, each read when its turn comes. */
  invalidate(array: UserDataArray): void {
    array.handled = 0;
    if (array.type !== IOMMU_HWPT_INVALIDATE_DATA_SELFTEST) {
      fail('EINVAL', `invalidation data type 0x${array.type.toString(16)} is not the mock's`);
    }
    const { at, minSize, size } = HWPT_INVALIDATE_SELFTEST;
    for (let i = 0; i < array.entries; i++) {
      const bytes = copyEntry(array, i, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, minSize, size);
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const flags = view.getUint32(at.flags, true);
      const index = view.getUint32(at.iotlb_id, true);
      checkInvalidation(this.iotlb.length, flags, index);
      clearWords(this.iotlb, flags, index);
      array.handled++;
    }
  }

  free(): void {
    this.memory.give(DOMAIN_BYTES);
  }
}
