import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordedCommands } from '../../hw/host/recording.ts';
import { OP_FENCE, OP_INVALIDATE_TRANSLATIONS } from '../../hw/iommu/architecture.ts';
import {
  CaptureEvents,
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../../traces/captures/events.ts';
import { findDomains } from './domains.ts';
import { type OrderedEvents, orderEvents } from './order.ts';

const DEVICE = 0x100;
const DOMAIN = 7;
const TAG = 9;

/** `attach`, `map P F`, `unmap P`, `use P F`, `inv P`, `fence`; `@T` first sets the time. */
function order(text: readonly string[]): OrderedEvents & { readonly text: string[] } {
  const lines = text.filter((line) => !line.startsWith('@'));
  const events = new CaptureEvents(lines.length);
  const commands: RecordedCommands = {
    count: lines.length,
    words: new Int32Array(4 * lines.length),
    kind: new Uint8Array(lines.length),
    tag1: new Int32Array(lines.length).fill(-1),
    tag2: new Int32Array(lines.length),
    first: new Float64Array(lines.length),
    end: new Float64Array(lines.length),
  };
  let time = 0;
  let row = 0;
  for (const line of text) {
    const [what, page = '0', frame = '0'] = line.split(' ');
    if (what.startsWith('@')) {
      time = Number(what.slice(1));
      continue;
    }
    events.timeUs[row] = time;
    events.domain[row] = DOMAIN;
    events.sid[row] = DEVICE;
    events.iovaLo[row] = Number(page);
    events.paLo[row] = Number(frame);
    events.bytes[row] = 4096;
    events.command[row] = row;
    events.kind[row] =
      { attach: EVENT_ATTACH, map: EVENT_MAP, unmap: EVENT_UNMAP, use: EVENT_ACCESS }[what] ??
      EVENT_COMMAND;
    if (what === 'attach') events.code[row] = TAG;
    commands.kind[row] =
      what === 'inv' ? OP_INVALIDATE_TRANSLATIONS : what === 'fence' ? OP_FENCE : 0;
    commands.tag2[row] = TAG;
    commands.first[row] = Number(page);
    commands.end[row] = Number(page) + 1;
    row++;
  }
  const domains = findDomains(events, lines.length, commands, 'tag2');
  const ordered = orderEvents(events, lines.length, commands, domains, 'tag2');
  return { ...ordered, text: [...ordered.order].map((at) => lines[at]) };
}

test('an order without contradictions is kept', () => {
  const lines = ['attach', 'map 1 5', 'use 1 5', 'unmap 1', 'inv 1', 'fence', 'map 1 6', 'use 1 6'];
  const { text, figures } = order(lines);
  assert.equal(text, lines);
  assert.ok(Object.values(figures).every((value) => value === 0));
});

test('a map goes before the first access that needs it', () => {
  const { text, figures } = order(['attach', 'use 1 5', 'map 2 6', '@3', 'map 1 5', 'use 1 5']);
  assert.equal(text, ['attach', 'map 1 5', 'use 1 5', 'map 2 6', 'use 1 5']);
  assert.is(figures.maps_moved, 1);
  assert.is(figures.moved_max_us, 3);
});

test('an attach goes before the first access of its device', () => {
  const { text, figures } = order(['map 1 5', 'use 1 5', 'attach']);
  assert.equal(text, ['map 1 5', 'attach', 'use 1 5']);
  assert.is(figures.attaches_moved, 1);
});

test('an unmap goes before its invalidation when none follows before its address is used anew', () => {
  const { text, figures } = order([
    'attach',
    'map 1 5',
    'inv 1',
    'fence',
    'unmap 1',
    'map 1 6',
    'use 1 6',
  ]);
  assert.equal(text, ['attach', 'map 1 5', 'unmap 1', 'inv 1', 'fence', 'map 1 6', 'use 1 6']);
  assert.is(figures.unmaps_moved, 1);
  assert.is(figures.uninvalidated_unmaps, 0);
});

test('an invalidation of the mapping before is not taken for that of the mapping', () => {
  const { figures } = order(['attach', 'inv 1', 'map 1 5', 'unmap 1', 'map 1 6', 'use 1 6']);
  assert.is(figures.unmaps_moved, 0);
  assert.is(figures.uninvalidated_unmaps, 1);
});

test('commands that follow the next map of their addresses, unused yet, go before that map', () => {
  const { text, figures } = order([
    'attach',
    'map 1 5',
    'use 1 5',
    'unmap 1',
    'map 1 6',
    'inv 1',
    'fence',
    'use 1 6',
  ]);
  assert.equal(text, [
    'attach',
    'map 1 5',
    'use 1 5',
    'unmap 1',
    'inv 1',
    'map 1 6',
    'fence',
    'use 1 6',
  ]);
  assert.is(figures.commands_moved, 1);
  assert.is(figures.uninvalidated_unmaps, 0);
  const used = order(['attach', 'map 1 5', 'unmap 1', 'map 1 6', 'use 1 6', 'inv 1', 'fence']);
  assert.is(used.figures.commands_moved, 0);
  assert.is(used.figures.uninvalidated_unmaps, 1);
});

test('an access after the unmap of its page goes before it, also when the unmap has moved', () => {
  const late = order(['attach', 'map 1 5', 'unmap 1', '@4', 'use 1 5', 'inv 1', 'fence']);
  assert.equal(late.text, ['attach', 'map 1 5', 'use 1 5', 'unmap 1', 'inv 1', 'fence']);
  assert.is(late.figures.accesses_moved, 1);
  const both = order(['attach', 'map 1 5', 'inv 1', 'use 1 5', 'unmap 1', 'fence']);
  assert.equal(both.text, ['attach', 'map 1 5', 'use 1 5', 'unmap 1', 'inv 1', 'fence']);
});

test('nothing is moved over more than a millisecond', () => {
  const near = order(['attach', 'use 1 5', '@1000', 'map 1 5']);
  assert.is(near.figures.maps_moved, 1);
  const far = order(['attach', 'use 1 5', '@1001', 'map 1 5']);
  assert.is(far.figures.maps_moved, 0);
  assert.is(far.figures.unexplained_accesses, 1);
});

test('an access with another frame than any mapping near it is left to be a mismatch', () => {
  const { text, figures } = order(['attach', 'map 1 5', 'use 1 6']);
  assert.equal(text, ['attach', 'map 1 5', 'use 1 6']);
  assert.is(figures.unexplained_accesses, 1);
});

test('a map of addresses that are still mapped takes their mapping down', () => {
  const { figures, replacing } = order(['attach', 'map 1 5', 'map 1 6', 'use 1 6']);
  assert.is(figures.replaced_maps, 1);
  assert.equal([...replacing], [2]);
});

test.run();
