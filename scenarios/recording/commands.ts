/** Recorded commands as the simulated unit decodes them. */

import { pageNumber } from '../../hw/address.ts';
import type { RecordedCommands } from '../../hw/host/recording.ts';
import {
  OP_ILLEGAL,
  OP_INVALIDATE_TRANSLATIONS,
  OP_WAIT,
  Operation,
} from '../../hw/iommu/architecture.ts';
import { tagCovers } from '../../hw/iommu/caches/ranges.ts';
import { InputError } from '../../sim/errors.ts';
import { type CaptureEvents, EVENT_COMMAND } from '../../traces/captures/events.ts';

export type DecodeCommand = (words: Int32Array, operation: Operation) => void;

/** All pages there are. */
const EVERY_PAGE = 2 ** 52;

/** Decodes the commands of the first `rows` events; one that the unit refuses is an error. */
export function decodeCommands(
  events: CaptureEvents,
  rows: number,
  decode: DecodeCommand,
): RecordedCommands {
  const count = events.commands.length / 4;
  const columns: RecordedCommands = {
    count,
    words: events.commands,
    kind: new Uint8Array(count),
    tag1: new Int32Array(count),
    tag2: new Int32Array(count),
    first: new Float64Array(count),
    end: new Float64Array(count),
  };
  const op = new Operation();
  for (let row = 0; row < rows; row++) {
    if (events.kind[row] !== EVENT_COMMAND) continue;
    const command = events.command[row];
    if (command < 0) throw refusal(events, row, 'has no raw words');
    decode(events.commands.subarray(command * 4, command * 4 + 4), op);
    if (op.kind === OP_ILLEGAL) throw refusal(events, row, 'is illegal to the configured unit');
    if (op.kind === OP_WAIT) throw refusal(events, row, 'waits for answers of devices');
    columns.kind[command] = op.kind;
    if (op.kind !== OP_INVALIDATE_TRANSLATIONS) continue;
    const ranged = op.hasAddress !== 0 && op.guestAddress === 0;
    columns.tag1[command] = op.tag1;
    columns.tag2[command] = op.tag2;
    columns.first[command] = ranged ? pageNumber(op.hi, op.lo) : 0;
    columns.end[command] = ranged ? columns.first[command] + 2 ** op.order : EVERY_PAGE;
  }
  return columns;
}

function refusal(events: CaptureEvents, row: number, why: string): InputError {
  return new InputError(
    'recording.command',
    `event ${row}: the command ${events.textOf(row)} ${why}`,
  );
}

/** Whether a command is an invalidation of translations with the given tags. */
export function coversTags(
  commands: RecordedCommands,
  command: number,
  tag1: number,
  tag2: number,
): boolean {
  return (
    commands.kind[command] === OP_INVALIDATE_TRANSLATIONS &&
    tagCovers(commands.tag1[command], tag1) &&
    tagCovers(commands.tag2[command], tag2)
  );
}

/** Whether the command names an address range, not everything. */
export function isRanged(commands: RecordedCommands, command: number): boolean {
  return commands.end[command] !== EVERY_PAGE;
}
