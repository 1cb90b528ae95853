/**
 * Benchmarks of the trace room: rows like those of a run with several devices, recorded as fast as
 * they can be emitted, and read back from a file to typed columns.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RecordKind } from '../../sim/probe.ts';
import { ChunkProbe } from '../../traces/probe.ts';
import { TraceReader } from '../../traces/reader.ts';
import { DMA_COLUMNS, DMA_KIND, EXTENT_SHIFT } from '../../traces/stream.ts';
import { TraceWriter } from '../../traces/writer.ts';

const DMA: RecordKind = {
  name: DMA_KIND,
  level: 'requests',
  columns: DMA_COLUMNS.map((name) => ({ name, type: 'u32', doc: name })),
};
const DEVICES = 8;
/** Rows made beforehand, so that making them is not measured; used round and round. */
const PATTERN_ROWS = 65536;

interface Pattern {
  readonly gap: Int32Array;
  readonly device: Int32Array;
  readonly flags: Int32Array;
  readonly lo: Int32Array;
  readonly extent: Int32Array;
  readonly latency: Int32Array;
}

function pattern(): Pattern {
  let random = 2463534242;
  const below = (limit: number): number => {
    random ^= random << 13;
    random ^= random >>> 17;
    random ^= random << 5;
    return (random >>> 0) % limit;
  };
  const column = (value: () => number): Int32Array =>
    Int32Array.from({ length: PATTERN_ROWS }, value);
  return {
    gap: column(() => below(4000)),
    device: column(() => below(DEVICES)),
    flags: column(() => 1 + below(2) + (1 + below(3)) * 64),
    lo: column(() => 0x7fff000 - below(DEVICES) * 5000 - below(4096)),
    extent: column(() => ((below(2) === 0 ? 64 : 256) << EXTENT_SHIFT) | (below(64) * 64)),
    latency: column(() => 600 + below(3000) + (below(500) === 0 ? 70_000 : 0)),
  };
}

/** Writes a trace of `rows` DMAs; rows per second from emission to the closed file. */
function record(path: string, rows: number): number {
  const { gap, device, flags, lo, extent, latency } = pattern();
  const start = process.hrtime.bigint();
  const writer = new TraceWriter(path, {
    program: 'bench',
    scenario: null,
    seed: 1,
    level: 'requests',
    clockHz: 1_000_000_000,
    partitions: ['fabric'],
    kinds: [DMA],
  });
  const probe = new ChunkProbe(0, 'requests', (bytes) => writer.append(0, bytes));
  const channel = probe.channel(DMA)!;
  let cycle = 0;
  for (let row = 0; row < rows; row++) {
    const i = row % PATTERN_ROWS;
    cycle += gap[i];
    channel.emit(cycle, device[i], flags[i], 0x1ff, lo[i], extent[i], latency[i]);
  }
  probe.flush();
  writer.close();
  return rate(rows, start);
}

function rate(rows: number, start: bigint): number {
  return (rows / Number(process.hrtime.bigint() - start)) * 1e9;
}

function inTemporaryFile<T>(use: (path: string) => T): T {
  const folder = mkdtempSync(join(tmpdir(), 'iommusim-bench-'));
  try {
    return use(join(folder, 'trace.msgpack'));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** DMA records per second from emission to the closed file, all costs included. */
export function benchTraceWrite(rows: number): number {
  return inTemporaryFile((path) => {
    record(path, rows >> 2);
    return record(path, rows);
  });
}

/** DMA records per second from a file to checked, decoded columns. */
export function benchTraceRead(rows: number): number {
  return inTemporaryFile((path) => {
    record(path, rows);
    readAll(path);
    const start = process.hrtime.bigint();
    const read = readAll(path);
    return rate(read, start);
  });
}

function readAll(path: string): number {
  const reader = TraceReader.open(path);
  let rows = 0;
  for (const block of reader.records(DMA_KIND)) rows += block.rows;
  reader.close();
  return rows;
}
