import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { Process } from './api.ts';
import { DmaBufFile } from './dma-buf.ts';
import { ERRNO, isErrno } from './errno.ts';
import { EventFile } from './files.ts';
import { SEAL_GROW, SEAL_SHRINK, SEAL_WRITE } from './inode.ts';
import type { MemoryFile } from './memory-file.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_HUGETLB, MAP_PRIVATE, MAP_SHARED } from './mmap.ts';
import { placePage } from './space-maps.ts';
import { type TestKernel, testKernel } from './testbench.ts';

const PAGE = 4096;
const HUGE = 2 * 1024 * 1024;
const BOTH = 3;
const ALLOW_SEALING = 2;

function memfd(test: TestKernel, pages: number, flags = 0): { fd: number; file: MemoryFile } {
  const { value: fd } = test.calls.memfdCreate(flags);
  test.calls.ftruncate(fd, pages * PAGE);
  return { fd, file: test.process.file(fd) as MemoryFile };
}

function errnoOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    for (const code of ['EINVAL', 'EFAULT', 'EPERM'] as const)
      if (isErrno(error, code)) return code;
    throw error;
  }
  return '';
}

test('pages of a memfd are pinned up to its end, and a part of a page not at all', () => {
  const bench = testKernel();
  const { fd, file } = memfd(bench, 2);
  const frame = file.pinPage(1);
  assert.is(bench.kernel.pins.count(frame), 1);
  assert.is(
    errnoOf(() => file.pinPage(2)),
    'EINVAL',
  );
  bench.calls.ftruncate(fd, 2 * PAGE - 1);
  assert.is(file.pages, 1);
  assert.is(
    errnoOf(() => file.pinPage(1)),
    'EINVAL',
  );
  bench.kernel.pins.unpin(frame);
});

test('a pinned page of a truncated file lives on, the file gets another one', () => {
  const bench = testKernel();
  const { fd, file } = memfd(bench, 1);
  const old = file.pinPage(0);
  bench.calls.ftruncate(fd, 0);
  bench.calls.ftruncate(fd, PAGE);
  const fresh = file.pinPage(0);
  assert.is.not(fresh, old);
  bench.kernel.pins.unpin(old);
  bench.kernel.pins.unpin(fresh);
  bench.calls.exit();
  assert.is(bench.kernel.pins.inUse, 0);
});

test('truncation takes pages out of mappings: EFAULT past the end, zeros when it grows again', () => {
  const bench = testKernel();
  const { fd } = memfd(bench, 2);
  const shared = { length: 2 * PAGE, prot: BOTH, flags: MAP_SHARED, fd };
  const at = BigInt(bench.calls.mmap(shared).value);
  const copy = BigInt(bench.calls.mmap({ ...shared, flags: MAP_PRIVATE }).value);
  bench.poke(at, new Uint8Array(2 * PAGE).fill(1));
  bench.poke(copy + 4096n, [2]);
  bench.calls.ftruncate(fd, 100);
  assert.is(
    errnoOf(() => bench.peek(at + 4096n, 1)),
    'EFAULT',
  );
  assert.is(
    errnoOf(() => bench.peek(copy + 4096n, 1)),
    'EFAULT',
  );
  assert.is(
    errnoOf(() => bench.process.space.pin(at + 4096n, true)),
    'EFAULT',
  );
  bench.calls.ftruncate(fd, 2 * PAGE);
  assert.equal([...bench.peek(at + 99n, 2)], [1, 0]);
  assert.is(bench.peek(at + 4096n, 1)[0], 0);
});

test('seals: no write, no shrinking, no growing, no writable mapping; pins are allowed', () => {
  const bench = testKernel();
  const { fd, file } = memfd(bench, 4, ALLOW_SEALING);
  const seals = SEAL_WRITE | SEAL_SHRINK | SEAL_GROW;
  const shared = { length: PAGE, prot: BOTH, flags: MAP_SHARED, fd };
  const { value: mapped } = bench.calls.mmap(shared);
  assert.is(bench.calls.addSeals(fd, seals).errno, ERRNO.EBUSY);
  bench.calls.munmap(mapped, PAGE);
  assert.is(bench.calls.addSeals(fd, seals).errno, 0);
  assert.is(bench.calls.ftruncate(fd, PAGE).errno, ERRNO.EPERM);
  assert.is(bench.calls.ftruncate(fd, 5 * PAGE).errno, ERRNO.EPERM);
  assert.is(bench.calls.write(fd, bench.alloc(PAGE), 1).errno, ERRNO.EPERM);
  assert.is(bench.calls.mmap(shared).errno, ERRNO.EPERM);
  const readOnly = bench.calls.mmap({ ...shared, prot: 1 });
  assert.is(readOnly.errno, 0);
  assert.is(bench.calls.mprotect(readOnly.value, PAGE, BOTH).errno, ERRNO.EACCES);
  bench.kernel.pins.unpin(file.pinPage(3));
  const plain = memfd(bench, 1);
  assert.is(bench.calls.addSeals(plain.fd, SEAL_WRITE).errno, ERRNO.EPERM);
});

test('a file opened again for reading shares the pages and cannot be mapped writable', () => {
  const bench = testKernel();
  const { fd, file } = memfd(bench, 1);
  const again = bench.calls.open(`/proc/self/fd/${fd}`, 0);
  assert.is(again.errno, 0);
  const request = { length: PAGE, prot: BOTH, fd: again.value };
  assert.is(bench.calls.mmap({ ...request, flags: MAP_SHARED }).errno, ERRNO.EACCES);
  assert.is(bench.calls.mmap({ ...request, flags: MAP_PRIVATE }).errno, 0);
  const frame = file.pinPage(0);
  assert.is((bench.process.file(again.value) as MemoryFile).pinPage(0), frame);
  assert.is(bench.calls.write(again.value, 0n, 1).errno, ERRNO.EBADF);
  assert.is(bench.calls.ftruncate(again.value, 0).errno, ERRNO.EINVAL);
  bench.kernel.pins.unpin(frame);
  bench.kernel.pins.unpin(frame);
});

test('read and write of a tmpfs file move its position and end', () => {
  const bench = testKernel();
  bench.kernel.createFile('/tmp/f', 2);
  const { value: fd } = bench.calls.open('/tmp/f', 2);
  const at = bench.alloc(3 * PAGE);
  bench.poke(at, new Uint8Array(PAGE + 3).fill(6));
  assert.is(bench.calls.write(fd, at, PAGE + 3).value, PAGE + 3);
  assert.is(bench.calls.read(fd, at, 10).value, 0);
  const { value: other } = bench.calls.open('/tmp/f', 0);
  assert.is(bench.calls.read(other, at + 4096n, 2 * PAGE).value, PAGE + 3);
  assert.equal([...bench.peek(at + 8190n, 6)], [6, 6, 6, 6, 6, 0]);
  assert.is(bench.calls.read(other, 1n << 62n, 1).errno, ERRNO.EFAULT);
});

test('a transfer that faults counts what was done before; of nothing it is EFAULT', () => {
  const bench = testKernel();
  const { fd } = memfd(bench, 4);
  const at = bench.alloc(2 * PAGE);
  assert.is(bench.calls.write(fd, at, 3 * PAGE).value, 2 * PAGE);
  assert.is(bench.calls.write(fd, at + 2n * 4096n, 1).errno, ERRNO.EFAULT);
  assert.is(bench.calls.write(fd, 0n, 0x7ffff000).errno, ERRNO.EFAULT);
  assert.is((bench.process.file(fd) as MemoryFile).position, 2 * PAGE);
});

test('a fixed mapping that would cut a huge page is refused and keeps nothing', () => {
  const bench = testKernel({ bytes: 16 * HUGE });
  const huge = MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB;
  const { value } = bench.calls.mmap({ length: HUGE, prot: BOTH, flags: huge });
  const { fd, file } = memfd(bench, 1);
  const flags = MAP_SHARED | MAP_FIXED;
  const over = { address: value + PAGE, length: PAGE, prot: BOTH, flags, fd };
  assert.is(bench.calls.mmap(over).errno, ERRNO.EINVAL);
  assert.is(bench.calls.mprotect(value + PAGE, PAGE, 1).errno, ERRNO.EINVAL);
  assert.is(file.refs, 1);
});

test('huge pages: contiguous, aligned, compound; whole 2 MiB only', () => {
  const bench = testKernel({ bytes: 16 * HUGE });
  const { kernel, process } = bench;
  const huge = MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB;
  const { value } = bench.calls.mmap({ length: PAGE, prot: BOTH, flags: huge });
  const at = BigInt(value);
  assert.is(value % HUGE, 0);
  const frame = process.space.pin(at, true);
  assert.is(frame % 512, 0);
  assert.is(process.space.resolve(at + 511n * 4096n, true), frame + 511);
  assert.ok(kernel.pins.isCompound(frame + 3));
  assert.is(bench.calls.munmap(value, PAGE).errno, ERRNO.EINVAL);
  kernel.pins.unpin(frame);
  assert.is(bench.calls.munmap(value, HUGE).errno, 0);
  assert.is(kernel.pins.inUse, 0);
  const { value: fd } = bench.calls.memfdCreate(4);
  assert.is(bench.calls.ftruncate(fd, PAGE).errno, ERRNO.EINVAL);
  assert.is(bench.calls.ftruncate(fd, HUGE).errno, 0);
  assert.is((process.file(fd) as MemoryFile).pages, 512);
  const next = (process.file(fd) as MemoryFile).pinPage(0);
  assert.is(next, frame, 'the huge page is used again');
  kernel.pins.unpin(next);
});

test('private huge pages are copied as a whole', () => {
  const bench = testKernel({ bytes: 16 * HUGE });
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
  const at = BigInt(bench.calls.mmap({ length: HUGE, prot: BOTH, flags }).value);
  bench.poke(at, [1]);
  bench.poke(at + 8192n, [2]);
  const child = bench.kernel.processes.get(bench.calls.fork().value);
  bench.poke(at, [3]);
  const into = new Uint8Array(1);
  child?.space.copyIn(at, into);
  assert.is(into[0], 1);
  child?.space.copyIn(at + 8192n, into);
  assert.is(into[0], 2);
  child?.exit();
  bench.process.exit();
  assert.is(bench.kernel.pins.inUse, 0);
});

test('a recorded layout decides frames of a file, mapped or not', () => {
  const bench = testKernel();
  const { fd, file } = memfd(bench, 2);
  const at = BigInt(bench.calls.mmap({ length: PAGE, prot: BOTH, flags: MAP_SHARED, fd }).value);
  bench.poke(at, [5]);
  assert.ok(file.inode.place(0, 0x9000));
  assert.ok(placePage(bench.process.space, Number(at), 0x9000), 'it is there already');
  assert.ok(file.inode.place(1, 0x9001));
  assert.is(bench.peek(at, 1)[0], 5);
  assert.is(bench.process.space.frameAt(at), 0x9000);
  assert.is(file.pinPage(1), 0x9001);
  bench.kernel.pins.unpin(0x9001);
});

test('poll: bad descriptors, files that are always ready, counters', () => {
  const bench = testKernel();
  const { calls, process } = bench;
  const { value: fd } = calls.open('/dev/null');
  const counter = new EventFile();
  process.setFd(10, counter);
  const poll = (of: number, events: number): number => {
    const entry = { fd: of, events, revents: 0 };
    calls.poll([entry]);
    return entry.revents;
  };
  assert.is(poll(99, 1), 0x20);
  assert.is(poll(-1, 1), 0);
  assert.is(poll(fd, 5), 5);
  assert.is(poll(10, 5), 4);
  const at = bench.alloc(PAGE);
  bench.poke(at, [3]);
  assert.is(calls.write(10, at, 8).value, 8);
  assert.is(poll(10, 5), 5);
  assert.is(calls.read(10, at + 8n, 8).value, 8);
  assert.is(bench.peek(at + 8n, 1)[0], 3);
  assert.is(calls.read(10, at, 8).errno, ERRNO.EAGAIN);
  assert.is(calls.read(10, at, 7).errno, ERRNO.EINVAL);
});

test('a dma-buf is one run of frames; importers are told of every change of access', () => {
  const { calls, kernel, process } = testKernel();
  const file = new DmaBufFile(kernel.pages, 3);
  assert.is(file.bytes, 3n * 4096n);
  assert.equal(
    [...file.frames],
    [0, 1, 2].map((i) => file.frames[0] + i),
  );
  assert.is(file.frames[0] % 4, 0);
  const told: boolean[] = [];
  const importer = { revoked: () => told.push(file.revoked) };
  file.attach(importer);
  file.setRevoked(true);
  file.setRevoked(false);
  file.detach(importer);
  file.setRevoked(true);
  assert.equal(told, [true, false]);
  process.setFd(3, file);
  assert.is(calls.mmap({ length: PAGE, prot: 1, flags: 1, fd: 3 }).errno, ERRNO.EINVAL);
  assert.is(calls.ioctl(3, 1, 0n).errno, ERRNO.ENOTTY);
  assert.is(calls.close(3).errno, 0);
  assert.is(kernel.pins.inUse, 0);
});

test('the user of two processes has one account, copied credentials can be dropped', () => {
  const { calls, kernel, process } = testKernel({ memlockPages: 16 });
  const child = kernel.processes.get(calls.fork().value) as Process;
  child.user.lockedPages += 3;
  assert.is(process.user.lockedPages, 3);
  child.capabilities.ipcLock = false;
  assert.is(process.capabilities.ipcLock, true);
  assert.is(child.memlockPages, 16);
});

test.run();
