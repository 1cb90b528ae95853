import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { Vdevice } from './vdevice.ts';
import { MODEL, VIOMMU_WORDS, type ViommuBench, viommuBench } from './viommu-testbench.ts';

const test = suite('vIOMMU and vDEVICE');

function allocVdevice(bench: ViommuBench, viommu: number, device: number, virtualId: number) {
  return bench.ioctl(VIOMMU_WORDS.VDEVICE, [24, viommu, device, 0, virtualId, 0]);
}

test('a vIOMMU counts its parent, and nothing keeps the device', () => {
  const { viommu, parent, device, context, log } = viommuBench();
  const users = device.users;
  const made = viommu();
  assert.is(parent.users, 2);
  assert.is(device.users, users);
  assert.throws(() => context.objects.destroyById(parent.id), /EBUSY/);
  context.objects.destroyById(made.id);
  assert.is(parent.users, 1);
  assert.equal(log, ['init', 'destroy']);
});

test('checks in order: flags and type, device, driver, parent, nesting', () => {
  const { ioctl, allocViommu, device, parent } = viommuBench();
  const alloc = (...words: number[]) => ioctl(VIOMMU_WORDS.VIOMMU, [40, ...words, 0, 0, 0, 0, 0]);
  assert.is(alloc(1, MODEL, 99, 99), 'EOPNOTSUPP');
  assert.is(alloc(0, 0, 99, 99), 'EOPNOTSUPP');
  assert.is(alloc(0, 5, 99, 99), 'ENOENT');
  assert.is(alloc(0, 5, device.id, 99), 'EOPNOTSUPP');
  assert.is(alloc(0, MODEL, device.id, 99), 'ENOENT');
  Object.defineProperty(parent, 'nestParent', { value: false });
  assert.is(allocViommu(), 'EINVAL');
});

test('what the driver refuses, and every allocation that fails, is undone', () => {
  const bench = viommuBench();
  const { memory } = bench.kernel;
  const { bytes } = memory;
  bench.refuse();
  assert.is(bench.allocViommu(), 'EIO');
  assert.is(bench.parent.users, 1);
  assert.is(memory.bytes, bytes);
  for (let n = 1; ; n++) {
    memory.arm(n);
    const answer = bench.allocViommu();
    if (typeof answer !== 'string') break;
    assert.is(bench.parent.users, 1);
    assert.is(memory.bytes, bytes);
    assert.is(bench.context.mmaps.count, 0);
    assert.is(bench.context.objects.objects().length, 3);
  }
  assert.is(memory.points, 6, 'two lookups, object, id, region and offset');
});

test('a 24-byte call is served, and only its bytes are written', () => {
  const { ioctl, device, parent } = viommuBench();
  const words = [24, 0, MODEL, device.id, parent.id, 0, 7, 7];
  const answer = ioctl(VIOMMU_WORDS.VIOMMU, words) as Uint32Array;
  assert.equal([...answer].slice(5), [4, 7, 7]);
});

test('a mapping of its pages keeps a vIOMMU', () => {
  const { viommu, context } = viommuBench();
  const made = viommu();
  const mapping = context.mmaps.map(4096n, 8192n);
  assert.throws(() => context.objects.destroyById(made.id), /EBUSY/);
  mapping.closed();
  context.objects.destroyById(made.id);
  assert.throws(() => context.mmaps.map(4096n, 8192n), /ENXIO/);
});

test('a vDEVICE counts its vIOMMU and its device, and names the device in the vIOMMU', () => {
  const bench = viommuBench();
  const { device, context, log } = bench;
  const viommu = bench.viommu();
  const users = device.users;
  const answer = allocVdevice(bench, viommu.id, device.id, 0x99) as Uint32Array;
  assert.is(viommu.users, 2);
  assert.is(device.users, users + 1);
  assert.is(device.shortTerm, 2);
  assert.is(viommu.deviceOf(0x99n), device.iommu);
  assert.is(viommu.virtualIdOf(device.iommu), 0x99n);
  assert.is(viommu.deviceOf(0x98n), null);
  context.objects.destroyById(answer[3] as number);
  assert.is(viommu.users, 1);
  assert.is(device.users, users);
  assert.is(device.shortTerm, 1);
  assert.is(device.vdevice, null);
  assert.is(viommu.virtualIdOf(device.iommu), null);
  assert.equal(log.slice(1), ['init dev 153', 'free dev 153']);
});

test('checks of a vDEVICE in order: vIOMMU, device, instance, second vDEVICE, virtual id', () => {
  const bench = viommuBench();
  const viommu = bench.viommu();
  const { id } = bench.device;
  assert.is(allocVdevice(bench, 99, 98, 1), 'ENOENT');
  assert.is(allocVdevice(bench, viommu.id, 98, 1), 'ENOENT');
  const foreign = bench.bind('foreign', {});
  assert.is(allocVdevice(bench, viommu.id, foreign.id, 1), 'EINVAL');
  assert.is.not(typeof allocVdevice(bench, viommu.id, id, 1), 'string');
  assert.is(allocVdevice(bench, viommu.id, id, 2), 'EEXIST');
  const second = bench.bind('second');
  assert.is(allocVdevice(bench, viommu.id, second.id, 1), 'EEXIST');
  assert.is(second.vdevice, null);
  assert.is(viommu.deviceOf(1n), bench.device.iommu, 'the id stays the first device’s');
  assert.is.not(typeof allocVdevice(bench, viommu.id, second.id, 2), 'string');
});

test('a vDEVICE that cannot be made leaves counts and memory as they were', () => {
  const bench = viommuBench();
  const viommu = bench.viommu();
  const { memory } = bench.kernel;
  const { bytes } = memory;
  const { device } = bench;
  const { users } = device;
  const unchanged = () => {
    assert.equal([viommu.users, device.users, device.shortTerm], [1, users, 1]);
    assert.is(device.vdevice, null);
    assert.is(memory.bytes, bytes);
  };
  bench.refuse();
  assert.is(allocVdevice(bench, viommu.id, device.id, 1), 'EIO');
  unchanged();
  assert.not.ok(bench.log.includes('free dev 1'), 'the driver frees only what it has made');
  for (let n = 1; ; n++) {
    memory.arm(n);
    if (typeof allocVdevice(bench, viommu.id, device.id, 1) !== 'string') break;
    unchanged();
  }
  assert.is(memory.points, 5, 'two lookups, object, id, virtual id');
});

test('a device that is unbound takes its vDEVICE with it; the id stays taken', () => {
  const bench = viommuBench();
  const { context, device } = bench;
  const viommu = bench.viommu();
  const [, , , id] = allocVdevice(bench, viommu.id, device.id, 1) as Uint32Array;
  assert.instance(device.vdevice, Vdevice);
  device.unbind();
  assert.is(viommu.users, 1);
  assert.is(viommu.deviceOf(1n), null);
  assert.throws(() => context.objects.destroyById(id as number), /ENOENT/);
  const next = bench.bind('next');
  assert.is.not(next.id, id);
});

test.run();
