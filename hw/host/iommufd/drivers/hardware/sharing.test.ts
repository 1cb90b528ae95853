/** Several RISC-V units under one IOAS, and whole programs in which memory runs out somewhere. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../../../iommu/access.ts';
import {
  ALL_FEATURES,
  DEFAULT_RISCV_SPEC,
  encodeCapabilities,
  IGS_BOTH,
} from '../../../../iommu/riscv/capabilities.ts';
import { SV48 } from '../../../../iommu/riscv/formats.ts';
import type { CallFields } from '../../client/request.ts';
import { Guest } from './guest-testbench.ts';
import { RiscvIommufdDriver } from './riscv.ts';
import { type BenchUnit, HardwareBench } from './testbench.ts';
import { VtdIommufdDriver } from './vtd.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const ONE = 0x18;
const TWO = 0x28;
const MAP = ['READABLE', 'WRITEABLE', 'FIXED_IOVA'];
const PAGE = 4096;
const PAGES = 64;

function specWithout(...features: readonly string[]) {
  const left = ALL_FEATURES.filter((name) => !['end', 'qosid', ...features].includes(name));
  return { ...DEFAULT_RISCV_SPEC, capabilities: encodeCapabilities(left, IGS_BOTH, 56) };
}

function setUp(spec = DEFAULT_RISCV_SPEC, shareAcrossInstances = true) {
  const bench = new HardwareBench();
  const units = [bench.riscv(), bench.riscv(spec)] as const;
  const ports = bench.ports({ shareAcrossInstances });
  const driver = new RiscvIommufdDriver(ports, { iommufd: true });
  const bound = [ONE, TWO].map((id, i) => {
    const unit = driver.addUnit(units[i].driver);
    return bench.bind(driver.addDevice(unit, `dev${i}`, id));
  });
  const ioas = bench.ok('IOAS_ALLOC', {}, 'out_ioas_id');
  const memory = bench.alloc(PAGES * PAGE);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: PAGES * PAGE, iova: 0 };
  bench.ok('IOAS_MAP', map);
  const attach = (i: number, pt_id: number) =>
    bench.callOn(bound[i].fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id });
  const alloc = (i: number, fields: CallFields) =>
    bench.ok('HWPT_ALLOC', { dev_id: bound[i].id, ...fields }, 'out_hwpt_id');
  return { bench, units, driver, bound, ioas, memory, attach, alloc };
}

function nestedOn(setup: ReturnType<typeof setUp>): { guest: Guest; nested: number } {
  const { bench, memory, ioas, alloc } = setup;
  const guest = new Guest(bench.process.space, memory, PAGES, SV48);
  const parent = alloc(0, { pt_id: ioas, flags: 'NEST_PARENT' });
  const data = { root_ppn: guest.root, mode: 'SV48' };
  return { guest, nested: alloc(0, { pt_id: parent, data_type: 'RISCV_S1', data }) };
}

test('a nested page table serves two units; guest and host invalidate in both', () => {
  const setup = setUp();
  const { bench, units, driver, memory, ioas, attach } = setup;
  const { guest, nested } = nestedOn(setup);
  for (const i of [0, 1]) assert.is(attach(i, nested).error, '');
  const answers = (page: number) => [
    units[0].translate(ONE, page, RW),
    units[1].translate(TWO, page, RW),
  ];
  const frame = (guestPage: number) => bench.frameAt(memory + BigInt(guestPage * PAGE));
  guest.map(5, 40);
  guest.map(6, 41);
  assert.equal(answers(5), [frame(40), frame(40)]);
  assert.equal(answers(6), [frame(41), frame(41)]);
  guest.unmap(5);
  assert.equal(answers(5), [frame(40), frame(40)]);
  const { invalidations } = driver.core.figures;
  const data = [{ addr: 5 * PAGE, npages: 1, flags: 'LEAF' }];
  bench.ok('HWPT_INVALIDATE', { hwpt_id: nested, data_type: 'RISCV_S1', data });
  assert.equal(answers(5), [-1, -1]);
  assert.is(driver.core.figures.invalidations - invalidations, 2);
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: 0, length: PAGES * PAGE });
  assert.equal(answers(6), [-1, -1]);
  assert.is(driver.core.figures.domains, 1);
  assert.is(driver.core.figures.broadcasts, 1);
});

test('a unit that is left is not invalidated any more', () => {
  const setup = setUp();
  const { bench, driver, bound, ioas, attach } = setup;
  for (const i of [0, 1]) attach(i, ioas);
  bench.okOn(bound[0].fd, 'VFIO_DEVICE_DETACH_IOMMUFD_PT', {});
  bench.ok('IOAS_UNMAP', { ioas_id: ioas, iova: 0, length: PAGES * PAGE });
  assert.is(driver.core.figures.invalidations, 1);
  assert.is(driver.core.figures.broadcasts, 0);
});

test('a unit without the format, or that may not share, refuses a given page table', () => {
  const cases = [
    [setUp(specWithout('sv48x4')), ['NEST_PARENT']],
    [setUp(specWithout('amoHwad')), ['DIRTY_TRACKING']],
    [setUp(specWithout('sv48')), []],
    [setUp(DEFAULT_RISCV_SPEC, false), ['NEST_PARENT']],
  ] as const;
  for (const [{ attach, alloc, ioas }, flags] of cases) {
    const hwpt = alloc(0, { pt_id: ioas, flags });
    assert.is(attach(0, hwpt).error, '');
    assert.is(attach(1, hwpt).error, 'EINVAL');
    assert.is(attach(1, ioas).error, '', 'a fresh one fits');
  }
});

test('dirty tracking is refused for a unit whose hardware does not set dirty bits', () => {
  const { bench, bound, ioas } = setUp(specWithout('amoHwad'));
  const fields = { dev_id: bound[1].id, pt_id: ioas, flags: 'DIRTY_TRACKING' };
  assert.is(bench.call('HWPT_ALLOC', fields).error, 'EOPNOTSUPP');
});

test('a call counts what it did', () => {
  const { bench, ioas, attach, alloc } = setUp();
  const { work } = bench.kernel;
  const measured = (call: () => unknown) => {
    work.reset();
    call();
    const { pagesPinned, pagesUnpinned, pagesMapped, pagesUnmapped, mapCalls, unmapCalls } = work;
    return [pagesPinned, pagesUnpinned, pagesMapped, pagesUnmapped, mapCalls, unmapCalls];
  };
  attach(0, ioas);
  const memory = bench.alloc(8 * PAGE);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: 8 * PAGE, iova: 0x100000 };
  assert.equal(
    measured(() => bench.ok('IOAS_MAP', map)),
    [8, 0, 8, 0, 1, 0],
  );
  assert.is(work.bytesCopied >= 80, true);
  assert.is(work.objects > 0, true);
  assert.equal(
    measured(() => alloc(0, { pt_id: ioas })),
    [0, 0, PAGES + 8, 0, 2, 0],
  );
  const unmap = { ioas_id: ioas, iova: 0x100000, length: 8 * PAGE };
  assert.equal(
    measured(() => bench.ok('IOAS_UNMAP', unmap)),
    [0, 8, 0, 16, 0, 2],
  );
});

/** Runs a program with each allocation failing in turn; nothing may be left after any. */
function sweep(program: (bench: HardwareBench) => VtdIommufdDriver | RiscvIommufdDriver): number {
  for (let n = 1; ; n++) {
    const bench = new HardwareBench();
    const { memory, pins } = bench.kernel;
    memory.arm(n);
    const driver = program(bench);
    const reached = memory.failedAt !== '';
    memory.arm(0);
    bench.calls.exit();
    assert.is(memory.bytes, 0, `bytes after failure ${n} (${memory.failedAt})`);
    assert.is(pins.total, 0);
    assert.is(driver.core.frames.inUse, 0);
    if (!reached) return n - 1;
  }
}

function commonCalls(bench: HardwareBench, fd: number, id: number, flags: readonly string[]) {
  const ioas = Number(bench.call('IOAS_ALLOC').out.out_ioas_id ?? 0);
  const memory = bench.alloc(600 * PAGE);
  const map = { ioas_id: ioas, flags: MAP, user_va: memory, length: 600 * PAGE, iova: 0x1000 };
  bench.call('IOAS_MAP', map);
  const fields = { dev_id: id, pt_id: ioas, flags };
  const hwpt = Number(bench.call('HWPT_ALLOC', fields).out.out_hwpt_id ?? 0);
  const attach = (pt_id: number) => bench.callOn(fd, 'VFIO_DEVICE_ATTACH_IOMMUFD_PT', { pt_id });
  attach(ioas);
  attach(hwpt);
  bench.call('IOAS_MAP', { ...map, iova: 0x1000_0000 });
  return { ioas, hwpt, attach };
}

test('vtd: a program in which every allocation fails once leaves nothing behind', () => {
  const failures = sweep((bench) => {
    const unit = bench.vtd();
    const driver = new VtdIommufdDriver(bench.ports());
    const { fd, id } = bench.bind(driver.addDevice(driver.addUnit(unit.driver), 'dev', ONE));
    const { ioas } = commonCalls(bench, fd, Math.max(0, id), []);
    bench.call('IOAS_UNMAP', { ioas_id: ioas, iova: 0x1000, length: 600 * PAGE });
    return driver;
  });
  assert.ok(failures > 40, `${failures} steps can fail`);
});

test('riscv: likewise with nesting, dirty tracking and a fault queue', () => {
  const failures = sweep((bench) => {
    const unit: BenchUnit = bench.riscv();
    const driver = new RiscvIommufdDriver(bench.ports(), { iommufd: true });
    const hardware = driver.addUnit(unit.driver as never);
    const { fd, id } = bench.bind(driver.addDevice(hardware, 'dev', ONE));
    const dev_id = Math.max(0, id);
    const flags = ['NEST_PARENT', 'DIRTY_TRACKING'];
    const { hwpt, attach } = commonCalls(bench, fd, dev_id, flags);
    const queue = bench.call('FAULT_QUEUE_ALLOC').out;
    const nested = bench.call('HWPT_ALLOC', {
      dev_id,
      pt_id: hwpt,
      flags: 'FAULT_ID_VALID',
      fault_id: Number(queue.out_fault_id ?? 0),
      data_type: 'RISCV_S1',
      data: { root_ppn: 1, mode: 'SV48' },
    });
    attach(Number(nested.out.out_hwpt_id ?? 0));
    bench.call('HWPT_SET_DIRTY_TRACKING', { hwpt_id: hwpt, flags: 'ENABLE' });
    const range = { hwpt_id: hwpt, iova: 0x1000, length: 600 * PAGE, page_size: PAGE };
    bench.call('HWPT_GET_DIRTY_BITMAP', range);
    return driver;
  });
  assert.ok(failures > 50, `${failures} steps can fail`);
});

test.run();
