/** Open files with little behind them: /dev/null, eventfd; and the end of a reference. */
import { InternalError } from '../../../sim/errors.ts';
import type { OpenFile, Process } from './api.ts';
import { fail } from './errno.ts';

const POLLIN = 1;
const POLLOUT = 4;
const U64_MAX = 0xffffffffffffffffn;

/** fput: the last reference releases the file. */
export function putFile(file: OpenFile): void {
  if (file.refs <= 0) throw new InternalError('files', `a ${file.kind} file is put too often`);
  if (--file.refs === 0) file.release();
}

export class NullFile implements OpenFile {
  readonly kind = 'null';
  refs = 1;

  read(): number {
    return 0;
  }

  write(_process: Process, _address: bigint, count: number): number {
    return count;
  }

  release(): void {}
}

/** A 64-bit counter: writes add, a read takes all. Never blocks: EAGAIN instead. */
export class EventFile implements OpenFile {
  readonly kind = 'eventfd';
  refs = 1;
  count = 0n;

  read(process: Process, address: bigint, count: number): number {
    if (count < 8) fail('EINVAL', 'an eventfd is read 8 bytes at a time');
    if (this.count === 0n) fail('EAGAIN', 'the counter is zero');
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, this.count, true);
    this.count = 0n;
    process.space.copyOut(address, bytes);
    return 8;
  }

  write(process: Process, address: bigint, count: number): number {
    if (count < 8) fail('EINVAL', 'an eventfd is written 8 bytes at a time');
    const bytes = new Uint8Array(8);
    process.space.copyIn(address, bytes);
    const added = new DataView(bytes.buffer).getBigUint64(0, true);
    if (added === U64_MAX) fail('EINVAL', 'the largest number cannot be added');
    if (this.count + added >= U64_MAX) fail('EAGAIN', 'the counter is full');
    this.count += added;
    return 8;
  }

  poll(): number {
    return (this.count > 0n ? POLLIN : 0) | (this.count < U64_MAX - 1n ? POLLOUT : 0);
  }

  release(): void {}
}
