/**
 * The domains of a recording and their hardware ids. Where the recording does not tell an id, it
 * follows from the commands: the invalidation nearest to each unmap names it.
 */

import { pageNumber } from '../../hw/address.ts';
import type { RecordedCommands } from '../../hw/host/recording.ts';
import { OP_INVALIDATE_TRANSLATIONS } from '../../hw/iommu/architecture.ts';
import {
  type CaptureEvents,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../../traces/captures/events.ts';
import { isRanged } from './commands.ts';

/** Which tag of an invalidation carries the id of a domain. */
export type TagColumn = 'tag1' | 'tag2';

export interface RecordedDomains {
  /** Numbers as the recording gives them, in the order of their first event. */
  readonly numbers: readonly number[];
  /** Hardware id of each. */
  readonly tags: readonly number[];
  /** Row in `numbers` by number. */
  readonly rowOf: ReadonlyMap<number, number>;
}

/** Events around an unmap in which its invalidation is looked for. */
const REACH = 64;

export function findDomains(
  events: CaptureEvents,
  rows: number,
  commands: RecordedCommands,
  column: TagColumn,
): RecordedDomains {
  const rowOf = new Map<number, number>();
  const known = new Map<number, number>();
  for (let row = 0; row < rows; row++) {
    const kind = events.kind[row];
    if (kind !== EVENT_ATTACH && kind !== EVENT_MAP && kind !== EVENT_UNMAP) continue;
    const number = events.domain[row];
    if (number < 0) continue;
    if (!rowOf.has(number)) rowOf.set(number, rowOf.size);
    if (kind === EVENT_ATTACH && events.code[row] >= 0) known.set(number, events.code[row]);
  }
  const numbers = [...rowOf.keys()];
  const voted = numbers.every((number) => known.has(number))
    ? new Map<number, number>()
    : vote(events, rows, commands, column);
  let next = 1 + Math.max(1, ...known.values(), ...highest(commands, column));
  const tags = numbers.map((number) => known.get(number) ?? voted.get(number) ?? next++);
  return { numbers, tags, rowOf };
}

function* highest(commands: RecordedCommands, column: TagColumn): Generator<number> {
  let most = 0;
  for (let i = 0; i < commands.count; i++) most = Math.max(most, commands[column][i]);
  yield most;
}

/** For each domain the id that most of its unmaps were followed or preceded by. */
function vote(
  events: CaptureEvents,
  rows: number,
  commands: RecordedCommands,
  column: TagColumn,
): Map<number, number> {
  const votes = new Map<number, Map<number, number>>();
  for (let row = 0; row < rows; row++) {
    if (events.kind[row] !== EVENT_UNMAP || events.domain[row] < 0) continue;
    const tag = nearestTag(events, rows, commands, column, row);
    if (tag < 0) continue;
    const own = votes.get(events.domain[row]) ?? new Map<number, number>();
    votes.set(events.domain[row], own);
    own.set(tag, (own.get(tag) ?? 0) + 1);
  }
  const chosen = new Map<number, number>();
  for (const [number, own] of votes) {
    const [[tag]] = [...own].sort(([, a], [, b]) => b - a);
    chosen.set(number, tag);
  }
  return chosen;
}

function nearestTag(
  events: CaptureEvents,
  rows: number,
  commands: RecordedCommands,
  column: TagColumn,
  unmap: number,
): number {
  const page = pageNumber(events.iovaHi[unmap], events.iovaLo[unmap]);
  for (let distance = 1; distance <= REACH; distance++) {
    for (const row of [unmap + distance, unmap - distance]) {
      if (row < 0 || row >= rows || events.kind[row] !== EVENT_COMMAND) continue;
      const command = events.command[row];
      if (commands.kind[command] !== OP_INVALIDATE_TRANSLATIONS) continue;
      if (!isRanged(commands, command) || commands[column][command] < 0) continue;
      if (commands.first[command] <= page && page < commands.end[command]) {
        return commands[column][command];
      }
    }
  }
  return -1;
}
