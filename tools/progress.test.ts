import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Io, paletteFor } from './io.ts';
import { ProgressLine, progressText } from './progress.ts';
import { PLAIN } from './report/model.ts';

function recorder(errIsTerminal: boolean): { io: Io; written: string[] } {
  const written: string[] = [];
  const err = (text: string): void => void written.push(text);
  return {
    io: { out: err, err, outIsTerminal: false, errIsTerminal, palette: PLAIN },
    written,
  };
}

const HALF = { simulated_ps: 1_500_000_000, events: 2_000_000, dmas: 5, done: 0.5 };

test('progress shows simulated time, events per second and time left', () => {
  assert.is(
    progressText('quickstart', HALF, 4),
    'quickstart  1.50ms simulated  50.0%  500 k events/s  0:04 left',
  );
});

test('progress is silent when stderr is no terminal', () => {
  const { io, written } = recorder(false);
  const line = new ProgressLine(io, 'x', () => 1_000_000);
  line.update(HALF);
  line.end();
  assert.equal(written, []);
});

test('progress redraws at most ten times a second and clears its line at the end', () => {
  const { io, written } = recorder(true);
  let now = 1000;
  const line = new ProgressLine(io, 'x', () => now);
  line.update(HALF);
  now += 99;
  line.update(HALF);
  assert.is(written.length, 1);
  now += 1;
  line.update(HALF);
  assert.is(written.length, 2);
  line.end();
  assert.is(written[2], '\r\u001b[K');
});

test('colours only on a terminal, never with NO_COLOR', () => {
  assert.is(paletteFor(false, {}), PLAIN);
  assert.is(paletteFor(true, { NO_COLOR: '1' }), PLAIN);
  assert.is.not(paletteFor(true, {}), PLAIN);
});

test.run();
