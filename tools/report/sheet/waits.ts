/** Panel: where every nanosecond of a DMA went, a bar of wait reasons for each device. */
import type { DmaFigures } from '../../../scenarios/stats.ts';
import type { ReportStats } from '../model.ts';
import { WAIT_WORDS } from '../reasons.ts';
import { heading, INNER, type Panel, roundTime, share, time } from './panel.ts';
import { box, fitted, inkOn, phrase, rule, text, widthOf } from './svg.ts';

/** Told apart with every kind of colour vision (the muted scheme of P. Tol, and a dark grey). */
const COLOURS: Readonly<Record<string, string>> = {
  issue: '#bbbbbb',
  'link-up': '#88ccee',
  input: '#ddcc77',
  context: '#999933',
  iotlb: '#aa4499',
  'walk-queue': '#cc6677',
  walk: '#882255',
  order: '#666666',
  fault: '#332288',
  memory: '#117733',
  'link-down': '#44aa99',
};

const NAMES = 126;
const TOTALS = 90;
const BARS = INNER - NAMES - TOTALS;
const TOP = 34;
const LEGEND_COLUMNS = 2;
const LEGEND_ROW = 21;
const LEGEND_TOP = 34;
const MOST_BARS = 6;

interface Bar {
  readonly name: string;
  readonly dma: DmaFigures;
  readonly total: number;
}

/** Null without a completed DMA. */
export function waitPanel({ dma, devices = {} }: ReportStats): Panel | null {
  if (dma === undefined || dma.count === 0) return null;
  const bars = barsOf(dma, devices);
  const high = bars.length === 1 ? 40 : 24;
  const pitch = high + 8;
  const longest = Math.max(...bars.map(({ total }) => total));
  const scale = BARS / longest;
  const bottom = TOP + bars.length * pitch;
  const legend = legendOf(dma);
  const note = 'mean time of a DMA; every part of it has one reason';
  return {
    shapes: [
      ...heading('Where every nanosecond went', note),
      ...axisOf(longest, scale, bottom),
      ...bars.flatMap((bar, i) => barOf(bar, TOP + i * pitch, high, scale)),
      ...legend.map(({ x, y, shape }) => shape(x, bottom + LEGEND_TOP + y)),
    ],
    height: bottom + LEGEND_TOP + Math.ceil(legend.length / LEGEND_COLUMNS) * LEGEND_ROW,
  };
}

function barFor(name: string, dma: DmaFigures): Bar {
  const sum = Object.values(dma.waits_ps).reduce((total, ps) => total + ps, 0);
  return { name, dma, total: sum / dma.count };
}

/** A bar per device; of many devices the fastest, the median and the slowest, and all together. */
function barsOf(dma: DmaFigures, devices: Readonly<Record<string, DmaFigures>>): Bar[] {
  const each = Object.entries(devices)
    .filter(([, { count }]) => count > 0)
    .map(([name, figures]) => barFor(name, figures));
  const all = barFor('all', dma);
  if (each.length === 0) return [all];
  if (each.length === 1) return each;
  if (each.length < MOST_BARS) return [...each, all];
  const order = each.toSorted((a, b) => a.total - b.total);
  const middle = order[(order.length - 1) >> 1];
  const named = (word: string, bar: Bar): Bar => ({ ...bar, name: `${word}: ${bar.name}` });
  return [
    named('fastest', order[0]),
    named('median', middle),
    named('slowest', order[order.length - 1]),
    { ...all, name: `all ${each.length}` },
  ];
}

function barOf({ name, dma, total }: Bar, y: number, high: number, scale: number): string[] {
  const middle = y + high / 2 + 4;
  const shapes = [text(NAMES - 10, middle, fitted(name, NAMES - 10, 12), { anchor: 'end' })];
  let x = NAMES;
  for (const [reason, words] of WAIT_WORDS) {
    const ps = (dma.waits_ps[reason] ?? 0) / dma.count;
    if (ps === 0) continue;
    const wide = ps * scale;
    const colour = COLOURS[reason];
    const label = time(ps);
    const gap = wide > 3 ? 1 : 0;
    shapes.push(
      box(x, y, Math.max(0.5, wide - gap), high, {
        fill: colour,
        tip: `${name}: ${reason} (${words}) ${label}`,
      }),
    );
    if (wide > widthOf(label, 12) + 6) {
      shapes.push(text(x + wide / 2, middle, label, { anchor: 'middle', fill: inkOn(colour) }));
    }
    x += wide;
  }
  shapes.push(text(x + 8, middle, time(total), { bold: true }));
  return shapes;
}

/** Lines across the bars at round times. */
function axisOf(longest: number, scale: number, bottom: number): string[] {
  let step = 1;
  while (longest / step > 8) step *= String(step).startsWith('2') ? 2.5 : 2;
  const shapes: string[] = [];
  for (let ps = 0; ps <= longest; ps += step) {
    const x = NAMES + ps * scale;
    shapes.push(rule(x, TOP - 6, x, bottom + 2));
    shapes.push(text(x, bottom + 15, roundTime(ps), { size: 11, anchor: 'middle', tone: 'soft' }));
  }
  return shapes;
}

/** Every reason that took time, what it means, its time and its share. */
function legendOf(dma: DmaFigures): {
  readonly x: number;
  readonly y: number;
  readonly shape: (x: number, y: number) => string;
}[] {
  const total = Object.values(dma.waits_ps).reduce((sum, ps) => sum + ps, 0);
  const shown = WAIT_WORDS.filter(([reason]) => (dma.waits_ps[reason] ?? 0) > 0);
  const rows = Math.ceil(shown.length / LEGEND_COLUMNS);
  const pitch = INNER / LEGEND_COLUMNS;
  return shown.map(([reason, words], i) => {
    const ps = dma.waits_ps[reason];
    const figures = `${time(ps / dma.count)} · ${share(ps / total)}`;
    return {
      x: Math.floor(i / rows) * pitch,
      y: (i % rows) * LEGEND_ROW,
      shape: (x, y) =>
        [
          box(x, y, 12, 12, { fill: COLOURS[reason], radius: 2 }),
          phrase(x + 20, y + 10, reason, words, [12, 12]),
          text(x + pitch - 40, y + 10, figures, { anchor: 'end' }),
        ].join('\n'),
    };
  });
}
