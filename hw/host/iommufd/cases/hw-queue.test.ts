/** Reference 10.15, third part: hardware queues of a guest, and vDEVICEs that outlive a device. */
import { test } from 'uvu';
import type { CallFields } from '../client/request.ts';
import { A, type Bench, BUFFER, NEST_PARENT, number, P, rule, U64_MAX } from './fixture.ts';

interface Scene {
  readonly ioas: number;
  readonly stdev: number;
  readonly idev: number;
  readonly viommu: number;
}

/** A vIOMMU whose guest has 16 pages at A. */
function sceneRule(name: string, run: (b: Bench, scene: Scene) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas);
    const hwpt_id = b.hwpt(device, ioas, NEST_PARENT);
    const made = b.ok('VIOMMU_ALLOC', { type: 'SELFTEST', dev_id: device.idev, hwpt_id });
    for (let i = 0n; i < 16n; i++) b.map(ioas, BUFFER + i * P, P, A + i * P);
    run(b, { ...device, ioas, viommu: number(made, 'out_viommu_id') });
  });
}

function fields({ viommu }: Scene, index: number, more: CallFields = {}): CallFields {
  return {
    viommu_id: viommu,
    type: 'SELFTEST',
    index,
    nesting_parent_iova: A,
    length: P,
    ...more,
  };
}

function queue(b: Bench, scene: Scene, index: number, more: CallFields = {}): number {
  return number(b.ok('HW_QUEUE_ALLOC', fields(scene, index, more)), 'out_hw_queue_id');
}

sceneRule('228: a hardware queue of type 0 is EOPNOTSUPP', (b, scene) => {
  b.refuse('EOPNOTSUPP', 'HW_QUEUE_ALLOC', fields(scene, 0, { type: 'DEFAULT' }));
});

sceneRule('229: a hardware queue of length 0 is EINVAL', (b, scene) => {
  b.refuse('EINVAL', 'HW_QUEUE_ALLOC', fields(scene, 0, { length: 0 }));
});

sceneRule('230: a hardware queue at the last address is EOVERFLOW', (b, scene) => {
  b.refuse('EOVERFLOW', 'HW_QUEUE_ALLOC', fields(scene, 0, { nesting_parent_iova: U64_MAX }));
});

sceneRule(
  'a hardware queue whose pages have no number is ERANGE, of too many ENOMEM',
  (b, scene) => {
    const whole = { nesting_parent_iova: 0, length: U64_MAX };
    b.refuse('ERANGE', 'HW_QUEUE_ALLOC', fields(scene, 0, whole));
    b.refuse('ENOMEM', 'HW_QUEUE_ALLOC', fields(scene, 0, { length: 2n ** 63n }));
  },
);

sceneRule('231: a hardware queue where nothing is mapped is ENOENT', (b, scene) => {
  const more = { nesting_parent_iova: A + 16n * P };
  b.refuse('ENOENT', 'HW_QUEUE_ALLOC', fields(scene, 0, more));
});

sceneRule('232: the second hardware queue before the first is EIO', (b, scene) => {
  b.refuse('EIO', 'HW_QUEUE_ALLOC', fields(scene, 1));
});

sceneRule('233: a hardware queue beyond the last is EINVAL', (b, scene) => {
  b.refuse('EINVAL', 'HW_QUEUE_ALLOC', fields(scene, 2));
});

sceneRule('234: the first hardware queue is made', (b, scene) => {
  queue(b, scene, 0);
});

sceneRule('235: the same hardware queue again is EEXIST', (b, scene) => {
  queue(b, scene, 0);
  b.refuse('EEXIST', 'HW_QUEUE_ALLOC', fields(scene, 0));
});

sceneRule('236: UNMAP of the page of a hardware queue is EBUSY', (b, scene) => {
  queue(b, scene, 0);
  b.refuseUnmap('EBUSY', scene.ioas, A, P);
});

sceneRule('237: UNMAP of another page is possible', (b, scene) => {
  queue(b, scene, 0);
  b.unmap(scene.ioas, A + P, P);
});

const HALF = { nesting_parent_iova: A + P / 2n, length: P / 2n };

sceneRule('238: the second hardware queue may be half a page', (b, scene) => {
  queue(b, scene, 0);
  queue(b, scene, 1, HALF);
});

sceneRule('239: DESTROY of the first hardware queue before the second is EBUSY', (b, scene) => {
  const id = queue(b, scene, 0);
  queue(b, scene, 1, HALF);
  b.refuse('EBUSY', 'DESTROY', { id });
});

sceneRule('240: hardware queues are destroyed last first', (b, scene) => {
  const first = queue(b, scene, 0);
  b.destroy(queue(b, scene, 1, HALF));
  b.destroy(first);
});

sceneRule('241: UNMAP of the page is possible when its queues are gone', (b, scene) => {
  const first = queue(b, scene, 0);
  b.destroy(queue(b, scene, 1, HALF));
  b.refuseUnmap('EBUSY', scene.ioas, A, P);
  b.destroy(first);
  b.unmap(scene.ioas, A, P);
});

sceneRule('242: the vDEVICE of a device that is gone keeps its id, but is ENOENT', (b, scene) => {
  const made = b.ok('VDEVICE_ALLOC', {
    viommu_id: scene.viommu,
    dev_id: scene.idev,
    virt_id: 0x99,
  });
  b.destroy(scene.stdev);
  b.refuse('ENOENT', 'DESTROY', { id: number(made, 'out_vdevice_id') });
});

test.run();
