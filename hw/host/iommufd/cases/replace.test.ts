/** Reference 10.6: a device moves between nested page tables and one with a fault queue. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import {
  type Bench,
  FAULT_ID_VALID,
  type MockDevice,
  NEST_PARENT,
  number,
  rule,
} from './fixture.ts';

interface Scene {
  readonly ioas: number;
  readonly device: MockDevice;
  readonly parent: number;
  readonly ordinary: number;
  readonly nested: readonly [number, number];
  readonly faulting: number;
  readonly fault: number;
  readonly faultFd: number;
}

function sceneRule(name: string, run: (b: Bench, scene: Scene) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas);
    const parent = b.hwpt(device, ioas, NEST_PARENT);
    const ordinary = b.hwpt(device, ioas);
    const queue = b.ok('FAULT_QUEUE_ALLOC');
    const fault = number(queue, 'out_fault_id');
    const nested = [b.nested(device, parent), b.nested(device, parent)] as const;
    const faulting = b.nested(device, parent, FAULT_ID_VALID, { fault_id: fault });
    const faultFd = number(queue, 'out_fault_fd');
    run(b, { ioas, device, parent, ordinary, nested, faulting, fault, faultFd });
  });
}

function busy(b: Bench, id: number): void {
  b.refuse('EBUSY', 'DESTROY', { id });
}

sceneRule('76: DESTROY of the nested HWPT that the device is on is EBUSY', (b, scene) => {
  const { device, nested } = scene;
  assert.is(b.replace(device, nested[0]), nested[0]);
  busy(b, nested[0]);
});

sceneRule('77: after a replace the old nested HWPT can go, the new one not', (b, scene) => {
  const { device, nested } = scene;
  b.replace(device, nested[0]);
  b.replace(device, nested[1]);
  busy(b, nested[1]);
  b.destroy(nested[0]);
});

sceneRule('78: DESTROY of a HWPT with faults that the device is on is EBUSY', (b, scene) => {
  b.replace(scene.device, scene.faulting);
  busy(b, scene.faulting);
});

sceneRule('79: a page request is read and answered', (b, scene) => {
  const { device, faulting, faultFd } = scene;
  b.replace(device, faulting);
  const request = { dev_id: device.idev, grpid: 2, perm: 3, addr: 0xdeadbeaf };
  b.op('TRIGGER_IOPF', request);
  const at = b.memory(4096n);
  assert.is(b.calls.read(faultFd, at, 40).value, 40);
  const message = new DataView(b.peek(at, 40).buffer);
  assert.equal(
    [message.getUint32(4, true), message.getUint32(12, true), message.getUint32(16, true)],
    [device.idev, 2, 3],
  );
  assert.is(message.getBigUint64(24, true), 0xdeadbeafn);
  const cookie = b.peek(at + 36n, 4);
  b.poke(at, Uint8Array.of(...cookie, 0, 0, 0, 0));
  assert.is(b.calls.write(faultFd, at, 8).value, 8);
});

sceneRule('80: on the parent again, what was left can be destroyed', (b, scene) => {
  const { device, parent, nested, faulting } = scene;
  b.replace(device, nested[1]);
  b.replace(device, faulting);
  assert.is(b.replace(device, parent), parent);
  b.destroy(nested[1]);
  b.destroy(faulting);
});

sceneRule('81: on the IOAS again, all other HWPTs can be destroyed', (b, scene) => {
  const { ioas, device, parent, ordinary, nested, faulting } = scene;
  b.replace(device, parent);
  for (const id of [...nested, faulting]) b.destroy(id);
  b.replace(device, ioas);
  b.destroy(parent);
  b.destroy(ordinary);
});

sceneRule('82: a fault queue is destroyed after its file is closed', (b, scene) => {
  b.destroy(scene.faulting);
  busy(b, scene.fault);
  assert.is(b.calls.close(scene.faultFd).errno, 0);
  b.destroy(scene.fault);
});

test.run();
