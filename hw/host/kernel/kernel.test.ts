import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { OpenFile } from './api.ts';
import { ERRNO, fail } from './errno.ts';
import { Syscalls } from './syscalls.ts';
import { testKernel } from './testbench.ts';

/** Answers every ioctl with the command's low byte; refuses command 0. */
function echoFile(): OpenFile & { released: number } {
  return {
    kind: 'echo',
    refs: 1,
    released: 0,
    ioctl(_process, command) {
      if (command === 0) fail('EBUSY', 'zero');
      return command & 0xff;
    },
    release() {
      this.released++;
    },
  };
}

test('shared memory: what is poked is peeked, across pages', () => {
  const { alloc, peek, poke } = testKernel();
  const at = alloc(3 * 4096);
  poke(at + 4090n, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.equal([...peek(at + 4089n, 11)], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
});

test('an ioctl reaches the file; a refusal becomes errno and rule', () => {
  const { kernel, calls } = testKernel();
  const file = echoFile();
  kernel.registerNode('/dev/echo', () => file);
  assert.is(calls.open('/dev/echo').value, 0);
  assert.equal(calls.ioctl(0, 0x3b85, 0n), { value: 0x85, errno: 0, rule: '' });
  assert.equal(calls.ioctl(0, 0, 0n), { value: -1, errno: ERRNO.EBUSY, rule: 'zero' });
  assert.is(calls.ioctl(1, 0x3b85, 0n).errno, ERRNO.EBADF);
  assert.is(calls.ioctl(-1, 0x3b85, 0n).errno, ERRNO.EBADF);
  assert.is(calls.close(0).errno, 0);
  assert.is(file.released, 1);
  assert.is(calls.close(0).errno, ERRNO.EBADF);
});

test('any other exception than a refusal comes through', () => {
  const { kernel, calls } = testKernel();
  const file = echoFile();
  file.ioctl = () => {
    throw new TypeError('bug');
  };
  kernel.registerNode('/dev/echo', () => file);
  calls.open('/dev/echo');
  assert.throws(() => calls.ioctl(0, 1, 0n), /bug/);
});

test('operations that a file does not have: ENOTTY, EINVAL, ENODEV', () => {
  const { kernel, calls, alloc } = testKernel();
  kernel.registerNode('/dev/bare', () => ({ kind: 'bare', refs: 1, release() {} }));
  const { value: fd } = calls.open('/dev/bare');
  const at = alloc(4096);
  assert.is(calls.ioctl(fd, 1, 0n).errno, ERRNO.ENOTTY);
  assert.is(calls.read(fd, at, 8).errno, ERRNO.EINVAL);
  assert.is(calls.write(fd, at, 8).errno, ERRNO.EINVAL);
  assert.is(calls.mmap({ length: 4096, prot: 1, flags: 1, fd }).errno, ERRNO.ENODEV);
  assert.is(calls.open('/dev/none').errno, ERRNO.ENOENT);
});

test('the lowest free descriptor is taken; the limit gives EMFILE', () => {
  const { calls } = testKernel({ fdLimit: 3 });
  for (const fd of [0, 1, 2]) assert.is(calls.open('/dev/null').value, fd);
  assert.is(calls.open('/dev/null').errno, ERRNO.EMFILE);
  calls.close(1);
  assert.is(calls.open('/dev/null').value, 1);
});

test('an open that fails keeps no descriptor', () => {
  const { calls, process } = testKernel();
  calls.open('/dev/none');
  assert.equal(process.openFds(), []);
  assert.is(calls.open('/dev/null').value, 0);
});

test('descriptors set on purpose do not move the lowest free one', () => {
  const { calls, process, kernel } = testKernel();
  process.setFd(100, kernel.memoryFile('memfd'));
  assert.is(calls.open('/dev/null').value, 0);
  assert.equal(process.openFds(), [0, 100]);
});

test('a forked process shares open files; the last close releases', () => {
  const { kernel, calls } = testKernel();
  const file = echoFile();
  kernel.registerNode('/dev/echo', () => file);
  calls.open('/dev/echo');
  const child = kernel.processes.get(calls.fork().value);
  assert.ok(child);
  const childCalls = new Syscalls(kernel, child);
  calls.close(0);
  assert.is(file.released, 0);
  assert.is(childCalls.ioctl(0, 7, 0n).value, 7);
  childCalls.exit();
  assert.is(file.released, 1);
  assert.is(child.space.alive, false);
});

test('exit gives back descriptors and memory', () => {
  const { kernel, calls, alloc, poke, process } = testKernel();
  poke(alloc(8 * 4096), new Uint8Array(8 * 4096).fill(1));
  assert.is(kernel.pins.inUse, 8);
  calls.memfdCreate();
  calls.exit();
  assert.is(kernel.pins.inUse, 0);
  assert.is(process.space.alive, false);
  assert.is(kernel.processes.size, 0);
});

test('a shared address space lives until the last process has exited', () => {
  const { kernel, calls, alloc, peek, poke, process } = testKernel();
  const at = alloc(4096);
  const child = kernel.processes.get(calls.fork(true).value);
  assert.is(child?.space, process.space);
  poke(at, [4]);
  child?.exit();
  assert.is(process.space.alive, true);
  assert.is(peek(at, 1)[0], 4);
  calls.exit();
  assert.is(process.space.alive, false);
  assert.is(kernel.pins.inUse, 0);
});

test('every descriptor knows close-on-exec and non-blocking mode', () => {
  const { calls, alloc } = testKernel();
  const { value: fd } = calls.open('/dev/null');
  assert.is(calls.ioctl(fd, 0x5451, 0n).errno, 0);
  assert.is(calls.ioctl(fd, 0x5421, alloc(4096)).errno, 0);
  assert.is(calls.ioctl(fd, 0x5421, 0n).errno, ERRNO.EFAULT);
  assert.is(calls.ioctl(fd, 0x5400, 0n).errno, ERRNO.ENOTTY);
  assert.is(calls.ioctl(fd, 0xc0045451 | 0, 0n).errno, ERRNO.ENOTTY);
});

test('an injected failure of the descriptor table is ENOMEM once', () => {
  const { kernel, calls } = testKernel();
  kernel.memory.arm(1);
  assert.is(calls.open('/dev/null').errno, ERRNO.ENOMEM);
  assert.is(calls.open('/dev/null').value, 0);
});

test.run();
