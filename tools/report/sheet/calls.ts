/** System calls of programs: how many, how many were refused, and how long each kind took. */
import type { RunStats } from '../../../scenarios/stats.ts';
import { count } from '../text.ts';
import { heading, INNER, type Panel, size, type Tile, time } from './panel.ts';
import { box, fitted, text } from './svg.ts';

const NAMES = 300;
const ROW = 22;
const TOP = 32;
/** The calls on which most time was spent; the others are in the report. */
const MOST_ROWS = 12;
const BAR = '#4477aa';

/** Headline figures of a run in which no device did any DMA. */
export function programTiles({ programs = {}, ioctl = {}, kernel }: RunStats): Tile[] {
  const all = Object.values(programs);
  const sum = (pick: (one: (typeof all)[number]) => number): number =>
    all.reduce((total, one) => total + pick(one), 0);
  const failed = sum((one) => one.failed_checks);
  const calls = Object.values(ioctl);
  const made = calls.reduce((total, call) => total + call.count, 0);
  const spent = calls.reduce((total, call) => total + call.count * call.mean_ps, 0);
  const left = kernel?.charged_bytes ?? 0;
  return [
    {
      title: 'Programs',
      figure: count(all.length),
      note: `${count(sum((one) => one.steps))} steps`,
    },
    { title: 'System calls', figure: count(made), note: 'of all programs' },
    { title: 'Refused', figure: count(sum((one) => one.refused)), note: 'with an errno' },
    {
      title: 'Time of a call, mean',
      figure: made === 0 ? '-' : time(spent / made),
      note: 'waits included',
    },
    {
      title: 'Failed checks',
      figure: count(failed),
      note: `of ${count(sum((one) => one.checks))}`,
      tone: failed === 0 ? 'good' : 'bad',
    },
    {
      title: 'Left in the kernel',
      figure: size(left),
      note: `at most ${size(kernel?.charged_peak_bytes ?? 0)}`,
      tone: left === 0 ? 'good' : 'bad',
    },
  ];
}

/** Null when no program made a call. */
export function callPanel({ ioctl = {} }: RunStats): Panel | null {
  const rows = Object.entries(ioctl)
    .filter(([, call]) => call.count > 0)
    .sort(([a, x], [b, y]) => y.count * y.mean_ps - x.count * x.mean_ps || (a < b ? -1 : 1));
  if (rows.length === 0) return null;
  const shown = rows.slice(0, MOST_ROWS);
  const longest = Math.max(1, ...shown.map(([, { mean_ps }]) => mean_ps));
  const wide = INNER - NAMES - 210;
  const shapes = shown.flatMap(([name, call], i) => {
    const y = TOP + i * ROW;
    const length = Math.max(1, (call.mean_ps / longest) * wide);
    const refused = call.errors === 0 ? '' : ` · ${count(call.errors)} refused`;
    return [
      text(NAMES - 10, y + 12, fitted(name, NAMES - 10, 12), { anchor: 'end' }),
      box(NAMES, y, length, 16, { fill: BAR, tip: `${name}: p99 ${time(call.p99_ps)}` }),
      text(NAMES + length + 8, y + 12, time(call.mean_ps), { bold: true }),
      text(INNER, y + 12, `${count(call.count)}${refused}`, { anchor: 'end', tone: 'soft' }),
    ];
  });
  const note = rows.length > shown.length ? `; the ${shown.length} on which most was spent` : '';
  return {
    shapes: [...heading('System calls', `mean time, number of calls${note}`), ...shapes],
    height: TOP + shown.length * ROW,
  };
}
