import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../../../../sim/errors.ts';
import { fail } from '../../kernel/errno.ts';
import { IommuClient } from '../client.ts';
import { encode } from '../uapi/codec.ts';
import * as S from '../uapi/structs.ts';
import { type FakeKernel, FakeProcess } from './fake-process.ts';

function client(kernel: FakeKernel = () => 0): IommuClient {
  return IommuClient.open(new FakeProcess(kernel));
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

test('a call by name reports the bytes sent and returned, and the answers by name', () => {
  const iommu = client(({ argument }, at) => {
    at.answer(S.IOAS_ALLOC, argument, { out_ioas_id: 1 });
    return 0;
  });
  const report = iommu.call('IOAS_ALLOC');
  assert.is(report.name, 'IOMMU_IOAS_ALLOC');
  assert.is(hex(report.sent), '0c0000000000000000000000');
  assert.is(hex(report.returned), '0c0000000000000001000000');
  assert.equal(report.out, { out_ioas_id: 1 });
  assert.equal([report.value, report.errno, report.error], [0, 0, '']);
});

test('a refusal is reported, not thrown, and has no answers', () => {
  const report = client(() => fail('ENOENT', 'no such device')).call('hwpt-alloc', { dev_id: 7 });
  assert.equal([report.value, report.error, report.rule], [-1, 'ENOENT', 'no such device']);
  assert.equal(report.out, {});
});

test('data is placed in memory by the name of its type, with names for its flags', () => {
  const report = client(({ argument }, at) => {
    const given = at.struct(S.HWPT_ALLOC, argument);
    assert.is(given.flags, 8);
    assert.is(given.data_type, 1);
    assert.is(given.data_len, 24);
    assert.is(at.struct(S.HWPT_VTD_S1, given.data_uptr).flags, 5n);
    return 0;
  }).call('HWPT_ALLOC', {
    dev_id: 3,
    pt_id: 2,
    flags: ['PASID'],
    data_type: 'VTD_S1',
    data: { flags: 'SRE|WPE', pgtbl_addr: '0x1000', addr_width: 48 },
  });
  assert.is(report.buffers.length, 1);
  assert.is(report.buffers[0].field, 'data_uptr');
});

test('pointer, length and count that are given win over those that the data would have', () => {
  client(({ argument }, at) => {
    const given = at.struct(S.HWPT_ALLOC, argument);
    assert.is(given.data_len, 3);
    assert.is(at.struct(S.HWPT_SELFTEST, given.data_uptr).iotlb, 0xbadbeef);
    return 0;
  }).call('HWPT_ALLOC', { data_type: 'SELFTEST', data_len: 3, data: { iotlb: 0xbadbeef } });
  client(({ argument }, at) => {
    const given = at.struct(S.HWPT_INVALIDATE, argument);
    assert.equal([given.data_uptr, given.entry_num], [0n, 1]);
    return 0;
  }).call('HWPT_INVALIDATE', { data_uptr: 0, entry_num: 1, data_type: 'SELFTEST' });
});

test('entries lie one entry length apart, and the count handled is told on refusal', () => {
  const report = client(({ argument }, at) => {
    const { data_uptr, entry_num, entry_len } = at.struct(S.HWPT_INVALIDATE, argument);
    assert.equal([entry_num, entry_len], [2, 12]);
    const second = at.struct(S.VIOMMU_INVALIDATE_SELFTEST, data_uptr + 12n);
    assert.equal(second, { flags: 0, vdev_id: 0x99, cache_id: 2 });
    at.answer(S.HWPT_INVALIDATE, argument, { entry_num: 1 });
    fail('EINVAL', 'cache 2');
  }).call('HWPT_INVALIDATE', {
    hwpt_id: 4,
    data_type: 'VIOMMU_SELFTEST',
    data: [{ flags: ['ALL'] }, { vdev_id: 0x99, cache_id: 2 }],
  });
  assert.equal(report.out, { entry_num: 1 });
});

test('hardware information is decoded by the type that the kernel tells', () => {
  const report = client(({ argument }, at) => {
    const { data_uptr, data_len } = at.struct(S.GET_HW_INFO, argument);
    assert.is(data_len, 64);
    at.poke(data_uptr, encode(S.HW_INFO_AMD, { efr: 3n, efr2: 4n }));
    const values = { data_len: 16, out_data_type: 4, out_capabilities: 9n };
    at.answer(S.GET_HW_INFO, argument, values);
    return 0;
  }).call('GET_HW_INFO', { dev_id: 2 });
  assert.equal(report.data, { efr: 3n, efr2: 4n });
  assert.is(report.out.out_data_type, 'AMD');
  assert.equal(report.out.out_capabilities, ['DIRTY_TRACKING', 'PCI_ATS_NOT_SUPPORTED']);
});

test('IOVA ranges go out as data and come back as data', () => {
  client(({ argument }, at) => {
    const { num_iovas, allowed_iovas } = at.struct(S.IOAS_ALLOW_IOVAS, argument);
    assert.is(num_iovas, 1);
    assert.is(at.struct(S.IOVA_RANGE, allowed_iovas).last, 0xfffn);
    return 0;
  }).call('IOAS_ALLOW_IOVAS', { ioas_id: 1, data: [{ start: 0, last: 0xfff }] });
  const report = client(({ argument }, at) => {
    const { allowed_iovas } = at.struct(S.IOAS_IOVA_RANGES, argument);
    at.poke(allowed_iovas, encode(S.IOVA_RANGE, { start: 5n, last: 6n }));
    at.answer(S.IOAS_IOVA_RANGES, argument, { num_iovas: 2, out_iova_alignment: 1n });
    fail('EMSGSIZE', 'two ranges, room for one');
  }).call('IOAS_IOVA_RANGES', { ioas_id: 1, num_iovas: 1 });
  assert.equal(report.out, { num_iovas: 2, out_iova_alignment: 1n });
  assert.equal(report.data, [{ start: 5n, last: 6n }]);
});

test('a dirty bitmap comes back as numbers of pages', () => {
  const report = client(({ argument }, at) => {
    at.poke(at.struct(S.HWPT_GET_DIRTY_BITMAP, argument).data, Uint8Array.of(0b110));
    return 0;
  }).call('HWPT_GET_DIRTY_BITMAP', { iova: 0x8000, length: 0x4000, page_size: 4096 });
  assert.equal(report.data, [9, 10]);
});

test('a test command has the fields of its op; bytes are placed where the field points', () => {
  const report = client(({ argument }, at) => {
    const { op, uptr, length, flags } = at.struct(S.TEST_ACCESS_RW, argument);
    assert.equal([op, length, flags], [8, 3n, 1]);
    assert.equal(at.bytes(uptr, 3), Uint8Array.of(7, 8, 9));
    at.poke(uptr, Uint8Array.of(1));
    return 0;
  }).call('TEST_CMD', {
    op: 'ACCESS_RW',
    flags: 'WRITE',
    length: 3,
    uptr: Uint8Array.of(7, 8, 9),
  });
  assert.is(report.sent.length, 72);
  assert.equal(report.buffers[0].returned, Uint8Array.of(1, 8, 9));
});

test('a shorter size sends fewer bytes and leaves out answers past the end', () => {
  const report = client(({ argument }, at) => {
    at.poke(argument + 16n, Uint8Array.of(9));
    return 0;
  }).call('HWPT_ALLOC', { size: 24, dev_id: 1 });
  assert.is(report.sent.length, 24);
  assert.equal(report.out, { out_hwpt_id: 9 });
  const shorter = client().call('HWPT_ALLOC', { size: 16 });
  assert.equal(shorter.out, {});
});

test('a tail follows the structure and counts in its size', () => {
  const report = client().call('DESTROY', { id: 1 }, { tail: Uint8Array.of(0, 1) });
  assert.is(hex(report.sent), '0a000000010000000001');
});

test('the argument can be somewhere else, and the call on another descriptor', () => {
  const report = client(({ fd, argument }) => {
    assert.equal([fd, argument], [9, 0n]);
    return 0;
  }).call('DESTROY', {}, { address: 0n, fd: 9 });
  assert.is(report.address, 0n);
});

test('calls whose argument is a number take it as arg', () => {
  const report = client(({ argument }) => Number(argument)).call('VFIO_CHECK_EXTENSION', {
    arg: 'VFIO_TYPE1v2_IOMMU',
  });
  assert.is(report.value, 3);
  assert.throws(() => client().call('VFIO_SET_IOMMU', { type: 1 }), /it has arg/);
});

test('names that nothing has are refused with those that there are', () => {
  const input = (words: RegExp) => (error: unknown) =>
    error instanceof InputError && words.test(error.message);
  assert.throws(() => client().call('IOAS_MAPP'), input(/no ioctl is called IOAS_MAPP; known: D/));
  assert.throws(() => client().call('IOAS_MAP', { iov: 1 }), input(/no field iov; it has size/));
  assert.throws(
    () => client().call('HWPT_ALLOC', { data_type: 'NONE', data: { flags: 1 } }),
    input(/no structure belongs to data_type NONE/),
  );
});

test.run();
