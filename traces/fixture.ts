/** Small traces for tests: record kinds of several widths and rows that look like real ones. */
import type { RecordKind } from '../sim/probe.ts';
import type { TraceHeader } from './format/message.ts';
import { ChunkProbe } from './probe.ts';
import { MemorySink, TraceWriter } from './writer.ts';

const column = (name: string, type: 'u32' | 'i32' = 'u32') => ({ name, type, doc: `${name}.` });

export const DMA: RecordKind = {
  name: 'dma',
  level: 'requests',
  columns: ['device', 'flags', 'hi', 'lo', 'extent', 'latency'].map((name) => column(name)),
};
export const WIDE: RecordKind = {
  name: 'wide',
  level: 'walks',
  columns: Array.from({ length: 12 }, (_, i) => column(`c${i}`, i % 2 ? 'i32' : 'u32')),
};
export const BARE: RecordKind = { name: 'bare', level: 'full', columns: [] };

export const HEADER: TraceHeader = {
  program: 'iommusim 0.1.0',
  scenario: { name: 'fixture', devices: ['nic0', 'nvme0'] },
  seed: 42,
  level: 'full',
  clockHz: 1_000_000_000,
  partitions: ['fabric', 'walk0'],
  kinds: [DMA, WIDE, BARE],
};

export interface FixtureOptions {
  readonly rows?: number;
  readonly rowsPerChunk?: number;
  readonly header?: TraceHeader;
  /** Changes the latency of this row of `dma`. */
  readonly alter?: number;
  /** Leaves the footer out. */
  readonly abort?: boolean;
}

/** A trace of two partitions with `rows` DMAs in the first, and wide rows in both. */
export function fixture(options: FixtureOptions = {}): Uint8Array {
  const { rows = 100, rowsPerChunk = 16, header = HEADER, alter = -1 } = options;
  const sink = new MemorySink();
  const writer = new TraceWriter(sink, header);
  const probes = [0, 1].map(
    (id) => new ChunkProbe(id, 'full', (bytes) => writer.append(id, bytes), rowsPerChunk),
  );
  const dma = probes[0].channel(DMA)!;
  const wide = probes.map((probe) => probe.channel(WIDE)!);
  const bare = probes[1].channel(BARE)!;
  for (let i = 0; i < rows; i++) {
    const latency = 700 + (i % 7) * 10 + (i === alter ? 1 : 0);
    dma.emit(i * 100 + 1000, i % 2, i % 4, 0x1ff, 0x7fff000 - i, (64 << 12) | (i % 64), latency);
    if (i % 3 === 0) wide[i % 2].emit(i * 100 + 1000, i, -i, 2 ** 32 - 1, 0, 5, i << 12, 7, i * i);
    if (i % 5 === 0) bare.emit(i * 100 + 1005);
  }
  for (const probe of probes) probe.flush();
  if (options.abort) writer.abort();
  else writer.close();
  return sink.bytes();
}
