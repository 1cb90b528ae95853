import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { RecordingFigures } from '../../scenarios/stats.ts';
import { sampleStats } from './fixture.ts';
import { PLAIN } from './model.ts';
import { recordingSections } from './recording.ts';
import { renderReport } from './report.ts';

const PLAYED: RecordingFigures = {
  folder: 'captures/riscv-s',
  events: 82_925,
  not_played: 0,
  attaches: 9,
  maps: 7_215,
  unmaps: 5_017,
  translations: 50_583,
  commands: 20_084,
  fences: 5_027,
  mismatches: 0,
  first_mismatches: [],
  order: { maps_moved: 10, unmaps_moved: 4_751, moved_max_us: 60, replaced_maps: 0 },
};

function lines(recording: RecordingFigures | null): readonly string[] {
  return recordingSections({ ...sampleStats(), recording }, PLAIN).flatMap((section) => [
    `${section.title} ${section.note}`,
    ...section.lines,
  ]);
}

test('a played recording is summed up, with what was done to its order', () => {
  assert.equal(lines(PLAYED), [
    'Recording captures/riscv-s',
    '9 attaches · 7,215 maps · 5,017 unmaps · 20,084 commands',
    '50,583 translations, every one as recorded',
    'recorded order: maps moved 10 · unmaps moved 4,751 (by at most 60 us)',
  ]);
});

test('a mismatch is listed with its event, what was recorded and what came out', () => {
  const mismatch = {
    event: 7,
    requester: '01:00.0',
    iova: '0xff000000',
    expected: '0x3000000',
    got: null,
  };
  const text = lines({ ...PLAYED, mismatches: 1, first_mismatches: [mismatch], not_played: 5 });
  assert.match(text[1], '5 events not played');
  assert.is(text[2], '1 of 50,583 translations not as recorded');
  assert.is(text[3], '  event 7: 01:00.0 0xff000000: recorded 0x3000000, got a fault');
});

test('an order that needed no change is said to be kept', () => {
  assert.is(
    lines({ ...PLAYED, order: { maps_moved: 0, moved_max_us: 0 } })[3],
    'recorded order kept',
  );
});

test('without a recording the section is left out', () => {
  assert.equal(lines(null), []);
  assert.not.match(renderReport(sampleStats(), PLAIN), 'Recording');
});

test.run();
