/** A virtual IOMMU as a client uses it, with its devices, event queues and hardware queues. */
import * as S from '../uapi/structs.ts';
import {
  type EntriesOf,
  HW_QUEUES,
  type InvalidationType,
  VEVENTS,
  type VeventType,
  type ViommuAnswer,
  type ViommuType,
} from './driver-data.ts';
import { invalidate } from './hwpt.ts';
import { valueFrom } from './process.ts';
import { EventQueue } from './queues.ts';
import type { Session } from './session.ts';

/** An object that is only made and destroyed. */
export class ObjectHandle {
  readonly id: number;
  protected readonly session: Session;

  constructor(session: Session, id: number) {
    this.session = session;
    this.id = id;
  }

  destroy(): void {
    this.session.destroy(this.id);
  }
}

export interface HwQueueSpec {
  readonly type: keyof typeof HW_QUEUES;
  readonly index: number;
  /** Where the queue is in the guest's memory (an IOVA of the nesting parent). */
  readonly iova: bigint;
  readonly length: bigint;
}

export class ViommuHandle<T extends ViommuType = ViommuType> extends ObjectHandle {
  /** What the driver answered; null for a type without data. */
  readonly data: ViommuAnswer<T> | null;

  constructor(session: Session, id: number, data: ViommuAnswer<T> | null) {
    super(session, id);
    this.data = data;
  }

  /** Gives a device the number under which the guest knows it (its virtual stream ID). */
  addDevice(deviceId: number, virtualId: bigint): ObjectHandle {
    this.session.begin();
    const values = { viommu_id: this.id, dev_id: deviceId, virt_id: virtualId };
    const { out_vdevice_id } = this.session.call(S.VDEVICE_ALLOC, values);
    return new ObjectHandle(this.session, out_vdevice_id);
  }

  /** A queue of the events of this vIOMMU's devices, at most `depth` of them unread. */
  eventQueue<E extends VeventType>(type: E, depth: number): EventQueue<E> {
    this.session.begin();
    const answer = this.session.call(S.VEVENTQ_ALLOC, {
      viommu_id: this.id,
      type: VEVENTS[type].number,
      veventq_depth: depth,
    });
    return new EventQueue(this.session, answer.out_veventq_id, answer.out_veventq_fd, type);
  }

  hwQueue({ type, index, iova, length }: HwQueueSpec): ObjectHandle {
    this.session.begin();
    const { out_hw_queue_id } = this.session.call(S.HW_QUEUE_ALLOC, {
      viommu_id: this.id,
      type: HW_QUEUES[type],
      index,
      nesting_parent_iova: iova,
      length,
    });
    return new ObjectHandle(this.session, out_hw_queue_id);
  }

  /** Commands of the guest's invalidation queue; returns how many entries were handled. */
  invalidate<I extends InvalidationType>(type: I, entries: EntriesOf<I>): number {
    return invalidate(this.session, this.id, type, entries);
  }

  /** Maps a page of registers that the driver offers; returns its address. */
  mapRegion(offset: bigint, length: bigint): bigint {
    return BigInt(valueFrom(this.session.process.mapRegion(this.session.fd, offset, length)));
  }
}
