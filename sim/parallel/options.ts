/**
 * What an engine is made from, what a run is asked for, and what it tells afterwards.
 */
import type { ModuleRef } from './carrier.ts';
import type { Partition, PartitionHandle } from './partition.ts';

/** How a partition other than 0 is built: `export` is a {@link PartitionBuilder}. */
export interface PartitionSource extends ModuleRef {
  /** Plain data. */
  readonly config: unknown;
  /** Its share of the work, compared with the others; only for placing it on a thread. */
  readonly weight?: number;
}

/** Something that is exchanged at window boundaries, while no partition runs. */
export interface WindowHook {
  /** Called on the main thread before the first window and after each one. */
  applyBoundary(cycle: number): void;
}

export interface EngineOptions {
  /** Cycles of a window: the shortest latency of a message. */
  readonly window: number;
  /** Threads including the main one; 0 and 1 run everything on the main thread. */
  readonly threads?: number;
  /** Builds partition 0, always on the main thread. */
  readonly main: (partition: Partition) => PartitionHandle;
  readonly mainWeight?: number;
  /** Partitions 1, 2, ... */
  readonly others?: readonly PartitionSource[];
  /** Handed to the builders of the others: plain data and SharedArrayBuffers. */
  readonly shared?: unknown;
  readonly hooks?: readonly WindowHook[];
  /** Receives what partitions emit; the order does not depend on threads. */
  readonly onBlob?: (partition: number, bytes: Uint8Array) => void;
  /** Work that is open: a run that has no events left although some is, stands still. */
  readonly openWork?: () => number;
  /** Host time in nanoseconds, for the statistics of waiting; a function without arguments. */
  readonly hostClock?: ModuleRef;
  /** Words of each mailbox: what one partition may send or have waiting at a boundary. */
  readonly mailboxWords?: number;
}

export interface RunOptions {
  /** Only cycles before this one are run. */
  readonly until?: number;
  /** Called now and then at a boundary. */
  readonly onProgress?: (cycle: number, events: number) => void;
  /** Called once all partitions are built, before the first window. */
  readonly onStart?: () => void;
  /** Asked at every boundary; must decide on simulated grounds only. */
  readonly shouldStop?: () => boolean;
}

export interface ThreadResult {
  readonly partitions: readonly number[];
  /** Windows in which the thread took part. */
  readonly windows: number;
  /** Host nanoseconds lost waiting for other threads at boundaries (0 without a host clock). */
  readonly waitNs: number;
}

export interface RunResult {
  /** No events left; `until` reached; or `shouldStop` said so. */
  readonly reason: 'idle' | 'until' | 'stopped';
  /** Cycle of the last event executed. */
  readonly cycle: number;
  /** Events executed, by partition. */
  readonly events: readonly number[];
  readonly windows: number;
  readonly windowsSkipped: number;
  readonly messages: number;
  /** What the partitions' `finish` returned. */
  readonly finished: readonly Record<string, unknown>[];
  readonly threads: readonly ThreadResult[];
}
