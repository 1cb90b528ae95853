import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRNO, type ErrnoName } from '../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { createPaperDriver } from '../drivers/paper/create.ts';
import { paperBench } from '../drivers/paper/testbench.ts';

const API_VERSION = 0x3b64;
const CHECK_EXTENSION = 0x3b65;
const SET_IOMMU = 0x3b66;
const GET_INFO = 0x3b70;
const MAP_DMA = 0x3b71;
const UNMAP_DMA = 0x3b72;

function bench() {
  const kernel: TestKernel = testKernel();
  const base = paperBench(kernel);
  const page = kernel.alloc(4096);
  const { client } = base;
  const call = (command: number, argument: bigint) =>
    kernel.calls.ioctl(client.fd, command, argument);
  /** Words of 32 bits at the page, then the call on it. */
  const struct = (command: number, ...words: number[]) => {
    kernel.poke(page, new Uint8Array(4096).fill(0xcc));
    kernel.poke(page, new Uint8Array(Uint32Array.from(words).buffer));
    return call(command, page);
  };
  const word = (at: number): number =>
    new DataView(kernel.peek(page, 4096).buffer).getUint32(at, true);
  return { ...base, kernel, call, struct, word, page };
}

function is(answer: { readonly errno: number; readonly rule: string }, code: ErrnoName | 0): void {
  assert.is(answer.errno, code === 0 ? 0 : ERRNO[code], answer.rule);
}

/** argsz, flags, vaddr, iova, size. */
function mapWords(vaddr: bigint, iova: bigint, size: bigint, flags = 3, argsz = 32): number[] {
  return [argsz, flags, ...halves(vaddr), ...halves(iova), ...halves(size)];
}

function unmapWords(iova: bigint, size: bigint, flags = 0, argsz = 24): number[] {
  return [argsz, flags, ...halves(iova), ...halves(size)];
}

function halves(value: bigint): number[] {
  return [Number(value & 0xffff_ffffn), Number(value >> 32n)];
}

test('176-192: what answers without a compatibility IOAS, and what is ENODEV', () => {
  const { call, struct, client, end } = bench();
  assert.is(call(API_VERSION, 0n).value, 0);
  for (const known of [1n, 3n, 9n, 8n]) assert.is(call(CHECK_EXTENSION, known).value, 1);
  for (const other of [0n, 2n, 6n, 10n, 99n]) assert.is(call(CHECK_EXTENSION, other).value, 0);
  is(call(CHECK_EXTENSION, 4n), 'ENODEV');
  is(struct(UNMAP_DMA, ...unmapWords(0n, 0n, 0, 1)), 'EINVAL');
  is(struct(UNMAP_DMA, ...unmapWords(0n, 0n, 0x80000000)), 'EINVAL');
  is(struct(UNMAP_DMA, ...unmapWords(0n, 4096n)), 'ENODEV');
  is(struct(MAP_DMA, ...mapWords(0n, 0n, 0n, 3, 1)), 'EINVAL');
  is(struct(MAP_DMA, ...mapWords(0n, 0n, 0n, 0x80000000)), 'EINVAL');
  is(struct(MAP_DMA, ...mapWords(0n, 0n, 0n)), 'ENODEV');
  is(struct(GET_INFO, 1), 'EINVAL');
  is(struct(GET_INFO, 16), 'ENODEV');
  is(call(SET_IOMMU, 1n), 'ENODEV');
  is(call(SET_IOMMU, 3n), 'ENODEV');
  is(call(SET_IOMMU, 8n), 'EINVAL');
  is(call(MAP_DMA, 0n), 'EFAULT');
  is(call(0x3b75, 0n), 'ENOTTY');
  is(call(0x3b76, 0n), 'ENOTTY');
  client.setVfioIoas(client.ioasAlloc());
  assert.is(call(CHECK_EXTENSION, 4n).value, 1, 'no page table: nothing that is not coherent');
  end();
});

test('DMA_CC: 1 only where every page table forces coherency', () => {
  const { call, client, bind, test: kernel, end } = bench();
  const driver = createPaperDriver('vtd', { memory: kernel.kernel.memory });
  const ioas = client.ioasAlloc();
  client.setVfioIoas(ioas);
  bind(driver.addDevice('snoops', driver.addUnit())).attach(ioas.id);
  assert.is(call(CHECK_EXTENSION, 4n).value, 1);
  bind(driver.addDevice('not', driver.addUnit({ snoopControl: false }))).attach(ioas.id);
  assert.is(call(CHECK_EXTENSION, 4n).value, 0);
  end();
});

test('193, 194: type 1 turns large pages off, type 1 v2 leaves them', () => {
  const { call, client, end } = bench();
  const ioas = client.ioasAlloc();
  client.setVfioIoas(ioas);
  is(call(SET_IOMMU, 3n), 0);
  assert.is(ioas.hugePages, true);
  is(call(SET_IOMMU, 1n), 0);
  assert.is(ioas.hugePages, false);
  end();
});

test('195-197: the capability chain at each argsz, and no byte past it', () => {
  const { struct, word, client, kernel, page, bind, test: own, end } = bench();
  const driver = createPaperDriver('vtd', { memory: own.kernel.memory });
  const ioas = client.ioasAlloc();
  client.setVfioIoas(ioas);
  bind(driver.addDevice('nic', driver.addUnit({ firstStage: false }))).attach(ioas.id);
  const needed = 24 + 16 + 16 + 2 * 16;
  for (let argsz = 16; argsz <= needed + 8; argsz++) {
    is(struct(GET_INFO, argsz), 0);
    assert.is(word(0), needed);
    assert.is(word(4), 3, 'PGSIZES and CAPS');
    if (argsz >= 20) assert.is(word(16), argsz >= needed ? 24 : 0);
    const rest = kernel.peek(page, 4096).subarray(argsz);
    assert.ok(
      rest.every((byte) => byte === 0xcc),
      `argsz ${argsz}`,
    );
  }
  assert.equal([word(24), word(28), word(32)], [0x10003, 40, 0xffffffff], 'DMA_AVAIL');
  assert.equal([word(40), word(44), word(48)], [0x10001, 0, 2], 'IOVA_RANGE');
  assert.equal([word(56), word(64)], [0, 0xfedf_ffff]);
  assert.is(word(8), 0x40201000, 'page sizes of the domain');
  end();
});

test('GET_INFO without a domain: all sizes from a page on', () => {
  const { struct, word, client, end } = bench();
  client.setVfioIoas(client.ioasAlloc());
  is(struct(GET_INFO, 24), 0);
  assert.equal([word(8), word(12)], [0xfffff000, 0xffffffff]);
  end();
});

test('198-201: map, unmap, unmap of nothing, and ALL', () => {
  const { struct, word, client, kernel, end } = bench();
  client.setVfioIoas(client.ioasAlloc());
  const memory = kernel.alloc(16384);
  is(struct(MAP_DMA, ...mapWords(memory, 0x10000n, 8192n)), 0);
  is(struct(MAP_DMA, ...mapWords(memory, 0x11000n, 8192n)), 'EEXIST');
  is(struct(UNMAP_DMA, ...unmapWords(0x10000n, 4096n)), 'ENOENT');
  assert.is(word(16), 0, 'what was removed is told though the call is refused');
  is(struct(UNMAP_DMA, ...unmapWords(0x10000n, 8192n)), 0);
  assert.is(word(16), 8192);
  is(struct(UNMAP_DMA, ...unmapWords(0x10000n, 8192n)), 0);
  assert.is(word(16), 0);
  is(struct(UNMAP_DMA, ...unmapWords(0x1000n, 0n, 2)), 'EINVAL');
  is(struct(UNMAP_DMA, ...unmapWords(0n, 4096n, 2)), 'EINVAL');
  is(struct(MAP_DMA, ...mapWords(memory, 0x10000n, 8192n)), 0);
  is(struct(UNMAP_DMA, ...unmapWords(0n, 0n, 2)), 0);
  assert.is(word(16), 8192);
  is(struct(UNMAP_DMA, ...unmapWords(0n, 0n)), 'EINVAL');
  end();
});

test('a partly done unmap tells how much it removed', () => {
  const { struct, word, client, kernel, end } = bench();
  client.setVfioIoas(client.ioasAlloc());
  const memory = kernel.alloc(16384);
  is(struct(MAP_DMA, ...mapWords(memory, 0x10000n, 4096n)), 0);
  is(struct(MAP_DMA, ...mapWords(memory, 0x11000n, 8192n)), 0);
  is(struct(UNMAP_DMA, ...unmapWords(0x10000n, 8192n)), 'ENOENT');
  assert.is(word(16), 4096);
  end();
});

test('203: a mapping is cut for type 1 and not for type 1 v2', () => {
  const { struct, call, client, kernel, bind, test: own, end } = bench();
  const driver = createPaperDriver('vtd', { memory: own.kernel.memory });
  const ioas = client.ioasAlloc();
  client.setVfioIoas(ioas);
  bind(driver.addDevice('nic', driver.addUnit())).attach(ioas.id);
  const memory = kernel.alloc(16 * 4096);
  is(call(SET_IOMMU, 3n), 0);
  is(struct(MAP_DMA, ...mapWords(memory, 0n, 65536n)), 0);
  is(struct(UNMAP_DMA, ...unmapWords(0x3000n, 4096n)), 'ENOENT');
  is(call(SET_IOMMU, 1n), 'EINVAL');
  is(struct(UNMAP_DMA, ...unmapWords(0n, 0n, 2)), 0);
  is(call(SET_IOMMU, 1n), 0);
  is(struct(MAP_DMA, ...mapWords(memory, 0n, 65536n)), 0);
  for (const piece of [3n, 0n, 15n, 7n]) {
    is(struct(UNMAP_DMA, ...unmapWords(piece * 4096n, 4096n)), 0);
  }
  end();
});

test.run();
