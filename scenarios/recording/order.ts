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
 * - Where no such command stands before it either, but one follows the next map of its addresses
 *   and no access has used that map yet, the commands go before the map.
 * - An access that stands after the unmap of the page it used goes before that unmap.
 */

import type { RecordedCommands } from '../../hw/host/recording.ts';
import {
  type CaptureEvents,
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../../traces/captures/events.ts';
import type { RecordedDomains, TagColumn } from './domains.ts';
import { Scan } from './scan.ts';

/** How often each rule was applied, and what no rule could put right. */
export interface OrderFigures {
  /** Events moved, by rule. */
  attaches_moved: number;
  maps_moved: number;
  unmaps_moved: number;
  accesses_moved: number;
  commands_moved: number;
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
        commands_moved: count(EVENT_COMMAND),
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
