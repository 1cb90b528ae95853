/**
 * From a recording to what the machine plays: rows for the player, and for each device its accesses
 * with the translations expected of them. An access in a recording has no size: it takes 64 bytes,
 * or what is left of its page. Its direction is the recorded one, else what its leaf or its mapping
 * permits; where that is both, it reads.
 */

import { PAGE_SIZE } from '../../hw/address.ts';
import { type DmaColumns, dmaColumns } from '../../hw/dma/recorded.ts';
import {
  type RecordedAnswers,
  type RecordedCommands,
  type RecordedRows,
  ROW_ACCESS,
  ROW_ATTACH,
  ROW_COMMAND,
  ROW_MAP,
  ROW_UNMAP,
  recordedRows,
} from '../../hw/host/recording.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { InternalError } from '../../sim/errors.ts';
import type { Clock } from '../../sim/time/clock.ts';
import {
  CAPTURE_READ,
  CAPTURE_WRITE,
  type CaptureEvents,
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../../traces/captures/events.ts';
import { type DecodeCommand, decodeCommands } from './commands.ts';
import { findDomains, type RecordedDomains, type TagColumn } from './domains.ts';
import { type OrderedEvents, type OrderFigures, orderEvents } from './order.ts';
import type { RecordingSource } from './source.ts';

const ACCESS_BYTES = 64;
const PICOSECONDS_PER_US = 1_000_000;

const ROWS: Readonly<Record<number, number>> = {
  [EVENT_ATTACH]: ROW_ATTACH,
  [EVENT_MAP]: ROW_MAP,
  [EVENT_UNMAP]: ROW_UNMAP,
  [EVENT_ACCESS]: ROW_ACCESS,
  [EVENT_COMMAND]: ROW_COMMAND,
};

export interface StreamColumns {
  readonly requester: number;
  readonly columns: DmaColumns;
  readonly answers: RecordedAnswers;
}

export interface BuiltRecording {
  readonly rows: RecordedRows;
  readonly commands: RecordedCommands;
  readonly domains: RecordedDomains;
  /** One for each of the wanted requesters, in their order. */
  readonly streams: readonly StreamColumns[];
  readonly figures: OrderFigures;
}

/** @param devices index of the device that issues a requester's accesses */
export function buildRecording(
  source: RecordingSource,
  decode: DecodeCommand,
  column: TagColumn,
  devices: ReadonlyMap<number, number>,
  clock: Clock,
): BuiltRecording {
  const { events } = source.capture;
  const commands = decodeCommands(events, source.rows, decode);
  const domains = findDomains(events, source.rows, commands, column);
  const ordered = orderEvents(events, source.rows, commands, domains, column);
  const streams = [...devices].map(([requester, device]) =>
    streamOf(events, ordered, requester, device, clock),
  );
  const streamRow = new Map([...devices.keys()].map((requester, row) => [requester, row]));
  const rows = rowsOf(events, ordered, domains, streamRow);
  return { rows, commands, domains, streams, figures: ordered.figures };
}

function rowsOf(
  events: CaptureEvents,
  { order, replacing }: OrderedEvents,
  domains: RecordedDomains,
  streamRow: ReadonlyMap<number, number>,
): RecordedRows {
  const rows = recordedRows(order.length);
  for (const [at, event] of order.entries()) {
    const kind = ROWS[events.kind[event]];
    rows.kind[at] = kind;
    if (kind === ROW_COMMAND) {
      rows.subject[at] = events.command[event];
      continue;
    }
    if (kind === ROW_ACCESS) {
      const stream = streamRow.get(events.sid[event]);
      if (stream === undefined) {
        throw new InternalError('recording', `requester ${events.sid[event]} has no device`);
      }
      rows.subject[at] = stream;
      continue;
    }
    rows.domain[at] = domains.rowOf.get(events.domain[event]) as number;
    rows.subject[at] = events.sid[event];
    rows.hi[at] = events.iovaHi[event];
    rows.lo[at] = events.iovaLo[event];
    rows.frameHi[at] = events.paHi[event];
    rows.frameLo[at] = events.paLo[event];
    rows.pages[at] = events.bytes[event] / PAGE_SIZE;
    rows.access[at] = permissions(events.access[event]);
    rows.replaces[at] = replacing.has(event) ? 1 : 0;
  }
  return rows;
}

function permissions(bits: number): number {
  const read = (bits & CAPTURE_READ) !== 0 ? ACCESS_READ : 0;
  return read | ((bits & CAPTURE_WRITE) !== 0 ? ACCESS_WRITE : 0);
}

function streamOf(
  events: CaptureEvents,
  { order, permits }: OrderedEvents,
  requester: number,
  device: number,
  clock: Clock,
): StreamColumns {
  const own = order.filter(
    (event) => events.kind[event] === EVENT_ACCESS && events.sid[event] === requester,
  );
  const columns = dmaColumns(own.length);
  columns.device.fill(device);
  const frameHi = new Int32Array(own.length);
  const frameLo = new Int32Array(own.length);
  const pageOrder = new Uint8Array(own.length);
  let last = own.length === 0 ? 0 : events.timeUs[own[0]];
  for (const [i, event] of own.entries()) {
    const offset = events.iovaOffset[event];
    columns.access[i] = accessOf(events, event, permits[event]);
    columns.hi[i] = events.iovaHi[event];
    columns.lo[i] = events.iovaLo[event];
    columns.offset[i] = offset;
    columns.bytes[i] = Math.min(ACCESS_BYTES, PAGE_SIZE - offset);
    const passed = Math.max(0, events.timeUs[event] - last);
    columns.gap[i] = clock.nearest(passed * PICOSECONDS_PER_US);
    last += passed;
    frameHi[i] = events.paHi[event];
    frameLo[i] = events.paLo[event];
    pageOrder[i] = events.pageShift[event] - 12;
  }
  return { requester, columns, answers: { frameHi, frameLo, order: pageOrder, event: own } };
}

function accessOf(events: CaptureEvents, event: number, permits: number): number {
  const bits = events.access[event] || events.leaf[event] || permits;
  return bits === CAPTURE_WRITE ? ACCESS_WRITE : ACCESS_READ;
}
