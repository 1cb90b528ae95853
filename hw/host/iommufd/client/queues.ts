/** Files that a client reads: page requests with their answers, and events of a vIOMMU. */
import { decode, encode, type Outputs } from '../uapi/codec.ts';
import {
  IOMMU_VEVENTQ_FLAG_LOST_EVENTS,
  IOMMUFD_PAGE_RESP_INVALID,
  IOMMUFD_PAGE_RESP_SUCCESS,
} from '../uapi/constants.ts';
import type { Fields, Layout } from '../uapi/layout.ts';
import * as S from '../uapi/structs.ts';
import { VEVENTS, type VeventData, type VeventType } from './driver-data.ts';
import { valueFrom } from './process.ts';
import type { Session } from './session.ts';

export type PageRequestMessage = Outputs<typeof S.HWPT_PGFAULT.fields>;

export interface PageResponse {
  readonly cookie: number;
  readonly code: 'success' | 'invalid';
}

const POLLIN = 1;
const READ_MESSAGES = 64;

/** A file of the context's queues; closed before the object is destroyed. */
class QueueFile {
  readonly id: number;
  readonly fd: number;
  protected readonly session: Session;

  constructor(session: Session, id: number, fd: number) {
    this.session = session;
    this.id = id;
    this.fd = fd;
  }

  /** Whether there is something to read. */
  get waiting(): boolean {
    return (this.session.process.poll(this.fd, POLLIN) & POLLIN) !== 0;
  }

  close(): void {
    valueFrom(this.session.process.close(this.fd));
  }

  /** Closes the file and destroys the queue. */
  destroy(): void {
    this.close();
    this.session.destroy(this.id);
  }

  protected readBytes(count: number): Uint8Array {
    this.session.begin();
    const address = this.session.place(new Uint8Array(count));
    const got = valueFrom(this.session.process.read(this.fd, address, count));
    return this.session.peek(address, got);
  }
}

export class FaultQueue extends QueueFile {
  /** Page requests that wait, whole groups only, oldest first; none is an empty list. */
  read(messages: number = READ_MESSAGES): PageRequestMessage[] {
    const bytes = this.readBytes(messages * S.HWPT_PGFAULT.size);
    return Array.from({ length: bytes.length / S.HWPT_PGFAULT.size }, (_, i) =>
      decode(S.HWPT_PGFAULT, bytes.subarray(i * S.HWPT_PGFAULT.size)),
    );
  }

  /** Answers groups by their cookies; returns how many answers were taken. */
  respond(...responses: readonly PageResponse[]): number {
    const size = S.HWPT_PAGE_RESPONSE.size;
    const bytes = new Uint8Array(responses.length * size);
    for (const [i, { cookie, code }] of responses.entries()) {
      const number = code === 'success' ? IOMMUFD_PAGE_RESP_SUCCESS : IOMMUFD_PAGE_RESP_INVALID;
      bytes.set(encode(S.HWPT_PAGE_RESPONSE, { cookie, code: number }), i * size);
    }
    this.session.begin();
    const address = this.session.place(bytes);
    return valueFrom(this.session.process.write(this.fd, address, bytes.length)) / size;
  }
}

/** One entry of an event queue; `event` is null where events were lost. */
export interface ViommuEvent<T extends VeventType> {
  readonly sequence: number;
  readonly lost: boolean;
  readonly event: VeventData<T> | null;
}

export class EventQueue<T extends VeventType> extends QueueFile {
  private readonly layout: Layout;

  constructor(session: Session, id: number, fd: number, type: T) {
    super(session, id, fd);
    this.layout = VEVENTS[type].layout as Layout;
  }

  /** Events that wait, oldest first; none is an empty list. */
  read(events: number = READ_MESSAGES): ViommuEvent<T>[] {
    const header = S.VEVENT_HEADER;
    const bytes = this.readBytes(events * (header.size + this.layout.size));
    const read: ViommuEvent<T>[] = [];
    for (let at = 0; at < bytes.length; ) {
      const { flags, sequence } = decode(header, bytes.subarray(at));
      at += header.size;
      const lost = (flags & IOMMU_VEVENTQ_FLAG_LOST_EVENTS) !== 0;
      const data = lost ? null : decode<Fields>(this.layout, bytes.subarray(at));
      if (!lost) at += this.layout.size;
      read.push({ sequence, lost, event: data as VeventData<T> | null });
    }
    return read;
  }
}
