import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { FAULT_COMMANDS, type Fault } from './fault.ts';
import { PageRequestGroup } from './page-requests.ts';
import {
  attachment,
  faultDevice,
  type QueueBench,
  queueBench,
  request,
} from './queue-testbench.ts';

const test = suite('fault queue');
const ALLOC = 0x3b8e;

interface Opened extends QueueBench {
  readonly fault: Fault;
  readonly fd: number;
  /** Delivers a group of one request of a device attached as object 7. */
  deliver(grpid: number): void;
  readonly answers: { grpid: number; code: string }[];
}

function opened(): Opened {
  const bench = queueBench(FAULT_COMMANDS);
  const [, , id, fd] = bench.ioctl(ALLOC, [16, 0, 0, 0]) as Uint32Array;
  const fault = bench.context.objects.peek(id as number) as Fault;
  const { device, answers } = faultDevice();
  const handle = attachment(device, 7, fault);
  return {
    ...bench,
    fault,
    fd: fd as number,
    answers,
    deliver(grpid) {
      const { memory } = bench.kernel;
      fault.deliver(new PageRequestGroup(memory, device, handle, request(grpid)));
    },
  };
}

function words(bench: QueueBench, address: bigint, count: number): number[] {
  return [...new Uint32Array(bench.peek(address, 4 * count).slice().buffer)];
}

test('an allocation answers an id and a descriptor, and the file holds the object', () => {
  const { fault, context, calls, fd } = opened();
  assert.is(fault.users, 2);
  assert.is(context.file.refs, 2);
  assert.throws(() => context.objects.destroyById(fault.id), /EBUSY/);
  assert.is(calls.close(fd).errno, 0);
  assert.is(context.file.refs, 1);
  context.objects.destroyById(fault.id);
  assert.ok(context.objects.empty);
});

test('flags are EOPNOTSUPP', () => {
  assert.is(queueBench(FAULT_COMMANDS).ioctl(ALLOC, [16, 1, 0, 0]), 'EOPNOTSUPP');
});

test('an answer that cannot be written leaves no object, no descriptor, no memory', () => {
  const bench = queueBench(FAULT_COMMANDS);
  const readOnly = bench.alloc(4096);
  bench.poke(readOnly, [16]);
  bench.calls.mprotect(Number(readOnly), 4096, 1);
  const { bytes } = bench.kernel.memory;
  assert.is(bench.ioctlAt(readOnly, ALLOC, [0]), 'EFAULT');
  assert.ok(bench.context.objects.empty);
  assert.is(bench.context.file.refs, 1);
  assert.is(bench.kernel.memory.bytes, bytes);
  assert.is((bench.ioctl(ALLOC, [16, 0, 0, 0]) as Uint32Array)[3], 0);
});

test('every allocation that fails is undone', () => {
  const bench = queueBench(FAULT_COMMANDS);
  const { memory } = bench.kernel;
  const { bytes, allocations } = memory;
  for (let n = 1; ; n++) {
    memory.arm(n);
    const result = bench.ioctl(ALLOC, [16, 0, 0, 0]);
    if (typeof result !== 'string') {
      assert.ok(n > 3, 'object, id, file and descriptor can fail');
      break;
    }
    assert.is(result, 'ENOMEM');
    assert.is(memory.bytes, bytes);
    assert.is(memory.allocations, allocations);
    assert.ok(bench.context.objects.empty);
    assert.is(bench.context.file.refs, 1);
  }
});

test('a full descriptor table is EMFILE', () => {
  const bench = queueBench(FAULT_COMMANDS);
  for (let fd = 0; fd < 16; fd++) bench.calls.memfdCreate();
  assert.is(bench.ioctl(ALLOC, [16, 0, 0, 0]), 'EMFILE');
  assert.is(bench.context.file.refs, 1);
});

test('a read gives whole groups with the lowest free cookies, and 0 when nothing waits', () => {
  const bench = opened();
  const { calls, fd, buffer, deliver } = bench;
  assert.is(calls.read(fd, buffer, 40).value, 0);
  deliver(5);
  deliver(6);
  assert.is(calls.read(fd, buffer, 40).value, 40);
  assert.equal(words(bench, buffer, 10), [2, 7, 0, 5, 1, 0, 0x5000, 0, 0, 1]);
  assert.is(calls.read(fd, buffer, 120).value, 40);
  assert.is(words(bench, buffer, 10)[9], 2);
  bench.poke(buffer, new Uint8Array(new Uint32Array([1, 0]).buffer));
  assert.is(calls.write(fd, buffer, 8).value, 8);
  deliver(7);
  calls.read(fd, buffer, 40);
  assert.is(words(bench, buffer, 10)[9], 1);
});

test('a count that is not whole messages is ESPIPE', () => {
  const { calls, fd, buffer } = opened();
  assert.is(calls.read(fd, buffer, 39).errno, 29);
  assert.is(calls.read(fd, buffer, 41).errno, 29);
  assert.is(calls.write(fd, buffer, 9).errno, 29);
});

test('a buffer too small for the first group is EINVAL; for a later one the read ends', () => {
  const { calls, fd, buffer, deliver } = opened();
  assert.is(calls.read(fd, buffer, 0).value, 0);
  deliver(1);
  assert.is(calls.read(fd, buffer, 0).errno, 22);
  deliver(2);
  assert.is(calls.read(fd, buffer, 40).value, 40);
});

test('a group that cannot be copied stays, without a cookie', () => {
  const { calls, fd, buffer, deliver, fault } = opened();
  deliver(1);
  deliver(2);
  const end = buffer + 8192n;
  assert.is(calls.read(fd, end - 16n, 40).errno, 14);
  assert.equal(fault.pending, { waiting: 2, unanswered: 0 });
  assert.is(calls.read(fd, end - 40n, 80).value, 40, 'what was copied before counts');
  assert.equal(fault.pending, { waiting: 1, unanswered: 1 });
});

test('a response with a wrong code or cookie is EINVAL; those before it count', () => {
  const { calls, fd, buffer, deliver, answers, poke } = opened();
  const write = (...response: number[]) => {
    poke(buffer, new Uint8Array(Uint32Array.from(response).buffer));
    return calls.write(fd, buffer, response.length * 4);
  };
  deliver(3);
  calls.read(fd, buffer, 40);
  assert.is(write(1, 2).errno, 22);
  assert.is(write(2, 0).errno, 22);
  assert.is(write(0, 0).errno, 22);
  assert.is(calls.write(fd, 0n, 8).errno, 14);
  assert.is(calls.write(fd, buffer, 0).value, 0);
  assert.is(write(1, 1, 1, 0).value, 8, 'the second names a cookie that is free by then');
  assert.equal(answers, [{ grpid: 3, code: 'invalid' }]);
});

test('a refused response to cookie 0 frees it when groups are unanswered, and only then', () => {
  const { calls, fd, buffer, deliver, poke, peek } = opened();
  const nextCookie = () => {
    deliver(1);
    calls.read(fd, buffer, 40);
    return new DataView(peek(buffer, 40).slice().buffer).getUint32(36, true);
  };
  const answer = (cookie: number) => {
    poke(buffer, new Uint8Array(Uint32Array.of(cookie, 0).buffer));
    return calls.write(fd, buffer, 8).errno;
  };
  assert.is(answer(0), 22);
  assert.is(nextCookie(), 1);
  assert.is(answer(0), 22);
  assert.is(nextCookie(), 0);
  assert.is(nextCookie(), 2);
  for (const cookie of [0, 1, 2]) assert.is(answer(cookie), 0);
  assert.is(nextCookie(), 0, 'free for good');
});

test('the file is always writable, and readable when a group waits', () => {
  const { fault, deliver } = opened();
  assert.is(fault.file?.poll(), 4);
  deliver(1);
  assert.is(fault.file?.poll(), 0x45);
});

test('an attachment that goes has its groups answered INVALID, read or not', () => {
  const { calls, fd, buffer, fault, kernel } = opened();
  const { bytes } = kernel.memory;
  const { device, answers } = faultDevice();
  const [going, staying] = [attachment(device, 7, fault), attachment(device, 8, fault)];
  const deliver = (handle: typeof going, grpid: number) =>
    fault.deliver(new PageRequestGroup(kernel.memory, device, handle, request(grpid)));
  deliver(going, 1);
  deliver(staying, 2);
  calls.read(fd, buffer, 80);
  deliver(going, 3);
  deliver(staying, 4);
  fault.dropAttachment(going);
  assert.equal(answers, [
    { grpid: 3, code: 'invalid' },
    { grpid: 1, code: 'invalid' },
  ]);
  assert.equal(fault.pending, { waiting: 1, unanswered: 1 });
  fault.dropAttachment(staying);
  assert.is(kernel.memory.bytes, bytes);
});

test('destroying the queue answers what is left INVALID', () => {
  const { calls, fd, buffer, deliver, answers, context, fault, kernel } = opened();
  deliver(1);
  calls.read(fd, buffer, 40);
  deliver(2);
  calls.close(fd);
  context.objects.destroyById(fault.id);
  assert.equal(
    answers.map(({ grpid }) => grpid),
    [2, 1],
  );
  context.close();
  assert.is(kernel.memory.allocations, 0);
});

test.run();
