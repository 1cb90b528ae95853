/** The points of a sweep, or several scenarios, side by side: what one compares first. */
import type { RunStats } from '../../scenarios/stats.ts';
import type { Palette } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { decimal, perSecond, rate, share, time } from './text.ts';

export interface PointStats {
  readonly label: string;
  readonly stats: RunStats;
}

const COLUMNS: readonly (readonly [title: string, text: (stats: RunStats) => string])[] = [
  ['throughput', ({ dma }) => rate(dma.throughput_bps)],
  ['DMA rate', ({ dma }) => perSecond(dma.rate_per_s)],
  ['mean', ({ dma }) => time(dma.latency.mean_ps)],
  ['p50', ({ dma }) => time(dma.latency.p50_ps)],
  ['p99', ({ dma }) => time(dma.latency.p99_ps)],
  ['IOTLB hits', ({ dma, iommu }) => (iommu === null ? '-' : share(dma.iotlb_hit_rate))],
  [
    'refs/walk',
    ({ iommu }) =>
      iommu === null || iommu.walks.count === 0 ? '-' : decimal(iommu.walks.references_per_walk),
  ],
  ['cores busy', ({ host }) => share(host.busy_rate)],
];
/** A column of nothing but this is left out. */
const NOTHING = /^(-|0\.0%)$/;

export function renderPoints(points: readonly PointStats[], palette: Palette): string {
  const columns = COLUMNS.map(([title, text]) => ({
    title,
    cells: points.map(({ stats }) => text(stats)),
  })).filter(({ cells }) => cells.some((cell) => !NOTHING.test(cell)));
  const heads = [left('point'), ...columns.map(({ title }) => right(title))];
  const rows = points.map(({ label }, i) => [label, ...columns.map(({ cells }) => cells[i])]);
  const note = palette.dim(
    '  mean, p50 and p99: latency from issue to completion · refs: memory references',
  );
  const lines = [`${palette.title('Points')}${note}`, ...tableLines(heads, rows, palette.head)];
  return `${lines.join('\n')}\n`;
}
