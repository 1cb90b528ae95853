import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { Context } from '../context.ts';
import { IommuGroup } from '../iommu-core/group.ts';
import { checkInvariants } from '../objects-invariants.ts';
import { TestDevice, TestDriver, type TestPagingDomain } from '../testbench.ts';
import { IOMMU_HWPT_ALLOC_NEST_PARENT, IOMMU_HWPT_ALLOC_PASID } from '../uapi/constants.ts';
import { Device } from './device.ts';
import { allocHwptPaging, type HwptPaging } from './hwpt-paging.ts';
import { Ioas } from './ioas.ts';

interface Bench {
  readonly test: TestKernel;
  readonly context: Context;
  readonly driver: TestDriver;
  bind(...names: string[]): Device[];
  ioas(): Ioas;
  hwpt(device: Device, ioas: Ioas, flags?: number): HwptPaging;
}

/** Devices bound in one call share a group. */
function bench(): Bench {
  const kernel = testKernel();
  const context = new Context(kernel.kernel);
  const driver = new TestDriver();
  return {
    test: kernel,
    context,
    driver,
    bind(...names) {
      const group = new IommuGroup(kernel.kernel.memory);
      const devices = names.map((name) => new TestDevice(name, driver));
      for (const device of devices) group.addDevice(device);
      return devices.map((device) => Device.bind(context, device, group));
    },
    ioas() {
      const ioas = new Ioas(context);
      context.objects.reserve(ioas);
      context.objects.publish(ioas);
      return ioas;
    },
    hwpt(device, ioas, flags = 0) {
      const request = { device: device.iommu, enforceCoherency: false, flags, data: null };
      const hwpt = allocHwptPaging(context, ioas, request);
      context.objects.publish(hwpt);
      return hwpt;
    },
  };
}

function refused(code: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is((error as Errno).code, code);
    return;
  }
  assert.unreachable(`${code} was expected`);
}

function domainOf(device: Device): unknown {
  return (device.iommu as TestDevice).attached.get(0);
}

test('bind tests coherency, group, interrupts and owner in this order, and leaves no trace', () => {
  const { context, driver, test: kernel } = bench();
  const device = new TestDevice('a', driver);
  const before = kernel.kernel.memory.bytes;
  driver.capabilities.delete('cache-coherency');
  refused('EINVAL', () => Device.bind(context, device, null));
  driver.capabilities.add('cache-coherency');
  refused('ENODEV', () => Device.bind(context, device, null));
  const group = new IommuGroup(kernel.kernel.memory, { isolatedMsi: false });
  group.addDevice(device);
  group.claim({});
  refused('EPERM', () => Device.bind(context, device, group));
  refused('EPERM', () => Device.bind(context, device, group, { allowUnsafeInterrupts: true }));
  group.release();
  refused('EPERM', () => Device.bind(context, device, group));
  assert.is(kernel.kernel.memory.bytes, before);
  const bound = Device.bind(context, device, group, { allowUnsafeInterrupts: true });
  assert.is(bound.id, 1);
  checkInvariants(context);
  bound.unbind();
  assert.is(kernel.kernel.memory.bytes, before);
  assert.not.ok(group.claimed);
});

test('an attach to an IOAS makes a page table, the next device shares it, the last ends it', () => {
  const { context, bind, ioas, driver } = bench();
  const [a] = bind('a');
  const [b] = bind('b');
  const space = ioas();
  const id = a.attach(0, space.id);
  assert.is(context.objects.peek(id)?.type, 'hwpt-paging');
  assert.is(b.attach(0, space.id), id);
  assert.is(domainOf(a), domainOf(b));
  checkInvariants(context);
  refused('EBUSY', () => context.objects.destroyById(id));
  refused('EBUSY', () => a.attach(0, space.id));
  a.detach(0);
  a.detach(0);
  assert.is(domainOf(a), driver.blocked);
  checkInvariants(context);
  b.detach(0);
  assert.is(context.objects.peek(id), null);
  assert.is(driver.domains, 0);
  checkInvariants(context);
});

test('EINVAL of a driver leads to the next page table and then a new one, ENOMEM to a failure', () => {
  const { context, bind, ioas, driver } = bench();
  const [a] = bind('a');
  const [b] = bind('b');
  const space = ioas();
  const first = a.attach(0, space.id);
  driver.refusal = { device: b.iommu, code: 'ENOMEM' };
  refused('ENOMEM', () => b.attach(0, space.id));
  checkInvariants(context);
  driver.refusal = { device: b.iommu, code: 'EINVAL' };
  const second = b.attach(0, space.id);
  assert.is.not(second, first);
  assert.is(space.hwpts.length, 2);
  checkInvariants(context);
});

test('a page table made by hand is never picked, and stays when its last device leaves', () => {
  const { context, bind, ioas, hwpt } = bench();
  const [a] = bind('a');
  const space = ioas();
  const manual = hwpt(a, space);
  const automatic = a.attach(0, space.id);
  assert.is.not(automatic, manual.id);
  assert.is(a.replace(0, manual.id), manual.id);
  assert.is(context.objects.peek(automatic), null);
  a.detach(0);
  assert.is(context.objects.peek(manual.id), manual);
  checkInvariants(context);
  context.objects.destroyById(manual.id);
});

test('devices of a group follow its attachment; replace by one moves all', () => {
  const { context, bind, ioas, hwpt, driver } = bench();
  const [a, b] = bind('a', 'b');
  const space = ioas();
  const one = hwpt(a, space);
  const two = hwpt(a, space);
  refused('EINVAL', () => a.replace(0, one.id));
  a.attach(0, one.id);
  assert.is(domainOf(b), one.domain);
  refused('EINVAL', () => b.replace(0, two.id));
  refused('EINVAL', () => b.attach(0, two.id));
  b.attach(0, one.id);
  assert.is(one.users, 3);
  driver.refusal = { device: b.iommu, code: 'EINVAL' };
  refused('EINVAL', () => a.replace(0, two.id));
  assert.is(domainOf(a), one.domain);
  checkInvariants(context);
  b.replace(0, two.id);
  assert.is(domainOf(a), two.domain);
  assert.is(one.users, 1);
  assert.is(two.users, 3);
  checkInvariants(context);
});

test('PASIDs need page tables made for them, also at the device itself', () => {
  const { context, bind, ioas, hwpt } = bench();
  const [a] = bind('a');
  const space = ioas();
  const plain = hwpt(a, space);
  const pasid = hwpt(a, space, IOMMU_HWPT_ALLOC_PASID);
  refused('EINVAL', () => a.attach(1, plain.id));
  refused('EINVAL', () => a.attach(1, space.id));
  a.attach(0, plain.id);
  refused('EINVAL', () => a.attach(1, pasid.id));
  a.replace(0, pasid.id);
  a.attach(1, pasid.id);
  refused('EBUSY', () => a.attach(1, pasid.id));
  refused('EINVAL', () => a.replace(0, plain.id));
  refused('EINVAL', () => a.replace(2, pasid.id));
  assert.equal(a.pasids(), [0, 1]);
  assert.is(a.hwptOf(1), pasid);
  checkInvariants(context);
  a.detach(1);
  a.replace(0, plain.id);
  checkInvariants(context);
});

test('the regions of a device are reserved while it is attached, in the IOAS it is attached to', () => {
  const { bind, ioas, context } = bench();
  const [a] = bind('a');
  (a.iommu as TestDevice).reserved = [{ start: 0xfee00000n, length: 0x100000n, kind: 'msi' }];
  const one = ioas();
  const two = ioas();
  a.attach(0, one.id);
  assert.is(one.table.iovaRanges().length, 2);
  a.replace(0, two.id);
  assert.is(one.table.iovaRanges().length, 1);
  assert.is(two.table.iovaRanges().length, 2);
  a.detach(0);
  assert.is(two.table.iovaRanges().length, 1);
  checkInvariants(context);
});

test('doorbells get pages of the MSI window, the same in every page table', () => {
  const { bind, ioas, hwpt } = bench();
  const [a] = bind('a');
  (a.iommu as TestDevice).reserved = [{ start: 0x8000000n, length: 0x100000n, kind: 'sw-msi' }];
  const space = ioas();
  const one = hwpt(a, space);
  const two = hwpt(a, space);
  assert.is(a.prepareMsi(0x1000n), null);
  a.attach(0, one.id);
  assert.is(a.prepareMsi(0x1000n), 0x8000000n);
  assert.is(a.prepareMsi(0x5000n), 0x8001000n);
  assert.is(a.prepareMsi(0x1000n), 0x8000000n);
  a.replace(0, two.id);
  assert.is((two.domain as TestPagingDomain).iovaToPhys(0x8001000n), 0x5000n);
});

test('other objects are no page tables, unknown ids are not there', () => {
  const { bind } = bench();
  const [a] = bind('a');
  refused('EINVAL', () => a.attach(0, a.id));
  refused('ENOENT', () => a.attach(0, 99));
});

test('a failed allocation anywhere in attach and replace leaves all as it was', () => {
  const { context, bind, ioas, hwpt, test: kernel, driver } = bench();
  const [a, b] = bind('a', 'b');
  const space = ioas();
  const other = ioas();
  const parent = hwpt(a, other, IOMMU_HWPT_ALLOC_NEST_PARENT);
  const { memory } = kernel.kernel;
  const steps: (() => unknown)[] = [
    () => a.attach(0, space.id),
    () => b.attach(0, space.id),
    () => a.replace(0, parent.id),
    () => b.replace(0, space.id),
  ];
  let failures = 0;
  for (const step of steps) {
    for (let n = 1; ; n++) {
      const before = [memory.bytes, memory.allocations, driver.domains, domainOf(a), domainOf(b)];
      memory.arm(n);
      try {
        step();
        break;
      } catch (error) {
        assert.ok(error instanceof Errno, String(error));
        failures++;
      } finally {
        memory.arm(0);
      }
      const after = [memory.bytes, memory.allocations, driver.domains, domainOf(a), domainOf(b)];
      assert.equal(after, before, `point ${n}: ${memory.failedAt}`);
      checkInvariants(context);
    }
    checkInvariants(context);
  }
  assert.ok(failures > 15, `only ${failures} failures`);
});

test('a context with everything in it closes to nothing', () => {
  const { context, bind, ioas, hwpt, test: kernel, driver } = bench();
  const [a] = bind('a');
  const space = ioas();
  hwpt(a, space, IOMMU_HWPT_ALLOC_NEST_PARENT);
  a.attach(0, space.id);
  a.detach(0);
  a.unbind();
  context.close();
  assert.is(driver.domains, 0);
  assert.is(kernel.kernel.memory.bytes, 0);
  assert.is(kernel.kernel.memory.allocations, 0);
});

test.run();
