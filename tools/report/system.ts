/** Report sections about what surrounds the unit: memory, host software, safety, the run itself. */
import type { EngineFigures, SafetyFigures } from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { count, decimal, perSecond, share, time } from './text.ts';

export function systemSections(stats: ReportStats, palette: Palette): Section[] {
  const sections: Section[] = [];
  if (stats.memory !== undefined) sections.push(memorySection(stats.memory));
  if (stats.host !== undefined && stats.host.maps > 0) {
    sections.push(hostSection(stats.host, palette));
  }
  if (stats.safety !== undefined) sections.push(safetySection(stats.safety, palette));
  return sections;
}

/** How the run itself went. */
export function runSections({ engine }: ReportStats): Section[] {
  return engine === undefined ? [] : [engineSection(engine)];
}

function memorySection(memory: NonNullable<ReportStats['memory']>): Section {
  const { reads, writes, llc, dram_reads, dram_writes, dram_busy_rate } = memory;
  const lines = [
    `accesses: ${count(reads)} reads · ${count(writes)} writes · LLC hits ${share(llc.hit_rate)}`,
    `DRAM lines: ${count(dram_reads)} reads · ${count(dram_writes)} writes · busy ${share(dram_busy_rate)}`,
  ];
  return { title: 'Memory', note: '', lines };
}

function hostSection(host: NonNullable<ReportStats['host']>, palette: Palette): Section {
  const heads = [left('call'), right('count'), ...['mean', 'p50', 'p99', 'max'].map(right)];
  const rows = (
    [
      ['map', host.map],
      ['unmap', host.unmap],
    ] as const
  ).map(([name, latency]) => [
    name,
    count(latency.count),
    ...[latency.mean_ps, latency.p50_ps, latency.p99_ps, latency.max_ps].map(time),
  ]);
  const note = `cores busy ${share(host.busy_rate)} · ${count(host.flushes)} flushes`;
  return { title: 'Host software', note, lines: tableLines(heads, rows, palette.head) };
}

function safetySection(safety: SafetyFigures, palette: Palette): Section {
  const { stale_uses, exposed_uses, exposure_page_ps, exposed_pages, exposure_max_ps } = safety;
  const stale =
    stale_uses === 0
      ? palette.good('no translation was used after its unmapping was acknowledged')
      : palette.bad(
          `${count(stale_uses)} translations used after their unmapping was acknowledged`,
        );
  const exposure =
    exposed_pages === 0
      ? 'no page stayed reachable after its unmapping'
      : `unmapped but still reachable: ${count(exposed_pages)} pages, at most ${time(exposure_max_ps)} each, ` +
        `${time(exposure_page_ps)} page-time, ${count(exposed_uses)} uses`;
  return { title: 'Safety', note: '', lines: [stale, exposure] };
}

function engineSection(engine: EngineFigures): Section {
  const lines = [
    `${engine.wall_seconds.toFixed(2)} s · ${perSecond(engine.events_per_s, 'events')} · ` +
      `${perSecond(engine.dmas_per_s, 'DMA')} · ${count(engine.events)} events`,
  ];
  if (engine.threads > 1) {
    lines.push(
      `${engine.threads} threads · ${count(engine.partitions)} partitions · ` +
        `${count(engine.windows)} windows · speed-up ${decimal(engine.speedup)} · ` +
        `${engine.wait_seconds.toFixed(2)} s waiting at window boundaries`,
    );
  }
  return { title: 'This run', note: '', lines };
}
