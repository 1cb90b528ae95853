import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InternalError } from '../../sim/errors.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import {
  dmaColumns,
  RecordedMaster,
  type RecordedObserver,
  type RecordedOptions,
} from './recorded.ts';
import { TestBench } from './testbench.ts';

const OPTIONS: RecordedOptions = { outstanding: 2, keepGaps: false };

interface Rig {
  readonly bench: TestBench;
  readonly master: RecordedMaster;
  readonly cycles: () => number[];
}

/** A stream of DMAs at consecutive pages with the given gaps, answered after 100 cycles. */
function rig(
  gaps: readonly number[],
  options = OPTIONS,
  observe?: (rig: () => RecordedMaster, bench: TestBench) => RecordedObserver,
): Rig {
  const bench = new TestBench(100);
  const columns = dmaColumns(gaps.length);
  gaps.forEach((gap, i) => {
    columns.device[i] = i % 2;
    columns.access[i] = i % 2 === 0 ? ACCESS_READ : ACCESS_WRITE;
    columns.lo[i] = i;
    columns.offset[i] = 16;
    columns.bytes[i] = 64 + i;
    columns.gap[i] = gap;
  });
  const observer = observe === undefined ? null : observe(() => master, bench);
  const master: RecordedMaster = new RecordedMaster(bench.surroundings, options, columns, observer);
  bench.connect(master);
  return { bench, master, cycles: () => bench.seen.map((dma) => dma.cycle) };
}

test('the sequence is issued in order, as recorded', () => {
  const { bench, master } = rig([0, 0, 0]);
  master.resume();
  bench.run();
  assert.equal(
    bench.seen.map(({ device, pasid, access, address, bytes, tag }) => [
      device,
      pasid,
      access,
      address,
      bytes,
      tag,
    ]),
    [
      [0, -1, ACCESS_READ, 16, 64, 0],
      [1, -1, ACCESS_WRITE, 4096 + 16, 65, 1],
      [0, -1, ACCESS_READ, 8192 + 16, 66, 2],
    ],
  );
  assert.ok(master.finished);
});

test('no more are in flight than the window allows', () => {
  const { bench, master, cycles } = rig([0, 0, 0, 0, 0]);
  master.resume();
  bench.run();
  assert.equal(cycles(), [0, 0, 100, 100, 200]);
});

test('recorded gaps are kept when asked for, and never shortened', () => {
  const gaps = [5, 10, 0, 300];
  const kept = rig(gaps, { outstanding: 2, keepGaps: true });
  kept.master.resume();
  kept.bench.run();
  assert.equal(kept.cycles(), [5, 15, 105, 405]);
  const dropped = rig(gaps);
  dropped.master.resume();
  dropped.bench.run();
  assert.equal(dropped.cycles(), [0, 0, 100, 100]);
});

test('nothing is issued before the stream is let go', () => {
  const { bench, cycles } = rig([0, 0]);
  bench.run();
  assert.equal(cycles(), []);
});

test('a paused stream lets come back what is in flight and issues nothing', () => {
  const { bench, master, cycles } = rig([0, 0, 0, 0, 0]);
  master.resume();
  bench.run(50);
  master.pause();
  bench.run();
  assert.equal(cycles(), [0, 0]);
  assert.ok(master.idle);
  assert.not(master.finished);
  master.resume();
  bench.run();
  assert.equal(cycles(), [0, 0, 100, 100, 200]);
  assert.ok(master.finished);
});

test('a stream allowed up to a place holds before it', () => {
  const { bench, master, cycles } = rig([0, 0, 0, 0, 0]);
  master.allowUpTo(3);
  bench.run();
  assert.is(cycles().length, 3);
  assert.is(master.position, 3);
  assert.ok(master.idle);
  assert.throws(
    () => master.allowUpTo(6),
    (e: unknown) => e instanceof InternalError,
  );
});

test('single DMAs count against the same window and are refused without room', () => {
  const { bench, master } = rig([]);
  const issue = (tag: number): boolean => master.issueOne(3, 9, ACCESS_READ, 1, 2, 8, 16, tag);
  assert.equal([issue(40), issue(41), issue(42)], [true, true, false]);
  bench.run();
  assert.is(bench.seen.length, 2);
  assert.equal([bench.seen[1]?.device, bench.seen[1]?.pasid, bench.seen[1]?.tag], [3, 9, 41]);
  assert.is(bench.seen[0]?.address, (2 ** 27 + 2) * 4096 + 8);
  assert.is(bench.txns.inFlight, 0);
});

test('a single DMA over a page boundary is an error', () => {
  const { master } = rig([]);
  assert.throws(
    () => master.issueOne(0, -1, ACCESS_READ, 0, 0, 4000, 97, 0),
    (e: unknown) => e instanceof InternalError,
  );
  assert.ok(master.issueOne(0, -1, ACCESS_READ, 0, 0, 4000, 96, 0));
});

test('the observer sees each DMA while its columns are valid, then the room it leaves', () => {
  const log: string[] = [];
  const { bench, master } = rig([0, 0, 0], OPTIONS, (stream, on) => ({
    completed: (txn) => log.push(`${on.events.now}: ${on.txns.tag[txn]} of ${on.txns.bytes[txn]}`),
    freed: () => log.push(stream().port.room ? 'room' : 'full'),
  }));
  master.resume();
  bench.run();
  assert.equal(log, ['100: 0 of 64', 'room', '100: 1 of 65', 'room', '200: 2 of 66', 'room']);
});

test('an observer may hold the stream and issue from within', () => {
  let injected = false;
  const { bench, master } = rig([0, 0, 0], { ...OPTIONS, outstanding: 1 }, (stream) => ({
    completed: (txn) => {
      if (bench.txns.tag[txn] === 0) stream().pause();
    },
    freed: () => {
      if (injected) {
        stream().resume();
        return;
      }
      injected = stream().issueOne(0, -1, ACCESS_READ, 0, 77, 0, 8, -1);
    },
  }));
  master.resume();
  bench.run();
  assert.equal(
    bench.seen.map((dma) => dma.tag),
    [0, -1, 1, 2],
  );
});

test('the dump says where the stream is', () => {
  const { bench, master } = rig([0, 0, 0]);
  master.resume();
  bench.run(1);
  assert.is(master.dump(), 'recorded stream: at 2 of 3, 2 DMAs in flight');
});

test.run();
