/** The points of a sweep, or several scenarios, side by side: what one compares first. */
import type { RunStats } from '../../scenarios/stats.ts';
import type { Palette } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { decimal, perSecond, rate, share, time } from './text.ts';

export interface PointStats {
  readonly label: string;
  readonly stats: RunStats;
}

export function renderPoints(points: readonly PointStats[], palette: Palette): string {
  const heads = [
    left('point'),
    right('throughput'),
    right('DMA rate'),
    right('mean'),
    right('p50'),
    right('p99'),
    right('IOTLB hits'),
    right('refs/walk'),
    right('cores busy'),
  ];
  const rows = points.map(({ label, stats: { dma, iommu, host } }) => [
    label,
    rate(dma.throughput_bps),
    perSecond(dma.rate_per_s),
    time(dma.latency.mean_ps),
    time(dma.latency.p50_ps),
    time(dma.latency.p99_ps),
    iommu === null ? '-' : share(dma.iotlb_hit_rate),
    iommu === null || iommu.walks.count === 0 ? '-' : decimal(iommu.walks.references_per_walk),
    share(host.busy_rate),
  ]);
  const note = palette.dim(
    '  mean, p50 and p99: latency from issue to completion · refs: memory references',
  );
  const lines = [`${palette.title('Points')}${note}`, ...tableLines(heads, rows, palette.head)];
  return `${lines.join('\n')}\n`;
}
