import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordKind } from '../sim/probe.ts';
import { BARE, DMA, fixture, HEADER, WIDE } from './fixture.ts';
import { unpackPayload } from './format/frame.ts';
import { ChunkProbe } from './probe.ts';
import { TraceReader } from './reader.ts';
import { MemorySink, TraceWriter } from './writer.ts';

interface Row {
  readonly kind: number;
  readonly gap: number;
  readonly values: readonly number[];
}

const KINDS: readonly RecordKind[] = [DMA, WIDE, BARE];

const rowArbitrary: fc.Arbitrary<Row> = fc.record({
  kind: fc.nat(2),
  gap: fc.oneof(fc.nat(50), fc.integer({ min: 0, max: 2 ** 34 })),
  values: fc.array(fc.oneof(fc.nat(9), fc.integer({ min: 0, max: 2 ** 31 - 1 })), {
    minLength: 12,
    maxLength: 12,
  }),
});

function write(rows: readonly Row[], rowsPerChunk: number): Uint8Array {
  const sink = new MemorySink();
  const writer = new TraceWriter(sink, HEADER);
  const probe = new ChunkProbe(0, 'full', (bytes) => writer.append(0, bytes), rowsPerChunk);
  const channels = KINDS.map((kind) => probe.channel(kind)!);
  let cycle = 0;
  for (const row of rows) {
    cycle += row.gap;
    channels[row.kind].emit(cycle, ...row.values);
  }
  probe.flush();
  writer.close();
  return sink.bytes();
}

test('any rows come back, and the same rows give the same bytes', () => {
  fc.assert(
    fc.property(
      fc.array(rowArbitrary, { maxLength: 120 }),
      fc.integer({ min: 1, max: 40 }),
      (rows, n) => {
        const bytes = write(rows, n);
        assert.equal(write(rows, n), bytes);
        const reader = TraceReader.open(bytes);
        assert.ok(reader.complete);
        KINDS.forEach((kind, k) => {
          let cycle = 0;
          const expected = rows.flatMap((row) => {
            cycle += row.gap;
            return row.kind === k ? [[cycle, ...row.values.slice(0, kind.columns.length)]] : [];
          });
          const actual = [...reader.rows(kind.name)].map((row) => [
            row.cycle,
            ...Object.values(row.values),
          ]);
          assert.equal(actual, expected);
        });
      },
    ),
    { numRuns: 60 },
  );
});

test('signed and unsigned columns keep their full range', () => {
  const kind: RecordKind = {
    name: 'range',
    level: 'requests',
    columns: [
      { name: 'u', type: 'u32', doc: '' },
      { name: 'i', type: 'i32', doc: '' },
    ],
  };
  const sink = new MemorySink();
  const writer = new TraceWriter(sink, { ...HEADER, kinds: [kind] });
  const probe = new ChunkProbe(0, 'requests', (bytes) => writer.append(0, bytes));
  const channel = probe.channel(kind)!;
  channel.emit(1, 0, -(2 ** 31));
  channel.emit(2, 2 ** 32 - 1, 2 ** 31 - 1);
  probe.flush();
  writer.close();
  const [block] = TraceReader.open(sink.bytes()).records('range');
  assert.equal([...block.columns[0]], [0, 2 ** 32 - 1]);
  assert.equal([...block.columns[1]], [-(2 ** 31), 2 ** 31 - 1]);
});

test('a level leaves out the kinds above it', () => {
  const at = (level: 'off' | 'requests' | 'walks' | 'full') => {
    const probe = new ChunkProbe(0, level, () => {});
    return KINDS.map((kind) => probe.channel(kind) !== null);
  };
  assert.equal(at('off'), [false, false, false]);
  assert.equal(at('requests'), [true, false, false]);
  assert.equal(at('walks'), [true, true, false]);
  assert.equal(at('full'), [true, true, true]);
});

test('two units of a partition share the channel of a kind', () => {
  const probe = new ChunkProbe(0, 'full', () => {});
  assert.is(probe.channel(DMA), probe.channel({ ...DMA }));
  assert.throws(() => probe.channel({ ...DMA, columns: [] }), /two record kinds are named 'dma'/);
});

test('a chunk is made when one kind is full, and holds the rows of all kinds', () => {
  const chunks: number[][] = [];
  const probe = new ChunkProbe(
    0,
    'full',
    (_, chunk) => chunks.push(chunk.kinds.map((k) => k.rows)),
    4,
  );
  const dma = probe.channel(DMA)!;
  const bare = probe.channel(BARE)!;
  bare.emit(1);
  for (let i = 0; i < 3; i++) dma.emit(i);
  assert.is(chunks.length, 0);
  dma.emit(3);
  assert.equal(chunks, [[4, 1]]);
  probe.flush();
  assert.is(chunks.length, 1);
});

test('a header and its empty trace are whole', () => {
  const sink = new MemorySink();
  new TraceWriter(sink, HEADER).close();
  const reader = TraceReader.open(sink.bytes());
  assert.equal(reader.header, HEADER);
  assert.ok(reader.complete);
  assert.is(reader.summary().rows, 0);
  assert.is(reader.seek(0), 0);
});

test('the file is a plain sequence of MessagePack values', () => {
  const bytes = fixture();
  assert.is(unpackPayload(bytes.subarray(0, 9)), 'IOMMUTRC');
  assert.is(unpackPayload(bytes.subarray(9, 12)), 1);
  let at = 12;
  const types: number[] = [];
  while (at < bytes.length) {
    const length = 12 + new DataView(bytes.buffer, bytes.byteOffset).getUint32(at + 8);
    const frame = unpackPayload(bytes.subarray(at, at + length)) as [number, number, Uint8Array];
    types.push(frame[1]);
    unpackPayload(frame[2]);
    at += length;
  }
  assert.is(at, bytes.length);
  assert.equal([types[0], types.at(-2), types.at(-1)], [1, 3, 4]);
});

test('foreign chunks are refused', () => {
  const writer = new TraceWriter(new MemorySink(), { ...HEADER, kinds: [BARE] });
  const append = (bytes: Uint8Array): void => writer.append(0, bytes);
  assert.throws(() => append(new Uint8Array(20)), /not a chunk of partition 0/);
  const elsewhere = new ChunkProbe(1, 'full', append);
  elsewhere.channel(BARE)!.emit(1);
  assert.throws(() => elsewhere.flush(), /not a chunk of partition 0/);
  const unknown = new ChunkProbe(0, 'full', append);
  unknown.channel(DMA)!.emit(1);
  assert.throws(() => unknown.flush(), /'dma' is not in the header/);
  writer.close();
  const late = new ChunkProbe(0, 'full', append);
  late.channel(BARE)!.emit(1);
  assert.throws(() => late.flush(), /trace that is closed/);
});

test('a path that cannot be written is bad input', () => {
  assert.throws(
    () => new TraceWriter('/nonexistent/x/trace.msgpack', HEADER),
    /cannot write trace/,
  );
});

test.run();
