/**
 * Index of a trace: where each chunk is, what it holds, and the totals per record kind. The
 * writer keeps it while it appends; a reader takes it from the footer or rebuilds it by a scan.
 */
import type { EncodedColumn, EncodedCycles } from './columns.ts';
import type { ChunkMessage, FooterMessage, KindTotals } from './message.ts';

/** What is known of a chunk without decoding it. */
export interface ChunkEntry {
  readonly offset: number;
  readonly partition: number;
  readonly rows: number;
  readonly first: number;
  readonly last: number;
}

interface MutableTotals {
  name: string;
  rows: number;
  bytes: number;
  first: number;
  last: number;
}

function bytesOf(encoded: EncodedColumn | EncodedCycles): number {
  if (encoded instanceof Uint8Array) return encoded.length;
  if (Array.isArray(encoded) && encoded[3] instanceof Uint8Array) return encoded[3].length;
  return 0;
}

export class TraceIndex {
  readonly entries: ChunkEntry[] = [];
  private readonly totals = new Map<string, MutableTotals>();

  add(offset: number, chunk: ChunkMessage): void {
    const { partition, rows, first, last } = chunk;
    this.entries.push({ offset, partition, rows, first, last });
    for (const kind of chunk.kinds) {
      let bytes = bytesOf(kind.cycle);
      for (const column of kind.columns) bytes += bytesOf(column);
      const total = this.totals.get(kind.name);
      if (total === undefined) {
        const { name, rows, first, last } = kind;
        this.totals.set(name, { name, rows, bytes, first, last });
        continue;
      }
      total.rows += kind.rows;
      total.bytes += bytes;
      total.first = Math.min(total.first, kind.first);
      total.last = Math.max(total.last, kind.last);
    }
  }

  kinds(): KindTotals[] {
    return [...this.totals.values()].map((total) => ({ ...total }));
  }

  footer(): FooterMessage {
    const entries = this.entries;
    return {
      chunks: entries.length,
      offset: float64Bytes(entries.map((entry) => entry.offset)),
      partition: u32Bytes(entries.map((entry) => entry.partition)),
      rows: u32Bytes(entries.map((entry) => entry.rows)),
      first: float64Bytes(entries.map((entry) => entry.first)),
      last: float64Bytes(entries.map((entry) => entry.last)),
      kinds: this.kinds(),
    };
  }

  static fromFooter(footer: FooterMessage): TraceIndex {
    const index = new TraceIndex();
    const view = (bytes: Uint8Array): DataView =>
      new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const [offset, first, last] = [view(footer.offset), view(footer.first), view(footer.last)];
    const [partition, rows] = [view(footer.partition), view(footer.rows)];
    for (let i = 0; i < footer.chunks; i++) {
      index.entries.push({
        offset: offset.getFloat64(i * 8, true),
        partition: partition.getUint32(i * 4, true),
        rows: rows.getUint32(i * 4, true),
        first: first.getFloat64(i * 8, true),
        last: last.getFloat64(i * 8, true),
      });
    }
    for (const kind of footer.kinds) index.totals.set(kind.name, { ...kind });
    return index;
  }
}

function float64Bytes(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 8);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setFloat64(i * 8, values[i], true);
  return bytes;
}

function u32Bytes(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < values.length; i++) view.setUint32(i * 4, values[i], true);
  return bytes;
}
