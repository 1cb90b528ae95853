/**
 * Fault queue (IOMMUFD_OBJ_FAULT, drivers/iommu/iommufd/eventq.c): page request groups of the
 * hardware page tables that name it, read by user space as messages and answered by writing the
 * cookie of a group and a code.
 */
import type { Process } from '../../kernel/api.ts';
import { Errno, fail } from '../../kernel/errno.ts';
import type { Command, IoctlCall } from '../call.ts';
import type { Context } from '../context.ts';
import type { ResponseCode } from '../driver.ts';
import type { AttachHandle, FaultQueue } from '../graph.ts';
import { FAULT_QUEUE_ALLOC, HWPT_PAGE_RESPONSE, HWPT_PGFAULT } from '../uapi/structs.ts';
import { Backlog } from './backlog.ts';
import { EventQueue, EventQueueFile } from './event-queue.ts';
import { dropParkedOf, type PageRequestGroup } from './page-requests.ts';

/** POLLOUT. */
const WRITABLE = 0x4;
const OBJECT_BYTES = 256;
/** Node of the table of cookies (xarray), for each group that waits for its answer. */
const COOKIE_BYTES = 64;
const MESSAGE = HWPT_PGFAULT.size;
const RESPONSE = HWPT_PAGE_RESPONSE.size;
/** Codes that user space may give, by number. */
const CODES: readonly ResponseCode[] = ['success', 'invalid'];

export class Fault extends EventQueue implements FaultQueue {
  readonly type = 'fault';
  /** Groups that nobody has read, oldest first. */
  private readonly waiting: Backlog<PageRequestGroup> = new Backlog();
  /** Groups read but not answered, by cookie. */
  private readonly unanswered: Map<number, PageRequestGroup> = new Map();
  /** No cookie below it is free. 0 is not, at first: see `respond`. */
  private firstFree = 1;
  private readonly message: Uint8Array = new Uint8Array(MESSAGE);
  private readonly messageView: DataView = new DataView(this.message.buffer);
  private readonly response: Uint8Array = new Uint8Array(RESPONSE);
  private readonly responseView: DataView = new DataView(this.response.buffer);

  constructor(context: Context) {
    super(context, OBJECT_BYTES);
  }

  get readable(): boolean {
    return this.waiting.length > 0;
  }

  /** Groups that wait to be read, and groups read that wait for an answer. */
  get pending(): { readonly waiting: number; readonly unanswered: number } {
    return { waiting: this.waiting.length, unanswered: this.unanswered.size };
  }

  /** Makes the open file; returns the descriptor reserved for it. */
  openFile(process: Process): number {
    return this.open(new FaultFile(this), process);
  }

  deliver(group: PageRequestGroup): void {
    this.waiting.push(group);
  }

  /** iommufd_auto_response_faults. */
  dropAttachment(handle: AttachHandle): void {
    dropParkedOf(handle);
    const ofHandle = (group: PageRequestGroup) => group.handle === handle;
    for (const group of this.waiting.extract(ofHandle)) group.answer('invalid');
    for (const cookie of this.cookies()) {
      if (this.unanswered.get(cookie)?.handle === handle) this.withdraw(cookie).answer('invalid');
    }
  }

  protected drain(): void {
    for (const group of this.waiting.extract(() => true)) group.answer('invalid');
    for (const cookie of this.cookies()) this.withdraw(cookie).answer('invalid');
  }

  /**
   * Whole groups, as many as fit. A buffer too small for the first one is EINVAL (since Linux 7.2;
   * 0 before), of no bytes too (fuzz/00007); an empty queue answers 0 whatever the buffer. A group
   * that cannot be copied stays, with nothing of it counted.
   */
  readInto(process: Process, address: bigint, count: number): number {
    if (count % MESSAGE !== 0)
      fail('ESPIPE', `${count} bytes are not whole messages of ${MESSAGE}`);
    let done = 0;
    for (;;) {
      const group = this.waiting.first;
      if (group === undefined) break;
      const bytes = group.requests.length * MESSAGE;
      if (bytes > count - done) {
        if (done > 0) break;
        fail('EINVAL', `the next page request group is ${bytes} bytes, the buffer has ${count}`);
      }
      try {
        this.copyGroup(process, address + BigInt(done), group);
      } catch (error) {
        if (done > 0 && error instanceof Errno) break;
        throw error;
      }
      done += bytes;
    }
    return done;
  }

  /** One answer for each response; those before a refused one count. */
  writeFrom(process: Process, address: bigint, count: number): number {
    if (count % RESPONSE !== 0) {
      fail('ESPIPE', `${count} bytes are not whole responses of ${RESPONSE}`);
    }
    let done = 0;
    while (done < count) {
      try {
        process.space.copyIn(address + BigInt(done), this.response);
        this.respond();
      } catch (error) {
        if (done > 0 && error instanceof Errno) break;
        throw error;
      }
      done += RESPONSE;
    }
    return done;
  }

  private copyGroup(process: Process, address: bigint, group: PageRequestGroup): void {
    const cookie = this.register(group);
    const { at } = HWPT_PGFAULT;
    const view = this.messageView;
    try {
      let to = address;
      for (const request of group.requests) {
        view.setUint32(at.flags, request.flags, true);
        view.setUint32(at.dev_id, group.handle.device.id, true);
        view.setUint32(at.pasid, request.pasid, true);
        view.setUint32(at.grpid, request.grpid, true);
        view.setUint32(at.perm, request.perm, true);
        view.setBigUint64(at.addr, request.address, true);
        view.setUint32(at.cookie, cookie, true);
        process.space.copyOut(to, this.message);
        to += BigInt(MESSAGE);
      }
    } catch (error) {
      this.withdraw(cookie);
      throw error;
    }
    this.waiting.shift();
  }

  /**
   * A response that names cookie 0 is refused, and yet has an effect while other groups are
   * unanswered: xa_erase takes away the reserved entry that keeps index 0 of an XA_FLAGS_ALLOC1
   * array busy, so that the next group is given 0 (Linux 7.2: fuzz/01327, fuzz/05863).
   */
  private respond(): void {
    const code = CODES[this.responseView.getUint32(HWPT_PAGE_RESPONSE.at.code, true)];
    if (code === undefined) fail('EINVAL', 'the code is neither SUCCESS nor INVALID');
    const cookie = this.responseView.getUint32(HWPT_PAGE_RESPONSE.at.cookie, true);
    if (!this.unanswered.has(cookie)) {
      if (cookie === 0 && this.unanswered.size > 0) this.firstFree = 0;
      fail('EINVAL', `no page request group waits for an answer under cookie ${cookie}`);
    }
    this.withdraw(cookie).answer(code);
  }

  /** Gives a group the lowest free cookie. */
  private register(group: PageRequestGroup): number {
    this.context.services.memory.take(COOKIE_BYTES, 'cookie of a page request group');
    let cookie = this.firstFree;
    while (this.unanswered.has(cookie)) cookie++;
    this.firstFree = cookie + 1;
    this.unanswered.set(cookie, group);
    return cookie;
  }

  private withdraw(cookie: number): PageRequestGroup {
    const group = this.unanswered.get(cookie) as PageRequestGroup;
    this.unanswered.delete(cookie);
    if (cookie < this.firstFree) this.firstFree = cookie;
    this.context.services.memory.give(COOKIE_BYTES);
    return group;
  }

  private cookies(): number[] {
    return [...this.unanswered.keys()].sort((a, b) => a - b);
  }
}

class FaultFile extends EventQueueFile {
  readonly kind = 'fault';
  private readonly fault: Fault;

  constructor(fault: Fault) {
    super(fault);
    this.fault = fault;
  }

  override poll(): number {
    return super.poll() | WRITABLE;
  }

  write(process: Process, address: bigint, count: number): number {
    return this.fault.writeFrom(process, address, count);
  }
}

function allocFault(call: IoctlCall): void {
  if (call.u32(FAULT_QUEUE_ALLOC.at.flags) !== 0) fail('EOPNOTSUPP', 'flags must be 0');
  const { context, process } = call;
  const fault = new Fault(context);
  context.objects.reserve(fault);
  call.created = fault;
  const fd = fault.openFile(process);
  call.setU32(FAULT_QUEUE_ALLOC.at.out_fault_id, fault.id);
  call.setU32(FAULT_QUEUE_ALLOC.at.out_fault_fd, fd);
  fault.answerWithFd(call, fd);
}

export const FAULT_COMMANDS: readonly Command[] = [
  {
    name: 'IOMMU_FAULT_QUEUE_ALLOC',
    word: FAULT_QUEUE_ALLOC.word,
    size: FAULT_QUEUE_ALLOC.size,
    minSize: FAULT_QUEUE_ALLOC.minSize,
    run: allocFault,
  },
];
