/**
 * Page request interface of a device (PCIe base specification, "Page Request Services"): sends page
 * requests up its link, knows which groups are unanswered, and takes the responses. Requests pass
 * one after another at the link's rate; they are too small to be charged against its DMAs.
 */
import { Bandwidth } from '../../sim/resources/bandwidth.ts';
import { Histogram } from '../../sim/stats/histogram.ts';
import { type EventQueue, PHASE_UNIT } from '../../sim/time/event-queue.ts';
import type { LinkOptions } from './spec.ts';

/** A page that a device asks for. */
export interface WantedPage {
  readonly address: bigint;
  readonly read: boolean;
  readonly write: boolean;
  readonly execute: boolean;
  readonly privileged: boolean;
  /** -1: none. */
  readonly pasid: number;
  readonly group: number;
  /** Closes its group: a response is to come. */
  readonly last: boolean;
}

/** A page request message as the root complex has it. */
export interface PageRequestMessage {
  readonly rid: number;
  readonly segment: number;
  readonly pasid: number;
  readonly privileged: boolean;
  readonly execute: boolean;
  readonly payload: bigint;
}

export interface PageResponse {
  /** SUCCESS, INVALID, FAILURE; another code by its number. */
  readonly code: string;
  readonly group: number;
  readonly pasid: number;
  /** From the last request of the group to the response at the device. */
  readonly cycles: number;
}

const READ = 1n;
const WRITE = 2n;
const LAST = 4n;
const GROUP_SHIFT = 3n;
const GROUP_MASK = 0x1ffn;
const PAGE_MASK = ~0xfffn;
/** Response messages: group index and code in the second doubleword of the payload. */
const RESPONSE_GROUP_SHIFT = 32n;
const RESPONSE_CODE_SHIFT = 44n;
const CODES: Readonly<Record<number, string>> = { 0: 'SUCCESS', 1: 'INVALID', 15: 'FAILURE' };

export class PageRequester {
  sent = 0;
  /** Responses by code, and those to groups that nobody waits for. */
  readonly responses: Map<string, number> = new Map();
  unexpected = 0;
  readonly latency: Histogram = new Histogram();
  private readonly events: EventQueue;
  private readonly link: LinkOptions;
  private readonly deviceId: number;
  private readonly arrived: (message: PageRequestMessage) => void;
  private readonly wire: Bandwidth;
  private readonly up: PageRequestMessage[] = [];
  private readonly down: { readonly payload: bigint; readonly pasid: number }[] = [];
  /** Cycle of the last request by group. */
  private readonly asked: Map<number, number> = new Map();
  private readonly received: PageResponse[] = [];
  private readonly onUp: number;
  private readonly onDown: number;

  /** `arrived`: a message has come to the root complex. */
  constructor(
    events: EventQueue,
    link: LinkOptions,
    deviceId: number,
    arrived: (message: PageRequestMessage) => void,
  ) {
    this.events = events;
    this.link = link;
    this.deviceId = deviceId;
    this.arrived = arrived;
    this.wire = new Bandwidth(link.cost);
    this.onUp = events.register(PHASE_UNIT, 'page-request up', () =>
      this.arrived(this.up.shift() as PageRequestMessage),
    );
    this.onDown = events.register(PHASE_UNIT, 'page-response down', () => this.take());
  }

  /** Groups without a response. */
  get unanswered(): number {
    return this.asked.size;
  }

  /** Messages on the link. */
  get open(): number {
    return this.up.length + this.down.length;
  }

  /** Responses that nobody has looked at. */
  get waiting(): number {
    return this.received.length;
  }

  ask(page: WantedPage): void {
    const { events, link } = this;
    const group = BigInt(page.group) & GROUP_MASK;
    const bits = (page.read ? READ : 0n) | (page.write ? WRITE : 0n) | (page.last ? LAST : 0n);
    this.sent++;
    this.up.push({
      rid: this.deviceId,
      segment: -1,
      pasid: page.pasid,
      privileged: page.privileged,
      execute: page.execute,
      payload: (page.address & PAGE_MASK) | (group << GROUP_SHIFT) | bits,
    });
    if (page.last) this.asked.set(Number(group), events.now);
    const sentAt = this.wire.reserve(events.now, link.requestOverhead);
    events.at(sentAt + link.propagation, this.onUp, 0, 0);
  }

  /** The root complex sends a response. */
  respond(payload: bigint, pasid: number): void {
    this.down.push({ payload, pasid });
    this.events.after(this.link.propagation, this.onDown, 0, 0);
  }

  /** The oldest response that has come; null: none. */
  takeResponse(): PageResponse | null {
    return this.received.shift() ?? null;
  }

  resetFigures(): void {
    this.sent = 0;
    this.unexpected = 0;
    this.responses.clear();
    this.latency.reset();
  }

  private take(): void {
    const { payload, pasid } = this.down.shift() as { payload: bigint; pasid: number };
    const group = Number((payload >> RESPONSE_GROUP_SHIFT) & GROUP_MASK);
    const number = Number((payload >> RESPONSE_CODE_SHIFT) & 0xfn);
    const code = CODES[number] ?? `code ${number}`;
    this.responses.set(code, (this.responses.get(code) ?? 0) + 1);
    const askedAt = this.asked.get(group);
    this.asked.delete(group);
    if (askedAt === undefined) {
      this.unexpected++;
      return;
    }
    const cycles = this.events.now - askedAt;
    this.latency.record(cycles);
    this.received.push({ code, group, pasid, cycles });
  }
}
