import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRNO, type ErrnoName, errnoName } from '../kernel/errno.ts';
import { testKernel } from '../kernel/testbench.ts';
import { IommuGroup } from './iommu-core/group.ts';
import { type IommufdFile, openIommufd } from './iommufd-file.ts';
import { Device } from './objects/device.ts';
import type { HwptNested } from './objects/hwpt-nested.ts';
import { Ioas } from './objects/ioas.ts';
import { checkInvariants } from './objects-invariants.ts';
import { TEST_DATA, TestDevice, TestDriver, type TestNestedDomain } from './testbench.ts';
import { decode, encode, type Inputs, type Outputs } from './uapi/codec.ts';
import type { Fields, IoctlLayout } from './uapi/layout.ts';
import {
  DESTROY,
  FAULT_QUEUE_ALLOC,
  GET_HW_INFO,
  HWPT_ALLOC,
  HWPT_GET_DIRTY_BITMAP,
  HWPT_INVALIDATE,
  HWPT_SET_DIRTY_TRACKING,
  OPTION,
  VFIO_IOAS,
} from './uapi/structs.ts';

const NEST_PARENT = 1;
const FAULT_ID_VALID = 4;

interface Answer<F extends Fields> {
  readonly error: string;
  readonly out: Outputs<F>;
}

/** An open /dev/iommu with a device bound to it, whose id is 1. */
function bench() {
  const { kernel, process, calls, alloc, poke, peek } = testKernel();
  kernel.registerNode('/dev/iommu', () => openIommufd(kernel, '/dev/iommu'));
  const fd = calls.open('/dev/iommu').value;
  const { context } = process.file(fd) as IommufdFile;
  const driver = new TestDriver();
  const group = new IommuGroup(kernel.memory);
  const hardware = new TestDevice('a', driver);
  group.addDevice(hardware);
  const page = alloc(4096);
  const data = page + 1024n;

  function ioctl<F extends Fields>(
    layout: IoctlLayout<F>,
    fields: Inputs<F>,
    size: number = layout.size,
  ): Answer<F> {
    poke(page, encode(layout, { size, ...fields }));
    const { errno } = calls.ioctl(fd, layout.word, page);
    const error = errno === 0 ? 'ok' : errnoName(errno);
    checkInvariants(context);
    return { error, out: decode(layout, peek(page, layout.size)) };
  }

  const bind = (): Device => Device.bind(context, hardware, group);
  const ioas = (): number => {
    const made = new Ioas(context);
    context.objects.reserve(made);
    context.objects.publish(made);
    return made.id;
  };
  return { kernel, calls, fd, context, driver, hardware, bind, ioas, ioctl, data, poke, peek };
}

const given = (data: bigint) => ({
  data_type: TEST_DATA.type,
  data_len: TEST_DATA.bytes,
  data_uptr: data,
});

test('HWPT_ALLOC looks at the data, the device, the base and the flags in this order', () => {
  const { ioctl, bind, ioas, data } = bench();
  const alloc = (fields: Inputs<(typeof HWPT_ALLOC)['fields']>): string =>
    ioctl(HWPT_ALLOC, fields).error;
  const dev_id = bind().id;
  const pt_id = ioas();
  assert.is(alloc({ __reserved: 1, data_len: 1 }), 'EOPNOTSUPP');
  assert.is(alloc({ data_len: 1, dev_id: 99 }), 'EINVAL');
  assert.is(alloc({ data_type: 1, dev_id: 99 }), 'EINVAL');
  assert.is(alloc({ dev_id: 99, pt_id: 99 }), 'ENOENT');
  assert.is(alloc({ dev_id: pt_id, pt_id: dev_id }), 'ENOENT');
  assert.is(alloc({ dev_id, pt_id: 99, flags: 1 << 20 }), 'EINVAL');
  assert.is(alloc({ dev_id, pt_id: dev_id }), 'EINVAL');
  assert.is(alloc({ dev_id, pt_id, flags: 1 << 20 }), 'EOPNOTSUPP');
  assert.is(alloc({ dev_id, pt_id, flags: 2 }), 'EOPNOTSUPP');
  assert.is(alloc({ dev_id, pt_id, flags: NEST_PARENT | FAULT_ID_VALID }), 'EOPNOTSUPP');
  assert.is(alloc({ dev_id, pt_id, ...given(0n) }), 'EFAULT');
  assert.is(alloc({ dev_id, pt_id, ...given(data) }), 'ok');
});

test('a nested page table needs data and a parent made for it', () => {
  const { ioctl, bind, ioas, data, context } = bench();
  const dev_id = bind().id;
  const base = ioas();
  const plain = ioctl(HWPT_ALLOC, { dev_id, pt_id: base }).out.out_hwpt_id;
  const parent = ioctl(HWPT_ALLOC, { dev_id, pt_id: base, flags: NEST_PARENT }).out.out_hwpt_id;
  const alloc = (fields: Inputs<(typeof HWPT_ALLOC)['fields']>): string =>
    ioctl(HWPT_ALLOC, { dev_id, ...fields }).error;
  assert.is(alloc({ pt_id: parent }), 'EOPNOTSUPP');
  assert.is(alloc({ pt_id: parent, flags: NEST_PARENT, ...given(data) }), 'EOPNOTSUPP');
  assert.is(alloc({ pt_id: plain, ...given(data) }), 'EINVAL');
  assert.is(alloc({ pt_id: parent, ...given(data), data_type: 1 }), 'EINVAL');
  assert.is(
    alloc({ pt_id: parent, ...given(data), flags: FAULT_ID_VALID, fault_id: 99 }),
    'ENOENT',
  );
  const nested = ioctl(HWPT_ALLOC, { dev_id, pt_id: parent, ...given(data) }).out.out_hwpt_id;
  assert.is(nested, 5);
  assert.is(alloc({ pt_id: nested, ...given(data) }), 'EINVAL');
  assert.is(ioctl(DESTROY, { id: parent }).error, 'EBUSY');
  assert.is(ioctl(DESTROY, { id: nested }).error, 'ok');
  assert.is(ioctl(DESTROY, { id: parent }).error, 'ok');
  assert.is(ioctl(DESTROY, { id: parent }).error, 'ENOENT');
  assert.is(context.objects.peek(plain)?.users, 1);
});

test('a page table holds its fault queue', () => {
  const { ioctl, bind, ioas, calls } = bench();
  const dev_id = bind().id;
  const fault = ioctl(FAULT_QUEUE_ALLOC, {}).out;
  const hwpt = ioctl(HWPT_ALLOC, {
    dev_id,
    pt_id: ioas(),
    flags: FAULT_ID_VALID,
    fault_id: fault.out_fault_id,
  }).out.out_hwpt_id;
  assert.is(calls.close(fault.out_fault_fd).errno, 0);
  assert.is(ioctl(DESTROY, { id: fault.out_fault_id }).error, 'EBUSY');
  assert.is(ioctl(DESTROY, { id: hwpt }).error, 'ok');
  assert.is(ioctl(DESTROY, { id: fault.out_fault_id }).error, 'ok');
});

test('the first 24 bytes of HWPT_ALLOC are enough, and no more is written back', () => {
  const { ioctl, bind, ioas } = bench();
  const dev_id = bind().id;
  const { error, out } = ioctl(HWPT_ALLOC, { dev_id, pt_id: ioas(), data_len: 77 }, 24);
  assert.is(error, 'ok');
  assert.is(out.out_hwpt_id, 3);
  assert.is(out.data_len, 77);
});

test('an answer that cannot be written undoes the allocation', () => {
  const { kernel, calls, fd, context, bind, ioas, poke, driver } = bench();
  const dev_id = bind().id;
  const pt_id = ioas();
  const before = kernel.memory.bytes;
  const shared = 2;
  const page = calls.mmap({ length: 4096, prot: 3, flags: 0x21 }).value;
  poke(BigInt(page), encode(HWPT_ALLOC, { size: HWPT_ALLOC.size, dev_id, pt_id }));
  assert.is(calls.mprotect(page, 4096, 1).errno, 0);
  assert.is(calls.ioctl(fd, HWPT_ALLOC.word, BigInt(page)).errno, ERRNO.EFAULT);
  assert.is(context.objects.objects().length, shared);
  assert.is(driver.domains, 0);
  assert.is(kernel.memory.bytes, before);
});

test('a failed allocation anywhere in HWPT_ALLOC leaves all as it was', () => {
  const { kernel, calls, fd, context, bind, ioas, ioctl, data, poke, driver } = bench();
  const dev_id = bind().id;
  const base = ioas();
  const parent = ioctl(HWPT_ALLOC, { dev_id, pt_id: base, flags: NEST_PARENT }).out.out_hwpt_id;
  const fault_id = ioctl(FAULT_QUEUE_ALLOC, {}).out.out_fault_id;
  const programs = [
    encode(HWPT_ALLOC, { size: 48, dev_id, pt_id: base, flags: FAULT_ID_VALID, fault_id }),
    encode(HWPT_ALLOC, {
      size: 48,
      dev_id,
      pt_id: parent,
      ...given(data),
      flags: FAULT_ID_VALID,
      fault_id,
    }),
  ];
  const { memory } = kernel;
  let failures = 0;
  for (const bytes of programs) {
    for (let n = 1; ; n++) {
      const before = [
        memory.bytes,
        memory.allocations,
        driver.domains,
        context.objects.objects().length,
      ];
      poke(data + 64n, bytes);
      memory.arm(n);
      const { errno } = calls.ioctl(fd, HWPT_ALLOC.word, data + 64n);
      const at = memory.failedAt;
      memory.arm(0);
      checkInvariants(context);
      if (errno === 0) break;
      failures++;
      const after = [
        memory.bytes,
        memory.allocations,
        driver.domains,
        context.objects.objects().length,
      ];
      assert.equal(after, before, `point ${n}: ${at}`);
    }
  }
  assert.ok(failures >= 10, `only ${failures} failures`);
});

test('HWPT_INVALIDATE reports what was done also where it fails', () => {
  const { ioctl, bind, ioas, data, poke, context } = bench();
  const dev_id = bind().id;
  const base = ioas();
  const parent = ioctl(HWPT_ALLOC, { dev_id, pt_id: base, flags: NEST_PARENT }).out.out_hwpt_id;
  const nested = ioctl(HWPT_ALLOC, { dev_id, pt_id: parent, ...given(data) }).out.out_hwpt_id;
  const array = { data_uptr: data, data_type: TEST_DATA.type, entry_len: 4 };
  poke(data, new Uint8Array(Uint32Array.of(2, 4, 5, 6).buffer));
  const run = (fields: Inputs<(typeof HWPT_INVALIDATE)['fields']>): [string, number] => {
    const { error, out } = ioctl(HWPT_INVALIDATE, { ...array, entry_num: 4, ...fields });
    return [error, out.entry_num];
  };
  assert.equal(run({ hwpt_id: nested, __reserved: 1 }), ['EOPNOTSUPP', 0]);
  assert.equal(run({ hwpt_id: 99, entry_len: 0 }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: 99, data_uptr: 0n }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: 99, entry_len: 4097 }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: 99, entry_num: 2 ** 19 + 1 }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: 99, entry_num: 0, entry_len: 4097 }), ['ENOENT', 0]);
  assert.equal(run({ hwpt_id: 99 }), ['ENOENT', 0]);
  assert.equal(run({ hwpt_id: parent }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: nested, entry_len: 5 }), ['EINVAL', 0]);
  assert.equal(run({ hwpt_id: nested }), ['EOPNOTSUPP', 2]);
  assert.equal(run({ hwpt_id: nested, entry_num: 0 }), ['ok', 0]);
  assert.equal(run({ hwpt_id: nested, entry_num: 2 }), ['ok', 2]);
  const { domain } = context.objects.peek(nested) as HwptNested;
  assert.equal((domain as TestNestedDomain).invalidated, [2, 4, 2, 4]);
});

test('GET_HW_INFO fills the buffer, zeros its rest and tells the length that the kernel has', () => {
  const { ioctl, bind, data, poke, peek, hardware } = bench();
  const dev_id = bind().id;
  const info = (fields: Inputs<(typeof GET_HW_INFO)['fields']>) =>
    ioctl(GET_HW_INFO, { dev_id, data_uptr: data, ...fields });
  assert.is(info({ flags: 2 }).error, 'EOPNOTSUPP');
  assert.is(info({ __reserved: [0, 0, 1] }).error, 'EOPNOTSUPP');
  assert.is(info({ dev_id: 99 }).error, 'ENOENT');
  assert.is(info({ flags: 1, in_data_type: 6 }).error, 'EOPNOTSUPP');
  assert.is(info({ in_data_type: 6 }).error, 'ok', 'the type is not looked at without the flag');
  assert.is(info({ data_len: 8, data_uptr: 8n }).error, 'EFAULT');
  poke(data, new Uint8Array(16).fill(9));
  const { error, out } = info({ data_len: 12 });
  assert.is(error, 'ok');
  assert.equal([...peek(data, 13)], [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 9]);
  assert.is(out.data_len, 8);
  assert.is(out.out_data_type, TEST_DATA.type);
  assert.is(out.out_max_pasid_log2, 4);
  assert.is(out.out_capabilities, 8n);
  hardware.pci = { virtualFunction: false, pri: false, pasidExecute: true, pasidPrivileged: false };
  assert.is(info({ data_len: 0, data_uptr: 0n }).out.out_capabilities, 10n);
});

test('OPTION sets the accounting mode of an empty context only, and with the right to', () => {
  const { calls, fd, ioctl, ioas, context } = bench();
  const mode = (op: number, val64 = 0n, object_id = 0) =>
    ioctl(OPTION, { option_id: 0, op, val64, object_id });
  assert.is(mode(0, 1n, 1).error, 'EOPNOTSUPP');
  assert.is(mode(7).error, 'EOPNOTSUPP');
  assert.is(mode(0, 2n).error, 'EINVAL');
  assert.is(mode(0, 1n).error, 'ok');
  assert.is(context.accountMode, 'mm');
  assert.is(mode(1).out.val64, 1n);
  ioas();
  assert.is(mode(0, 0n).error, 'EBUSY');
  calls.process.capabilities.sysResource = false;
  assert.is(mode(0, 0n).error, 'EPERM');
  assert.is(ioctl(OPTION, { option_id: 2 }).error, 'EOPNOTSUPP');
  assert.is(calls.ioctl(fd, OPTION.word, 0n).errno, ERRNO.EFAULT);
});

test('OPTION tells and sets large pages of an IOAS, which is looked up before op', () => {
  const { ioctl, ioas } = bench();
  const pages = (op: number, val64 = 0n, object_id = 1) =>
    ioctl(OPTION, { option_id: 1, op, val64, object_id });
  assert.is(pages(9).error, 'ENOENT');
  ioas();
  assert.is(pages(9).error, 'EOPNOTSUPP');
  assert.is(pages(1).out.val64, 1n);
  assert.is(pages(0, 2n).error, 'EINVAL');
  assert.is(pages(0, 0n).error, 'ok');
  assert.is(pages(1).out.val64, 0n);
});

test('VFIO_IOAS names an IOAS without holding it', () => {
  const { ioctl, ioas, context } = bench();
  const call = (op: number, ioas_id = 0) => ioctl(VFIO_IOAS, { op, ioas_id });
  assert.is(call(0).error, 'ENODEV');
  assert.is(call(1, 1).error, 'ENOENT');
  const id = ioas();
  assert.is(call(1, id).error, 'ok');
  assert.is(call(0).out.ioas_id, id);
  assert.is(ioctl(DESTROY, { id }).error, 'ok');
  assert.is(context.vfioIoas, null);
  assert.is(call(3).error, 'EOPNOTSUPP');
  assert.is(call(2).error, 'ok');
});

test('dirty calls test their arguments in order; a domain without tracking comes last', () => {
  const { ioctl, bind, ioas } = bench();
  const dev_id = bind().id;
  const pt_id = ioas();
  const hwpt_id = ioctl(HWPT_ALLOC, { dev_id, pt_id }).out.out_hwpt_id;
  assert.is(ioctl(HWPT_SET_DIRTY_TRACKING, { flags: 2 }).error, 'EOPNOTSUPP');
  assert.is(ioctl(HWPT_SET_DIRTY_TRACKING, { hwpt_id: pt_id }).error, 'ENOENT');
  assert.is(ioctl(HWPT_SET_DIRTY_TRACKING, { hwpt_id }).error, 'EOPNOTSUPP');
  const read = (fields: Inputs<(typeof HWPT_GET_DIRTY_BITMAP)['fields']>): ErrnoName | string =>
    ioctl(HWPT_GET_DIRTY_BITMAP, {
      hwpt_id,
      iova: 0x4000n,
      length: 0x2000n,
      page_size: 0x1000n,
      ...fields,
    }).error;
  assert.is(read({ flags: 2, hwpt_id: 99 }), 'EOPNOTSUPP');
  assert.is(read({ __reserved: 1 }), 'EOPNOTSUPP');
  assert.is(read({ hwpt_id: 99, length: 0n }), 'ENOENT');
  assert.is(read({ length: 0n }), 'EOVERFLOW');
  assert.is(read({ iova: 0x4800n, page_size: 0n }), 'EINVAL');
  assert.is(read({ page_size: 0n }), 'EINVAL');
  assert.is(read({ page_size: 0x4000n }), 'EINVAL');
  assert.is(read({}), 'EOPNOTSUPP');
});

test('mmap wants whole pages, shared, not executable, and then a region', () => {
  const { fd, calls } = bench();
  const file = calls.process.file(fd) as IommufdFile;
  const map = (fields: object): string => {
    try {
      const request = { offset: 4096n, length: 4096n, shared: true, executable: false };
      file.mmap(calls.process, { ...request, ...fields });
      return 'ok';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };
  assert.is(map({ length: 4097n, shared: false }), 'EINVAL');
  assert.is(map({ shared: false, executable: true }), 'EINVAL');
  assert.is(map({ executable: true }), 'EPERM');
  assert.is(map({}), 'ENXIO');
});

test('the last reference to the file ends the context: a bound device holds one', () => {
  const { kernel, calls, fd, bind, ioas, driver } = bench();
  const device = bind();
  device.attach(0, ioas());
  calls.close(fd);
  assert.is(driver.domains, 1);
  device.detach(0);
  device.unbind();
  assert.is(driver.domains, 0);
  assert.is(kernel.memory.bytes, 0);
  assert.is(kernel.memory.allocations, 0);
});

test.run();
