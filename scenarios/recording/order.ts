/**
 * Puts the events of a recording into an order that its two sources could have seen. The kernel's
 * events and the IOMMU's were merged by time, right to some microseconds: so an invalidation may
 * stand before the unmap that it belongs to, a map after the first access that used it. Such
 * events are moved, and counted; everything else keeps its place.
 *
 * - A map goes before the first access that needs it.
 * - An attach goes before the first access of its device.
 * - An unmap without an invalidation between it and the next use of its addresses goes before the
 *   first command of the group before it that covers it.
 * - An access that stands after the unmap of the page it used goes before that unmap.
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

/** How often each rule was applied, and what no rule could put right. */
export interface OrderFigures {
  /** Events moved, by rule. */
  attaches_moved: number;
  maps_moved: number;
  unmaps_moved: number;
  accesses_moved: number;
  /** Farthest that an event was moved, in recorded time. */
  moved_max_us: number;
  /** Accesses whose translation no mapping near them explains. */
  unexplained_accesses: number;
  /** Unmaps whose addresses are used anew without an invalidation. */
  uninvalidated_unmaps: number;
  /** Maps of addresses that are still mapped: the old mapping is taken down first. */
  replaced_maps: number;
  /** Maps and unmaps of a domain that the recording could not tell: left out. */
  unknown_domains: number;
}

export interface OrderedEvents {
  /** Rows of the events, in order; those that are not played are left out. */
  readonly order: Int32Array;
  /** Rows of maps that take addresses which are still mapped. */
  readonly replacing: ReadonlySet<number>;
  /** By access row: permissions of the mapping that serves it, 0 not known. */
  readonly permits: Uint8Array;
  readonly figures: OrderFigures;
}

/** Farthest distance in recorded time over which events may be swapped. */
const HORIZON_US = 1000;
/** Moving one event can displace another: rounds until nothing moves. */
const ROUNDS_MAX = 16;

export function orderEvents(
  events: CaptureEvents,
  rows: number,
  commands: RecordedCommands,
  domains: RecordedDomains,
  column: TagColumn,
): OrderedEvents {
  const played = Int32Array.from(playedRows(events, rows));
  let order: Int32Array = played;
  const moved = new Set<number>();
  let farthest = 0;
  for (let round = 0; ; round++) {
    const scan = new Scan(events, order, commands, domains, column);
    scan.run();
    if (scan.moves.size === 0 || round === ROUNDS_MAX) {
      const count = (kind: number): number =>
        [...moved].filter((row) => events.kind[row] === kind).length;
      const figures: OrderFigures = {
        attaches_moved: count(EVENT_ATTACH),
        maps_moved: count(EVENT_MAP),
        unmaps_moved: count(EVENT_UNMAP),
        accesses_moved: count(EVENT_ACCESS),
        moved_max_us: farthest,
        unexplained_accesses: scan.unexplained,
        uninvalidated_unmaps: scan.uninvalidated.size,
        replaced_maps: scan.replacing.size,
        unknown_domains: unknownDomains(events, rows),
      };
      return { order, replacing: scan.replacing, permits: scan.permits, figures };
    }
    for (const [from, to] of scan.moves) {
      moved.add(order[from]);
      farthest = Math.max(farthest, events.timeUs[order[from]] - events.timeUs[order[to]]);
    }
    order = applyMoves(order, scan.moves);
  }
}

function* playedRows(events: CaptureEvents, rows: number): Generator<number> {
  for (let row = 0; row < rows; row++) {
    const kind = events.kind[row];
    if (kind === EVENT_ACCESS || kind === EVENT_COMMAND) yield row;
    else if (kind === EVENT_ATTACH || kind === EVENT_MAP || kind === EVENT_UNMAP) {
      if (events.domain[row] >= 0) yield row;
    }
  }
}

function unknownDomains(events: CaptureEvents, rows: number): number {
  let unknown = 0;
  for (let row = 0; row < rows; row++) {
    const kind = events.kind[row];
    if ((kind === EVENT_MAP || kind === EVENT_UNMAP) && events.domain[row] < 0) unknown++;
  }
  return unknown;
}

/** Moves places before earlier ones; those that move before the same place keep their order. */
function applyMoves(order: Int32Array, moves: ReadonlyMap<number, number>): Int32Array {
  const arrivals = new Map<number, number[]>();
  for (const from of [...moves.keys()].sort((a, b) => a - b)) {
    const to = moves.get(from) as number;
    const list = arrivals.get(to);
    if (list === undefined) arrivals.set(to, [from]);
    else list.push(from);
  }
  const result = new Int32Array(order.length);
  let at = 0;
  for (let place = 0; place < order.length; place++) {
    for (const from of arrivals.get(place) ?? []) result[at++] = order[from];
    if (!moves.has(place)) result[at++] = order[place];
  }
  return result;
}

/** One pass over the events in an order: finds what contradicts itself, and where it should go. */
class Scan {
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
      for (const place of space.pendingUnmaps()) this.lateUnmap(domain, place, false);
    }
  }

  private map(place: number, row: number): void {
    const domain = this.domainOf(row);
    const space = this.spaces[domain];
    const first = this.firstOf(row);
    const pages = this.pagesOf(row);
    for (const unmap of space.pendingIn(first, pages)) this.lateUnmap(domain, unmap, true);
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

  /** An unmap that nothing after it covered: its invalidation may stand before it. */
  private lateUnmap(domain: number, place: number, reused: boolean): void {
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
    else if (reused) this.uninvalidated.add(row);
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
