/**
 * A worker thread: one long-lived task that builds its partitions, then runs the windows that the
 * main thread orders until it is told to finish. Nothing that it does depends on when it runs.
 */
import type { MessagePort } from 'node:worker_threads';
import { Carrier, type FinishedPartition, load, type ModuleRef } from './carrier.ts';
import { ORDER_BUILD, ORDER_FINISH_WITH_DUMP, ORDER_WINDOW, WorkerControl } from './control.ts';
import { type FailureReport, reportOf } from './failure.ts';
import { Partition, type PartitionBuffers, type PartitionBuilder } from './partition.ts';
import { Status } from './status.ts';

/** A partition that a thread is to build. */
export interface PartitionPlan extends ModuleRef {
  readonly id: number;
  readonly config: unknown;
  readonly buffers: PartitionBuffers;
}

export interface WorkerTask {
  readonly worker: number;
  readonly partitions: number;
  readonly window: number;
  readonly polls: number;
  readonly control: SharedArrayBuffer;
  readonly status: SharedArrayBuffer;
  readonly shared: unknown;
  readonly plans: readonly PartitionPlan[];
  readonly hostClock: ModuleRef | null;
  readonly port: MessagePort;
}

/** What a worker sends along with an answer, when there is anything to send. */
export interface Post {
  readonly blobs: readonly { readonly partition: number; readonly bytes: Uint8Array }[];
  readonly failures: readonly FailureReport[];
  readonly finished: readonly FinishedPartition[];
}

/** The piscina task. */
export default async function work(task: WorkerTask): Promise<void> {
  const clock = task.hostClock === null ? null : await load<() => number>(task.hostClock);
  const control = new WorkerControl(task.control, task.worker, task.polls, clock);
  const carrier = new Carrier(new Status(task.status));
  for (;;) {
    const order = control.next();
    if (order === ORDER_WINDOW) {
      carrier.runWindow(control.end);
      control.answer(post(task.port, carrier, []));
    } else if (order === ORDER_BUILD) {
      await buildAll(task, carrier);
      control.answer(post(task.port, carrier, []));
    } else {
      const finished = carrier.finish(order === ORDER_FINISH_WITH_DUMP);
      control.answer(post(task.port, carrier, finished));
      return;
    }
  }
}

/** Builds the partitions of a plan in order; a builder that fails is a failure of its partition. */
export async function buildAll(
  plan: Pick<WorkerTask, 'partitions' | 'window' | 'shared' | 'plans'>,
  carrier: Carrier,
): Promise<void> {
  for (const { id, config, buffers, ...ref } of plan.plans) {
    try {
      const build = await load<PartitionBuilder<unknown, unknown>>(ref);
      const partition = new Partition(id, plan.partitions, plan.window, buffers);
      carrier.add(partition, await build(partition, config, plan.shared));
    } catch (error) {
      carrier.failures.push({ partition: id, error });
    }
  }
}

function post(port: MessagePort, carrier: Carrier, finished: FinishedPartition[]): number {
  if (!carrier.hasNews && finished.length === 0) return 0;
  const blobs: { partition: number; bytes: Uint8Array }[] = [];
  const transfers = new Set<ArrayBuffer>();
  carrier.takeBlobs((partition, chunk) => {
    const bytes = ownBytes(chunk);
    blobs.push({ partition, bytes });
    transfers.add(bytes.buffer);
  });
  const failures = carrier.failures.splice(0).map(reportOf);
  port.postMessage({ blobs, failures, finished } satisfies Post, [...transfers]);
  return 1;
}

/** Bytes in a buffer of their own: of a view the whole buffer behind it would travel. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const whole = bytes.buffer instanceof ArrayBuffer && bytes.byteLength === bytes.buffer.byteLength;
  return whole ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes);
}
