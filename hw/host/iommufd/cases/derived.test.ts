/** Reference 10.17: cases that follow from the kernel's code, on the mock driver. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { PROT_READ } from '../../kernel/vma.ts';
import {
  A,
  type Bench,
  BUFFER,
  DIRTY_TRACKING,
  type MockDevice,
  mapFields,
  NEST_PARENT,
  number,
  P,
  rule,
  U64_MAX,
} from './fixture.ts';

function deviceRule(name: string, run: (b: Bench, ioas: number, device: MockDevice) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    run(b, ioas, b.mock(ioas));
  });
}

/** A structure of words at a place where the program can look at it afterwards. */
function words(b: Bench, values: readonly number[]): bigint {
  return b.place(new Uint8Array(Uint32Array.from(values).buffer));
}

const FILL = 0xcccccccc;

deviceRule('D1: the 24-byte form of HWPT_ALLOC gets 24 bytes back', (b, ioas, { idev }) => {
  const address = words(b, [24, 0, idev, ioas, FILL, 0, FILL, FILL, FILL, FILL, FILL, FILL]);
  assert.is(b.calls.ioctl(b.fd, 0x3b89, address).errno, 0);
  const after = new Uint32Array(b.peek(address, 48).buffer);
  assert.not.equal(after[4], FILL, 'out_hwpt_id');
  assert.ok(after.subarray(6).every((word) => word === FILL));
});

rule('D2: ids are the lowest free ones', (b) => {
  const ioas = b.ioas();
  assert.is(ioas, 1);
  const device = b.mock(ioas);
  assert.equal(device, { stdev: 2, idev: 3, hwpt: 4 });
  b.destroy(device.stdev);
  assert.is(b.ioas(), 2);
});

deviceRule('D3: HWPT_ALLOC: pt_id unknown is EINVAL, dev_id unknown ENOENT', (b, ioas, device) => {
  b.refuseHwpt('EINVAL', device, 99);
  b.refuse('ENOENT', 'HWPT_ALLOC', { dev_id: 99, pt_id: ioas });
  b.refuse('ENOENT', 'HWPT_ALLOC', { dev_id: 99, pt_id: 99 });
});

deviceRule('D4: a nested HWPT without data is EOPNOTSUPP', (b, ioas, device) => {
  b.refuseHwpt('EOPNOTSUPP', device, b.hwpt(device, ioas, NEST_PARENT));
});

rule('D5: invalidation of an unknown id is ENOENT with entry_num 0', (b) => {
  const fields = { hwpt_id: 99, data_type: 'SELFTEST', data: [{}, {}] };
  assert.is(b.refuse('ENOENT', 'HWPT_INVALIDATE', fields).out.entry_num, 0);
});

deviceRule('D6: a bitmap over a hole is no error; bad alignment is EINVAL', (b, ioas, device) => {
  const hwpt_id = b.hwpt(device, ioas, DIRTY_TRACKING);
  const range = { iova: A, length: 4n * P, page_size: P };
  b.ok('HWPT_GET_DIRTY_BITMAP', { hwpt_id, ...range });
  const plain = { hwpt_id: device.hwpt, ...range };
  b.refuse('EOPNOTSUPP', 'HWPT_GET_DIRTY_BITMAP', plain);
  b.refuse('EINVAL', 'HWPT_GET_DIRTY_BITMAP', { ...plain, iova: A + 1n });
});

rule('D7: what MAP refuses before it looks for the IOAS', (b) => {
  const fields = mapFields(99, BUFFER, P, A);
  b.refuse('EINVAL', 'IOAS_MAP', { ...fields, flags: 0 });
  b.refuse('EOPNOTSUPP', 'IOAS_MAP', { ...fields, flags: 8 });
  b.refuse('EOPNOTSUPP', 'IOAS_MAP', { ...fields, __reserved: 1 });
  const auto = { ...fields, flags: 'READABLE', iova: U64_MAX };
  b.refuse('EOVERFLOW', 'IOAS_MAP', auto);
  b.refuse('ENOENT', 'IOAS_MAP', fields);
});

rule('D8: a writable COPY of memory that was mapped for reading is EPERM', (b) => {
  const ioas = b.ioas();
  b.ok('IOAS_MAP', { ...mapFields(ioas, BUFFER, P, A), flags: 'FIXED_IOVA|READABLE' });
  const copy = { dst_ioas_id: ioas, src_ioas_id: ioas, length: P, src_iova: A };
  b.refuse('EPERM', 'IOAS_COPY', { ...copy, flags: 'WRITEABLE' });
  b.ok('IOAS_COPY', { ...copy, flags: 'READABLE' });
});

rule('D9: reads and writes of a fault queue', (b) => {
  const fd = number(b.ok('FAULT_QUEUE_ALLOC'), 'out_fault_fd');
  const at = b.memory(P);
  const write = (cookie: number, code: number, count: number): number => {
    b.poke(at, new Uint8Array(Uint32Array.of(cookie, code, 0, 0).buffer));
    return b.calls.write(fd, at, count).errno;
  };
  assert.is(b.calls.read(fd, at, 39).errno, 29);
  assert.equal([b.calls.read(fd, at, 0).errno, b.calls.read(fd, at, 0).value], [0, 0]);
  assert.equal([b.calls.read(fd, at, 40).errno, b.calls.read(fd, at, 40).value], [0, 0]);
  assert.is(write(1, 0, 9), 29);
  assert.is(write(1, 2, 8), 22);
  assert.is(write(1, 0, 8), 22);
});

deviceRule('D10: queues are destroyed after their files only: EBUSY', (b, ioas, device) => {
  const fault = b.ok('FAULT_QUEUE_ALLOC');
  const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
  const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
  const viommu_id = number(made, 'out_viommu_id');
  const events = b.ok('VEVENTQ_ALLOC', { viommu_id, type: 'SELFTEST', veventq_depth: 1 });
  const queues = [
    { id: number(fault, 'out_fault_id'), fd: number(fault, 'out_fault_fd') },
    { id: number(events, 'out_veventq_id'), fd: number(events, 'out_veventq_fd') },
  ];
  for (const { id, fd } of queues) {
    b.refuse('EBUSY', 'DESTROY', { id });
    assert.is(b.calls.close(fd).errno, 0);
    b.destroy(id);
  }
});

deviceRule('D11: a hardware queue takes two ids, one of them for good', (b, ioas, device) => {
  const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
  const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
  const viommu_id = number(made, 'out_viommu_id');
  b.map(ioas, BUFFER, P, A);
  const fields = { viommu_id, type: 'SELFTEST', nesting_parent_iova: A, length: P };
  const queue = number(b.ok('HW_QUEUE_ALLOC', fields), 'out_hw_queue_id');
  assert.is(b.ioas(), queue + 2);
  b.refuse('EBUSY', 'DESTROY', { id: queue + 1 });
  b.destroy(queue);
  assert.is(b.ioas(), queue);
});

deviceRule('D12: an answer that cannot be written: EFAULT', (b, ioas, { idev }) => {
  const map = b.place(new Uint8Array(40));
  const alloc = b.place(new Uint8Array(48));
  b.poke(map, new Uint8Array(Uint32Array.of(40, 7, ioas, 0).buffer));
  b.poke(map + 16n, new Uint8Array(BigUint64Array.of(BUFFER, P, A).buffer));
  b.poke(alloc, new Uint8Array(Uint32Array.of(48, 0, idev, ioas).buffer));
  const count = b.context.objects.objects().length;
  for (const page of [map, alloc]) {
    assert.is(b.calls.mprotect(Number(page), Number(P), PROT_READ).errno, 0);
  }
  assert.is(b.calls.ioctl(b.fd, 0x3b85, map).errno, 14);
  assert.is(b.unmap(ioas, A, P), P, 'the mapping stays');
  assert.is(b.calls.ioctl(b.fd, 0x3b89, alloc).errno, 14);
  assert.is(b.context.objects.objects().length, count, 'the page table does not');
});

rule('D13: an allowed range of one byte is EINVAL', (b) => {
  const ioas = b.ioas();
  b.refuse('EINVAL', 'IOAS_ALLOW_IOVAS', { ioas_id: ioas, data: [{ start: A, last: A }] });
  b.ok('IOAS_ALLOW_IOVAS', { ioas_id: ioas, data: [{ start: A, last: A + 1n }] });
});

const RLIMIT = { option_id: 'RLIMIT_MODE', op: 'SET', val64: 1 };

rule('D16: RLIMIT_MODE is set without objects, and with CAP_SYS_RESOURCE only', (b) => {
  b.ioas();
  b.refuse('EBUSY', 'OPTION', RLIMIT);
  b.calls.process.capabilities.sysResource = false;
  b.refuse('EPERM', 'OPTION', RLIMIT);
});

rule('D18: a charge that CHANGE_PROCESS cannot make changes nothing', (b) => {
  b.calls.process.capabilities.ipcLock = false;
  const ioas = b.ioas();
  b.mock(ioas);
  b.mapFile(ioas, b.memfd(4n * P), 0n, 2n * P, A);
  b.mapFile(ioas, b.memfd(4n * P), 0n, 4n * P, A + 4n * P);
  const child = b.fork();
  child.calls.process.memlockPages = 7;
  const counters = (): number[] => [
    b.calls.process.user.lockedPages,
    b.calls.process.space.pinnedVm,
    child.calls.process.space.pinnedVm,
  ];
  assert.equal(counters(), [6, 6, 0]);
  // The user of both processes is one, and has 6 pages of 7 already.
  child.refuse('ENOMEM', 'IOAS_CHANGE_PROCESS');
  assert.equal(counters(), [6, 6, 0]);
  child.calls.process.memlockPages = 12;
  child.ok('IOAS_CHANGE_PROCESS');
  assert.equal(counters(), [6, 0, 6]);
});

test.run();
