/**
 * A driver that keeps what it is told and refuses on demand, for tests of what stands above
 * drivers: domains are tables of ranges, devices remember the domain that each PASID has.
 */
import { type ErrnoName, fail } from '../kernel/errno.ts';
import type {
  Domain,
  HardwareInfo,
  IommuCapability,
  IommuDevice,
  IommuDriver,
  NestedDomain,
  PagingDomain,
  PciTraits,
  ReservedRegion,
  UserData,
  UserDataArray,
} from './driver.ts';
import { copyEntry, copyStruct } from './user-data.ts';

const DATA_TYPE = 7;
const DATA_BYTES = 8;
const WORD_BYTES = 4;
const APERTURE_END = 0xffff_ffffn;
const PAGE_SIZES = 0x1000n;

export class TestDevice implements IommuDevice {
  readonly name: string;
  readonly driver: TestDriver;
  readonly instance: object;
  maxPasids = 16;
  pci: PciTraits | null = null;
  reserved: ReservedRegion[] = [];
  /** Domain by PASID; 0 is the device itself. */
  readonly attached: Map<number, Domain> = new Map();

  constructor(name: string, driver: TestDriver, instance: object = driver) {
    this.name = name;
    this.driver = driver;
    this.instance = instance;
  }
}

function testDevice(device: IommuDevice): TestDevice {
  return device as TestDevice;
}

class TestDomain {
  readonly driver: TestDriver;
  freed = false;

  constructor(driver: TestDriver) {
    this.driver = driver;
  }

  attach(device: IommuDevice): void {
    this.put(device, 0);
  }

  setPasid(device: IommuDevice, pasid: number): void {
    this.put(device, pasid);
  }

  free(): void {
    this.freed = true;
    this.driver.domains--;
  }

  private put(device: IommuDevice, pasid: number): void {
    this.driver.refuseIfAsked(device);
    testDevice(device).attached.set(pasid, this as unknown as Domain);
  }
}

export class TestPagingDomain extends TestDomain implements PagingDomain {
  readonly kind = 'paging';
  readonly pageSizes: bigint = PAGE_SIZES;
  readonly apertureStart = 0n;
  readonly apertureEnd: bigint = APERTURE_END;
  /** Physical address and length of each mapped range, by IOVA. */
  readonly mapped: Map<bigint, readonly [bigint, bigint]> = new Map();

  map(iova: bigint, physical: bigint, bytes: bigint): void {
    this.mapped.set(iova, [physical, bytes]);
  }

  unmap(iova: bigint, bytes: bigint): bigint {
    let removed = 0n;
    for (const [start, [, length]] of [...this.mapped]) {
      if (start < iova || start + length > iova + bytes) continue;
      this.mapped.delete(start);
      removed += length;
    }
    return removed;
  }

  sync(): void {}

  iovaToPhys(iova: bigint): bigint | null {
    for (const [start, [physical, length]] of this.mapped) {
      if (iova >= start && iova < start + length) return physical + (iova - start);
    }
    return null;
  }
}

export class TestNestedDomain extends TestDomain implements NestedDomain {
  readonly kind = 'nested';
  readonly parent: PagingDomain;
  /** First words of the entries that were invalidated. */
  readonly invalidated: number[] = [];

  constructor(driver: TestDriver, parent: PagingDomain) {
    super(driver);
    this.parent = parent;
  }

  /** Entries of one word; odd ones are refused. */
  invalidate(array: UserDataArray): void {
    for (let i = 0; i < array.entries; i++) {
      const bytes = copyEntry(array, i, DATA_TYPE, WORD_BYTES, WORD_BYTES);
      const word = new DataView(bytes.buffer).getUint32(0, true);
      if (word % 2 === 1) fail('EOPNOTSUPP', `entry ${i} is odd`);
      this.invalidated.push(word);
      array.handled++;
    }
  }
}

class TestBlockedDomain extends TestDomain implements Domain {
  readonly kind = 'blocked';

  override setPasid(device: IommuDevice, pasid: number): void {
    testDevice(device).attached.delete(pasid);
  }
}

export class TestDriver implements IommuDriver {
  readonly name: string;
  readonly userPasidTable = false;
  readonly blocked: Domain = new TestBlockedDomain(this);
  readonly capabilities: Set<IommuCapability> = new Set(['cache-coherency']);
  /** Domains allocated and not freed. */
  domains = 0;
  /** The device whose next attachment, to any domain, is refused, and how. */
  refusal: { readonly device: IommuDevice; readonly code: ErrnoName } | null = null;

  constructor(name = 'test') {
    this.name = name;
  }

  capable(_device: IommuDevice, capability: IommuCapability): boolean {
    return this.capabilities.has(capability);
  }

  allocPaging(_device: IommuDevice, _flags: number, data: UserData | null): PagingDomain {
    if (data !== null) copyStruct(data, DATA_TYPE, DATA_BYTES, DATA_BYTES);
    this.domains++;
    return new TestPagingDomain(this);
  }

  allocNested(
    _device: IommuDevice,
    parent: PagingDomain,
    _flags: number,
    data: UserData,
  ): NestedDomain {
    copyStruct(data, DATA_TYPE, DATA_BYTES, DATA_BYTES);
    this.domains++;
    return new TestNestedDomain(this, parent);
  }

  hwInfo(_device: IommuDevice, type: number): HardwareInfo {
    if (type !== 0 && type !== DATA_TYPE) fail('EOPNOTSUPP', `no information of type ${type}`);
    return { type: DATA_TYPE, bytes: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
  }

  refuseIfAsked(device: IommuDevice): void {
    const { refusal } = this;
    if (refusal === null || refusal.device !== device) return;
    this.refusal = null;
    fail(refusal.code, `the test refuses ${device.name}`);
  }
}

/** Data type and length that the test driver takes for a page table. */
export const TEST_DATA: { readonly type: number; readonly bytes: number } = {
  type: DATA_TYPE,
  bytes: DATA_BYTES,
};
