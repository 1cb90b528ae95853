import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../sim/errors.ts';
import { BARE, DMA, fixture, HEADER } from './fixture.ts';
import { ChunkProbe } from './probe.ts';
import { TraceReader } from './reader.ts';
import { extractDmaStream, sortedOrder } from './stream.ts';
import { MemorySink, TraceWriter } from './writer.ts';

test('DMAs come in the order of issue, those of one cycle in the order of their end', () => {
  const sink = new MemorySink();
  const writer = new TraceWriter(sink, HEADER);
  const probe = new ChunkProbe(0, 'full', (bytes) => writer.append(0, bytes), 2);
  const channel = probe.channel(DMA)!;
  channel.emit(1000, 0, 1, 3, 4, (64 << 12) | 0x10, 100);
  channel.emit(1100, 1, 2, 5, 6, (256 << 12) | 0xfff, 900);
  channel.emit(1200, 2, 1, 7, 8, 4096 << 12, 300);
  probe.flush();
  writer.close();
  const stream = extractDmaStream(TraceReader.open(sink.bytes()));
  assert.equal([...stream.issued], [200, 900, 900]);
  assert.equal([...stream.device], [1, 0, 2]);
  assert.equal([...stream.offset], [0xfff, 0x10, 0]);
  assert.equal([...stream.bytes], [256, 64, 4096]);
  assert.equal([...stream.hi], [5, 3, 7]);
  assert.equal([...stream.latency], [900, 100, 300]);
  assert.is(stream.clockHz, HEADER.clockHz);
});

test('a cut trace gives the DMAs before the cut', () => {
  const whole = fixture({ rows: 5000, rowsPerChunk: 1000 });
  assert.is(extractDmaStream(TraceReader.open(whole)).count, 5000);
  const half = whole.slice(0, whole.length >> 1);
  assert.is(extractDmaStream(TraceReader.open(half)).count % 1000, 0);
});

test('a trace without DMA records, or with other columns, is bad input', () => {
  for (const kinds of [[BARE], [{ ...DMA, columns: DMA.columns.slice(1) }]]) {
    const sink = new MemorySink();
    const writer = new TraceWriter(sink, { ...HEADER, kinds });
    const probe = new ChunkProbe(0, 'full', (bytes) => writer.append(0, bytes));
    probe.channel(kinds[0])!.emit(1);
    probe.flush();
    writer.close();
    const reader = TraceReader.open(sink.bytes());
    assert.throws(
      () => extractDmaStream(reader),
      (error: unknown) => error instanceof InputError,
    );
  }
});

test('the order of rows is that of a stable sort', () => {
  const key = fc.oneof(fc.nat(5), fc.nat(70_000), fc.integer({ min: -9, max: 2 ** 45 }));
  fc.assert(
    fc.property(fc.array(key, { maxLength: 60 }), (keys) => {
      const expected = keys.map((_, row) => row).sort((a, b) => keys[a] - keys[b] || a - b);
      assert.equal([...sortedOrder(Float64Array.from(keys))], expected);
    }),
    { numRuns: 40 },
  );
});

test.run();
