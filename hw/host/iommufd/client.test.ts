import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { fail, isErrno } from '../kernel/errno.ts';
import { FakeProcess } from './client/fake-process.ts';
import { InvalidationRefused } from './client/hwpt.ts';
import { IommuClient } from './client.ts';
import { encode } from './uapi/codec.ts';
import * as C from './uapi/constants.ts';
import * as S from './uapi/structs.ts';

const DEVICE = { id: 3 };

function opened(kernel: ConstructorParameters<typeof FakeProcess>[0]): [IommuClient, FakeProcess] {
  const process = new FakeProcess(kernel);
  return [IommuClient.open(process), process];
}

/** A client on an address space whose id is 1. */
function withIoas(kernel: ConstructorParameters<typeof FakeProcess>[0]) {
  const [iommu, process] = opened((call, at) => {
    if (call.command !== S.IOAS_ALLOC.word) return kernel?.(call, at) ?? 0;
    at.answer(S.IOAS_ALLOC, call.argument, { out_ioas_id: 1 });
    return 0;
  });
  return { iommu, process, ioas: iommu.ioasAlloc() };
}

test('the client opens the node and calls on its descriptor', () => {
  const { iommu, process, ioas } = withIoas(undefined);
  assert.equal(process.opened, ['/dev/iommu']);
  assert.is(process.calls[0].fd, iommu.fd);
  assert.is(ioas.id, 1);
  iommu.close();
  assert.equal(process.closed, [iommu.fd]);
});

test('map passes the structure with its size, and returns the IOVA that the kernel chose', () => {
  const { ioas } = withIoas((call, at) => {
    const given = at.struct(S.IOAS_MAP, call.argument);
    assert.is(call.command, C.IOMMU_IOAS_MAP);
    assert.is(given.size, 40);
    assert.is(given.flags, C.IOMMU_IOAS_MAP_READABLE | C.IOMMU_IOAS_MAP_WRITEABLE);
    assert.is(given.user_va, 0x10000n);
    at.answer(S.IOAS_MAP, call.argument, { iova: 0x1000n });
    return 0;
  });
  assert.is(ioas.map({ userVa: 0x10000n, length: 0x2000n }), 0x1000n);
});

test('an IOVA that is given is a fixed one, also when it is zero; rights can be taken away', () => {
  const flags: number[] = [];
  const { ioas } = withIoas((call, at) => {
    flags.push(at.struct(S.IOAS_MAP, call.argument).flags);
    return 0;
  });
  ioas.map({ userVa: 0n, length: 1n, iova: 0n, write: false });
  ioas.map({ userVa: 0n, length: 1n, read: false, write: false });
  assert.equal(flags, [C.IOMMU_IOAS_MAP_FIXED_IOVA | C.IOMMU_IOAS_MAP_READABLE, 0]);
});

test('a refusal is thrown as Errno with the rule of the kernel', () => {
  const { ioas } = withIoas(() => fail('ENOENT', 'nothing is mapped there'));
  try {
    ioas.unmap(0x1000n, 0x1000n);
    assert.unreachable();
  } catch (error) {
    assert.ok(isErrno(error, 'ENOENT'));
    assert.match((error as Error).message, 'nothing is mapped there');
  }
});

test('IOVA ranges are asked for again with room for all of them', () => {
  const total = 20;
  const rooms: number[] = [];
  const { ioas } = withIoas((call, at) => {
    const { num_iovas, allowed_iovas } = at.struct(S.IOAS_IOVA_RANGES, call.argument);
    rooms.push(num_iovas);
    for (let i = 0; i < Math.min(total, num_iovas); i++) {
      const range = { start: BigInt(i * 16), last: BigInt(i * 16 + 7) };
      at.poke(allowed_iovas + BigInt(i * 16), encode(S.IOVA_RANGE, range));
    }
    const values = { num_iovas: total, out_iova_alignment: 4096n };
    at.answer(S.IOAS_IOVA_RANGES, call.argument, values);
    if (num_iovas < total) fail('EMSGSIZE', 'there are more');
    return 0;
  });
  const { ranges, alignment } = ioas.iovaRanges();
  assert.equal(rooms, [16, 20]);
  assert.is(ranges.length, total);
  assert.equal(ranges[19], { start: 304n, last: 311n });
  assert.is(alignment, 4096n);
});

test('a nested page table gets its data in user memory, by the type of the data', () => {
  const [iommu] = opened((call, at) => {
    const given = at.struct(S.HWPT_ALLOC, call.argument);
    assert.is(given.flags, C.IOMMU_HWPT_ALLOC_PASID);
    assert.is(given.data_type, C.IOMMU_HWPT_DATA_VTD_S1);
    assert.is(given.data_len, 24);
    const data = at.struct(S.HWPT_VTD_S1, given.data_uptr);
    assert.equal(data, { flags: 1n, pgtbl_addr: 0x5000n, addr_width: 48, __reserved: 0 });
    at.answer(S.HWPT_ALLOC, call.argument, { out_hwpt_id: 9 });
    return 0;
  });
  const data = { type: 'VTD_S1', flags: 1, pgtbl_addr: 0x5000n, addr_width: 48 } as const;
  const hwpt = iommu.hwptAlloc({ device: DEVICE, on: { id: 5 }, pasid: true, data });
  assert.is(hwpt.id, 9);
});

test('hardware information comes decoded, with capabilities as words', () => {
  const [iommu] = opened((call, at) => {
    const { data_uptr, dev_id } = at.struct(S.GET_HW_INFO, call.argument);
    assert.is(dev_id, DEVICE.id);
    at.poke(data_uptr, encode(S.HW_INFO_VTD, { cap_reg: 7n, ecap_reg: 1n << 63n }));
    at.answer(S.GET_HW_INFO, call.argument, {
      data_len: 24,
      out_data_type: C.IOMMU_HW_INFO_TYPE_INTEL_VTD,
      out_max_pasid_log2: 20,
      out_capabilities: 1n,
    });
    return 0;
  });
  const info = iommu.getHwInfo(DEVICE);
  if (info.data?.type !== 'INTEL_VTD') assert.unreachable();
  else assert.is(info.data.ecap_reg, 1n << 63n);
  assert.is(info.maxPasids, 1 << 20);
  assert.ok(info.dirtyTracking && info.ats && !info.pasidExecute);
});

test('dirty pages are numbers of pages of the range, the first and the last bit included', () => {
  const [iommu] = opened((call, at) => {
    if (call.command === S.HWPT_ALLOC.word) return 0;
    const given = at.struct(S.HWPT_GET_DIRTY_BITMAP, call.argument);
    assert.is(given.flags, C.IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);
    at.poke(given.data, Uint8Array.of(0x01, 0x80));
    at.poke(given.data + 15n, Uint8Array.of(0x80));
    return 0;
  });
  const hwpt = iommu.hwptAlloc({ device: DEVICE, on: { id: 1 }, dirtyTracking: true });
  const range = { iova: 0x10000n, length: 128n * 4096n, pageSize: 4096n, clear: false };
  assert.equal([...hwpt.dirtyPages(range)], [16, 31, 143]);
});

test('a refused invalidation tells how many entries were carried out before', () => {
  const [iommu] = opened((call, at) => {
    if (call.command === S.HWPT_ALLOC.word) return 0;
    const { entry_len, entry_num, data_uptr } = at.struct(S.HWPT_INVALIDATE, call.argument);
    assert.is(entry_len, 24);
    assert.is(entry_num, 2);
    assert.is(at.struct(S.HWPT_VTD_S1_INVALIDATE, data_uptr + 24n).npages, 8n);
    at.answer(S.HWPT_INVALIDATE, call.argument, { entry_num: 1 });
    fail('EOPNOTSUPP', 'flags of entry 1');
  });
  const hwpt = iommu.hwptAlloc({ device: DEVICE, on: { id: 1 } });
  const entries = [
    { addr: 0n, npages: 1n },
    { addr: 0x1000n, npages: 8n },
  ];
  try {
    hwpt.invalidate('VTD_S1', entries);
    assert.unreachable();
  } catch (error) {
    assert.instance(error, InvalidationRefused);
    assert.is((error as InvalidationRefused).handled, 1);
  }
});

test('page requests are read as messages and answered by cookie', () => {
  const [iommu, process] = opened((call, at) => {
    at.answer(S.FAULT_QUEUE_ALLOC, call.argument, { out_fault_id: 4, out_fault_fd: 11 });
    return 0;
  });
  const queue = iommu.faultQueue();
  assert.not.ok(queue.waiting);
  process.incoming = encode(S.HWPT_PGFAULT, { pasid: 5, addr: 0xabc000n, cookie: 1 });
  assert.ok(queue.waiting);
  const [request, ...rest] = queue.read();
  assert.is(rest.length, 0);
  assert.is(request.addr, 0xabc000n);
  assert.is(queue.respond({ cookie: request.cookie, code: 'invalid' }), 1);
  assert.equal(process.outgoing[0], Uint8Array.of(1, 0, 0, 0, 1, 0, 0, 0));
});

test('an event queue is read across the header of lost events, which has no data', () => {
  const [iommu, process] = opened((call, at) => {
    if (call.command === S.VIOMMU_ALLOC.word) {
      const { data_uptr } = at.struct(S.VIOMMU_ALLOC, call.argument);
      at.answer(S.VIOMMU_SELFTEST, data_uptr, { out_mmap_offset: 0x1000n });
      at.answer(S.VIOMMU_ALLOC, call.argument, { out_viommu_id: 6 });
    } else at.answer(S.VEVENTQ_ALLOC, call.argument, { out_veventq_id: 7, out_veventq_fd: 12 });
    return 0;
  });
  const spec = { device: DEVICE, parent: { id: 2 }, data: { in_data: 5 } };
  const viommu = iommu.viommuAlloc({ type: 'SELFTEST', ...spec });
  assert.is(viommu.data?.in_data, 5);
  assert.is(viommu.data?.out_mmap_offset, 0x1000n);
  const queue = viommu.eventQueue('SELFTEST', 2);
  const header = (flags: number, sequence: number) => encode(S.VEVENT_HEADER, { flags, sequence });
  const event = encode(S.VEVENT_SELFTEST, { virt_id: 0x99 });
  process.incoming = Buffer.concat([header(0, 5), event, header(1, 6), header(0, 7), event]);
  assert.equal(queue.read(), [
    { sequence: 5, lost: false, event: { virt_id: 0x99 } },
    { sequence: 6, lost: true, event: null },
    { sequence: 7, lost: false, event: { virt_id: 0x99 } },
  ]);
});

test('a VFIO device is bound, attached with a PASID, and closed on its own descriptor', () => {
  const seen: [number, number][] = [];
  const [iommu, process] = opened((call, at) => {
    seen.push([call.fd, call.command]);
    if (call.command === S.VFIO_BIND.word) {
      assert.is(at.struct(S.VFIO_BIND, call.argument).argsz, 24);
      at.answer(S.VFIO_BIND, call.argument, { out_devid: 2 });
    }
    if (call.command === S.VFIO_ATTACH.word) {
      const { flags, pasid } = at.struct(S.VFIO_ATTACH, call.argument);
      assert.equal([flags, pasid], [1, 100]);
      at.answer(S.VFIO_ATTACH, call.argument, { pt_id: 8 });
    }
    return 0;
  });
  const device = iommu.openDevice('/dev/vfio/devices/vfio0');
  assert.is(device.id, 2);
  assert.is(device.attach(1, 100), 8);
  device.close();
  assert.equal(seen, [
    [device.fd, C.VFIO_DEVICE_BIND_IOMMUFD],
    [device.fd, C.VFIO_DEVICE_ATTACH_IOMMUFD_PT],
  ]);
  assert.equal(process.closed, [device.fd]);
});

test('a device whose binding is refused is closed again', () => {
  const [iommu, process] = opened(() => fail('EINVAL', 'DMA is not cache coherent'));
  assert.throws(() => iommu.openDevice('/dev/vfio/devices/vfio0'), /not cache coherent/);
  assert.is(process.closed.length, 1);
});

test.run();
