import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../../kernel/errno.ts';
import { type TestKernel, testKernel } from '../../kernel/testbench.ts';
import { Context } from '../context.ts';
import { READ_ONLY, RecordingDomain, RW } from '../iopt/testbench.ts';
import { Access } from './access.ts';
import { Ioas } from './ioas.ts';

const P = 4096n;

function refused(code: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is((error as Errno).code, code, (error as Errno).rule);
    return;
  }
  assert.unreachable(`${code} expected`);
}

interface Bench {
  readonly test: TestKernel;
  readonly context: Context;
  readonly buffer: bigint;
  ioas(): Ioas;
  /** Maps the buffer's pages, from `page` on. */
  map(ioas: Ioas, iova: bigint, pages: bigint, page?: bigint, prot?: number): void;
}

function bench(): Bench {
  const kernel = testKernel();
  const context = new Context(kernel.kernel);
  const buffer = kernel.alloc(32 * 4096);
  return {
    test: kernel,
    context,
    buffer,
    ioas() {
      const ioas = new Ioas(context);
      context.objects.reserve(ioas);
      context.objects.publish(ioas);
      return ioas;
    },
    map({ table }, iova, pages, page = 0n, prot = RW) {
      const address = buffer + page * P;
      table.mapUser(context, kernel.process, iova, true, address, pages * P, prot);
    },
  };
}

/** A driver that lets go when it is asked, or does not. */
function pinning(context: Context, lets: boolean): { access: Access; pinned: [bigint, bigint][] } {
  const pinned: [bigint, bigint][] = [];
  const access = Access.create(context, {
    pin: true,
    unmapped: () => {
      if (!lets) return;
      for (const [iova, length] of pinned.splice(0)) access.unpinPages(iova, length);
    },
  });
  return { access, pinned };
}

test('pages are pinned once whoever uses them, and stay when the domain leaves', () => {
  const { context, test: kernel, ioas, map } = bench();
  const { pins } = kernel.kernel;
  const space = ioas();
  map(space, 0n, 8n);
  assert.is(pins.total, 0);
  const { access } = pinning(context, true);
  access.attach(space.id);
  assert.is(space.users, 2);
  const frames = access.pinPages(P, 4n * P, true);
  assert.equal(access.pinPages(P, 4n * P, false), frames);
  assert.equal(access.pinPages(2n * P, P, false), [frames[1]]);
  assert.is(pins.total, 4);
  const domain = new RecordingDomain();
  space.table.addDomain(domain);
  assert.is(pins.total, 8);
  assert.is(domain.iovaToPhys(P), BigInt(frames[0]) * P);
  space.table.removeDomain(domain);
  assert.is(pins.total, 4);
  access.unpinPages(P, 4n * P);
  assert.is(pins.total, 4);
  access.unpinPages(2n * P, P);
  access.unpinPages(P, 4n * P);
  assert.is(pins.total, 0);
  assert.is(kernel.process.space.pinnedVm, 0);
  access.close();
  assert.is(space.users, 1);
});

test('a pin is all or nothing, and tells why not', () => {
  const { context, test: kernel, ioas, map } = bench();
  const { memory, pins } = kernel.kernel;
  const space = ioas();
  map(space, 0n, 2n);
  map(space, 2n * P, 2n, 2n, READ_ONLY);
  map(space, 8n * P, 1n);
  const { access } = pinning(context, true);
  refused('ENOENT', () => access.pinPages(0n, P, false));
  access.attach(space.id);
  const before = memory.allocations;
  refused('EINVAL', () => access.pinPages(0n, 0n, false));
  refused('EOVERFLOW', () => access.pinPages(P, 0xffff_ffff_ffff_ffffn, false));
  refused('EPERM', () => access.pinPages(0n, 4n * P, true));
  refused('ENOENT', () => access.pinPages(0n, 5n * P, false));
  refused('EINVAL', () => access.pinPages(1n, P, false));
  for (let n = 1; ; n++) {
    memory.arm(n);
    try {
      access.pinPages(0n, 4n * P, false);
    } catch (error) {
      assert.ok(error instanceof Errno);
    }
    if (memory.failedAt === '') break;
    assert.is(pins.total, 0, memory.failedAt);
    assert.is(memory.allocations, before, memory.failedAt);
  }
  assert.is(pins.total, 4);
  access.unpinPages(0n, 4n * P);
  assert.is(memory.allocations, before);
});

test('an unmap asks for the pins, and gives up after a hundred rounds', () => {
  const { context, ioas, map } = bench();
  const space = ioas();
  map(space, 0n, 4n);
  const { access, pinned } = pinning(context, true);
  access.attach(space.id);
  access.pinPages(0n, P, false);
  pinned.push([0n, P]);
  assert.is(space.table.unmap(0n, 4n * P), 4n * P);
  assert.is(pinned.length, 0);
  map(space, 0n, 4n);
  const deaf = pinning(context, false).access;
  deaf.attach(space.id);
  deaf.pinPages(0n, P, false);
  refused('EDEADLOCK', () => space.table.unmap(0n, 4n * P));
  // It is being unmapped still: no new users.
  refused('EINVAL', () => access.pinPages(0n, P, false));
  deaf.unpinPages(0n, P);
  assert.is(space.table.unmap(0n, 4n * P), 4n * P);
});

test('what an object of the kernel pins cannot be unmapped', () => {
  const { context, ioas, map } = bench();
  const space = ioas();
  map(space, 0n, 1n);
  const access = Access.internal(context);
  access.attachInternal(space);
  access.pinPages(0n, P, false);
  refused('EBUSY', () => space.table.unmap(0n, P));
  access.unpinPages(0n, P);
  access.destroyInternal();
  assert.is(space.table.unmap(0n, P), P);
});

test('replace joins the new IOAS first, then lets go of the old one', () => {
  const { context, test: kernel, ioas, map } = bench();
  const old = ioas();
  const other = ioas();
  const odd = ioas();
  map(old, 0n, 1n);
  odd.table.mapUser(context, kernel.process, 1n, true, kernel.alloc(4096), 3n, RW);
  const { access, pinned } = pinning(context, true);
  refused('ENOENT', () => access.replace(old.id));
  access.attach(old.id);
  assert.is(old.table.alignment, P);
  access.pinPages(0n, P, false);
  pinned.push([0n, P]);
  refused('EADDRINUSE', () => access.replace(odd.id));
  assert.is(access.ioas, old);
  assert.is(pinned.length, 1);
  access.replace(other.id);
  assert.is(pinned.length, 0);
  assert.is(old.users, 1);
  assert.is(old.table.alignment, 1n);
  assert.is(other.users, 2);
  access.close();
  context.objects.destroyById(other.id);
  context.objects.destroyById(old.id);
  assert.is(kernel.kernel.pins.total, 0);
});

test('bytes go both ways, by the addresses of the caller and by the frames', () => {
  const { context, test: kernel, buffer, ioas, map } = bench();
  const { process } = kernel;
  const space = ioas();
  map(space, 0n, 2n);
  map(space, 2n * P, 2n, 4n);
  const access = Access.create(context, { pin: false, unmapped: () => {} });
  access.attach(space.id);
  assert.is(space.table.alignment, 1n);
  for (const caller of [process, null]) {
    const given = Uint8Array.from(
      { length: 5000 },
      (_, i) => (i * 7 + (caller === null ? 1 : 0)) & 255,
    );
    access.rw(P + 100n, given, true, caller);
    assert.equal(kernel.peek(buffer + P + 100n, 3996), given.subarray(0, 3996));
    assert.equal(kernel.peek(buffer + 4n * P, 1004), given.subarray(3996));
    const got = new Uint8Array(5000);
    access.rw(P + 100n, got, false, caller);
    assert.equal(got, given);
  }
  refused('ENOENT', () => access.rw(4n * P - 1n, new Uint8Array(2), false, process));
  assert.is(kernel.kernel.pins.total, 0);
});

test('memory of a process that has exited is read where it is pinned, otherwise not', () => {
  const { context, test: kernel, ioas, map } = bench();
  const space = ioas();
  map(space, 0n, 2n);
  map(space, 2n * P, 2n, 2n);
  const holder = pinning(context, true).access;
  holder.attach(space.id);
  holder.pinPages(0n, 2n * P, false);
  kernel.calls.exit();
  const bytes = new Uint8Array(4);
  holder.rw(P, bytes, false);
  refused('EFAULT', () => holder.rw(2n * P, bytes, false));
  refused('EFAULT', () => space.table.addDomain(new RecordingDomain()));
  holder.unpinPages(0n, 2n * P);
  assert.is(kernel.kernel.pins.total, 0);
});

test.run();
