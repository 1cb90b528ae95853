import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { HwQueue } from './hw-queue.ts';
import { MODEL, VIOMMU_WORDS, type ViommuBench, viommuBench } from './viommu-testbench.ts';

const test = suite('hardware queue of a vIOMMU');
const PAGE = 4096n;
const IOVA = 0x40000;

interface Opened extends Omit<ViommuBench, 'alloc'> {
  readonly viommuId: number;
  alloc(index: number, iova: number, length: number): Uint32Array | string;
}

/** Four pages mapped at IOVA in the parent's IOAS; the frames of the first three are in a row. */
function opened(): Opened {
  const bench = viommuBench();
  const viommuId = bench.viommu().id;
  const user = bench.alloc(4 * 4096);
  bench.poke(user, new Uint8Array(3 * 4096).fill(1));
  const spoiler = bench.alloc(4096);
  bench.poke(spoiler, [1]);
  bench.poke(user + 3n * PAGE, [1]);
  const iova = BigInt(IOVA);
  bench.ioas.table.mapUser(bench.context, bench.process, iova, true, user, 4n * PAGE, 1);
  return {
    ...bench,
    viommuId,
    alloc: (index, iova, length) =>
      bench.ioctl(VIOMMU_WORDS.HW_QUEUE, [40, 0, viommuId, MODEL, index, 0, iova, 0, length, 0]),
  };
}

test('checks in order: flags and type, length, overflow, vIOMMU, type of the driver', () => {
  const { ioctl, viommuId } = opened();
  const alloc = (...words: number[]) => ioctl(VIOMMU_WORDS.HW_QUEUE, [40, ...words]);
  const max = 0xffffffff;
  assert.is(alloc(1, 99, MODEL, 0, 0, 0, 0, 0, 0), 'EOPNOTSUPP');
  assert.is(alloc(0, 99, 0, 0, 0, 0, 0, 0, 0), 'EOPNOTSUPP');
  assert.is(alloc(0, 99, 5, 0, 0, max, max, 0, 0), 'EINVAL');
  assert.is(alloc(0, 99, 5, 0, 0, max, max, 2, 0), 'EOVERFLOW');
  assert.is(alloc(0, 99, 5, 0, 0, max, max, 1, 0), 'ENOENT');
  assert.is(alloc(0, viommuId, 5, 0, 0, 0, 0, 1, 0), 'EOPNOTSUPP');
  assert.is(alloc(0, viommuId, MODEL, 0, 0, 0, 0, 0, 0x80000000), 'ENOMEM', 'array of pages');
});

test('the driver gets the physical address; the memory stays pinned and mapped', () => {
  const { alloc, log, context, ioas, kernel, viommuId } = opened();
  const [, , , , , id] = alloc(0, IOVA + 16, 4096) as Uint32Array;
  assert.match(log[1] as string, /^queue 0 at 0x[0-9a-f]+010\+4096$/);
  assert.is(kernel.pins.total, 2, 'it touches two pages');
  assert.throws(() => ioas.table.unmap(BigInt(IOVA), 4n * PAGE), /EBUSY/);
  assert.throws(() => context.objects.destroyById((id as number) + 1), /EBUSY/, 'its access');
  assert.throws(() => context.objects.destroyById(viommuId), /EBUSY/);
  context.objects.destroyById(id as number);
  assert.is(kernel.pins.total, 0);
  assert.is(ioas.table.unmap(BigInt(IOVA), 4n * PAGE), 4n * PAGE);
  context.objects.destroyById(viommuId);
});

test('pages that do not follow each other in memory are EFAULT, a hole is ENOENT', () => {
  const { alloc, kernel } = opened();
  assert.is.not(typeof alloc(0, IOVA, 3 * 4096), 'string');
  const { total } = kernel.pins;
  assert.is(alloc(1, IOVA, 4 * 4096), 'EFAULT');
  assert.is(alloc(1, IOVA + 3 * 4096, 2 * 4096), 'ENOENT');
  assert.is(kernel.pins.total, total);
});

test('a queue that stands on another keeps it', () => {
  const { alloc, context } = opened();
  const first = (alloc(0, IOVA, 64) as Uint32Array)[5] as number;
  assert.is(alloc(0, IOVA, 64), 'EEXIST');
  const second = (alloc(1, IOVA + 2048, 64) as Uint32Array)[5] as number;
  assert.is((context.objects.peek(first) as HwQueue).users, 2);
  assert.throws(() => context.objects.destroyById(first), /EBUSY/);
  context.objects.destroyById(second);
  context.objects.destroyById(first);
});

test('every step that fails is undone', () => {
  const bench = opened();
  const { context, kernel, viommuId } = bench;
  const viommu = context.objects.peek(viommuId);
  const { bytes } = kernel.memory;
  const unchanged = (what: string) => {
    assert.is(kernel.memory.bytes, bytes, what);
    assert.is(kernel.pins.total, 0, what);
    assert.is(viommu?.users, 1, what);
    assert.is(context.objects.objects().length, 4, what);
  };
  bench.refuse();
  assert.is(bench.alloc(0, IOVA, 8192), 'EIO');
  unchanged('driver');
  for (let n = 1; ; n++) {
    kernel.memory.arm(n);
    if (typeof bench.alloc(0, IOVA, 8192) !== 'string') break;
    unchanged(`step ${n}: ${kernel.memory.failedAt}`);
  }
  assert.ok(kernel.memory.points > 6);
});

test.run();
