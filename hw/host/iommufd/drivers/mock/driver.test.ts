import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno, type ErrnoName, isErrno } from '../../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../../kernel/testbench.ts';
import {
  ALLOC_DIRTY_TRACKING,
  ALLOC_NEST_PARENT,
  ALLOC_PASID,
  type PagingDomain,
  PROT_READ,
  PROT_WRITE,
  type UserData,
  type UserDataArray,
  type ViommuHost,
} from '../../driver.ts';
import type { MockDevice } from './device.ts';
import { MockDriver } from './driver.ts';
import type { MockNestedDomain } from './nested-domain.ts';
import { MockPagingDomain } from './paging-domain.ts';

const HWPT_DATA = 0xdead;
const MOCK = 0xdeadbeef;
const NO_DIRTY = 1;
const PASID = 4;
const RW = PROT_READ | PROT_WRITE;

interface Bench extends TestKernel {
  readonly driver: MockDriver;
  readonly device: MockDevice;
  /** Driver data of 32-bit words in user memory. */
  data(type: number, ...words: number[]): UserData;
}

function bench(flags = 0): Bench {
  const base = testKernel();
  const driver = new MockDriver(base.kernel);
  const address = base.alloc(4096);
  const data = (type: number, ...words: number[]): UserData => {
    base.poke(address, new Uint8Array(Uint32Array.from(words).buffer));
    return { type, address, length: words.length * 4, space: base.process.space };
  };
  return { ...base, driver, device: driver.createDevice(flags), data };
}

function refused(code: ErrnoName, run: () => unknown): void {
  assert.throws(run, (error: unknown) => isErrno(error, code), `${code}: ${run}`);
}

function arrayOf(data: UserData, entryLength: number): UserDataArray {
  const entries = data.length / entryLength;
  return { ...data, entryLength, entries, handled: 0 };
}

/** A vIOMMU with one device under one virtual id. */
function hostOf(device: MockDevice, virtualId: bigint): ViommuHost & { events: Uint8Array[] } {
  return {
    events: [],
    deviceOf: (id) => (id === virtualId ? device : null),
    virtualIdOf: (other) => (other === device ? virtualId : null),
    report(_type, event) {
      this.events.push(event);
    },
    allocMmap: () => 0x1000n,
    freeMmap: () => {},
  };
}

test('devices take the lowest free number, and know only two flags', () => {
  const { driver, device, kernel } = bench();
  const second = driver.createDevice(PASID | NO_DIRTY);
  assert.is(second.name, 'iommufd_mock1');
  assert.is(second.maxPasids, 2 ** 20);
  assert.is(device.maxPasids, 1);
  driver.destroyDevice(device);
  assert.is(driver.createDevice(0).name, 'iommufd_mock0');
  refused('EINVAL', () => driver.createDevice(2));
  assert.is(kernel.memory.allocations, 2);
});

test('paging domains: flags, data types and page-table types that are refused', () => {
  const { driver, device, data } = bench(NO_DIRTY);
  refused('EOPNOTSUPP', () => driver.allocPaging(device, 16, null));
  refused('EOPNOTSUPP', () => driver.allocPaging(device, ALLOC_DIRTY_TRACKING, null));
  refused('EOPNOTSUPP', () => driver.allocPaging(device, 0, data(1, 0, 0)));
  refused('EOPNOTSUPP', () => driver.allocPaging(device, 0, data(HWPT_DATA, 0, 2)));
  refused('EINVAL', () => driver.allocPaging(device, 0, data(HWPT_DATA, 0, 0, 0)));
  refused('EINVAL', () => driver.allocPaging(device, 0, data(0, 0, 0)));
  assert.is(driver.allocPaging(device, ALLOC_NEST_PARENT, null).apertureStart, 0x1000000n);
});

test('the two page-table types differ in page sizes and aperture', () => {
  const { driver, device, data } = bench();
  const plain = driver.allocPaging(device, 0, data(HWPT_DATA, 7));
  assert.is(plain.pageSizes & -0x1000n, 0x1ffffff000n);
  assert.is(plain.pageSizes & 0xfffn, 2048n);
  assert.is(plain.apertureEnd, 0x7fffffffn);
  const huge = driver.allocPaging(device, 0, data(HWPT_DATA, 0, 1));
  assert.is(huge.pageSizes, 0x101000n);
  assert.is(huge.apertureStart, 0n);
  assert.is(huge.apertureEnd, (1n << 38n) - 1n);
});

test('a domain translates each byte of what is mapped', () => {
  const { driver, device } = bench();
  const domain = driver.allocPaging(device, 0, null);
  domain.map(0x1000800n, 0x40000800n, 0x1800n, RW);
  assert.is(domain.iovaToPhys(0x1000800n), 0x40000800n);
  assert.is(domain.iovaToPhys(0x1001fffn), 0x40001fffn);
  assert.is(domain.iovaToPhys(0x1002000n), null);
  assert.is(domain.iovaToPhys(1n << 60n), null);
  refused('EINVAL', () => domain.map(0x1000401n, 0n, 0x800n, RW));
  assert.is(domain.unmap(0x1000800n, 0x1800n), 0x1800n);
  assert.is(domain.iovaToPhys(0x1000800n), null);
});

test('a freed domain gives all its memory back', () => {
  const { driver, device, kernel } = bench();
  const before = kernel.memory.bytes;
  const domain = driver.allocPaging(device, ALLOC_DIRTY_TRACKING, null);
  domain.map(0x1000000n, 0n, 0x300000n, RW);
  domain.free();
  assert.is(kernel.memory.bytes, before);
});

test('a domain with dirty tracking takes no device without it', () => {
  const { driver, device } = bench();
  const domain = driver.allocPaging(device, ALLOC_DIRTY_TRACKING, null);
  refused('EINVAL', () => domain.attach(driver.createDevice(NO_DIRTY), null));
  domain.attach(device, null);
});

test('PASID 1024 fails the second time in a row, and a detach rearms it', () => {
  const { driver, device } = bench(PASID);
  const domain = driver.allocPaging(device, ALLOC_PASID, null);
  const set = () => domain.setPasid?.(device, 1024, null);
  set();
  refused('ENOMEM', set);
  set();
  driver.blocked.setPasid(device, 1024);
  set();
  for (let i = 0; i < 3; i++) domain.setPasid?.(device, 1023, null);
});

test('a nested domain has four words of its data; entries invalidate one or all', () => {
  const { driver, device, data } = bench();
  const parent = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  refused('EOPNOTSUPP', () => driver.allocNested(device, parent, 1, data(HWPT_DATA, 5)));
  refused('EOPNOTSUPP', () => driver.allocNested(device, parent, 0, data(1, 5)));
  const domain = driver.allocNested(device, parent, 0, data(HWPT_DATA, 5)) as MockNestedDomain;
  assert.equal([...domain.iotlb], [5, 5, 5, 5]);
  domain.invalidate(arrayOf(data(MOCK, 0, 2), 8));
  assert.equal([...domain.iotlb], [5, 5, 0, 5]);
  domain.invalidate(arrayOf(data(MOCK, 1, 0), 8));
  assert.equal([...domain.iotlb], [0, 0, 0, 0]);
});

test('a nested invalidation counts the entries before the one that is refused', () => {
  const { driver, device, data } = bench();
  const parent = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  const domain = driver.allocNested(device, parent, 0, data(HWPT_DATA, 5)) as MockNestedDomain;
  const handled = (code: ErrnoName, array: UserDataArray): number => {
    refused(code, () => domain.invalidate(array));
    return array.handled;
  };
  assert.is(handled('EINVAL', arrayOf(data(MOCK, 0, 0, 0, 4), 8)), 1);
  assert.is(handled('EOPNOTSUPP', arrayOf(data(MOCK, 0, 1, 0, 2, 2, 0), 8)), 2);
  assert.is(handled('EINVAL', arrayOf(data(MOCK, 0, 3, 0), 12)), 0);
  assert.is(handled('EINVAL', arrayOf(data(1, 0, 3), 8)), 0);
  assert.equal([...domain.iotlb], [0, 0, 0, 5]);
});

test('a vIOMMU answers its word, and shows it in pages for mmap', () => {
  const { driver, device, data, kernel, peek } = bench();
  const parent = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  const host = hostOf(device, 3n);
  const mapped: number[] = [];
  host.allocMmap = (frames) => {
    mapped.push(...frames);
    return 0x5000n;
  };
  const given = data(MOCK, 0xabcd, 0, 0, 0, 0, 0);
  const viommu = driver.initViommu(device, MOCK, parent, host, given);
  const answer = new DataView(peek(given.address, 24).buffer);
  assert.is(answer.getUint32(4, true), 0xabcd);
  assert.is(answer.getBigUint64(8, true), 0x5000n);
  assert.is(answer.getBigUint64(16, true), 8192n);
  assert.is(mapped.length, 2);
  const word = new Uint8Array(4);
  kernel.frames.read(mapped[0] as number, 0, word);
  assert.equal([...word], [0xcd, 0xab, 0, 0]);
  viommu.destroy?.();
  refused('EINVAL', () => driver.initViommu(device, MOCK, parent, host, data(MOCK, 1)));
});

test('a vIOMMU invalidation reads all entries first, and finds devices by virtual id', () => {
  const { driver, device, data } = bench();
  const parent = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  const viommu = driver.initViommu(device, MOCK, parent, hostOf(device, 3n), null);
  const invalidate = (array: UserDataArray): UserDataArray => {
    try {
      viommu.invalidate?.(array);
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
    }
    return array;
  };
  const words = () => [...device.cache].map((word) => word === 0);
  assert.is(invalidate(arrayOf(data(MOCK, 0, 3, 1, 0, 4, 2), 12)).handled, 1);
  assert.equal(words(), [false, true, false, false]);
  assert.is(invalidate(arrayOf(data(MOCK, 0, 3, 0, 7, 0, 3, 0, 7), 16)).handled, 0);
  assert.equal(words(), [false, true, false, false]);
  assert.is(invalidate(arrayOf(data(MOCK, 1, 3, 0), 12)).handled, 1);
  assert.equal(words(), [true, true, true, true]);
  assert.is(invalidate({ ...arrayOf(data(MOCK), 12), entries: 1 << 19 }).handled, 1 << 19);
});

test('a nested domain of a vIOMMU takes only devices with a vDEVICE there', () => {
  const { driver, device, data } = bench();
  const parent = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  const host = hostOf(device, 3n);
  const viommu = driver.initViommu(device, MOCK, parent, host, null);
  const domain = viommu.allocNested?.(device, 0, data(HWPT_DATA, 5));
  refused('ENOENT', () => domain?.attach(driver.createDevice(0), null));
  domain?.attach(device, null);
  assert.is(device.viommu, host);
  assert.is(device.virtualId, 3n);
  driver.blocked.attach(device);
  assert.is(device.viommu, null);
});

test('the second queue needs the first, and each index is taken once', () => {
  const { driver, device } = bench();
  const parent: PagingDomain = driver.allocPaging(device, ALLOC_NEST_PARENT, null);
  const viommu = driver.initViommu(device, MOCK, parent, hostOf(device, 3n), null);
  const queue = (index: number) =>
    viommu.initHwQueue?.({ type: MOCK, index, base: 0n, length: 4096n });
  refused('EIO', () => queue(1));
  refused('EINVAL', () => queue(2));
  const first = queue(0);
  refused('EEXIST', () => queue(0));
  const second = queue(1);
  assert.is(second?.dependsOn, 0);
  assert.is(first?.dependsOn, -1);
  second?.destroy();
  queue(1);
});

test('dirty bits are read whether or not tracking is on', () => {
  const { driver, device } = bench();
  const domain = driver.allocPaging(device, ALLOC_DIRTY_TRACKING, null);
  assert.instance(domain, MockPagingDomain);
  const { dirty } = domain as MockPagingDomain;
  domain.map(0x1000800n, 0x800n, 0x800n, RW);
  dirty?.setDirty(0x1000fffn);
  dirty?.setDirty(0x1001000n);
  const found: bigint[] = [];
  const read = () => dirty?.readAndClear(0x1000000n, 0x4000n, true, (a, b) => found.push(a, b));
  read();
  read();
  assert.equal(found, [0x1000800n, 0x800n]);
});

test.run();
