/**
 * Writes a trace: header first, then chunks in the order in which they are given, then the footer
 * index. Runs on the main thread. Whatever has been written out stays readable if the run dies.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import { InputError, InternalError } from '../sim/errors.ts';
import {
  FRAME_CHUNK,
  FRAME_FOOTER,
  FRAME_HEADER,
  FRAME_PREFIX_BYTES,
  packEnd,
  packFrame,
  prelude,
  unpackPayload,
} from './format/frame.ts';
import { TraceIndex } from './format/index.ts';
import { asChunk, checkHeader, type TraceHeader } from './format/message.ts';

/** Where the bytes of a trace go. The bytes are valid only until `write` returns. */
export interface ByteSink {
  write(bytes: Uint8Array): void;
  close(): void;
}

/** Chunks are gathered until a system call is worth its cost. */
const GATHER_BYTES = 256 * 1024;

export class FileSink implements ByteSink {
  private readonly path: string;
  private readonly fd: number;

  constructor(path: string) {
    this.path = path;
    try {
      this.fd = openSync(path, 'w');
    } catch (error) {
      throw this.failure(error);
    }
  }

  write(bytes: Uint8Array): void {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(this.fd, bytes, at);
    } catch (error) {
      throw this.failure(error);
    }
  }

  close(): void {
    closeSync(this.fd);
  }

  private failure(error: unknown): InputError {
    const reason = error instanceof Error ? error.message : String(error);
    return new InputError('trace-write', `cannot write trace ${this.path}: ${reason}`);
  }
}

/** Keeps a trace in memory. */
export class MemorySink implements ByteSink {
  private readonly parts: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.parts.push(bytes.slice());
  }

  close(): void {}

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.parts));
  }
}

export class TraceWriter {
  readonly header: TraceHeader;
  private readonly sink: ByteSink;
  private readonly index = new TraceIndex();
  private readonly kindNames: ReadonlySet<string>;
  private readonly gathered = new Uint8Array(GATHER_BYTES);
  private held = 0;
  private offset = 0;
  private open = true;

  constructor(target: string | ByteSink, header: TraceHeader) {
    this.header = checkHeader(header, 'writer');
    this.kindNames = new Set(header.kinds.map((kind) => kind.name));
    this.sink = typeof target === 'string' ? new FileSink(target) : target;
    this.put(prelude());
    this.put(packFrame(FRAME_HEADER, header));
  }

  /** Bytes of the trace so far. */
  get bytes(): number {
    return this.offset;
  }

  /** Appends one chunk made by the probe of `partition`. */
  append(partition: number, chunkBytes: Uint8Array): void {
    if (!this.open) throw new InternalError('trace-closed', 'chunk for a trace that is closed');
    const isChunk = chunkBytes[6] === FRAME_CHUNK && chunkBytes.length > FRAME_PREFIX_BYTES;
    const chunk = isChunk ? asChunk(unpackPayload(chunkBytes.subarray(FRAME_PREFIX_BYTES))) : null;
    if (chunk === null || chunk.partition !== partition) {
      throw new InternalError('trace-chunk', `not a chunk of partition ${partition}`);
    }
    if (partition >= this.header.partitions.length) {
      throw new InternalError('trace-chunk', `partition ${partition} is not in the header`);
    }
    for (const kind of chunk.kinds) {
      if (this.kindNames.has(kind.name)) continue;
      throw new InternalError('trace-kind', `record kind '${kind.name}' is not in the header`);
    }
    this.index.add(this.offset, chunk);
    this.put(chunkBytes);
  }

  /** Writes the footer; the trace is then complete. */
  close(): void {
    if (!this.open) return;
    const footerOffset = this.offset;
    this.put(packFrame(FRAME_FOOTER, this.index.footer()));
    this.put(packEnd(footerOffset));
    this.abort();
  }

  /** Ends a trace that will never be complete: what was appended is readable, and says so. */
  abort(): void {
    if (!this.open) return;
    this.open = false;
    this.drain();
    this.sink.close();
  }

  private put(bytes: Uint8Array): void {
    this.offset += bytes.length;
    if (this.held + bytes.length > this.gathered.length) this.drain();
    if (bytes.length > this.gathered.length) {
      this.sink.write(bytes);
      return;
    }
    this.gathered.set(bytes, this.held);
    this.held += bytes.length;
  }

  private drain(): void {
    if (this.held > 0) this.sink.write(this.gathered.subarray(0, this.held));
    this.held = 0;
  }
}
