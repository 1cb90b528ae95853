/** Reference 10.15, first part: vIOMMUs, nested page tables on them, their devices and events. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { MAP_SHARED } from '../../kernel/mmap.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import {
  type Bench,
  FAULT_ID_VALID,
  IOTLB,
  type MockDevice,
  NEST_PARENT,
  number,
  P,
  rule,
} from './fixture.ts';

const NESTED_DATA = { data_type: 'SELFTEST', data: { iotlb: IOTLB } };

interface Scene {
  readonly device: MockDevice;
  readonly ioas: number;
  readonly parent: number;
  readonly viommu: number;
}

function sceneRule(name: string, run: (b: Bench, scene: Scene) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas);
    const parent = b.hwpt(device, ioas, NEST_PARENT);
    run(b, { ioas, device, parent, viommu: viommu(b, device, parent) });
  });
}

function viommu(b: Bench, { idev }: MockDevice, parent: number): number {
  const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: idev, hwpt_id: parent });
  return number(made, 'out_viommu_id');
}

function vdevice(b: Bench, { device, viommu: viommu_id }: Scene, virt_id: bigint): number {
  const made = b.ok('VDEVICE_ALLOC', { viommu_id, dev_id: device.idev, virt_id });
  return number(made, 'out_vdevice_id');
}

sceneRule('204: a vIOMMU on the page table 0 is ENOENT', (b, { device }) => {
  const fields = { type: 'SELFTEST', dev_id: device.idev, hwpt_id: 0 };
  b.refuse('ENOENT', 'VIOMMU_ALLOC', fields);
});

sceneRule('205: a vIOMMU on a HWPT that is no nesting parent is EINVAL', (b, { device }) => {
  const fields = { type: 'SELFTEST', dev_id: device.idev, hwpt_id: device.hwpt };
  b.refuse('EINVAL', 'VIOMMU_ALLOC', fields);
});

sceneRule('206: a vIOMMU of an unknown type is EOPNOTSUPP', (b, { device, parent }) => {
  const fields = { type: 0xdead, dev_id: device.idev, hwpt_id: parent };
  b.refuse('EOPNOTSUPP', 'VIOMMU_ALLOC', fields);
});

rule('207: a vIOMMU without a device is ENOENT', (b) => {
  b.refuse('ENOENT', 'VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: 0, hwpt_id: 0 });
});

sceneRule('208: DESTROY of a parent with a vIOMMU is EBUSY', (b, { parent }) => {
  b.refuse('EBUSY', 'DESTROY', { id: parent });
});

sceneRule('209: DESTROY of a vIOMMU with a nested HWPT is EBUSY', (b, { device, viommu }) => {
  b.nested(device, viommu);
  b.refuse('EBUSY', 'DESTROY', { id: viommu });
});

sceneRule('210: a fault_id that is not there is ENOENT', (b, { device, viommu }) => {
  const data = { ...NESTED_DATA, fault_id: 0xffffffff };
  b.refuseHwpt('ENOENT', device, viommu, FAULT_ID_VALID, data);
});

sceneRule('211: unknown flags beside FAULT_ID_VALID are EOPNOTSUPP', (b, { device, viommu }) => {
  b.refuseHwpt('EOPNOTSUPP', device, viommu, FAULT_ID_VALID + 2 ** 31, NESTED_DATA);
});

sceneRule('212: a nested HWPT with a fault queue on a vIOMMU', (b, { device, viommu }) => {
  const fault = number(b.ok('FAULT_QUEUE_ALLOC'), 'out_fault_id');
  b.nested(device, viommu, FAULT_ID_VALID, { fault_id: fault });
});

sceneRule('213: a nested HWPT of a vIOMMU takes a device with a vDEVICE only', (b, scene) => {
  const { device } = scene;
  const queue = b.ok('FAULT_QUEUE_ALLOC');
  const fault_id = number(queue, 'out_fault_id');
  const nested = b.nested(device, scene.viommu, FAULT_ID_VALID, { fault_id });
  b.refuseOp('ENOENT', 'MOCK_DOMAIN_REPLACE', { id: device.stdev, pt_id: nested });
  vdevice(b, scene, 0x99n);
  b.replace(device, nested);
  b.refuse('EBUSY', 'DESTROY', { id: nested });
  b.op('TRIGGER_IOPF', { dev_id: device.idev, grpid: 1, perm: 1, addr: 0x1000 });
  const at = b.memory(P);
  assert.is(b.calls.read(number(queue, 'out_fault_fd'), at, 40).value, 40);
});

interface Loopback {
  readonly id: number;
  readonly offset: number;
  readonly length: number;
}

const WORD = 0xc0ffee42;

/** A vIOMMU whose pages can be mapped; their first word is the one given. */
function loopback(b: Bench, { device, parent }: Scene): Loopback {
  const fields = { type: 'SELFTEST', dev_id: device.idev, hwpt_id: parent };
  const made = b.ok('VIOMMU_ALLOC', { ...fields, data: { in_data: WORD } });
  const data = made.data as Record<string, number | bigint>;
  assert.is(data.out_data, WORD);
  return {
    id: number(made, 'out_viommu_id'),
    offset: Number(data.out_mmap_offset),
    length: Number(data.out_mmap_length),
  };
}

function mapRegion(b: Bench, offset: number, length: number) {
  const prot = PROT_READ | PROT_WRITE;
  return b.calls.mmap({ length, prot, flags: MAP_SHARED, fd: b.fd, offset });
}

sceneRule('214: data of a vIOMMU comes back, with two pages to map', (b, scene) => {
  const { offset, length } = loopback(b, scene);
  assert.is(length, Number(2n * P));
  assert.ok(offset >= Number(P));
});

sceneRule('215: a region is mapped exactly or not at all: ENXIO', (b, scene) => {
  const { offset, length } = loopback(b, scene);
  const page = Number(P);
  const wrong = [
    [offset + page, length],
    [offset + 2 * page, length],
    [offset, length / 2],
    [offset, length * 2],
  ] as const;
  for (const [at, bytes] of wrong) assert.is(mapRegion(b, at, bytes).errno, 6, `${at} ${bytes}`);
  const { value, errno } = mapRegion(b, offset, length);
  assert.is(errno, 0);
  assert.is(new DataView(b.peek(BigInt(value), 4).buffer).getUint32(0, true), WORD);
});

sceneRule('216: DESTROY of a vIOMMU while its pages are mapped is EBUSY', (b, scene) => {
  const { id, offset, length } = loopback(b, scene);
  const { value } = mapRegion(b, offset, length);
  b.refuse('EBUSY', 'DESTROY', { id });
  assert.is(b.calls.munmap(value, length).errno, 0);
  b.destroy(id);
});

/** An event queue; its descriptor. */
function eventQueue(b: Bench, viommu_id: number, depth: number): { id: number; fd: number } {
  const made = b.ok('VEVENTQ_ALLOC', { viommu_id, type: 'SELFTEST', veventq_depth: depth });
  return { id: number(made, 'out_veventq_id'), fd: number(made, 'out_veventq_fd') };
}

sceneRule('217: a second event queue of a type is EEXIST', (b, { viommu }) => {
  eventQueue(b, viommu, 2);
  const fields = { viommu_id: viommu, type: 'SELFTEST', veventq_depth: 2 };
  b.refuse('EEXIST', 'VEVENTQ_ALLOC', fields);
});

/** The device is on a nested HWPT of the vIOMMU, and has a number there. */
function onVdevice(b: Bench, scene: Scene, virt_id: bigint): { nested: number; vdev: number } {
  const vdev = vdevice(b, scene, virt_id);
  const nested = b.nested(scene.device, scene.viommu);
  b.replace(scene.device, nested);
  return { nested, vdev };
}

function trigger(b: Bench, { device }: Scene, times = 1): void {
  for (let i = 0; i < times; i++) b.op('TRIGGER_VEVENT', { dev_id: device.idev });
}

const LOST = 1;

/** Flags, sequence and virtual id (0: none) of each event that a read delivers. */
function readEvents(b: Bench, fd: number): number[][] {
  const at = b.memory(P);
  const { value } = b.calls.read(fd, at, Number(P));
  const view = new DataView(b.peek(at, value).buffer);
  const events: number[][] = [];
  for (let i = 0; i < value; ) {
    const flags = view.getUint32(i, true);
    const sequence = view.getUint32(i + 4, true);
    const lost = (flags & LOST) !== 0;
    events.push([flags, sequence, lost ? 0 : view.getUint32(i + 8, true)]);
    i += lost ? 8 : 12;
  }
  return events;
}

sceneRule('218: an event is read with its header and virtual id', (b, scene) => {
  onVdevice(b, scene, 0x99n);
  const { fd } = eventQueue(b, scene.viommu, 2);
  trigger(b, scene);
  assert.equal(readEvents(b, fd), [[0, 0, 0x99]]);
});

sceneRule('219: a second vDEVICE of a device is EEXIST', (b, scene) => {
  vdevice(b, scene, 0x99n);
  const fields = { viommu_id: scene.viommu, dev_id: scene.device.idev, virt_id: 0x88 };
  b.refuse('EEXIST', 'VDEVICE_ALLOC', fields);
});

sceneRule('220: a device gets a new virtual id after it has left', (b, scene) => {
  const { vdev } = onVdevice(b, scene, 0x99n);
  const { fd } = eventQueue(b, scene.viommu, 2);
  b.replace(scene.device, scene.ioas);
  b.destroy(vdev);
  onVdevice(b, scene, 0x88n);
  trigger(b, scene);
  assert.equal(readEvents(b, fd), [[0, 0, 0x88]]);
});

sceneRule('221: of three events in a queue of two the last is told as lost', (b, scene) => {
  onVdevice(b, scene, 0x99n);
  const { fd } = eventQueue(b, scene.viommu, 2);
  trigger(b, scene, 3);
  assert.equal(readEvents(b, fd), [
    [0, 0, 0x99],
    [0, 1, 0x99],
    [LOST, 2, 0],
  ]);
});

sceneRule('222: after a loss the sequence goes on by one', (b, scene) => {
  onVdevice(b, scene, 0x99n);
  const { fd } = eventQueue(b, scene.viommu, 2);
  trigger(b, scene, 3);
  readEvents(b, fd);
  trigger(b, scene);
  assert.equal(readEvents(b, fd), [[0, 3, 0x99]]);
});

rule('223: a vDEVICE without a vIOMMU or device is ENOENT', (b) => {
  b.refuse('ENOENT', 'VDEVICE_ALLOC', { viommu_id: 0, dev_id: 0, virt_id: 0x99 });
});

test.run();
