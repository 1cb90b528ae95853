/** Reference 10.16: attachments of single PASIDs of a device. */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrnoName } from '../../kernel/errno.ts';
import {
  ALLOC_PASID,
  type Bench,
  FAULT_ID_VALID,
  type MockDevice,
  NEST_PARENT,
  number,
  P,
  rule,
  WITH_PASID,
} from './fixture.ts';

const PASID = 100;

interface Scene {
  readonly ioas: number;
  /** A device with PASIDs, on an automatic HWPT. */
  readonly device: MockDevice;
  /** A nesting parent without PASIDs, and a HWPT with them. */
  readonly parent: number;
  readonly pasidHwpt: number;
}

function sceneRule(name: string, run: (b: Bench, scene: Scene) => void): void {
  rule(name, (b) => {
    const ioas = b.ioas();
    const device = b.mock(ioas, WITH_PASID);
    const parent = b.hwpt(device, ioas, NEST_PARENT);
    run(b, { ioas, device, parent, pasidHwpt: b.hwpt(device, ioas, ALLOC_PASID) });
  });
}

/** The device itself is on the HWPT with PASIDs, so that its PASIDs can be attached. */
function readyRule(name: string, run: (b: Bench, scene: Scene) => void): void {
  sceneRule(name, (b, scene) => {
    b.replace(scene.device, scene.pasidHwpt);
    run(b, scene);
  });
}

function attach(b: Bench, { device }: Scene, pt_id: number, pasid = PASID): void {
  b.op('PASID_ATTACH', { id: device.stdev, pasid, pt_id });
}

function refuseAttach(b: Bench, code: ErrnoName, { device }: Scene, pt_id: number): void {
  b.refuseOp(code, 'PASID_ATTACH', { id: device.stdev, pasid: PASID, pt_id });
}

function detach(b: Bench, { device }: Scene, pasid = PASID): void {
  b.op('PASID_DETACH', { id: device.stdev, pasid });
}

/** Page table 0: nothing is attached there. */
function check(b: Bench, { device }: Scene, hwpt_id: number, pasid = PASID): void {
  b.op('PASID_CHECK_HWPT', { id: device.stdev, pasid, hwpt_id });
}

sceneRule('243: detaching a PASID that was never attached is no error', (b, scene) => {
  detach(b, scene);
});

sceneRule('244: a PASID beside a device on a HWPT without PASIDs is EINVAL', (b, scene) => {
  b.replace(scene.device, scene.parent);
  refuseAttach(b, 'EINVAL', scene, scene.pasidHwpt);
});

readyRule('245: with a PASID attached the device moves to no HWPT without: EINVAL', (b, scene) => {
  attach(b, scene, scene.pasidHwpt);
  const { stdev } = scene.device;
  b.refuseOp('EINVAL', 'MOCK_DOMAIN_REPLACE', { id: stdev, pt_id: scene.parent });
});

readyRule('246: after a detach nothing is attached at the PASID', (b, scene) => {
  attach(b, scene, scene.pasidHwpt);
  check(b, scene, scene.pasidHwpt);
  detach(b, scene);
  check(b, scene, 0);
});

sceneRule('247: a device without PASIDs may be on a HWPT with them', (b, scene) => {
  const plain = b.mock(scene.ioas);
  assert.is(b.replace(plain, scene.pasidHwpt), scene.pasidHwpt);
});

sceneRule('248: a PASID of a device without PASIDs is EINVAL', (b, scene) => {
  const plain = { ...scene, device: b.mock(scene.ioas) };
  b.replace(plain.device, scene.pasidHwpt);
  refuseAttach(b, 'EINVAL', plain, scene.pasidHwpt);
  refuseAttach(b, 'EINVAL', plain, scene.parent);
});

readyRule('249: a PASID on a HWPT without PASIDs is EINVAL', (b, scene) => {
  refuseAttach(b, 'EINVAL', scene, scene.parent);
  check(b, scene, 0);
});

readyRule('250: a PASID on an IOAS is EINVAL', (b, scene) => {
  refuseAttach(b, 'EINVAL', scene, scene.ioas);
  check(b, scene, 0);
});

readyRule('251: a PASID is attached to a HWPT with PASIDs', (b, scene) => {
  attach(b, scene, scene.pasidHwpt);
  check(b, scene, scene.pasidHwpt);
});

readyRule('252: a PASID that is attached is not attached again: EBUSY', (b, scene) => {
  attach(b, scene, scene.pasidHwpt);
  refuseAttach(b, 'EBUSY', scene, scene.pasidHwpt);
  refuseAttach(b, 'EBUSY', scene, b.hwpt(scene.device, scene.ioas, ALLOC_PASID));
  check(b, scene, scene.pasidHwpt);
});

readyRule('253: a PASID is attached to a nested HWPT with PASIDs', (b, scene) => {
  const nested = b.nested(scene.device, scene.parent, ALLOC_PASID);
  attach(b, scene, nested);
  check(b, scene, nested);
});

readyRule('254: a PASID without attachment is not replaced: EINVAL', (b, scene) => {
  const { stdev } = scene.device;
  b.refuseOp('EINVAL', 'PASID_REPLACE', { id: stdev, pasid: 200, pt_id: scene.pasidHwpt });
});

readyRule('255: a PASID moves to no IOAS, and stays where it was', (b, scene) => {
  attach(b, scene, scene.pasidHwpt, 200);
  const { stdev } = scene.device;
  b.refuseOp('EINVAL', 'PASID_REPLACE', { id: stdev, pasid: 200, pt_id: scene.ioas });
  check(b, scene, scene.pasidHwpt, 200);
});

function replace(b: Bench, { device }: Scene, pasid: number, pt_id: number): void {
  b.op('PASID_REPLACE', { id: device.stdev, pasid, pt_id });
}

readyRule('256: a PASID moves from one nested HWPT to another', (b, scene) => {
  attach(b, scene, scene.pasidHwpt, 200);
  for (let i = 0; i < 2; i++) {
    const nested = b.nested(scene.device, scene.parent, ALLOC_PASID);
    replace(b, scene, 200, nested);
    check(b, scene, nested, 200);
  }
});

readyRule('257: a replace that the driver refuses leaves the old attachment', (b, scene) => {
  attach(b, scene, scene.pasidHwpt, 1024);
  const nested = b.nested(scene.device, scene.parent, ALLOC_PASID);
  const fields = { id: scene.device.stdev, pasid: 1024, pt_id: nested };
  b.refuseOp('ENOMEM', 'PASID_REPLACE', fields);
  check(b, scene, scene.pasidHwpt, 1024);
  detach(b, scene, 1024);
});

readyRule('258: a page request of a PASID reaches the queue of its HWPT', (b, scene) => {
  const { device, parent, pasidHwpt } = scene;
  const queue = b.ok('FAULT_QUEUE_ALLOC');
  const fault_id = number(queue, 'out_fault_id');
  const fd = number(queue, 'out_fault_fd');
  const nested = b.nested(device, parent, FAULT_ID_VALID | ALLOC_PASID, { fault_id });
  attach(b, scene, nested, 2048);
  b.op('TRIGGER_IOPF', { dev_id: device.idev, pasid: 2048, grpid: 3, perm: 1, addr: 0x4000 });
  const at = b.memory(P);
  assert.is(b.calls.read(fd, at, 40).value, 40);
  const message = new DataView(b.peek(at, 40).buffer);
  assert.equal([message.getUint32(0, true), message.getUint32(8, true)], [3, 2048]);
  replace(b, scene, 2048, pasidHwpt);
  b.destroy(nested);
  assert.is(b.calls.close(fd).errno, 0);
  b.destroy(fault_id);
});

test.run();
