/**
 * What fault queues and vIOMMU event queues share (struct iommufd_eventq,
 * drivers/iommu/iommufd/eventq.c): an object with an open file of its own. The file holds the
 * object and the file of the context, so that both outlive it.
 */
import type { OpenFile, Process } from '../../kernel/api.ts';
import type { IoctlCall } from '../call.ts';
import type { Context } from '../context.ts';
import { IommufdObject } from '../object.ts';

/** POLLIN | POLLRDNORM. */
const READABLE = 0x41;
const FILE_BYTES = 256;

export abstract class EventQueue extends IommufdObject {
  readonly context: Context;
  /** The open file; null before it is made, and once it is closed. */
  file: EventQueueFile | null = null;

  constructor(context: Context, bytes: number) {
    super(bytes);
    this.context = context;
  }

  /** Whether a reader would get something. */
  abstract get readable(): boolean;
  abstract readInto(process: Process, address: bigint, count: number): number;

  /** Gives back what waits in the queue and what the object holds, apart from the file. */
  protected abstract drain(): void;

  destroy(): void {
    this.drain();
  }

  /** A file made for an object that is not to be is closed first. */
  override abort(): void {
    if (this.file !== null) this.context.services.put(this.file);
    this.drain();
  }

  /** Makes the file around the queue and reserves a descriptor for it (iommufd_eventq_init). */
  protected open(file: EventQueueFile, process: Process): number {
    const { services } = this.context;
    services.memory.take(FILE_BYTES, `file of a ${this.type}`);
    services.get(this.context.file);
    this.file = file;
    this.users++;
    return process.reserveFd();
  }

  /** Writes the structure with the reserved descriptor back; only then does it name the file. */
  answerWithFd(call: IoctlCall, fd: number): void {
    try {
      call.respond();
    } catch (error) {
      call.process.releaseFd(fd);
      throw error;
    }
    call.process.installFd(fd, this.file as EventQueueFile);
  }

  /** The last reference to the file is gone. */
  closed(): void {
    const { services } = this.context;
    this.file = null;
    this.users--;
    services.memory.give(FILE_BYTES);
    services.put(this.context.file);
  }
}

export abstract class EventQueueFile implements OpenFile {
  abstract readonly kind: 'fault' | 'veventq';
  refs = 1;
  protected readonly queue: EventQueue;

  constructor(queue: EventQueue) {
    this.queue = queue;
  }

  read(process: Process, address: bigint, count: number): number {
    return this.queue.readInto(process, address, count);
  }

  poll(): number {
    return this.queue.readable ? READABLE : 0;
  }

  release(): void {
    this.queue.closed();
  }
}
