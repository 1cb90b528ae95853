/** Domains that come and go: detached devices, ids and frames used again, page responses. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import { SV39X4, SV48 } from '../../iommu/riscv/formats.ts';
import { SS4 } from '../../iommu/vtd/formats.ts';
import { FrameAllocator } from '../frames.ts';
import { TableLeaves } from '../table-leaves.ts';
import { riscvBench, type UnitBench, vtdBench } from '../testbench.ts';
import type { HostDriver } from './driver.ts';
import { encodePageResponse } from './riscv-commands.ts';
import { Tags } from './tags.ts';

const RW = ACCESS_READ | ACCESS_WRITE;
const DEVICE = 0x0318;
const BENCHES = [
  ['vtd', vtdBench, SS4, 'stage2'],
  ['riscv', riscvBench, SV48, 'stage1'],
] as const;

function hostDriver(bench: UnitBench): HostDriver {
  return bench.driver as HostDriver;
}

for (const [name, makeBench, format, kind] of BENCHES) {
  test(`${name}: a detached device is refused, and can be attached again`, () => {
    const bench = makeBench();
    const driver = hostDriver(bench);
    driver.detach(DEVICE);
    const domain = driver.createDomain({ kind, format });
    driver.map(domain, 0, 5, 0, 0x90000, 1, RW);
    for (let round = 0; round < 2; round++) {
      driver.attach(domain, DEVICE);
      assert.is(bench.translate(DEVICE, 5, RW), 0x90000);
      driver.detach(DEVICE);
      assert.is(bench.translate(DEVICE, 5, RW), -1);
    }
  });

  test(`${name}: domains on the same tables have ids of their own, that are used again`, () => {
    const bench = makeBench();
    const driver = hostDriver(bench);
    const tables = driver.createTables(format, bench.frames, {});
    const make = () => driver.createDomain({ kind, shared: { index: 7, tables } });
    const one = make();
    const two = make();
    assert.is(one.tables, two.tables);
    assert.is(one.index, 7);
    assert.is.not(`${one.tag1} ${one.tag2}`, `${two.tag1} ${two.tag2}`);
    driver.releaseDomain(one);
    const three = make();
    assert.equal([three.tag1, three.tag2], [one.tag1, one.tag2]);
    driver.attach(two, DEVICE);
    driver.map(three, 0, 9, 0, 0x90000, 1, RW);
    assert.is(bench.translate(DEVICE, 9, RW), 0x90000);
  });
}

test('ids are handed out in order, those given back first, and end', () => {
  const tags = new Tags(2, 4);
  assert.equal([tags.take(), tags.take()], [2, 3]);
  assert.throws(() => tags.take(), /below 4 are in use/);
  tags.give(2);
  assert.is(tags.take(), 2);
});

test('all frames of a table come back, the root of several pages as one run', () => {
  const bench = riscvBench();
  const { memory } = bench;
  const frames = new FrameAllocator({ base: 0x100, frames: 12 });
  const driver = hostDriver(bench);
  for (let round = 0; round < 20; round++) {
    const tables = driver.createTables(SV39X4, frames, {});
    tables.map(0, 0x7ff, 0, 0x90000, 2, RW);
    assert.is(frames.inUse, 4 + 3);
    new TableLeaves(tables, memory).free(frames);
  }
  assert.is(frames.inUse, 0);
});

test('leaves are found dirty once, in the part that is asked for', () => {
  const bench = riscvBench();
  const tables = hostDriver(bench).createTables(SV39X4, bench.frames, { clean: true });
  tables.map(0, 0x200, 0, 0x90000, 512, RW);
  tables.map(0, 0x7, 0, 0x91000, 1, RW);
  const leaves = new TableLeaves(tables, bench.memory);
  const found = (first: number, end: number, clear: boolean) => {
    const all: number[][] = [];
    leaves.dirty(first, end, clear, (page, pages) => all.push([page, pages]));
    return all;
  };
  assert.equal(found(0, 0x10000, true), []);
  const domain = bench.driver.createDomain({
    kind: 'stage2',
    shared: { index: 0, tables },
  });
  bench.driver.attach(domain, DEVICE);
  assert.is(bench.translate(DEVICE, 0x7, RW), 0x91000);
  assert.is(bench.translate(DEVICE, 0x2ff, RW), 0x900ff);
  assert.equal(found(0, 0x10000, false), [
    [0x7, 1],
    [0x200, 512],
  ]);
  assert.equal(found(0x300, 0x310, true), [[0x300, 0x10]]);
  assert.equal(found(0, 0x10000, true), [[0x7, 1]]);
});

test('a response to page requests names device, PASID, group and code', () => {
  const words = new Int32Array(4);
  encodePageResponse(words, 0x561234, 0x12345, 0x1ab, 0xf);
  assert.is(words[0] >>> 0, 0x12345084);
  assert.is(words[1] >>> 0, 0x56123403);
  assert.is(words[2], 0);
  assert.is(words[3] >>> 0, 0x1234f1ab);
  encodePageResponse(words, 0x0318, -1, 1, 0);
  assert.is(words[0], 0x84);
  assert.is(words[1], 0x0318 << 8);
});

test.run();
