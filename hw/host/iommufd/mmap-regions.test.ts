import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { KernelMemory } from '../kernel/kernel-memory.ts';
import { MmapRegions } from './mmap-regions.ts';
import { IommufdObject } from './object.ts';

const test = suite('mmap regions');
const PAGE = 4096n;

class Owner extends IommufdObject {
  readonly type = 'viommu';

  destroy(): void {}
}

test('offsets start at one page and are the lowest that are free', () => {
  const regions = new MmapRegions();
  const memory = new KernelMemory();
  const owner = new Owner(0);
  assert.is(regions.allocate(memory, owner, [1, 2]), PAGE);
  assert.is(regions.allocate(memory, owner, [3, 4]), 3n * PAGE);
  assert.is(regions.allocate(memory, owner, [5]), 5n * PAGE);
  regions.free(3n * PAGE);
  assert.is(regions.allocate(memory, owner, [6, 7, 8]), 6n * PAGE, 'the gap is too small');
  assert.is(regions.allocate(memory, owner, [9]), 3n * PAGE);
  assert.is(regions.allocate(memory, owner, [10]), 4n * PAGE);
  for (const offset of [1n, 3n, 4n, 5n, 6n]) regions.free(offset * PAGE);
  assert.is(memory.allocations, 0);
  assert.is(regions.count, 0);
});

test('only the whole region can be mapped; a mapping is a user of the owner', () => {
  const regions = new MmapRegions();
  const owner = new Owner(0);
  const offset = regions.allocate(new KernelMemory(), owner, [1, 2]);
  for (const [at, length] of [
    [0n, 2n],
    [offset + PAGE, 1n],
    [offset + 2n * PAGE, 2n],
    [offset, 1n],
    [offset, 4n],
  ] as const) {
    assert.throws(() => regions.map(at, length * PAGE), /ENXIO/);
  }
  assert.is(owner.users, 1);
  const mapping = regions.map(offset, 2n * PAGE);
  assert.equal(mapping.frames, [1, 2]);
  assert.is(owner.users, 2);
  mapping.opened();
  assert.is(owner.users, 3);
  mapping.closed();
  mapping.closed();
  assert.is(owner.users, 1);
});

test('an allocation that fails leaves nothing', () => {
  const regions = new MmapRegions();
  const memory = new KernelMemory();
  assert.throws(() => regions.allocate(memory, new Owner(0), []), /EINVAL/);
  for (const step of [1, 2]) {
    memory.arm(step);
    assert.throws(() => regions.allocate(memory, new Owner(0), [1]), /ENOMEM/);
  }
  assert.is(memory.allocations, 0);
  assert.is(regions.count, 0);
});

test.run();
