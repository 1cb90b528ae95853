import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { SV39, SV39X4, SV48, SV48X4, SV57, SV57X4 } from '../../iommu/riscv/formats.ts';
import { SS3, SS4 } from '../../iommu/vtd/formats.ts';
import { FrameAllocator } from '../frames.ts';
import { GuestMemory } from '../guest.ts';
import { riscvBench, type UnitBench, vtdBench } from '../testbench.ts';
import type { Domain } from './driver.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 0x0318;

function map(bench: UnitBench, domain: Domain, page: number, frame: number, pages = 1): void {
  bench.driver.map(domain, 0, page, 0, frame, pages, RW);
}

test('riscv: a stage 1 domain translates what is mapped and nothing else', () => {
  for (const format of [SV39, SV48, SV57]) {
    const bench = riscvBench();
    const domain = bench.driver.createDomain({ kind: 'stage1', format });
    bench.driver.attach(domain, DEVICE);
    map(bench, domain, 0x1000, 0x90000, 600);
    assert.is(bench.translate(DEVICE, 0x1000, RW), 0x90000);
    assert.is(bench.translate(DEVICE, 0x1000 + 599, RW), 0x90000 + 599);
    assert.is(bench.translate(DEVICE, 0x0fff, RW), -1);
    assert.is(bench.translate(DEVICE, 0x1000 + 600, RW), -1);
    assert.is(bench.translate(DEVICE + 1, 0x1000, RW), -1);
    assert.is(bench.driver.unmap(domain, 0, 0x1200, 1), 1);
    assert.is(bench.translate(DEVICE, 0x1200, RW), -1);
    assert.is(bench.translate(DEVICE, 0x1201, RW), 0x90201);
  }
});

test('riscv: a read-only page refuses writes', () => {
  const bench = riscvBench();
  const domain = bench.driver.createDomain({ kind: 'stage1', format: SV48 });
  bench.driver.attach(domain, DEVICE);
  bench.driver.map(domain, 0, 5, 0, 0x90000, 1, ACCESS_READ);
  assert.is(bench.translate(DEVICE, 5, ACCESS_READ), 0x90000);
  assert.is(bench.translate(DEVICE, 5, ACCESS_WRITE), -1);
  bench.driver.map(domain, 0, 6, 0, 0x90000, 1, ACCESS_WRITE);
  assert.is(bench.translate(DEVICE, 6, ACCESS_READ), 0x90000);
  assert.is(bench.driver.serviceFaults(), 1);
  assert.is(bench.driver.serviceFaults(), 0);
});

test('riscv: pass-through leaves addresses alone; so does a directory of one level', () => {
  const bench = riscvBench({ commandEntries: 64, faultEntries: 64, directoryLevels: 1 });
  const domain = bench.driver.createDomain({ kind: 'passthrough' });
  bench.driver.attach(domain, 63);
  assert.is(bench.translate(63, 0x12345, RW), 0x12345);
  assert.throws(() => bench.driver.attach(domain, 64), /6 bits/);
});

test('riscv: a nested domain goes through guest tables in guest memory', () => {
  const pairs = [
    [SV39, SV39X4, 0],
    [SV48, SV48X4, 9],
    [SV57, SV57X4, 0],
    [SV48, SV39X4, 9],
  ] as const;
  for (const [format, outer, pageOrder] of pairs) {
    const bench = riscvBench();
    const hostBase = bench.frames.allocRun(2048, 512);
    const guest = new GuestMemory({ base: 0x200, pages: 2048, hostBase, pageOrder });
    const parent = bench.driver.createDomain({ kind: 'stage2', format: outer, guest });
    const guestFrames = new FrameAllocator({ base: 0x200, frames: 2048 });
    const domain = bench.driver.createDomain({ kind: 'nested', format, parent, guestFrames });
    bench.driver.attach(domain, DEVICE);
    const frame = guestFrames.alloc();
    map(bench, domain, 0xfffff, frame);
    assert.is(bench.translate(DEVICE, 0xfffff, RW), hostBase + frame - 0x200);
    assert.is(bench.iommu.walk.refs1, format.levels);
    bench.driver.unmap(domain, 0, 0xfffff, 1);
    assert.is(bench.translate(DEVICE, 0xfffff, RW), -1);
  }
});

test('riscv: a stage 2 domain of a guest maps its memory at once', () => {
  const bench = riscvBench();
  const hostBase = bench.frames.allocRun(1024, 512);
  const guest = new GuestMemory({ base: 0, pages: 1024, hostBase, pageOrder: 9 });
  const domain = bench.driver.createDomain({ kind: 'stage2', format: SV39X4, guest });
  bench.driver.attach(domain, DEVICE);
  assert.is(bench.translate(DEVICE, 1023, RW), hostBase + 1023);
  assert.is(bench.translate(DEVICE, 1024, RW), -1);
  // Three levels of 512 entries, the last not needed for 2 MiB pages; the root has four pages.
  assert.is(domain.tables?.tableFrames, 4 + 1);
});

test('riscv: a device can be moved to another domain', () => {
  const bench = riscvBench();
  const one = bench.driver.createDomain({ kind: 'stage1', format: SV48 });
  const two = bench.driver.createDomain({ kind: 'stage2', format: SV48X4 });
  bench.driver.attach(one, DEVICE);
  map(bench, one, 7, 0x90000);
  map(bench, two, 7, 0x91000);
  assert.is(bench.translate(DEVICE, 7, RW), 0x90000);
  bench.driver.attach(two, DEVICE);
  assert.is(bench.translate(DEVICE, 7, RW), 0x91000);
});

test('riscv: a fence is reached when the unit has processed it, not before', () => {
  const bench = riscvBench();
  const domain = bench.driver.createDomain({ kind: 'stage1', format: SV48 });
  bench.held = true;
  assert.is(bench.driver.postInvalidation(domain, 0, 7, 3), 3);
  const first = bench.driver.postFence();
  const second = bench.driver.postFence();
  bench.driver.ring();
  assert.not(bench.driver.fenceReached(first));
  bench.process();
  assert.ok(bench.driver.fenceReached(first));
  assert.ok(bench.driver.fenceReached(second));
});

test('riscv: ranges below 2 MiB are invalidated page by page, others as a whole', () => {
  const bench = riscvBench();
  const domain = bench.driver.createDomain({ kind: 'stage1', format: SV48 });
  assert.is(bench.driver.commandsFor(domain, 511), 511);
  assert.is(bench.driver.commandsFor(domain, 512), 1);
  const room = bench.driver.room();
  bench.held = true;
  assert.is(bench.driver.postInvalidation(domain, 0, 0, 512), 512);
  assert.is(bench.driver.room(), room - 1);
});

test('riscv: a full command queue is not overwritten', () => {
  const bench = riscvBench({ commandEntries: 8, faultEntries: 8, directoryLevels: 3 });
  const domain = bench.driver.createDomain({ kind: 'stage1', format: SV48 });
  bench.held = true;
  assert.is(bench.driver.room(), 7);
  assert.is(bench.driver.postInvalidation(domain, 0, 0, 9), 7);
  assert.is(bench.driver.postInvalidation(domain, 0, 7, 2), 0);
  assert.is(bench.driver.postFence(), -1);
  bench.driver.ring();
  bench.process();
  assert.is(bench.driver.postInvalidation(domain, 0, 7, 2), 2);
  assert.ok(bench.driver.postFence() > 0);
});

test('vtd: a second-stage domain translates what is mapped, superpages included', () => {
  for (const format of [SS3, SS4]) {
    const bench = vtdBench();
    const domain = bench.driver.createDomain({ kind: 'stage2', format });
    bench.driver.attach(domain, DEVICE);
    map(bench, domain, 0x1000, 0x90000, 600);
    assert.is(bench.translate(DEVICE, 0x1000, RW), 0x90000);
    assert.is(bench.translate(DEVICE, 0x1000 + 599, RW), 0x90000 + 599);
    assert.is(bench.translate(DEVICE, 0x1000 + 600, RW), -1);
    assert.is(bench.translate(DEVICE + 1, 0x1000, RW), -1);
    assert.is(bench.driver.unmap(domain, 0, 0x1000, 512), 512);
    assert.is(bench.translate(DEVICE, 0x11ff, RW), -1);
    assert.is(bench.translate(DEVICE, 0x1200, RW), 0x90200);
  }
});

test('vtd: pass-through leaves addresses alone, and a device can be moved', () => {
  const bench = vtdBench();
  const none = bench.driver.createDomain({ kind: 'passthrough' });
  const domain = bench.driver.createDomain({ kind: 'stage2', format: SS4 });
  bench.driver.attach(none, DEVICE);
  map(bench, domain, 3, 0x90000);
  assert.is(bench.translate(DEVICE, 3, RW), 3);
  bench.driver.attach(domain, DEVICE);
  assert.is(bench.translate(DEVICE, 3, RW), 0x90000);
});

test('vtd: a range is one command, and its place is free when the wait after it is done', () => {
  const bench = vtdBench();
  const domain = bench.driver.createDomain({ kind: 'stage2', format: SS4 });
  bench.driver.room();
  bench.held = true;
  let posted = 0;
  while (bench.driver.postInvalidation(domain, 0, 0, 4096) === 4096) {
    if (bench.driver.postFence() < 0) break;
    posted++;
  }
  assert.is(posted, 127);
  const domainWide = bench.driver.postDomainInvalidation(domain);
  assert.is(domainWide, false);
  bench.driver.ring();
  bench.process();
  assert.is(bench.driver.postInvalidation(domain, 0, 0, 4096), 4096);
  const token = bench.driver.postFence();
  assert.not(bench.driver.fenceReached(token));
  bench.driver.ring();
  bench.process();
  assert.ok(bench.driver.fenceReached(token));
});

test('vtd: legacy mode has no first stage', () => {
  const bench = vtdBench();
  assert.throws(() => bench.driver.createDomain({ kind: 'stage1', format: SS4 }), /second-stage/);
});

test.run();
