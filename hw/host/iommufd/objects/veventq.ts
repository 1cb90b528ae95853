/**
 * Event queue of a vIOMMU (IOMMUFD_OBJ_VEVENTQ, drivers/iommu/iommufd/eventq.c and driver.c):
 * events of one type on their way to a virtual machine. Each is numbered; what does not fit the
 * depth leaves a single LOST header at the tail, and the gap in the numbers.
 */
import type { Process } from '../../kernel/api.ts';
import { Errno, fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import { VEVENT_HEADER, VEVENTQ_ALLOC } from '../uapi/structs.ts';
import { Backlog } from './backlog.ts';
import { EventQueue, EventQueueFile } from './event-queue.ts';
import { Viommu } from './viommu.ts';

const OBJECT_BYTES = 256;
/** An event without its data. */
const EVENT_BYTES = 48;
const HEADER = VEVENT_HEADER.size;
const FLAG_LOST_EVENTS = 1;
/** IOMMU_VEVENTQ_TYPE_DEFAULT. */
const TYPE_DEFAULT = 0;
/** Linux 7.2 refuses deeper queues, before it looks the vIOMMU up. */
const DEPTH_MAX = 1 << 19;
const SEQUENCE_MASK = 0x7fffffff;

interface Event {
  readonly sequence: number;
  readonly data: Uint8Array;
}

export class Veventq extends EventQueue {
  readonly type = 'veventq';
  readonly viommu: Viommu;
  /** Type of its events. */
  readonly events: number;
  /** Events that it keeps at most; the LOST header is none. */
  readonly depth: number;
  private readonly waiting: Backlog<Event> = new Backlog();
  /** Sequence of the LOST header behind the events; -1: there is none. */
  private lost = -1;
  private sequence = 0;
  private readonly header: Uint8Array = new Uint8Array(HEADER);
  private readonly headerView: DataView = new DataView(this.header.buffer);

  constructor(viommu: Viommu, events: number, depth: number) {
    super(viommu.context, OBJECT_BYTES);
    this.viommu = viommu;
    this.events = events;
    this.depth = depth;
  }

  get readable(): boolean {
    return this.waiting.length > 0 || this.lost >= 0;
  }

  /** Joins the vIOMMU and makes the open file; returns the descriptor reserved for it. */
  start(process: Process): number {
    this.viommu.users++;
    this.viommu.veventqs.push(this);
    return this.open(new VeventqFile(this), process);
  }

  protected drain(): void {
    for (const event of this.waiting.extract(() => true)) this.freeEvent(event);
    this.lost = -1;
    const { veventqs } = this.viommu;
    veventqs.splice(veventqs.indexOf(this), 1);
    this.viommu.users--;
  }

  /**
   * Something happened. An event that finds the LOST header at the tail takes its place: the reader
   * sees the gap in the sequence. ENOMEM is told to the driver, and the event counts as lost.
   */
  push(data: Uint8Array): void {
    const { memory } = this.context.services;
    const { sequence } = this;
    this.sequence = (sequence + 1) & SEQUENCE_MASK;
    try {
      memory.take(EVENT_BYTES + data.length, 'vIOMMU event');
    } catch (error) {
      this.lost = sequence;
      throw error;
    }
    if (this.waiting.length === this.depth) {
      memory.give(EVENT_BYTES + data.length);
      this.lost = sequence;
      return;
    }
    this.lost = -1;
    this.waiting.push({ sequence, data: data.slice() });
  }

  /**
   * Events as long as the next one fits. Since Linux 7.2 too few bytes for a header are EINVAL even
   * when nothing waits (fuzz/00123), and so is a buffer too small for the first event (fuzz/00099;
   * 0 before). An event whose data cannot be copied stays, and its header does not count.
   */
  readInto(process: Process, address: bigint, count: number): number {
    if (count < HEADER) fail('EINVAL', `${count} bytes cannot hold a header of ${HEADER}`);
    let done = 0;
    while (this.readable) {
      const event = this.waiting.first;
      const bytes = HEADER + (event?.data.length ?? 0);
      if (bytes > count - done) {
        if (done > 0) break;
        fail('EINVAL', `the next event is ${bytes} bytes, the buffer has ${count}`);
      }
      try {
        if (event === undefined) this.readLost(process, address + BigInt(done));
        else this.readEvent(process, address + BigInt(done), event);
      } catch (error) {
        if (done > 0 && error instanceof Errno) break;
        throw error;
      }
      done += bytes;
    }
    return done;
  }

  private readEvent(process: Process, address: bigint, event: Event): void {
    this.copyHeader(process, address, 0, event.sequence);
    process.space.copyOut(address + BigInt(HEADER), event.data);
    this.waiting.shift();
    this.freeEvent(event);
  }

  /** Reading copies the header first, so that reports can go on; the copy needs memory. */
  private readLost(process: Process, address: bigint): void {
    this.context.services.memory.point('ENOMEM', 'copy of a LOST header');
    this.copyHeader(process, address, FLAG_LOST_EVENTS, this.lost);
    this.lost = -1;
  }

  private copyHeader(process: Process, address: bigint, flags: number, sequence: number): void {
    this.headerView.setUint32(VEVENT_HEADER.at.flags, flags, true);
    this.headerView.setUint32(VEVENT_HEADER.at.sequence, sequence, true);
    process.space.copyOut(address, this.header);
  }

  private freeEvent(event: Event): void {
    this.context.services.memory.give(EVENT_BYTES + event.data.length);
  }
}

class VeventqFile extends EventQueueFile {
  readonly kind = 'veventq';
}

function allocVeventq(call: IoctlCall): void {
  const { at } = VEVENTQ_ALLOC;
  const { objects } = call.context;
  const events = call.u32(at.type);
  const depth = call.u32(at.veventq_depth);
  if (call.u32(at.flags) !== 0 || call.u32(at.__reserved) !== 0) {
    fail('EOPNOTSUPP', 'flags and reserved must be 0');
  }
  if (events === TYPE_DEFAULT) fail('EOPNOTSUPP', 'the type must name a kind of event');
  if (depth === 0 || depth > DEPTH_MAX) fail('EINVAL', `the depth is not 1 to ${DEPTH_MAX}`);
  const viommu = objects.get(call.u32(at.viommu_id), Viommu);
  try {
    if (viommu.veventqOf(events) !== null) {
      fail('EEXIST', `vIOMMU ${viommu.id} has an event queue of type ${events} already`);
    }
    build(call, new Veventq(viommu, events, depth));
  } finally {
    objects.put(viommu);
  }
}

function build(call: IoctlCall, queue: Veventq): void {
  const { at } = VEVENTQ_ALLOC;
  const { objects } = call.context;
  objects.reserve(queue);
  try {
    const fd = queue.start(call.process);
    call.setU32(at.out_veventq_id, queue.id);
    call.setU32(at.out_veventq_fd, fd);
    queue.answerWithFd(call, fd);
  } catch (error) {
    objects.abort(queue);
    throw error;
  }
  objects.publish(queue);
}

export const VEVENTQ_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_VEVENTQ_ALLOC',
    word: VEVENTQ_ALLOC.word,
    size: VEVENTQ_ALLOC.size,
    minSize: VEVENTQ_ALLOC.minSize,
    run: allocVeventq,
  },
];
