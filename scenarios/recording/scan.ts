/**
 * One pass over the events of a recording in a given order, keeping what is mapped where: finds
 * what contradicts itself and where it should go instead (the rules are those of order.ts).
 */
import { pageNumber } from '../../hw/address.ts';
import type { RecordedCommands } from '../../hw/host/recording.ts';
import { OP_FENCE } from '../../hw/iommu/architecture.ts';
import {
  type CaptureEvents,
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../../traces/captures/events.ts';
import { coversTags } from './commands.ts';
import type { RecordedDomains, TagColumn } from './domains.ts';
import { Liveness } from './liveness.ts';

const NOWHERE = -1;
/** Farthest distance in recorded time over which events may be swapped. */
const HORIZON_US = 1000;

export class Scan {
  /** Places that should go before another, earlier place. */
  readonly moves: Map<number, number> = new Map();
  readonly replacing: Set<number> = new Set();
  readonly uninvalidated: Set<number> = new Set();
  readonly permits: Uint8Array;
  unexplained = 0;
  private readonly events: CaptureEvents;
  private readonly order: Int32Array;
  private readonly commands: RecordedCommands;
  private readonly domains: RecordedDomains;
  private readonly column: TagColumn;
  private readonly spaces: readonly Liveness[];
  /** Domain (row) of each device. */
  private readonly attached: Map<number, number> = new Map();

  constructor(
    events: CaptureEvents,
    order: Int32Array,
    commands: RecordedCommands,
    domains: RecordedDomains,
    column: TagColumn,
  ) {
    this.events = events;
    this.order = order;
    this.commands = commands;
    this.domains = domains;
    this.column = column;
    this.permits = new Uint8Array(events.count);
    this.spaces = domains.numbers.map(() => new Liveness());
  }

  run(): void {
    const { events, order } = this;
    for (let place = 0; place < order.length; place++) {
      const row = order[place];
      switch (events.kind[row]) {
        case EVENT_ATTACH:
          this.attached.set(events.sid[row], this.domainOf(row));
          break;
        case EVENT_MAP:
          this.map(place, row);
          break;
        case EVENT_UNMAP:
          this.spaces[this.domainOf(row)].unmap(this.firstOf(row), this.pagesOf(row), place);
          break;
        case EVENT_ACCESS:
          this.access(place, row);
          break;
        default:
          this.command(row);
      }
    }
    for (const [domain, space] of this.spaces.entries()) {
      for (const place of space.pendingUnmaps()) this.lateUnmap(domain, place, NOWHERE);
    }
  }

  private map(place: number, row: number): void {
    const domain = this.domainOf(row);
    const space = this.spaces[domain];
    const first = this.firstOf(row);
    const pages = this.pagesOf(row);
    for (const unmap of space.pendingIn(first, pages)) this.lateUnmap(domain, unmap, place);
    if (space.anyLive(first, pages)) this.replacing.add(row);
    space.map(first, pages, place);
  }

  private access(place: number, row: number): void {
    const { events, order } = this;
    const domain = this.attached.get(events.sid[row]);
    if (domain === undefined) {
      const attach = this.nextAttach(place, events.sid[row]);
      if (attach >= 0) this.moves.set(attach, place);
      else this.unexplained++;
      return;
    }
    const space = this.spaces[domain];
    const page = this.firstOf(row);
    const frame = this.frameOf(row);
    const map = space.mapOf(page);
    if (map >= 0 && this.serves(order[map], page, frame, row)) {
      this.permits[row] = events.access[order[map]];
      return;
    }
    const later = this.laterMap(place, domain, page, frame, row);
    if (later >= 0) {
      this.moves.set(later, place);
      return;
    }
    const { map: was, unmap } = space.lastOf(page);
    const near = unmap >= 0 && this.within(order[unmap], row);
    if (near && this.serves(order[was], page, frame, row)) this.moves.set(place, unmap);
    else this.unexplained++;
  }

  /** Whether the mapping of a row sends a page to a frame, or to the large page that holds it. */
  private serves(map: number, page: number, frame: number, access: number): boolean {
    const mapped = this.frameOf(map) + page - this.firstOf(map);
    if (mapped === frame) return true;
    const size = 2 ** (this.events.pageShift[access] - 12);
    return size > 1 && Math.floor(mapped / size) * size === frame;
  }

  private laterMap(
    place: number,
    domain: number,
    page: number,
    frame: number,
    access: number,
  ): number {
    const { events, order } = this;
    for (let i = place + 1; i < order.length && this.within(access, order[i]); i++) {
      const row = order[i];
      if (events.kind[row] !== EVENT_MAP || this.domainOf(row) !== domain) continue;
      const first = this.firstOf(row);
      if (page < first || page >= first + this.pagesOf(row)) continue;
      return this.serves(row, page, frame, access) ? i : -1;
    }
    return -1;
  }

  private nextAttach(place: number, deviceId: number): number {
    const { events, order } = this;
    for (let i = place + 1; i < order.length; i++) {
      const row = order[i];
      if (events.kind[row] === EVENT_ATTACH && events.sid[row] === deviceId) return i;
    }
    return -1;
  }

  private command(row: number): void {
    const { commands } = this;
    const command = this.events.command[row];
    for (const [domain, space] of this.spaces.entries()) {
      if (!this.covers(command, domain)) continue;
      space.invalidate(commands.first[command], commands.end[command]);
    }
  }

  /**
   * An unmap that nothing after it covered: its invalidation may stand before it, or after the map
   * at `reuse` that takes its addresses anew.
   */
  private lateUnmap(domain: number, place: number, reuse: number): void {
    const { events, order, commands } = this;
    const row = order[place];
    const first = this.firstOf(row);
    const end = first + this.pagesOf(row);
    const floor = this.spaces[domain].mapBefore(first, place);
    let target = -1;
    for (let i = place - 1; i > floor && this.within(order[i], row); i--) {
      if (events.kind[order[i]] !== EVENT_COMMAND) continue;
      const command = events.command[order[i]];
      if (commands.kind[command] === OP_FENCE && target >= 0) break;
      if (!this.covers(command, domain)) continue;
      if (commands.first[command] < end && commands.end[command] > first) target = i;
    }
    if (target >= 0) this.moves.set(place, target);
    else if (reuse >= 0 && !this.lateCommands(domain, reuse, first, end)) {
      this.uninvalidated.add(row);
    }
  }

  /** Moves the commands of one group that cover pages [first, end) before the map at `place`. */
  private lateCommands(domain: number, place: number, first: number, end: number): boolean {
    const { events, order, commands } = this;
    let found = false;
    for (let i = place + 1; i < order.length && this.within(order[place], order[i]); i++) {
      const row = order[i];
      if (events.kind[row] === EVENT_ACCESS) {
        const page = this.firstOf(row);
        const uses = page >= first && page < end && this.attached.get(events.sid[row]) === domain;
        if (uses) break;
      }
      if (events.kind[row] !== EVENT_COMMAND) continue;
      const command = events.command[row];
      if (commands.kind[command] === OP_FENCE && found) break;
      if (!this.covers(command, domain)) continue;
      if (commands.first[command] >= end || commands.end[command] <= first) continue;
      this.moves.set(i, place);
      found = true;
    }
    return found;
  }

  private covers(command: number, domain: number): boolean {
    const tag = this.domains.tags[domain];
    const tag1 = this.column === 'tag1' ? tag : -1;
    const tag2 = this.column === 'tag2' ? tag : -1;
    return coversTags(this.commands, command, tag1, tag2);
  }

  private within(earlier: number, later: number): boolean {
    return this.events.timeUs[later] - this.events.timeUs[earlier] <= HORIZON_US;
  }

  private domainOf(row: number): number {
    return this.domains.rowOf.get(this.events.domain[row]) as number;
  }

  private firstOf(row: number): number {
    return pageNumber(this.events.iovaHi[row], this.events.iovaLo[row]);
  }

  private frameOf(row: number): number {
    return pageNumber(this.events.paHi[row], this.events.paLo[row]);
  }

  private pagesOf(row: number): number {
    return this.events.bytes[row] / 4096;
  }
}
