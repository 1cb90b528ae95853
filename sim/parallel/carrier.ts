/**
 * The partitions that one thread carries. The main thread and every worker run windows through this
 * same code, in the order of partition numbers.
 */
import type { Failure } from './failure.ts';
import type { Partition, PartitionHandle } from './partition.ts';
import type { Status } from './status.ts';

/** An export of a module, which every thread can import. */
export interface ModuleRef {
  /** URL of the compiled module. */
  readonly module: string;
  readonly export: string;
}

export async function load<T>(ref: ModuleRef): Promise<T> {
  const exports = (await import(ref.module)) as Record<string, T>;
  const found = exports[ref.export];
  if (typeof found !== 'function') throw new Error(`${ref.module} exports no ${ref.export}`);
  return found;
}

/** A partition's last words. */
export interface FinishedPartition {
  readonly partition: number;
  readonly result: Record<string, unknown>;
  readonly dump: string;
}

export class Carrier {
  readonly failures: Failure[] = [];
  private readonly partitions: Partition[] = [];
  private readonly handles: PartitionHandle[] = [];
  private readonly status: Status;

  constructor(status: Status) {
    this.status = status;
  }

  /** Takes a partition, in order of number, and what its builder returned. */
  add(partition: Partition, handle: PartitionHandle): void {
    for (const peer of this.partitions) {
      peer.meet(partition);
      partition.meet(peer);
    }
    this.partitions.push(partition);
    this.handles.push(handle);
    this.status.update(partition);
    this.updateNext();
  }

  /**
   * Runs the partitions that have work before `end`. One that fails is retired and the others still
   * finish the window, so that what they did does not depend on who shares their thread.
   */
  runWindow(end: number): void {
    for (const partition of this.partitions) {
      if (this.status.next(partition.id) >= end) continue;
      try {
        partition.runWindow(end);
        this.status.update(partition);
      } catch (error) {
        this.failures.push({ partition: partition.id, error });
      }
    }
    this.updateNext();
    for (const { partition } of this.failures) this.status.retire(partition);
  }

  private updateNext(): void {
    for (const partition of this.partitions) this.status.updateNext(partition);
  }

  /** Whether there are blobs or failures to take: in most windows there are none. */
  get hasNews(): boolean {
    if (this.failures.length > 0) return true;
    for (const partition of this.partitions) if (partition.hasBlobs) return true;
    return false;
  }

  /** Hands over the blobs emitted since the last call. */
  takeBlobs(deliver: (partition: number, bytes: Uint8Array) => void): void {
    for (const partition of this.partitions) {
      if (!partition.hasBlobs) continue;
      for (const bytes of partition.takeBlobs()) deliver(partition.id, bytes);
    }
  }

  finish(withDump: boolean): FinishedPartition[] {
    const finished: FinishedPartition[] = [];
    this.partitions.forEach((partition, i) => {
      const handle = this.handles[i];
      try {
        const dump = withDump ? [partition.dump(), handle.dump?.() ?? ''].join('\n').trimEnd() : '';
        finished.push({ partition: partition.id, result: handle.finish?.() ?? {}, dump });
      } catch (error) {
        this.failures.push({ partition: partition.id, error });
      }
    });
    return finished;
  }
}
