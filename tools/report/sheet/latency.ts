/** Panel: latency by percentile on a scale that spreads the tail, and the same as a table. */
import type { LatencyFigures } from '../../../scenarios/stats.ts';
import type { ReportStats } from '../model.ts';
import { heading, INNER, type Panel, roundTime, time } from './panel.ts';
import { curve, dot, type Point, rule, text } from './svg.ts';

const TOP = 34;
const HIGH = 190;
const LEFT = 64;
const CHART = 500;
const TABLE_WIDTH = 346;
/** The table's columns end here, counted from its left edge. */
const TABLE = INNER - TABLE_WIDTH;
const COLUMNS = [
  ['p50', 'p50_ps', 166],
  ['p99', 'p99_ps', 226],
  ['p99.9', 'p999_ps', 286],
  ['max', 'max_ps', TABLE_WIDTH],
] as const;

/** Percentiles as misses out of how many: the place on the axis is the logarithm. */
const PLACES: readonly (readonly [label: string, key: keyof LatencyFigures, place: number])[] = [
  ['min', 'min_ps', 0],
  ['p50', 'p50_ps', Math.log10(2)],
  ['p90', 'p90_ps', 1],
  ['p95', 'p95_ps', Math.log10(20)],
  ['p99', 'p99_ps', 2],
  ['p99.9', 'p999_ps', 3],
];
const LAST = 3;

interface Series {
  readonly name: string;
  readonly figures: LatencyFigures;
}

/** Null when nothing took any time. */
export function latencyPanel({ dma, iommu }: ReportStats): Panel | null {
  const candidates: [string, LatencyFigures | undefined][] = [
    ['DMA', dma?.latency],
    ['page walk', iommu?.walks.latency],
    ['invalidation', iommu?.commands.invalidation],
  ];
  const series = candidates.flatMap(([name, figures]): Series[] =>
    figures !== undefined && figures.count > 0 && figures.max_ps > 0 ? [{ name, figures }] : [],
  );
  if (series.length === 0) return null;
  const values = series.flatMap(({ figures }) => PLACES.map(([, key]) => figures[key]));
  const low = Math.floor(Math.log10(Math.max(1, Math.min(...values))) + 1e-9);
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  const y = (ps: number): number => {
    const part = (Math.log10(Math.max(1, ps)) - low) / (high - low);
    return TOP + HIGH * (1 - Math.max(0, part));
  };
  return {
    shapes: [
      ...heading('Latency by percentile', 'one of 1,000 takes longer than p99.9'),
      ...gridOf(low, high, y),
      ...series.flatMap(({ name, figures }, i) => lineOf(name, figures, i + 1, y)),
      ...tableOf(series),
    ],
    height: TOP + HIGH + 22,
  };
}

function xOf(place: number): number {
  return LEFT + (place / LAST) * (CHART - LEFT - 10);
}

function gridOf(low: number, high: number, y: (ps: number) => number): string[] {
  const shapes: string[] = [];
  for (let power = low; power <= high; power++) {
    const at = y(10 ** power);
    shapes.push(rule(LEFT, at, CHART, at));
    const label = roundTime(10 ** power);
    shapes.push(text(LEFT - 8, at + 4, label, { size: 11, anchor: 'end', tone: 'soft' }));
  }
  for (const [label, , place] of PLACES) {
    const x = xOf(place);
    shapes.push(rule(x, TOP, x, TOP + HIGH));
    shapes.push(text(x, TOP + HIGH + 16, label, { size: 11, anchor: 'middle', tone: 'soft' }));
  }
  return shapes;
}

function lineOf(
  name: string,
  figures: LatencyFigures,
  series: number,
  y: (ps: number) => number,
): string[] {
  const points = PLACES.map(([, key, place]): Point => [xOf(place), y(figures[key])]);
  return [
    curve(points, series),
    ...PLACES.map(([label, key], i) =>
      dot(points[i], series, `${name} ${label} ${time(figures[key])}`),
    ),
  ];
}

function tableOf(series: readonly Series[]): string[] {
  const shapes = COLUMNS.map(([title, , end]) =>
    text(TABLE + end, TOP + 22, title, { size: 11, anchor: 'end', tone: 'soft' }),
  );
  for (const [i, { name, figures }] of series.entries()) {
    const y = TOP + 48 + i * 28;
    shapes.push(rule(TABLE, y - 18, TABLE + TABLE_WIDTH, y - 18));
    shapes.push(dot([TABLE + 5, y - 4], i + 1), text(TABLE + 16, y, name, { bold: true }));
    for (const [, key, end] of COLUMNS) {
      shapes.push(text(TABLE + end, y, time(figures[key]), { anchor: 'end' }));
    }
  }
  return shapes;
}
