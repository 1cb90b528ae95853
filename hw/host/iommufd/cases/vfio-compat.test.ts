/** Reference 10.14: the VFIO type 1 container on /dev/iommu. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { A, type Bench, BUFFER, BUFFER_PAGES, HUGE, L, P, rule, ruleIn } from './fixture.ts';

const TYPE1 = 1;
const TYPE1V2 = 3;
const UNKNOWN_FLAG = 2 ** 31;
const BYTES = BUFFER_PAGES * P;

const GET_INFO = 'VFIO_IOMMU_GET_INFO';
const MAP_DMA = 'VFIO_IOMMU_MAP_DMA';
const UNMAP_DMA = 'VFIO_IOMMU_UNMAP_DMA';

rule('176: the version of the VFIO interface is 0', (b) => {
  assert.is(b.ok('VFIO_GET_API_VERSION').value, 0);
});

rule('177: type 1 v2 is there', (b) => {
  assert.is(b.ok('VFIO_CHECK_EXTENSION', { arg: TYPE1V2 }).value, 1);
});

rule('178: UNMAP_DMA with argsz 1 is EINVAL', (b) => {
  b.refuse('EINVAL', UNMAP_DMA, {}, { address: argument(b, 24, 1) });
});

rule('179: UNMAP_DMA with an unknown flag is EINVAL', (b) => {
  b.refuse('EINVAL', UNMAP_DMA, { flags: UNKNOWN_FLAG });
});

rule('180: UNMAP_DMA without a compatibility IOAS is ENODEV', (b) => {
  b.refuse('ENODEV', UNMAP_DMA, { iova: A, size: P });
});

rule('181: MAP_DMA with argsz 1 is EINVAL', (b) => {
  b.refuse('EINVAL', MAP_DMA, {}, { address: argument(b, 32, 1) });
});

rule('182: MAP_DMA with an unknown flag is EINVAL', (b) => {
  b.refuse('EINVAL', MAP_DMA, { flags: UNKNOWN_FLAG });
});

rule('183: MAP_DMA without a compatibility IOAS is ENODEV', (b) => {
  b.refuse('ENODEV', MAP_DMA, { flags: 'READ|WRITE', vaddr: BUFFER, iova: A, size: P });
});

rule('184: GET_INFO with argsz 1 is EINVAL', (b) => {
  b.refuse('EINVAL', GET_INFO, {}, { address: argument(b, 24, 1) });
});

rule('185: GET_INFO without a compatibility IOAS is ENODEV', (b) => {
  b.refuse('ENODEV', GET_INFO);
});

rule('186: SET_IOMMU without a compatibility IOAS is ENODEV', (b) => {
  b.refuse('ENODEV', 'VFIO_SET_IOMMU', { arg: TYPE1V2 });
  b.refuse('ENODEV', 'VFIO_SET_IOMMU', { arg: TYPE1 });
});

/** An argument with an argsz of its own. */
function argument(b: Bench, bytes: number, argsz: number): bigint {
  const structure = new Uint8Array(bytes);
  new DataView(structure.buffer).setUint32(0, argsz, true);
  return b.place(structure);
}

rule('187: there is no compatibility IOAS to tell: ENODEV', (b) => {
  b.refuse('ENODEV', 'VFIO_IOAS', { op: 'GET' });
});

rule('188: id 0 is no compatibility IOAS: ENOENT', (b) => {
  b.refuse('ENOENT', 'VFIO_IOAS', { op: 'SET', ioas_id: 0 });
});

rule('189: an IOAS is made the compatibility IOAS', (b) => {
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: b.ioas() });
});

rule('190: the compatibility IOAS is told', (b) => {
  b.ioas();
  const ioas = b.ioas();
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: ioas });
  assert.is(b.ok('VFIO_IOAS', { op: 'GET' }).out.ioas_id, ioas);
});

rule('191: the compatibility IOAS is taken back, also where there is none', (b) => {
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: b.ioas() });
  b.ok('VFIO_IOAS', { op: 'CLEAR' });
  b.ok('VFIO_IOAS', { op: 'CLEAR' });
});

rule('192: after that there is none: ENODEV', (b) => {
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: b.ioas() });
  b.ok('VFIO_IOAS', { op: 'CLEAR' });
  b.refuse('ENODEV', 'VFIO_IOAS', { op: 'GET' });
});

/** A container of a type on an IOAS with a device. */
function container(b: Bench, ioas: number, type: number): void {
  b.ok('VFIO_IOAS', { op: 'SET', ioas_id: ioas });
  b.ok('VFIO_SET_IOMMU', { arg: type });
}

function hugePages(b: Bench, ioas: number): unknown {
  return b.ok('OPTION', { option_id: 'HUGE_PAGES', op: 'GET', object_id: ioas }).out.val64;
}

ruleIn(['D'], '193: a type 1 container has no large pages', (b, { ioas }) => {
  container(b, ioas, TYPE1);
  assert.is(hugePages(b, ioas), 0n);
});

ruleIn(['D'], '194: a type 1 v2 container has large pages', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  assert.is(hugePages(b, ioas), 1n);
});

const CHAIN_BYTES = 72;
const FLAG_PGSIZES = 1;
const FLAG_CAPS = 2;

/** GET_INFO with an argsz in memory that was full of 0xcc. */
function info(b: Bench, argsz: number): DataView {
  const memory = new Uint8Array(CHAIN_BYTES + 64).fill(0xcc);
  new DataView(memory.buffer).setUint32(0, argsz, true);
  const address = b.place(memory);
  b.ok(GET_INFO, {}, { address });
  const after = b.peek(address, memory.length);
  assert.ok(
    after.subarray(argsz).every((byte) => byte === 0xcc),
    'bytes beyond argsz',
  );
  return new DataView(after.buffer);
}

ruleIn(['D'], '195: GET_INFO with argsz 16 touches nothing beyond', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  assert.is(info(b, 16).getUint32(4, true), FLAG_PGSIZES | FLAG_CAPS);
});

ruleIn(['D'], '196: GET_INFO with argsz 24 tells how much it wants', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  const answer = info(b, 24);
  assert.is(answer.getUint32(16, true), 0, 'cap_offset');
  assert.is(answer.getUint32(0, true), CHAIN_BYTES);
});

ruleIn(['D'], '197: the chain of capabilities is whole or not there', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  for (let argsz = 24; argsz <= CHAIN_BYTES + 8; argsz++) {
    const answer = info(b, argsz);
    assert.is(answer.getUint32(0, true), CHAIN_BYTES);
    if (argsz < CHAIN_BYTES) {
      assert.is(answer.getUint32(16, true), 0);
      continue;
    }
    checkChain(answer);
  }
});

/** DMA_AVAIL at 24, then IOVA_RANGE with the aperture. */
function checkChain(answer: DataView): void {
  const avail = answer.getUint32(16, true);
  const capability = (at: number): number[] => [
    answer.getUint16(at, true),
    answer.getUint16(at + 2, true),
    answer.getUint32(at + 4, true),
  ];
  const ranges = avail + 16;
  assert.equal(capability(avail), [3, 1, ranges]);
  assert.is(answer.getUint32(avail + 8, true), 0xffffffff);
  assert.equal(capability(ranges), [1, 1, 0]);
  assert.is(answer.getUint32(ranges + 8, true), 1);
  assert.is(answer.getBigUint64(ranges + 16, true), A);
  assert.is(answer.getBigUint64(ranges + 24, true), L);
}

function mapDma(b: Bench, vaddr: bigint, size: bigint, iova: bigint): void {
  b.ok(MAP_DMA, { flags: 'READ|WRITE', vaddr, size, iova });
}

function unmapDma(b: Bench, iova: bigint, size: bigint): unknown {
  return b.ok(UNMAP_DMA, { iova, size }).out.size;
}

ruleIn(['D'], '198: MAP_DMA and UNMAP_DMA tell the bytes', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  mapDma(b, BUFFER, BYTES, A);
  assert.is(unmapDma(b, A, BYTES), BYTES);
});

ruleIn(['D'], '199: UNMAP_DMA of nothing is no error', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  const { error, out } = b.call(UNMAP_DMA, { iova: A, size: BYTES });
  assert.equal([error, out.size], ['', 0n]);
});

ruleIn(['D'], '200: UNMAP_DMA of ALL with a range is EINVAL', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  b.refuse('EINVAL', UNMAP_DMA, { flags: 'ALL', iova: A });
  b.refuse('EINVAL', UNMAP_DMA, { flags: 'ALL', size: BYTES });
});

ruleIn(['D'], '201: UNMAP_DMA of ALL', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  mapDma(b, BUFFER, BYTES, A);
  assert.is(b.ok(UNMAP_DMA, { flags: 'ALL' }).out.size, BYTES);
});

ruleIn(['D'], '202: single pages are unmapped in any order', (b, { ioas }) => {
  container(b, ioas, TYPE1V2);
  for (let i = 0n; i < BUFFER_PAGES; i++) mapDma(b, BUFFER + i * P, P, A + i * P);
  for (let i = 0n; i < BUFFER_PAGES; i++) {
    assert.is(unmapDma(b, A + ((i * 7n + 3n) % BUFFER_PAGES) * P, P), P);
  }
});

for (const [name, type] of [
  ['type 1', TYPE1],
  ['type 1 v2', TYPE1V2],
] as const) {
  ruleIn(['D'], `203: pieces of an area are unmapped in type 1 only, ${name}`, (b, { ioas }) => {
    container(b, ioas, type);
    mapDma(b, b.memory(HUGE, 2n * BUFFER), HUGE, A);
    const piece = HUGE / 16n;
    for (let i = 0n; i < 16n; i++) {
      const iova = A + ((i * 7n + 5n) % 16n) * piece;
      if (type === TYPE1) assert.is(unmapDma(b, iova, piece), piece);
      else b.refuse('ENOENT', UNMAP_DMA, { iova, size: piece });
    }
  });
}

rule('a compatibility IOAS that is destroyed is none any more', (b) => {
  const ioas = b.ioas();
  container(b, ioas, TYPE1V2);
  b.destroy(ioas);
  b.refuse('ENODEV', 'VFIO_IOAS', { op: 'GET' });
  b.refuse('ENODEV', UNMAP_DMA, { iova: A, size: P });
});

ruleIn(['N', 'D'], 'an area is not cut while it is pinned, nor by half a page', (b, { ioas }) => {
  container(b, ioas, TYPE1);
  mapDma(b, BUFFER, 4n * P, A);
  const access = b.op('CREATE_ACCESS', { id: ioas, flags: 1 });
  const fd = Number(access.out.out_access_fd);
  const item = b.op('ACCESS_PAGES', { id: fd, iova: A, length: P });
  b.refuse('EINVAL', UNMAP_DMA, { iova: A, size: 2n * P });
  b.refuse('EINVAL', UNMAP_DMA, { iova: A + P / 2n, size: P });
  const access_pages_id = Number(item.out.out_access_pages_id);
  b.op('DESTROY_ACCESS_PAGES', { id: fd, access_pages_id });
  assert.is(unmapDma(b, A, 2n * P), 2n * P);
  assert.is(unmapDma(b, A, 4n * P), 2n * P);
});

test.run();
