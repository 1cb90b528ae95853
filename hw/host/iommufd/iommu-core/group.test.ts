import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../../kernel/errno.ts';
import { KernelMemory } from '../../kernel/kernel-memory.ts';
import type { Domain } from '../driver.ts';
import type { AttachHandle } from '../graph.ts';
import { TestDevice, TestDriver, TestPagingDomain } from '../testbench.ts';
import { IommuGroup } from './group.ts';

function refused(code: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is((error as Errno).code, code);
    return;
  }
  assert.unreachable(`${code} was expected`);
}

function pair(): { driver: TestDriver; group: IommuGroup; a: TestDevice; b: TestDevice } {
  const driver = new TestDriver();
  const group = new IommuGroup(new KernelMemory());
  const a = new TestDevice('a', driver);
  const b = new TestDevice('b', driver);
  group.addDevice(a);
  group.addDevice(b);
  return { driver, group, a, b };
}

/** The core looks at the domain and the PASID only. */
function handle(domain: Domain, pasid = 0): AttachHandle {
  return { domain, pasid, hwpt: null, device: null } as unknown as AttachHandle;
}

test('the DMA of a group has one owner at a time, who may claim it for each device', () => {
  const { driver, group } = pair();
  const owner = {};
  group.claim(owner);
  group.claim(owner);
  refused('EPERM', () => group.claim({}));
  group.release();
  assert.ok(group.claimed);
  group.release();
  assert.not.ok(group.claimed);
  assert.is(group.domain, driver.blocked);
});

test('a device that firmware wants mapped 1:1 cannot be claimed', () => {
  const driver = new TestDriver();
  const device = new TestDevice('a', driver);
  device.reserved = [{ start: 0x1000n, length: 0x1000n, kind: 'direct' }];
  const dma = new TestPagingDomain(driver);
  const group = new IommuGroup(new KernelMemory(), { defaultDomain: dma });
  group.addDevice(device);
  refused('EINVAL', () => group.claim({}));
  assert.not.ok(group.claimed);
  assert.is(device.attached.get(0), dma);
});

test('attach moves all devices of the group, detach blocks them while somebody owns it', () => {
  const { driver, group, a, b } = pair();
  group.claim({});
  const domain = new TestPagingDomain(driver);
  const attached = handle(domain);
  group.attach(attached);
  assert.is(a.attached.get(0), domain);
  assert.is(b.attached.get(0), domain);
  assert.is(group.handleOf(a, 0), attached);
  refused('EBUSY', () => group.attach(handle(domain)));
  group.detach();
  assert.is(b.attached.get(0), driver.blocked);
  assert.is(group.handleOf(a, 0), null);
});

test('devices moved before one that refuses are put back, in attach and in replace', () => {
  const { driver, group, a, b } = pair();
  group.claim({});
  const first = new TestPagingDomain(driver);
  driver.refusal = { device: b, code: 'ENOMEM' };
  refused('ENOMEM', () => group.attach(handle(first)));
  assert.is(a.attached.get(0), driver.blocked);
  const attached = handle(first);
  group.attach(attached);
  driver.refusal = { device: b, code: 'EINVAL' };
  refused('EINVAL', () => group.replace(handle(new TestPagingDomain(driver))));
  assert.is(a.attached.get(0), first);
  assert.is(group.handleOf(b, 0), attached);
});

test('a domain of another driver does not fit', () => {
  const { group } = pair();
  const other = new TestPagingDomain(new TestDriver('other'));
  refused('EINVAL', () => group.attach(handle(other)));
  refused('EINVAL', () => group.attachPasid(handle(other, 1)));
});

test('a PASID must be below the limit of every device that has PASIDs', () => {
  const { driver, group, a, b } = pair();
  a.maxPasids = 0;
  b.maxPasids = 4;
  const domain = new TestPagingDomain(driver);
  refused('EINVAL', () => group.attachPasid(handle(domain, 4)));
  refused('EINVAL', () => group.attachPasid(handle(domain, 0)));
  group.attachPasid(handle(domain, 3));
  assert.is(a.attached.get(3), undefined);
  assert.is(b.attached.get(3), domain);
  refused('EBUSY', () => group.attachPasid(handle(domain, 3)));
  group.detachPasid(3);
  assert.is(b.attached.get(3), undefined);
});

test('a PASID keeps its domain where replacing it fails, and replace needs one', () => {
  const { driver, group, a, b } = pair();
  const domain = new TestPagingDomain(driver);
  refused('EINVAL', () => group.replacePasid(handle(domain, 1)));
  const attached = handle(domain, 1);
  group.attachPasid(attached);
  driver.refusal = { device: b, code: 'ENOMEM' };
  refused('ENOMEM', () => group.replacePasid(handle(new TestPagingDomain(driver), 1)));
  assert.is(a.attached.get(1), domain);
  assert.is(group.handleOf(a, 1), attached);
  const other = new TestPagingDomain(driver);
  group.replacePasid(handle(other, 1));
  assert.is(a.attached.get(1), other);
});

test('while a device is reset its group cannot be attached; afterwards all is as before', () => {
  const { driver, group, a } = pair();
  const domain = new TestPagingDomain(driver);
  group.attach(handle(domain));
  group.attachPasid(handle(domain, 2));
  group.beginReset(a);
  assert.is(a.attached.get(0), driver.blocked);
  assert.is(a.attached.get(2), undefined);
  refused('EBUSY', () => group.replace(handle(new TestPagingDomain(driver))));
  group.endReset(a);
  assert.is(a.attached.get(0), domain);
  assert.is(a.attached.get(2), domain);
});

test('an owner cannot take a group whose PASIDs are in use', () => {
  const { driver, group } = pair();
  group.attachPasid(handle(new TestPagingDomain(driver), 1));
  refused('EBUSY', () => group.claim({}));
});

test.run();
