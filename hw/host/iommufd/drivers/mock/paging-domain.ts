/**
 * A kernel-managed domain of the mock (struct mock_iommu_domain): an AMD v1 page table with a 2 KiB
 * granule, in two variants. The default one has all page sizes and an aperture of its own that
 * starts above zero; the huge one has pages of 1 MiB and 4 KiB and the whole range of its table.
 */
import { fail } from '../../../kernel/errno.ts';
import type { KernelMemory } from '../../../kernel/kernel-memory.ts';
import type { DirtyTracking, IommuDevice, IommuDriver, PagingDomain } from '../../driver.ts';
import {
  MOCK_APERTURE_LAST,
  MOCK_APERTURE_START,
  MOCK_HUGE_PAGE_SIZE,
  MOCK_PAGE_SIZE,
} from '../../uapi/test-constants.ts';
import { attachDevice, setDevicePasid } from './attach.ts';
import { AmdV1Table, INPUT_BITS } from './page-table.ts';

const DOMAIN_BYTES = 256;
const GRANULE_SHIFT = 11;
const GRANULE = MOCK_PAGE_SIZE;
/** Every power of two from 2 KiB to 64 GiB. */
const DEFAULT_PAGE_SIZES = (1n << 37n) - BigInt(MOCK_PAGE_SIZE);
/** iommufd takes no domain whose smallest page is above 4 KiB. */
const HUGE_PAGE_SIZES = BigInt(MOCK_HUGE_PAGE_SIZE) | 4096n;
const TABLE_LAST = (1n << BigInt(INPUT_BITS + GRANULE_SHIFT)) - 1n;

export type MockTableVariant = 'default' | 'huge';

export class MockPagingDomain implements PagingDomain {
  readonly kind = 'paging';
  readonly driver: IommuDriver;
  readonly pageSizes: bigint;
  readonly apertureStart: bigint;
  readonly apertureEnd: bigint;
  readonly dirty?: MockDirtyTracking;
  readonly table: AmdV1Table;
  private readonly memory: KernelMemory;

  constructor(
    driver: IommuDriver,
    memory: KernelMemory,
    variant: MockTableVariant,
    dirtyTracking: boolean,
  ) {
    const huge = variant === 'huge';
    this.driver = driver;
    this.memory = memory;
    this.pageSizes = huge ? HUGE_PAGE_SIZES : DEFAULT_PAGE_SIZES;
    this.apertureStart = huge ? 0n : BigInt(MOCK_APERTURE_START);
    this.apertureEnd = huge ? TABLE_LAST : BigInt(MOCK_APERTURE_LAST);
    memory.take(DOMAIN_BYTES, 'mock paging domain');
    try {
      this.table = new AmdV1Table(memory, GRANULE_SHIFT, this.pageSizes);
    } catch (error) {
      memory.give(DOMAIN_BYTES);
      throw error;
    }
    if (dirtyTracking) this.dirty = new MockDirtyTracking(this.table);
  }

  attach(device: IommuDevice): void {
    attachDevice(device, this.dirty !== undefined, null);
  }

  setPasid(device: IommuDevice, pasid: number): void {
    setDevicePasid(device, pasid, false);
  }

  map(iova: bigint, physical: bigint, bytes: bigint, prot: number): void {
    const first = granules(iova);
    const frame = granules(physical);
    const count = granules(bytes);
    this.table.map(first, frame, count, prot);
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    return BigInt(this.table.unmap(granules(iova), granules(bytes)) * GRANULE);
  }

  /** The mock caches nothing. */
  sync(): void {}

  iovaToPhys(iova: bigint): bigint | null {
    if (iova > TABLE_LAST) return null;
    const address = Number(iova);
    const offset = address % GRANULE;
    const frame = this.table.lookup((address - offset) / GRANULE);
    return frame < 0 ? null : BigInt(frame * GRANULE + offset);
  }

  free(): void {
    this.table.free();
    this.memory.give(DOMAIN_BYTES);
  }
}

/** Dirty bits of the leaves: the hardware always has them, tracking only says they are wanted. */
export class MockDirtyTracking implements DirtyTracking {
  enabled = false;
  private readonly table: AmdV1Table;

  constructor(table: AmdV1Table) {
    this.table = table;
  }

  setTracking(enable: boolean): void {
    this.enabled = enable;
  }

  /** What a write of a device does; nothing where nothing is mapped. */
  setDirty(iova: bigint): void {
    if (iova <= TABLE_LAST) this.table.setDirty(Math.floor(Number(iova) / GRANULE));
  }

  readAndClear(
    iova: bigint,
    bytes: bigint,
    clear: boolean,
    found: (iova: bigint, bytes: bigint) => void,
  ): void {
    const start = Number(iova);
    const end = start + Number(bytes);
    const first = Math.floor(start / GRANULE);
    const count = Math.ceil(end / GRANULE) - first;
    this.table.readDirty(first, count, clear, (at, length) => {
      found(BigInt(Math.max(at * GRANULE, start)), BigInt(length * GRANULE));
    });
  }

  flush(): void {}
}

function granules(bytes: bigint): number {
  const count = Number(bytes) / GRANULE;
  if (Math.floor(count) !== count) fail('EINVAL', `0x${bytes.toString(16)} is not whole pages`);
  return count;
}
