import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Errno, isErrno } from './errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from './mmap.ts';
import type { UserProcess } from './process.ts';
import { placePage } from './space-maps.ts';
import { Syscalls } from './syscalls.ts';
import { testKernel } from './testbench.ts';

const PAGE = 4096;
const READ = 1;
const BOTH = 3;
const PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS;

function refusal(call: () => unknown): Errno | null {
  try {
    call();
  } catch (error) {
    return error as Errno;
  }
  return null;
}

function faults(call: () => unknown): void {
  assert.ok(isErrno(refusal(call), 'EFAULT'));
}

function byteAt(process: UserProcess, address: bigint): number {
  const into = new Uint8Array(1);
  process.space.copyIn(address, into);
  return into[0];
}

test('a copy out writes the bytes before the first unwritable page', () => {
  const { alloc, calls, peek, process } = testKernel();
  const at = alloc(2 * PAGE);
  calls.mprotect(Number(at) + PAGE, PAGE, READ);
  faults(() => process.space.copyOut(at + 4094n, Uint8Array.of(1, 2, 3)));
  assert.equal([...peek(at + 4093n, 4)], [0, 1, 2, 0]);
});

test('addresses outside user space fault, those of no length do not', () => {
  const { process } = testKernel();
  const { space } = process;
  for (const at of [0n, 0x7ffffffff000n, 1n << 47n, 1n << 63n, (1n << 64n) - 1n]) {
    faults(() => space.copyIn(at, new Uint8Array(4)));
    faults(() => space.copyOut(at, new Uint8Array(4)));
    faults(() => space.pin(at, false));
    space.copyIn(at, new Uint8Array(0));
    assert.is(space.frameAt(at), -1);
  }
});

test('memory without access cannot be read, read-only memory cannot be written', () => {
  const { alloc, calls, process } = testKernel();
  const at = alloc(PAGE);
  process.space.copyOut(at, Uint8Array.of(7));
  calls.mprotect(Number(at), PAGE, READ);
  assert.is(byteAt(process, at), 7);
  faults(() => process.space.copyOut(at, Uint8Array.of(8)));
  faults(() => process.space.pin(at, true));
  calls.mprotect(Number(at), PAGE, 0);
  faults(() => byteAt(process, at));
  faults(() => process.space.pin(at, false));
  calls.mprotect(Number(at), PAGE, BOTH);
  process.space.copyOut(at, Uint8Array.of(9));
  assert.is(byteAt(process, at), 9);
});

test('munmap of the middle leaves both ends and gives back the frame', () => {
  const { alloc, calls, kernel, peek, poke, process } = testKernel();
  const at = alloc(3 * PAGE);
  poke(at, new Uint8Array(3 * PAGE).fill(5));
  assert.is(calls.munmap(Number(at) + PAGE, PAGE).errno, 0);
  assert.is(peek(at, 1)[0], 5);
  assert.is(peek(at + 8192n, 1)[0], 5);
  faults(() => byteAt(process, at + 4096n));
  assert.is(process.space.list.areas.length, 2);
  calls.munmap(Number(at), 3 * PAGE);
  assert.is(kernel.pins.inUse, 0);
});

test('a frame whose memory is unmapped lives until it is unpinned', () => {
  const { alloc, calls, kernel, process } = testKernel();
  const at = alloc(PAGE);
  const frame = process.space.pin(at, true);
  assert.is(process.space.pin(at, false), frame);
  assert.is(kernel.pins.count(frame), 2);
  calls.munmap(Number(at), PAGE);
  assert.is(kernel.pins.inUse, 1);
  kernel.pins.unpin(frame);
  kernel.pins.unpin(frame);
  assert.is(kernel.pins.inUse, 0);
  assert.is(kernel.pins.total, 0);
  assert.throws(() => kernel.pins.unpin(frame), /not pinned/);
});

test('a frame used again is zeros', () => {
  const { alloc, calls, peek, poke } = testKernel();
  const at = alloc(PAGE);
  poke(at, [1, 2, 3]);
  calls.munmap(Number(at), PAGE);
  assert.equal([...peek(alloc(PAGE), 3)], [0, 0, 0]);
});

test('untouched private memory reads as the frame of zeros; a read pin gets a page of its own', () => {
  const { calls, process, kernel } = testKernel();
  const at = BigInt(calls.mmap({ length: 2 * PAGE, prot: BOTH, flags: PRIVATE }).value);
  const { space } = process;
  assert.is(byteAt(process, at), 0);
  assert.is(space.resolve(at, false), kernel.pins.zero);
  assert.is(space.resolve(at + 4096n, false), kernel.pins.zero);
  const frame = space.pin(at, false);
  assert.is.not(frame, kernel.pins.zero);
  space.copyOut(at, Uint8Array.of(4));
  assert.is(space.frameAt(at), frame);
  kernel.pins.unpin(frame);
});

test('a read pin of a private file page unshares it: later writes show in the pinned frame', () => {
  const { calls, kernel, process } = testKernel();
  const { value: fd } = calls.memfdCreate();
  calls.ftruncate(fd, PAGE);
  const shared = BigInt(calls.mmap({ length: PAGE, prot: BOTH, flags: MAP_SHARED, fd }).value);
  process.space.copyOut(shared, Uint8Array.of(42));
  const at = BigInt(calls.mmap({ length: PAGE, prot: BOTH, flags: MAP_PRIVATE, fd }).value);
  assert.is(byteAt(process, at), 42);
  assert.is(process.space.frameAt(at), process.space.frameAt(shared));
  const frame = process.space.pin(at, false);
  assert.is.not(frame, process.space.frameAt(shared));
  process.space.copyOut(at, Uint8Array.of(43));
  assert.is(process.space.frameAt(at), frame);
  assert.is(byteAt(process, shared), 42);
  kernel.pins.unpin(frame);
});

test('fork: private pages are copied by the first write of either, shared ones never', () => {
  const { alloc, calls, kernel, process } = testKernel();
  const shared = alloc(PAGE);
  const at = BigInt(calls.mmap({ length: PAGE, prot: BOTH, flags: PRIVATE }).value);
  process.space.copyOut(at, Uint8Array.of(1));
  const frame = process.space.frameAt(at);
  const child = kernel.processes.get(calls.fork().value) as UserProcess;
  assert.is(byteAt(child, at), 1);
  assert.is(child.space.frameAt(at), frame);
  process.space.copyOut(at, Uint8Array.of(2));
  process.space.copyOut(shared, Uint8Array.of(3));
  assert.is(byteAt(child, at), 1);
  assert.is(byteAt(child, shared), 3);
  assert.is.not(process.space.frameAt(at), frame);
  child.space.copyOut(at, Uint8Array.of(4));
  assert.is(child.space.frameAt(at), frame, 'the last user keeps the frame');
  child.exit();
  process.exit();
  assert.is(kernel.pins.inUse, 0);
});

test('fork: a pinned private page stays with the parent', () => {
  const { calls, kernel, process } = testKernel();
  const at = BigInt(calls.mmap({ length: PAGE, prot: BOTH, flags: PRIVATE }).value);
  const frame = process.space.pin(at, true);
  process.space.copyOut(at, Uint8Array.of(1));
  const child = kernel.processes.get(calls.fork().value) as UserProcess;
  process.space.copyOut(at, Uint8Array.of(2));
  assert.is(process.space.frameAt(at), frame);
  assert.is(byteAt(child, at), 1);
  kernel.pins.unpin(frame);
});

test('device pages can be read but not pinned; mappings are counted over split and fork', () => {
  const { calls, kernel, process } = testKernel();
  const first = kernel.pages.allocPages(2);
  kernel.frames.write(first + 1, 0, Uint8Array.of(77));
  let mappings = 1;
  kernel.registerNode('/dev/pages', () => ({
    kind: 'pages',
    refs: 1,
    mmap: () => ({
      frames: [first, first + 1],
      opened: () => mappings++,
      closed: () => mappings--,
    }),
    release: () => kernel.pages.freePages(first, 2),
  }));
  const { value: fd } = calls.open('/dev/pages');
  const at = BigInt(calls.mmap({ length: 2 * PAGE, prot: BOTH, flags: MAP_SHARED, fd }).value);
  calls.close(fd);
  assert.is(byteAt(process, at + 4096n), 77);
  faults(() => process.space.pin(at, true));
  faults(() => process.space.pin(at + 4096n, false));
  calls.fork();
  assert.is(mappings, 2);
  calls.munmap(Number(at), PAGE);
  assert.is(mappings, 2, 'one half less after one more by the split');
  assert.is(byteAt(process, at + 4096n), 77);
  for (const each of [...kernel.processes.values()]) each.exit();
  assert.is(mappings, 0);
  assert.is(kernel.pins.inUse, 0);
});

test('a fixed mapping takes the place of what was there', () => {
  const { alloc, calls, peek, poke } = testKernel();
  const at = alloc(3 * PAGE);
  poke(at, new Uint8Array(3 * PAGE).fill(1));
  const flags = PRIVATE | MAP_FIXED;
  const address = Number(at) + PAGE;
  assert.is(calls.mmap({ address, length: PAGE, prot: BOTH, flags }).value, address);
  assert.equal([...peek(at + 4095n, 2)], [1, 0]);
  assert.is(peek(at + 8192n, 1)[0], 1);
});

test('a recorded layout decides frames of memory before and after the first touch', () => {
  const { alloc, kernel, peek, poke, process } = testKernel();
  const at = alloc(3 * PAGE);
  poke(at, [9]);
  assert.ok(placePage(process.space, Number(at), 0x7001));
  assert.ok(placePage(process.space, Number(at) + PAGE, 0x7002));
  assert.not.ok(placePage(process.space, Number(at) + 2 * PAGE, 0x7002), 'in use');
  assert.is(process.space.pin(at, true), 0x7001);
  assert.is(process.space.pin(at + 4096n, true), 0x7002);
  assert.not.ok(placePage(process.space, Number(at), 0x7003), 'pinned');
  assert.is(peek(at, 1)[0], 9);
  kernel.pins.unpin(0x7001);
  kernel.pins.unpin(0x7002);
  process.exit();
  assert.is(kernel.pins.inUse, 0);
});

test('two mappings of one file show each other in any order of pages', () => {
  const { calls, process } = testKernel();
  const { value: fd } = calls.memfdCreate();
  calls.ftruncate(fd, 4 * PAGE);
  const base = 0x10000000;
  for (const [i, page] of [3, 1, 0, 2].entries()) {
    const address = base + i * PAGE;
    const flags = MAP_SHARED | MAP_FIXED;
    calls.mmap({ address, length: PAGE, prot: BOTH, flags, fd, offset: page * PAGE });
  }
  const plain = BigInt(calls.mmap({ length: 4 * PAGE, prot: READ, flags: MAP_SHARED, fd }).value);
  process.space.copyOut(BigInt(base), Uint8Array.of(8));
  assert.is(byteAt(process, plain + 3n * 4096n), 8);
});

test('clear writes zeros over page borders', () => {
  const { alloc, peek, poke, process } = testKernel();
  const at = alloc(2 * PAGE);
  poke(at + 4090n, new Uint8Array(12).fill(1));
  process.space.clear(at + 4092n, 8n);
  assert.equal([...peek(at + 4090n, 12)], [1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1]);
  faults(() => process.space.clear(at, 1n << 63n));
});

test('mprotect of a hole is ENOMEM, munmap of a bad range EINVAL', () => {
  const { alloc, process, kernel } = testKernel();
  const at = Number(alloc(PAGE));
  const calls = new Syscalls(kernel, process);
  assert.is(calls.mprotect(at, 2 * PAGE, READ).errno, 12);
  assert.is(calls.munmap(at + 1, PAGE).errno, 22);
  assert.is(calls.munmap(at, 0).errno, 22);
  assert.is(calls.munmap(at, 2 ** 48).errno, 22);
  assert.is(calls.munmap(at + 8 * PAGE, PAGE).errno, 0);
});

test.run();
