import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno, fail } from '../kernel/errno.ts';
import { testKernel } from '../kernel/testbench.ts';
import type { IoctlCall } from './call.ts';
import { Context } from './context.ts';
import { commandTable, Dispatcher } from './dispatch.ts';
import { IommufdObject } from './object.ts';

const WORD = 0x3b82;
const SIZE = 16;
const MIN_SIZE = 8;

class Thing extends IommufdObject {
  readonly type = 'selftest';

  destroy(): void {}
}

function bench(run: (call: IoctlCall) => unknown) {
  const { kernel, process, alloc, poke, peek } = testKernel();
  const context = new Context(kernel);
  const table = commandTable([{ name: 'THING', word: WORD, size: SIZE, minSize: MIN_SIZE, run }]);
  const dispatcher = new Dispatcher(context, table);
  const page = alloc(8192);
  const put = (size: number, ...words: number[]): void =>
    poke(page, new Uint8Array(Uint32Array.of(size, ...words).buffer));
  const errno = (word = WORD, address = page): string => {
    try {
      dispatcher.run(process, word, address);
      return 'ok';
    } catch (error) {
      if (error instanceof Errno) return error.code;
      throw error;
    }
  };
  return { context, dispatcher, process, page, put, peek, poke, errno };
}

test('numbers below the table and past its end are not its own', () => {
  const { dispatcher } = bench(() => 0);
  assert.not.ok(dispatcher.owns(0x3b7f));
  assert.ok(dispatcher.owns(0x3b80));
  assert.ok(dispatcher.owns(WORD));
  assert.not.ok(dispatcher.owns(0x3b83));
});

test('the size is read before the command word is looked at', () => {
  const { put, errno } = bench(() => 0);
  assert.is(errno(0xff82, 0n), 'EFAULT');
  put(1);
  assert.is(errno(0xff82), 'ENOTTY');
  assert.is(errno(0x3b80), 'ENOTTY');
});

test('one byte below the least size is EINVAL, the least size is enough', () => {
  const seen: number[] = [];
  const { put, errno } = bench((call) => seen.push(call.u32(4), call.u32(8), call.u32(12)));
  put(MIN_SIZE - 1, 1, 2, 3);
  assert.is(errno(), 'EINVAL');
  put(MIN_SIZE, 1, 2, 3);
  assert.is(errno(), 'ok');
  assert.equal(seen, [1, 0, 0]);
  put(SIZE, 4, 5, 6);
  assert.is(errno(), 'ok');
  assert.equal(seen.slice(3), [4, 5, 6]);
});

test('bytes past the structure must be zero, and readable', () => {
  const { put, errno, poke, page } = bench(() => 0);
  put(SIZE + 4, 1, 2, 3, 0);
  assert.is(errno(), 'ok');
  put(SIZE + 1, 1, 2, 3, 1);
  assert.is(errno(), 'E2BIG');
  put(9000, 1, 2, 3, 0);
  assert.is(errno(), 'EFAULT', 'the tail leaves the mapped pages');
  poke(page + 8000n, [1]);
  assert.is(errno(), 'E2BIG', 'a byte set before the unmapped page comes first');
});

test('the answer is cut to the size that the caller gave', () => {
  const { put, errno, peek, page } = bench((call) => {
    call.setU32(4, 7);
    call.setU32(12, 9);
    call.respond();
  });
  put(MIN_SIZE, 0, 0, 0xffffffff);
  assert.is(errno(), 'ok');
  assert.equal([...peek(page + 4n, 12)], [7, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255]);
});

test('an object that the handler made is published on success and undone on failure', () => {
  let failing = true;
  const { context, put, errno } = bench((call) => {
    const thing = new Thing(32);
    call.context.objects.reserve(thing);
    call.created = thing;
    assert.is(call.context.objects.peek(thing.id), null, 'nobody sees it while it is built');
    if (failing) fail('EBUSY', 'as asked');
  });
  put(SIZE);
  assert.is(errno(), 'EBUSY');
  assert.ok(context.objects.empty);
  failing = false;
  assert.is(errno(), 'ok');
  assert.is(context.objects.peek(1)?.type, 'selftest');
});

test('a number returned by the handler is what the ioctl returns', () => {
  const { dispatcher, process, put, page } = bench(() => 42);
  put(SIZE);
  assert.is(dispatcher.run(process, WORD, page), 42);
});

test('a call inside a call has a structure of its own', () => {
  let depth = 0;
  const seen: number[] = [];
  const { dispatcher, process, put, page, errno } = bench((call) => {
    if (depth++ === 0) {
      put(SIZE, 2);
      dispatcher.run(process, WORD, page);
    }
    seen.push(call.u32(4));
  });
  put(SIZE, 1);
  assert.is(errno(), 'ok');
  assert.equal(seen, [2, 1]);
});

test.run();
