import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { InputError } from '../sim/errors.ts';
import { fixture } from './fixture.ts';
import { FRAME_CHUNK, FRAME_HEADER, packEnd, packFrame, prelude } from './format/frame.ts';
import { TraceDamageError, TraceReader } from './reader.ts';

const WHOLE = fixture();

function joined(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

function codeOf(open: () => unknown): string {
  try {
    open();
  } catch (error) {
    if (error instanceof InputError) return error.code;
    throw error;
  }
  return 'none';
}

/** Reads everything there is; the number of rows. */
function readAll(reader: TraceReader): number {
  let rows = 0;
  for (const chunk of reader.chunks()) rows += chunk.rows;
  return rows;
}

test('a file and its bytes in memory read the same', () => {
  const folder = mkdtempSync(join(tmpdir(), 'trace-'));
  const path = join(folder, 'trace.msgpack');
  writeFileSync(path, WHOLE);
  const file = TraceReader.open(path);
  const memory = TraceReader.open(WHOLE);
  for (const kind of ['dma', 'wide', 'bare']) {
    assert.equal([...file.rows(kind)], [...memory.rows(kind)]);
  }
  assert.equal(file.summary(), memory.summary());
  file.close();
  rmSync(folder, { recursive: true });
});

test('the summary counts rows, cycles and bytes by kind', () => {
  const summary = TraceReader.open(WHOLE).summary();
  assert.equal(summary.kinds.map((kind) => [kind.name, kind.rows]).sort(), [
    ['bare', 20],
    ['dma', 100],
    ['wide', 34],
  ]);
  assert.is(summary.rows, 154);
  assert.is(summary.first, 1000);
  assert.is(summary.last, 10900);
  assert.is(summary.bytes, WHOLE.length);
});

test('every prefix of a trace is readable to its last whole chunk, or clearly refused', () => {
  const reader = TraceReader.open(WHOLE);
  const ends = reader.index.slice(1).map((entry) => entry.offset);
  const headerEnd = reader.index[0].offset;
  for (let length = 0; length < WHOLE.length; length++) {
    const prefix = WHOLE.slice(0, length);
    if (length < headerEnd) {
      assert.is(
        codeOf(() => TraceReader.open(prefix)),
        'trace-cut',
      );
      continue;
    }
    const cut = TraceReader.open(prefix);
    assert.not(cut.complete);
    assert.ok(cut.reason);
    const whole = ends.filter((end) => end <= length).length;
    const last = reader.index.length - 1;
    const expected = whole < last ? [whole] : [last, last + 1];
    assert.ok(expected.includes(cut.index.length), `${length}: ${cut.index.length} chunks`);
    let rows = 0;
    for (let i = 0; i < cut.index.length; i++) rows += reader.index[i].rows;
    assert.is(readAll(cut), rows);
  }
});

test('every flipped byte is detected, and located when it is in a chunk', () => {
  const reader = TraceReader.open(WHOLE);
  const bounds = reader.index.map((entry) => entry.offset);
  for (let at = 0; at < WHOLE.length; at++) {
    const bytes = WHOLE.slice();
    bytes[at] ^= 1 << (at & 7);
    const number = bounds.findLastIndex((offset) => offset <= at);
    if (number < 0) {
      assert.is.not(
        codeOf(() => TraceReader.open(bytes)),
        'none',
      );
      continue;
    }
    const flipped = TraceReader.open(bytes);
    if (!flipped.complete) continue;
    const damages = flipped.verify();
    assert.equal(
      damages.map((damage) => [damage.chunk, damage.offset]),
      [[number, bounds[number]]],
    );
  }
});

test('damage is passed over when asked, and only that chunk is lost', () => {
  const reader = TraceReader.open(WHOLE);
  const bytes = WHOLE.slice();
  bytes[reader.index[2].offset + 30] ^= 0x40;
  const damages: TraceDamageError[] = [];
  const damaged = TraceReader.open(bytes);
  const numbers = [...damaged.chunks({ onDamage: (d) => damages.push(d) })].map((c) => c.number);
  assert.equal(
    numbers,
    reader.index.map((_, i) => i).filter((i) => i !== 2),
  );
  assert.is(damages.length, 1);
  assert.match(damages[0].message, /chunk 2 at byte \d+ is damaged \(checksum/);
  assert.throws(
    () => readAll(damaged),
    (error: unknown) => error instanceof TraceDamageError,
  );
});

test('damage in a trace without a footer ends it there, with the place', () => {
  const bytes = fixture({ abort: true });
  const reader = TraceReader.open(bytes);
  assert.match(reader.reason!, /ends without a footer/);
  bytes[reader.index[3].offset + 20] ^= 1;
  const damaged = TraceReader.open(bytes);
  assert.is(damaged.index.length, 3);
  assert.match(damaged.reason!, /is damaged .* at byte \d+, after 3 whole chunks/);
});

test('foreign files and other versions are refused by name', () => {
  const text = new TextEncoder().encode('name: quickstart\n');
  assert.is(
    codeOf(() => TraceReader.open(text)),
    'trace-foreign',
  );
  assert.is(
    codeOf(() => TraceReader.open(new Uint8Array(0))),
    'trace-cut',
  );
  const version = (n: number): Uint8Array => joined(prelude(n), WHOLE.subarray(12));
  assert.is(
    codeOf(() => TraceReader.open(version(2))),
    'trace-newer',
  );
  assert.is(
    codeOf(() => TraceReader.open(version(0))),
    'trace-version',
  );
  assert.is(
    codeOf(() => TraceReader.open('/nonexistent.msgpack')),
    'trace-read',
  );
  assert.is(
    codeOf(() => TraceReader.open(tmpdir())),
    'trace-read',
  );
});

test('a sound frame with a senseless message is refused', () => {
  const open =
    (...frames: Uint8Array[]) =>
    () =>
      TraceReader.open(joined(prelude(), ...frames));
  const frame = (type: number, message: unknown): Uint8Array => packFrame(type, message).slice();
  assert.is(codeOf(open(frame(FRAME_CHUNK, 1))), 'trace-header');
  assert.is(codeOf(open(frame(FRAME_HEADER, null))), 'trace-header');
  assert.is(codeOf(open(frame(FRAME_HEADER, { program: 'x' }))), 'trace-header');
  const header = WHOLE.subarray(12, TraceReader.open(WHOLE).index[0].offset);
  const lone = TraceReader.open(joined(prelude(), header, frame(FRAME_CHUNK, { rows: -1 })));
  assert.match(lone.reason!, /holds no chunk message/);
  const kind = { name: 'bare', rows: 1e9, first: 0, last: 0, cycle: 0, columns: [] };
  const chunk = { partition: 0, rows: 1e9, first: 0, last: 0, kinds: [kind] };
  const huge = TraceReader.open(joined(prelude(), header, frame(FRAME_CHUNK, chunk)));
  assert.throws(() => readAll(huge), /is damaged \(1000000000 rows of 'bare'\)/);
});

test('lengths and offsets of a hostile file cost nothing', () => {
  const start = [0x93, 0xce, 0, 0, 0, 0, 2, 0xc6, 0xff, 0xff, 0xff, 0xff];
  const header = WHOLE.subarray(12, TraceReader.open(WHOLE).index[0].offset);
  const long = TraceReader.open(joined(prelude(), header, Uint8Array.from(start)));
  assert.match(long.reason!, /is damaged \(length 4294967295\)/);
  for (const offset of [-1, 0, 12, 1e300, Number.NaN, WHOLE.length]) {
    const body = WHOLE.subarray(0, WHOLE.length - 21);
    const astray = TraceReader.open(joined(body, packEnd(offset).slice()));
    assert.not(astray.complete);
    assert.is(readAll(astray), 154);
  }
});

test('seek gives the first chunk that can hold the cycle', () => {
  const reader = TraceReader.open(WHOLE);
  for (let cycle = 0; cycle < 12000; cycle += 37) {
    const from = reader.seek(cycle);
    assert.ok(reader.index.slice(0, from).every((entry) => entry.last < cycle));
    if (from < reader.index.length) assert.ok(reader.index[from].last >= cycle);
    const rest = [...reader.rows('dma', { from })].filter((row) => row.cycle >= cycle);
    const all = [...reader.rows('dma')].filter((row) => row.cycle >= cycle);
    assert.equal(rest, all);
  }
});

test('an unknown kind is named together with those there are', () => {
  const reader = TraceReader.open(WHOLE);
  assert.throws(
    () => [...reader.records('walk')],
    /no record kind 'walk' \(has: dma, wide, bare\)/,
  );
});

test.run();
