/** Trimming of capture folders, and the sample that is kept in the project. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { scenarioHome } from '../scenarios/extends.ts';
import { readCapture } from '../traces/captures/capture.ts';
import {
  type CaptureEvents,
  EVENT_ACCESS,
  EVENT_ATTACH,
  EVENT_COMMAND,
  EVENT_MAP,
  EVENT_UNMAP,
} from '../traces/captures/events.ts';
import { EVENTS, REGISTERS, withFolder } from '../traces/captures/fixture.ts';
import { quietCut, trimCapture } from './capture-trim.ts';

const registers = JSON.stringify(REGISTERS);

test('a recording is cut before the longest pause in the last tenth that is allowed', () => {
  const times = Array.from({ length: 40 }, (_, i) => (i < 5 ? i : i < 19 ? i + 50 : i + 60));
  const events = { count: 40, timeUs: Float64Array.from(times) } as unknown as CaptureEvents;
  assert.is(quietCut(events, 20), 19);
  assert.is(quietCut(events, 40), 40);
});

test('a trimmed folder holds the first events as they were, and names its source', () => {
  const text = `${EVENTS.join('\n')}\n`;
  withFolder({ 'registers.json': registers, 'events.jsonl.gz': text }, (folder) => {
    const out = join(folder, 'sample');
    const { events, of } = trimCapture(folder, out, 4);
    assert.equal([events, of], [4, EVENTS.length]);
    const kept = gunzipSync(readFileSync(join(out, 'events.jsonl.gz'))).toString();
    assert.is(kept, `${EVENTS.slice(0, 4).join('\n')}\n`);
    assert.is(readCapture(out).events.count, 4);
    assert.match(readFileSync(join(out, 'README.md'), 'utf8'), /The first 4 of 10 events/);
    assert.is(existsSync(join(out, 'memory.sparse.gz')), false);
  });
});

/** Domain of each device, and pages mapped in each domain: page number -> physical page. */
class Mappings {
  readonly #domains = new Map<number, number>();
  readonly #pages = new Map<string, number>();

  apply(events: CaptureEvents, row: number): void {
    if (events.kind[row] === EVENT_ATTACH) this.#domains.set(events.sid[row], events.domain[row]);
    const first = events.iovaHi[row] * 2 ** 27 + events.iovaLo[row];
    const physical = events.paHi[row] * 2 ** 27 + events.paLo[row];
    for (let i = 0; i < events.bytes[row] / 4096; i++) {
      const key = `${events.domain[row]}:${first + i}`;
      if (events.kind[row] === EVENT_MAP) this.#pages.set(key, physical + i);
      if (events.kind[row] === EVENT_UNMAP) this.#pages.delete(key);
    }
  }

  /** Whether the access of a row meets a live mapping and lands where it was recorded. */
  explains(events: CaptureEvents, row: number): boolean {
    const page = events.iovaHi[row] * 2 ** 27 + events.iovaLo[row];
    const found = this.#pages.get(`${this.#domains.get(events.sid[row])}:${page}`);
    return found === events.paHi[row] * 2 ** 27 + events.paLo[row];
  }
}

test('in the sample of the project every access meets a live mapping', () => {
  const { architecture, events } = readCapture(join(scenarioHome(), 'data/linux-nvme'));
  assert.is(architecture, 'vtd');
  const mappings = new Mappings();
  let accesses = 0;
  for (let row = 0; row < events.count; row++) {
    mappings.apply(events, row);
    if (events.kind[row] !== EVENT_ACCESS) continue;
    accesses++;
    assert.ok(mappings.explains(events, row), `event ${row + 1}`);
  }
  assert.ok(accesses > 40_000);
});

test('in the sample every unmapping is followed by its invalidation', () => {
  const { events } = readCapture(join(scenarioHome(), 'data/linux-nvme'));
  let pages = 0;
  for (let row = 0; row < events.count; row++) {
    if (events.kind[row] === EVENT_COMMAND && events.textOf(row) === 'iotlb:page') pages++;
  }
  assert.is(pages, events.total(EVENT_UNMAP));
});

test.run();
