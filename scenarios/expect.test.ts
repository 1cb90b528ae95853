import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { evaluate, figureText, lookUp } from './expect.ts';
import { problemsIn, resolveText, SMALL } from './memory-files.ts';

const STATS = {
  dma: { throughput_bps: 30e9, count: 100, latency: { p50_ps: 600_000 } },
  devices: { 'nic.0': { count: 7 } },
  time: { end: 'dmas' },
};

function verdicts(text: string): (readonly [boolean, number | null])[] {
  const { expect } = resolveText(`${SMALL}expect:\n  ${text}\n`);
  return evaluate(expect, STATS).map(({ pass, deviation }) => [pass, deviation] as const);
}

test('a bare figure must be equal', () => {
  assert.equal(verdicts('dma.count: 100'), [[true, 0]]);
  assert.equal(verdicts('dma.count: 101')[0][0], false);
  assert.is(verdicts('time.end: dmas')[0][0], true);
});

test('a tolerance is a share of the expected figure, its edge included', () => {
  assert.equal(verdicts('dma.throughput_bps: { value: 24Gb/s, tolerance: 25% }'), [[true, 0.25]]);
  assert.is(verdicts('dma.throughput_bps: { value: 24Gb/s, tolerance: 24.9% }')[0][0], false);
  assert.equal(verdicts('dma.throughput_bps: { value: 40Gb/s, tolerance: 25% }'), [[true, -0.25]]);
});

test('bounds include their edges', () => {
  assert.is(verdicts('dma.count: { min: 100, max: 100 }')[0][0], true);
  assert.is(verdicts('dma.count: { min: 101 }')[0][0], false);
  assert.is(verdicts('dma.latency.p50_ps: { within: [599ns, 601ns] }')[0][0], true);
  assert.is(verdicts('dma.latency.p50_ps: { max: 599ns }')[0][0], false);
});

test('keys that contain dots are found', () => {
  assert.is(lookUp(STATS, 'devices.nic.0.count'), 7);
});

test('a figure that does not exist fails and names the nearest', () => {
  const { expect } = resolveText(`${SMALL}expect: { dma.throughput_bbs: 3 }\n`);
  const [result] = evaluate(expect, STATS);
  assert.is(result.pass, false);
  assert.is(result.note, 'no such figure (did you mean "dma.throughput_bps"?)');
});

test('a figure with a unit in its name must be written with one', () => {
  const [problem] = problemsIn(`${SMALL}expect: { dma.throughput_bps: 3 }\n`);
  assert.match(problem, /expect\.dma\.throughput_bps: expected a data rate with a unit/);
});

test('mistakes in an expectation are errors with their place', () => {
  const first = (text: string): string => problemsIn(`${SMALL}expect: { dma.count: ${text} }\n`)[0];
  assert.match(first('{ valu: 3 }'), 'unknown key (did you mean "value"?)');
  assert.match(first('{ value: 3, tolerance: 15 }'), 'expected a share like "15%"; got 15');
  assert.match(first('{ within: 3 }'), 'expected a list of two figures');
  assert.match(first('{}'), 'expected at least one of value, min, max, within');
  assert.match(first('{ value: x, tolerance: 1% }'), 'a tolerance needs a value that is a number');
});

test('figures are shown in the unit that their name says', () => {
  assert.is(figureText('dma.throughput_bps', 32.456e9), '32.46Gb/s');
  assert.is(figureText('dma.latency.p50_ps', 612_000), '612.0ns');
  assert.is(figureText('iommu.iotlb.hit_rate', 0.51239), '0.5124');
  assert.is(figureText('dma.count', 12), '12');
});

test.run();
