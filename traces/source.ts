/** Where a trace is read from: a file, piece by piece, or bytes in memory. */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { InputError } from '../sim/errors.ts';
import type { ByteSource } from './format/frame.ts';

export class MemorySource implements ByteSource {
  readonly name: string = 'trace';
  readonly size: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    return this.bytes.subarray(offset, offset + length);
  }

  close(): void {}
}

/** A file. What `read` returns is valid until the next `read`: one buffer serves them all. */
export class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  private readonly fd: number;
  private buffer: Uint8Array = new Uint8Array(64 * 1024);
  private open = true;

  constructor(path: string) {
    this.name = path;
    try {
      const stat = statSync(path);
      // Checked before opening: opening a pipe would wait for its writer.
      if (!stat.isFile()) throw new Error('not a regular file');
      this.size = stat.size;
      this.fd = openSync(path, 'r');
    } catch (error) {
      throw this.failure(error);
    }
  }

  read(offset: number, length: number): Uint8Array {
    if (length > this.buffer.length) this.buffer = new Uint8Array(Math.ceil(length * 1.25));
    let done = 0;
    try {
      while (done < length) {
        const got = readSync(this.fd, this.buffer, done, length - done, offset + done);
        if (got === 0) break;
        done += got;
      }
    } catch (error) {
      throw this.failure(error);
    }
    if (done < length) throw this.failure('file became shorter while it was read');
    return this.buffer.subarray(0, length);
  }

  close(): void {
    if (this.open) closeSync(this.fd);
    this.open = false;
  }

  private failure(error: unknown): InputError {
    const reason = error instanceof Error ? error.message : String(error);
    return new InputError('trace-read', `cannot read trace ${this.name}: ${reason}`);
  }
}
