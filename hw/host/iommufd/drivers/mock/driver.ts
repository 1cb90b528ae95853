/**
 * Linux's mock IOMMU driver (drivers/iommu/iommufd/selftest.c), which has no hardware behind it: one
 * IOMMU unit, a group for each device, both stages of translation, vIOMMUs, page requests.
 */
import type { KernelServices } from '../../../kernel/api.ts';
import { fail } from '../../../kernel/errno.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type HardwareInfo,
  type IommuCapability,
  type IommuDevice,
  type IommuDriver,
  type NestedDomain,
  type PagingDomain,
  type UserData,
  type ViommuDriver,
  type ViommuHost,
} from '../../driver.ts';
import { IommuGroup } from '../../iommu-core/group.ts';
import { HWPT_SELFTEST, TEST_HW_INFO, VIOMMU_SELFTEST } from '../../uapi/data-structs.ts';
import {
  IOMMU_HW_INFO_SELFTEST_REGVAL,
  IOMMU_HW_INFO_TYPE_SELFTEST,
  IOMMU_HWPT_DATA_SELFTEST,
  IOMMU_VIOMMU_TYPE_SELFTEST,
  MOCK_FLAGS_DEVICE_NO_DIRTY,
  MOCK_FLAGS_DEVICE_PASID,
  MOCK_IOMMUPT_DEFAULT,
  MOCK_IOMMUPT_HUGE,
} from '../../uapi/test-constants.ts';
import { copyBack, copyStruct } from '../../user-data.ts';
import { MockBlockedDomain } from './attach.ts';
import { MockDevice, mockDevice } from './device.ts';
import { MockNestedDomain } from './nested-domain.ts';
import { MockPagingDomain, type MockTableVariant } from './paging-domain.ts';
import { LoopbackPages, MockViommu } from './viommu.ts';

const DEVICE_BYTES = 1024;
const DATA_NONE = 0;
const HW_INFO_DEFAULT = 0;
const PAGING_FLAGS = ALLOC_NEST_PARENT | ALLOC_DIRTY_TRACKING | ALLOC_PASID;
const DEVICE_FLAGS = MOCK_FLAGS_DEVICE_NO_DIRTY | MOCK_FLAGS_DEVICE_PASID;

export class MockDriver implements IommuDriver {
  readonly name = 'iommufd_mock';
  readonly userPasidTable = true;
  readonly blocked: MockBlockedDomain = new MockBlockedDomain(this);
  private readonly services: KernelServices;
  /** The one IOMMU unit. */
  private readonly unit: object = { name: 'iommufd_selftest_iommu' };
  private readonly numbers = new Set<number>();

  constructor(services: KernelServices) {
    this.services = services;
  }

  /** mock_dev_create: a device in a group of its own, found by the driver. */
  createDevice(flags: number): MockDevice {
    if ((flags & ~DEVICE_FLAGS) !== 0) {
      fail('EINVAL', `device flags 0x${flags.toString(16)}: known are 1 (no dirty), 4 (PASID)`);
    }
    const { memory } = this.services;
    memory.take(DEVICE_BYTES, 'mock device and its group');
    let number = 0;
    while (this.numbers.has(number)) number++;
    const group = new IommuGroup(memory);
    const device = new MockDevice(number, flags, this, this.unit, group);
    group.addDevice(device);
    this.numbers.add(number);
    return device;
  }

  destroyDevice(device: MockDevice): void {
    device.group.removeDevice(device);
    this.numbers.delete(device.number);
    this.services.memory.give(DEVICE_BYTES);
  }

  capable(device: IommuDevice, capability: IommuCapability): boolean {
    if (capability === 'cache-coherency') return true;
    return capability === 'dirty-tracking' && mockDevice(device).dirtyTracking;
  }

  hwInfo(_device: IommuDevice, type: number): HardwareInfo {
    if (type !== HW_INFO_DEFAULT && type !== IOMMU_HW_INFO_TYPE_SELFTEST) {
      fail('EOPNOTSUPP', `hardware information of type 0x${type.toString(16)} is not the mock's`);
    }
    this.services.memory.point('ENOMEM', 'hardware information');
    const bytes = new Uint8Array(TEST_HW_INFO.size);
    const view = new DataView(bytes.buffer);
    view.setUint32(TEST_HW_INFO.at.test_reg, IOMMU_HW_INFO_SELFTEST_REGVAL, true);
    return { type: IOMMU_HW_INFO_TYPE_SELFTEST, bytes };
  }

  allocPaging(device: IommuDevice, flags: number, data: UserData | null): PagingDomain {
    if ((flags & ~PAGING_FLAGS) !== 0) {
      fail('EOPNOTSUPP', `page-table flags 0x${flags.toString(16)} are not all known to the mock`);
    }
    const dirty = (flags & ALLOC_DIRTY_TRACKING) !== 0;
    if (dirty && !mockDevice(device).dirtyTracking) {
      fail('EOPNOTSUPP', `${device.name} cannot track dirty pages`);
    }
    const variant = data === null ? 'default' : pagingVariant(data);
    return new MockPagingDomain(this, this.services.memory, variant, dirty);
  }

  allocNested(
    _device: IommuDevice,
    parent: PagingDomain,
    flags: number,
    data: UserData,
  ): NestedDomain {
    return this.nestedDomain(parent, flags, data, null);
  }

  supportsViommu(_device: IommuDevice, type: number): boolean {
    return type === IOMMU_VIOMMU_TYPE_SELFTEST;
  }

  initViommu(
    _device: IommuDevice,
    _type: number,
    parent: PagingDomain,
    host: ViommuHost,
    data: UserData | null,
  ): ViommuDriver {
    const pages = data === null ? null : this.loopback(host, data);
    return new MockViommu(
      host,
      this.services.memory,
      (flags, nested) => this.nestedDomain(parent, flags, nested, host),
      pages,
    );
  }

  /** Nothing waits for the answer. */
  pageResponse(): void {}

  private nestedDomain(
    parent: PagingDomain,
    flags: number,
    data: UserData,
    viommu: ViommuHost | null,
  ): NestedDomain {
    if ((flags & ~ALLOC_PASID) !== 0) {
      fail('EOPNOTSUPP', 'a nested domain of the mock knows no flag but PASID');
    }
    if (parent.kind !== 'paging') fail('EINVAL', 'the parent is not a paging domain');
    if (data.type !== IOMMU_HWPT_DATA_SELFTEST) refuseType(data.type);
    const config = hwptConfig(data);
    const iotlb = config.getUint32(HWPT_SELFTEST.at.iotlb, true);
    return new MockNestedDomain(this, this.services.memory, parent, iotlb, viommu);
  }

  /** Pages whose first word is the one in the data; where to map them is part of the answer. */
  private loopback(host: ViommuHost, data: UserData): LoopbackPages {
    const { at, minSize, size } = VIOMMU_SELFTEST;
    const bytes = copyStruct(data, IOMMU_VIOMMU_TYPE_SELFTEST, minSize, size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const word = bytes.slice(at.in_data, at.in_data + 4);
    const pages = new LoopbackPages(host, this.services.pages);
    try {
      this.services.frames.write(pages.frames[0] as number, 0, word);
      bytes.set(word, at.out_data);
      view.setBigUint64(at.out_mmap_offset, pages.offset, true);
      view.setBigUint64(at.out_mmap_length, pages.bytes, true);
      copyBack(data, bytes);
    } catch (error) {
      pages.free(host);
      throw error;
    }
    return pages;
  }
}

function pagingVariant(data: UserData): MockTableVariant {
  if (data.type !== IOMMU_HWPT_DATA_SELFTEST && data.type !== DATA_NONE) refuseType(data.type);
  const table = hwptConfig(data).getUint32(HWPT_SELFTEST.at.pagetable_type, true);
  if (table === MOCK_IOMMUPT_DEFAULT) return 'default';
  if (table === MOCK_IOMMUPT_HUGE) return 'huge';
  return fail('EOPNOTSUPP', `page-table type ${table}: the mock has 0 (default) and 1 (huge)`);
}

function hwptConfig(data: UserData): DataView {
  const { minSize, size } = HWPT_SELFTEST;
  const bytes = copyStruct(data, IOMMU_HWPT_DATA_SELFTEST, minSize, size);
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function refuseType(type: number): never {
  fail('EOPNOTSUPP', `driver data of type 0x${type.toString(16)} is not the mock's (0xdead)`);
}

const drivers = new WeakMap<KernelServices, MockDriver>();

/** The mock driver of a kernel. */
export function mockDriverOf(services: KernelServices): MockDriver {
  let driver = drivers.get(services);
  if (driver === undefined) {
    driver = new MockDriver(services);
    drivers.set(services, driver);
  }
  return driver;
}
