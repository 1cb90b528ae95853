import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRNO, type ErrnoName } from '../../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../../kernel/testbench.ts';
import { openIommufd } from '../../iommufd-file.ts';
import { IOAS_ALLOC, IOAS_COPY, IOAS_MAP, IOAS_UNMAP } from '../../uapi/structs.ts';
import * as OP from '../../uapi/test-constants.ts';
import {
  TEST_ACCESS_PAGES,
  TEST_ACCESS_RW,
  TEST_ADD_RESERVED,
  TEST_CHECK_DEV_CACHE,
  TEST_CHECK_MAP,
  TEST_CHECK_REFS,
  TEST_CMD,
  TEST_CREATE_ACCESS,
  TEST_DESTROY_ACCESS_PAGES,
  TEST_DMABUF_GET,
  TEST_DMABUF_REVOKE,
  TEST_MEMORY_LIMIT,
  TEST_MOCK_DOMAIN_FLAGS,
  TEST_PASID_CHECK,
} from '../../uapi/test-structs.ts';
import { MOCK_COMMANDS } from './test-commands.ts';

const O_RDWR = 2;
const FIXED_RW = 7;
const IOVA = 0x1000000n;

/** An open /dev/iommu with the test driver. */
class Bench {
  readonly base: TestKernel = testKernel();
  readonly fd: number;
  private readonly argument: bigint;
  private view = new DataView(new ArrayBuffer(0));

  constructor() {
    const { kernel, calls } = this.base;
    kernel.registerNode('/dev/iommu', () => openIommufd(kernel, '/dev/iommu', MOCK_COMMANDS));
    this.argument = this.base.alloc(4096);
    this.fd = Number(calls.open('/dev/iommu', O_RDWR).value);
  }

  /** Runs a call with fields at their offsets; returns its errno (0: none). */
  call(
    word: number,
    size: number,
    fields: readonly (readonly [number, number | bigint])[],
  ): number {
    const bytes = new Uint8Array(size);
    const view = new DataView(bytes.buffer);
    view.setUint32(0, size, true);
    for (const [at, value] of fields) {
      if (typeof value === 'bigint') view.setBigUint64(at, value, true);
      else view.setUint32(at, value, true);
    }
    this.base.poke(this.argument, bytes);
    const { errno } = this.base.calls.ioctl(this.fd, word, this.argument);
    this.view = new DataView(this.base.peek(this.argument, size).slice().buffer);
    return errno;
  }

  test(op: number, id: number, ...fields: (readonly [number, number | bigint])[]): number {
    const common = [[TEST_CMD.at.op, op] as const, [TEST_CMD.at.id, id] as const];
    return this.call(TEST_CMD.word, TEST_CMD.size, [...common, ...fields]);
  }

  out(at: number): number {
    return this.view.getUint32(at, true);
  }

  ioas(): number {
    this.call(IOAS_ALLOC.word, IOAS_ALLOC.size, []);
    return this.out(IOAS_ALLOC.at.out_ioas_id);
  }

  map(ioas: number, user: bigint, length: bigint, iova: bigint = IOVA): number {
    const { at, word, size } = IOAS_MAP;
    return this.call(word, size, [
      [at.flags, FIXED_RW],
      [at.ioas_id, ioas],
      [at.user_va, user],
      [at.length, length],
      [at.iova, iova],
    ]);
  }

  unmap(ioas: number, iova: bigint, length: bigint): number {
    const { at, word, size } = IOAS_UNMAP;
    return this.call(word, size, [
      [at.ioas_id, ioas],
      [at.iova, iova],
      [at.length, length],
    ]);
  }

  refs(user: bigint, length: bigint, count: number): number {
    const { at } = TEST_CHECK_REFS;
    return this.test(
      OP.IOMMU_TEST_OP_MD_CHECK_REFS,
      0,
      [at.length, length],
      [at.uptr, user],
      [at.refs, count],
    );
  }
}

function expectErrno(errno: number, code: ErrnoName): void {
  assert.is(errno, ERRNO[code]);
}

test('a mock device takes ids for itself, its device and its page table, and checks its map', () => {
  const bench = new Bench();
  const user = bench.base.alloc(0x4000);
  const ioas = bench.ioas();
  assert.is(bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN, ioas), 0);
  const { at } = TEST_MOCK_DOMAIN_FLAGS;
  const ids = [at.out_stdev_id, at.out_idev_id, at.out_hwpt_id].map((field) => bench.out(field));
  assert.equal(ids, [2, 3, 4]);
  assert.is(bench.map(ioas, user, 0x4000n), 0);
  const check = (iova: bigint, length: bigint): number =>
    bench.test(
      OP.IOMMU_TEST_OP_MD_CHECK_MAP,
      4,
      [TEST_CHECK_MAP.at.iova, iova],
      [TEST_CHECK_MAP.at.length, length],
      [TEST_CHECK_MAP.at.uptr, user],
    );
  assert.is(check(IOVA, 0x4000n), 0);
  expectErrno(check(IOVA + 0x800n, 0x800n), 'EINVAL');
  expectErrno(check(IOVA, 0x400n), 'EINVAL');
  assert.is(bench.refs(user, 0x4000n, 1), 0);
  expectErrno(bench.refs(user, 0x4000n, 0), 'EIO');
  expectErrno(bench.refs(user + 1n, 0x1000n, 1), 'EINVAL');
});

test('a refused device gives its ids back', () => {
  const bench = new Bench();
  const ioas = bench.ioas();
  const flags = [TEST_MOCK_DOMAIN_FLAGS.at.dev_flags, 2] as const;
  expectErrno(bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, ioas, flags), 'EINVAL');
  expectErrno(bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN, 99), 'ENOENT');
  assert.is(bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN, ioas), 0);
  assert.is(bench.out(TEST_MOCK_DOMAIN_FLAGS.at.out_stdev_id), 2);
});

test('cache words of a device, and what is attached at a PASID', () => {
  const bench = new Bench();
  bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN, bench.ioas());
  const { at } = TEST_CHECK_DEV_CACHE;
  const check = (index: number, word: number): number =>
    bench.test(OP.IOMMU_TEST_OP_DEV_CHECK_CACHE, 3, [at.cache_id, index], [at.cache, word]);
  assert.is(check(3, OP.IOMMU_TEST_DEV_CACHE_DEFAULT), 0);
  expectErrno(check(4, OP.IOMMU_TEST_DEV_CACHE_DEFAULT), 'EINVAL');
  expectErrno(check(0, 0), 'EINVAL');
  const attached = (pasid: number, hwpt: number): number =>
    bench.test(
      OP.IOMMU_TEST_OP_PASID_CHECK_HWPT,
      2,
      [TEST_PASID_CHECK.at.pasid, pasid],
      [TEST_PASID_CHECK.at.hwpt_id, hwpt],
    );
  assert.is(attached(0, 4), 0);
  assert.is(attached(7, 0), 0);
  expectErrno(attached(0, 0), 'EINVAL');
  expectErrno(attached(7, 4), 'EINVAL');
  expectErrno(attached(0, 1), 'EINVAL');
});

test('an access pins under numbers, and lets go when the range is unmapped', () => {
  const bench = new Bench();
  const user = bench.base.alloc(0x4000);
  const ioas = bench.ioas();
  bench.map(ioas, user, 0x4000n);
  const create = [TEST_CREATE_ACCESS.at.flags, 1] as const;
  assert.is(bench.test(OP.IOMMU_TEST_OP_CREATE_ACCESS, ioas, create), 0);
  const fd = bench.out(TEST_CREATE_ACCESS.at.out_access_fd);
  const { at } = TEST_ACCESS_PAGES;
  const pin = (length: bigint, address: bigint): number =>
    bench.test(
      OP.IOMMU_TEST_OP_ACCESS_PAGES,
      fd,
      [at.iova, IOVA],
      [at.length, length],
      [at.uptr, address],
    );
  assert.is(pin(0x2000n, user), 0);
  assert.is(bench.out(at.out_access_pages_id), 0);
  assert.is(pin(0x1000n, user), 0);
  assert.is(bench.out(at.out_access_pages_id), 1);
  expectErrno(pin(0x1000n, user + 0x1000n), 'EBADE');
  expectErrno(pin((16n << 20n) + 1n, user), 'ENOMEM');
  assert.is(bench.refs(user + 0x1000n, 0x1000n, 1), 0);
  const drop = (item: number): number =>
    bench.test(OP.IOMMU_TEST_OP_DESTROY_ACCESS_PAGES, fd, [
      TEST_DESTROY_ACCESS_PAGES.at.access_pages_id,
      item,
    ]);
  assert.is(drop(0), 0);
  expectErrno(drop(0), 'ENOENT');
  expectErrno(bench.test(OP.IOMMU_TEST_OP_ACCESS_PAGES, bench.fd), 'EBADFD');
  assert.is(bench.refs(user, 0x1000n, 1), 0);
  assert.is(bench.unmap(ioas, IOVA, 0x4000n), 0);
  assert.is(bench.refs(user, 0x4000n, 0), 0);
  expectErrno(drop(1), 'ENOENT');
});

test('an access copies to and from the mapped memory', () => {
  const bench = new Bench();
  const user = bench.base.alloc(0x2000);
  const buffer = bench.base.alloc(0x1000);
  const ioas = bench.ioas();
  bench.map(ioas, user, 0x2000n);
  bench.test(OP.IOMMU_TEST_OP_CREATE_ACCESS, ioas);
  const fd = bench.out(TEST_CREATE_ACCESS.at.out_access_fd);
  const { at } = TEST_ACCESS_RW;
  const copy = (iova: bigint, flags: number): number =>
    bench.test(
      OP.IOMMU_TEST_OP_ACCESS_RW,
      fd,
      [at.iova, iova],
      [at.length, 4n],
      [at.uptr, buffer],
      [at.flags, flags],
    );
  bench.base.poke(buffer, [1, 2, 3, 4]);
  assert.is(copy(IOVA + 0xffen, OP.MOCK_ACCESS_RW_WRITE), 0);
  assert.equal([...bench.base.peek(user + 0xffen, 4)], [1, 2, 3, 4]);
  assert.is(copy(IOVA + 0xfffn, 0), 0);
  assert.equal([...bench.base.peek(buffer, 4)], [2, 3, 4, 0]);
  expectErrno(copy(IOVA + 0x1ffen, 0), 'ENOENT');
  expectErrno(copy(IOVA, 2), 'EOPNOTSUPP');
  expectErrno(bench.test(OP.IOMMU_TEST_OP_ACCESS_PAGES, fd), 'EOPNOTSUPP');
});

test('reserved ranges, memory limit, unknown operations', () => {
  const bench = new Bench();
  const ioas = bench.ioas();
  const { at } = TEST_ADD_RESERVED;
  const reserve = (start: bigint, length: bigint): number =>
    bench.test(OP.IOMMU_TEST_OP_ADD_RESERVED, ioas, [at.start, start], [at.length, length]);
  expectErrno(reserve(0n, 0n), 'EINVAL');
  expectErrno(reserve(2n ** 64n - 1n, 2n), 'EOVERFLOW');
  assert.is(reserve(IOVA, 0x1000n), 0);
  expectErrno(bench.map(ioas, bench.base.alloc(0x1000), 0x1000n), 'EINVAL');
  const limit = (bytes: number): number =>
    bench.test(OP.IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT, 0, [TEST_MEMORY_LIMIT.at.limit, bytes]);
  expectErrno(limit(11), 'EINVAL');
  assert.is(limit(12), 0);
  expectErrno(bench.test(24, 0), 'EOPNOTSUPP');
  expectErrno(bench.test(0, 0), 'EOPNOTSUPP');
});

test('dma-bufs have 1 to 512 pages, and only they can be revoked', () => {
  const bench = new Bench();
  const get = (length: number): number =>
    bench.test(OP.IOMMU_TEST_OP_DMABUF_GET, 0, [TEST_DMABUF_GET.at.length, length]);
  const revoke = (fd: number): number =>
    bench.test(OP.IOMMU_TEST_OP_DMABUF_REVOKE, 0, [TEST_DMABUF_REVOKE.at.dmabuf_fd, fd]);
  expectErrno(get(0), 'EINVAL');
  expectErrno(get(512 * 4096 + 1), 'EINVAL');
  assert.is(get(1), 0);
  assert.is(revoke(bench.fd + 1), 0);
  expectErrno(revoke(bench.fd), 'EINVAL');
  expectErrno(revoke(77), 'EBADF');
});

test('with a flag of the test driver, IOAS_COPY takes the number of a mapping and an offset', () => {
  const bench = new Bench();
  const ioas = bench.ioas();
  const user = bench.base.alloc(0x4000);
  for (const page of [0n, 4n]) bench.map(ioas, user, 0x2000n, IOVA + page * 0x1000n);
  const { at, word, size } = IOAS_COPY;
  const copy = (flags: number, source: number, from: bigint, to: bigint): number =>
    bench.call(word, size, [
      [at.flags, flags],
      [at.dst_ioas_id, ioas],
      [at.src_ioas_id, source],
      [at.length, 0x1000n],
      [at.dst_iova, to],
      [at.src_iova, from],
    ]);
  const second = 1n + (0x1000n << 32n);
  assert.is(copy(0x10007, ioas, second, 0x2000000n), 0);
  assert.equal([bench.out(at.flags), bench.out(at.src_iova)], [FIXED_RW, 0x1005000]);
  // Not that many: IOVA 0. No such IOAS: the numbers stay, and are no address.
  expectErrno(copy(0x10007, ioas, 9n, 0x2000000n), 'ENOENT');
  expectErrno(copy(0x10007, 77, second, 0x2000000n), 'ENOENT');
  expectErrno(copy(0x10000, ioas, second, 0x2000000n), 'EINVAL');
  expectErrno(copy(0x10017, ioas, second, 0x2000000n), 'EOPNOTSUPP');
});

test('whichever allocation fails, all is given back when the file closes', () => {
  let failures = 0;
  for (let n = 1; ; n++) {
    const bench = new Bench();
    const { kernel, calls } = bench.base;
    const user = bench.base.alloc(0x4000);
    const ioas = bench.ioas();
    bench.map(ioas, user, 0x4000n);
    kernel.memory.arm(n);
    bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, ioas, [TEST_MOCK_DOMAIN_FLAGS.at.dev_flags, 4]);
    const create = [TEST_CREATE_ACCESS.at.flags, 1] as const;
    const created = bench.test(OP.IOMMU_TEST_OP_CREATE_ACCESS, ioas, create) === 0;
    const fd = created ? bench.out(TEST_CREATE_ACCESS.at.out_access_fd) : -1;
    const { at } = TEST_ACCESS_PAGES;
    bench.test(OP.IOMMU_TEST_OP_ACCESS_PAGES, fd, [at.iova, IOVA], [at.length, 0x2000n]);
    bench.test(OP.IOMMU_TEST_OP_MOCK_DOMAIN, ioas);
    const reached = kernel.memory.failedAt;
    kernel.memory.arm(0);
    if (created) calls.close(fd);
    calls.close(bench.fd);
    assert.is(kernel.memory.bytes, 0, reached);
    assert.is(kernel.pins.total, 0, reached);
    if (reached === '') break;
    failures++;
  }
  assert.ok(failures > 30, `${failures} points`);
});

test.run();
