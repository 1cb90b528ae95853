/** The points of a sweep, or several scenarios, side by side: what one compares first. */
import type { RunStats } from '../../scenarios/stats.ts';
import type { Palette } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { decimal, perSecond, rate, share, size, time } from './text.ts';

export interface PointStats {
  readonly label: string;
  readonly stats: RunStats;
}

/** Of a figure of DMAs: nothing where there were none. */
function ofDmas(text: (dma: RunStats['dma']) => string): (stats: RunStats) => string {
  return ({ dma }) => (dma.count === 0 ? '-' : text(dma));
}

/** Of a figure of programs: where DMAs are compared there is no room for it. */
function withoutDmas(text: (stats: RunStats) => string): (stats: RunStats) => string {
  return (stats) => (stats.dma.count > 0 ? '-' : text(stats));
}

/** Mean time of the system calls of all programs. */
function meanCall({ ioctl }: RunStats): string {
  const calls = Object.values(ioctl ?? {});
  const count = calls.reduce((sum, call) => sum + call.count, 0);
  if (count === 0) return '-';
  return time(calls.reduce((sum, call) => sum + call.count * call.mean_ps, 0) / count);
}

const COLUMNS: readonly (readonly [title: string, text: (stats: RunStats) => string])[] = [
  ['throughput', ofDmas((dma) => rate(dma.throughput_bps))],
  ['DMA rate', ofDmas((dma) => perSecond(dma.rate_per_s))],
  ['mean', ofDmas((dma) => time(dma.latency.mean_ps))],
  ['p50', ofDmas((dma) => time(dma.latency.p50_ps))],
  ['p99', ofDmas((dma) => time(dma.latency.p99_ps))],
  ['IOTLB hits', ({ dma, iommu }) => (iommu === null ? '-' : share(dma.iotlb_hit_rate))],
  [
    'refs/walk',
    ({ iommu }) =>
      iommu === null || iommu.walks.count === 0 ? '-' : decimal(iommu.walks.references_per_walk),
  ],
  ['cores busy', ({ host }) => share(host.busy_rate)],
  ['mean ioctl', withoutDmas(meanCall)],
  ['I/O tables', withoutDmas(({ iommufd }) => (iommufd ? size(iommufd.table_peak_bytes) : '-'))],
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
  const hasDmas = points.some(({ stats }) => stats.dma.count > 0);
  const note = hasDmas
    ? palette.dim('  mean, p50 and p99: latency from issue to completion · refs: memory references')
    : '';
  const lines = [`${palette.title('Points')}${note}`, ...tableLines(heads, rows, palette.head)];
  return `${lines.join('\n')}\n`;
}
