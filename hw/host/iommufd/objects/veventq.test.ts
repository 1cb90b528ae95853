import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { Veventq } from './veventq.ts';
import type { Viommu } from './viommu.ts';
import { VIOMMU_WORDS, type ViommuBench, viommuBench } from './viommu-testbench.ts';

const test = suite('vIOMMU event queue');
const TYPE = 0xbeefbeef;
const LOST = 1;

interface Opened extends ViommuBench {
  readonly made: Viommu;
  readonly queue: Veventq;
  readonly fd: number;
  report(value: number): void;
  /** The words that a read of `count` bytes gives; the errno when it is refused. */
  read(count: number): number[] | number;
}

function alloc(bench: ViommuBench, viommu: number, depth: number, type = TYPE, flags = 0) {
  return bench.ioctl(VIOMMU_WORDS.VEVENTQ, [32, flags, viommu, type, depth, 0, 0, 0]);
}

function opened(depth: number): Opened {
  const bench = viommuBench();
  const made = bench.viommu();
  const answer = alloc(bench, made.id, depth) as Uint32Array;
  const queue = bench.context.objects.peek(answer[5] as number) as Veventq;
  const fd = answer[6] as number;
  return {
    ...bench,
    made,
    queue,
    fd,
    report: (value) => made.report(TYPE, new Uint8Array(Uint32Array.of(value).buffer)),
    read(count) {
      const { value, errno } = bench.calls.read(fd, bench.buffer, count);
      if (errno !== 0) return errno;
      return [...new Uint32Array(bench.peek(bench.buffer, Number(value)).slice().buffer)];
    },
  };
}

test('checks in order: flags and type, depth, vIOMMU, second queue of the type', () => {
  const bench = viommuBench();
  const { id } = bench.viommu();
  assert.is(alloc(bench, 99, 0, TYPE, 1), 'EOPNOTSUPP');
  assert.is(alloc(bench, 99, 0, 0), 'EOPNOTSUPP');
  assert.is(alloc(bench, 99, 0), 'EINVAL');
  assert.is(alloc(bench, 99, 0x80001), 'EINVAL');
  assert.is(alloc(bench, 99, 0x80000), 'ENOENT');
  assert.is.not(typeof alloc(bench, id, 0x80000), 'string');
  assert.is(alloc(bench, id, 1), 'EEXIST');
  assert.is.not(typeof alloc(bench, id, 1, 7), 'string', 'types of events are not checked');
});

test('the queue counts the vIOMMU, the file counts the queue', () => {
  const { made, queue, calls, fd, context } = opened(1);
  assert.equal([made.users, queue.users, context.file.refs], [2, 2, 2]);
  assert.throws(() => context.objects.destroyById(queue.id), /EBUSY/);
  assert.throws(() => context.objects.destroyById(made.id), /EBUSY/);
  calls.close(fd);
  context.objects.destroyById(queue.id);
  assert.is(made.veventqOf(TYPE), null);
  assert.equal([made.users, context.file.refs], [1, 1]);
});

test('a queue that cannot be made leaves nothing', () => {
  const bench = viommuBench();
  const made = bench.viommu();
  const { memory } = bench.kernel;
  const { bytes } = memory;
  for (let n = 1; ; n++) {
    memory.arm(n);
    if (typeof alloc(bench, made.id, 1) !== 'string') break;
    assert.equal([made.users, made.veventqs.length, bench.context.file.refs], [1, 0, 1]);
    assert.is(memory.bytes, bytes);
  }
});

test('an event whose type nobody queues is EOPNOTSUPP for the driver', () => {
  const { made } = opened(1);
  assert.throws(() => made.report(7, new Uint8Array(4)), /EOPNOTSUPP/);
});

test('events come in order with their sequence; a read takes those that fit', () => {
  const { report, read } = opened(8);
  assert.equal(read(4096), []);
  for (const value of [10, 11, 12]) report(value);
  assert.equal(read(24), [0, 0, 10, 0, 1, 11]);
  assert.equal(read(35), [0, 2, 12]);
});

test('what does not fit the depth leaves one LOST header with the last sequence', () => {
  const { report, read } = opened(2);
  for (let value = 0; value < 5; value++) report(value);
  assert.equal(read(4096), [0, 0, 0, 0, 1, 1, LOST, 4]);
  report(9);
  assert.equal(read(12), [0, 5, 9]);
});

test('the next event takes the place of a LOST header: the reader sees the gap', () => {
  const { report, read } = opened(1);
  report(1);
  report(2);
  assert.equal(read(12), [0, 0, 1]);
  report(3);
  assert.equal(read(4096), [0, 2, 3]);
});

test('an event without memory is lost, and the driver is told ENOMEM', () => {
  const { report, read, kernel } = opened(4);
  report(1);
  kernel.memory.arm(1);
  assert.throws(() => report(2), /ENOMEM/);
  assert.equal(read(4096), [0, 0, 1, LOST, 1]);
});

test('too few bytes for a header are EINVAL always; for the first event, when one waits', () => {
  const { report, read } = opened(1);
  assert.is(read(0), 22);
  assert.is(read(7), 22);
  assert.equal(read(8), []);
  report(1);
  assert.is(read(8), 22);
  report(2);
  assert.equal(read(19), [0, 0, 1]);
  assert.equal(read(8), [LOST, 1], 'a LOST header has no data');
});

test('an event whose data cannot be copied stays, and its header does not count', () => {
  const { report, calls, fd, buffer, read } = opened(4);
  report(1);
  report(2);
  const end = buffer + 8192n;
  assert.is(calls.read(fd, 0n, 12).errno, 14);
  assert.is(calls.read(fd, end - 8n, 12).errno, 14);
  assert.is(calls.read(fd, end - 20n, 24).value, 12);
  assert.equal(read(4096), [0, 1, 2]);
});

test('the file is readable when something waits, never writable', () => {
  const { queue, report, calls, fd, buffer, read } = opened(1);
  assert.is(queue.file?.poll(), 0);
  report(1);
  assert.is(queue.file?.poll(), 0x41);
  report(2);
  read(12);
  assert.is(queue.file?.poll(), 0x41, 'the LOST header');
  assert.is(calls.write(fd, buffer, 8).errno, 22);
});

test('destroying the queue frees what waits', () => {
  const bench = viommuBench();
  const made = bench.viommu();
  const { bytes, allocations } = bench.kernel.memory;
  const answer = alloc(bench, made.id, 4) as Uint32Array;
  made.report(TYPE, new Uint8Array(4));
  made.report(TYPE, new Uint8Array(4));
  bench.calls.close(answer[6] as number);
  bench.context.objects.destroyById(answer[5] as number);
  assert.is(bench.kernel.memory.bytes, bytes);
  assert.is(bench.kernel.memory.allocations, allocations);
});

test.run();
