/** Report sections about DMAs: devices, and where the time of a DMA went. */
import type { DeviceFigures, DmaFigures } from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { WAIT_WORDS } from './reasons.ts';
import { type Cell, left, right, tableLines } from './table.ts';
import { bar, count, perSecond, rate, share, size, time } from './text.ts';

const MAX_DEVICES = 16;
const BAR_WIDTH = 40;

export function dmaSections(stats: ReportStats, palette: Palette): Section[] {
  const { dma, devices } = stats;
  if (dma === undefined) return [];
  const sections = [deviceSection(dma, devices ?? {}, palette), latencySection(stats, palette)];
  const traffic = trafficSection(devices ?? {}, palette);
  if (traffic !== null) sections.splice(1, 0, traffic);
  if (dma.count > 0) sections.push(breakdown(dma, palette));
  return sections;
}

function deviceSection(
  dma: DmaFigures,
  devices: Readonly<Record<string, DmaFigures>>,
  palette: Palette,
): Section {
  const heads = [
    left('device'),
    right('DMAs'),
    right('reads'),
    right('data'),
    right('throughput'),
    right('DMA rate'),
    right('IOTLB hits'),
    right('aborted'),
  ];
  const row = (name: string, d: DmaFigures): (string | Cell)[] => [
    name,
    count(d.count),
    d.count === 0 ? '-' : share(d.reads / d.count),
    size(d.bytes),
    rate(d.throughput_bps),
    perSecond(d.rate_per_s),
    share(d.iotlb_hit_rate),
    { text: count(d.aborted), paint: d.aborted > 0 ? palette.bad : palette.dim },
  ];
  const named = Object.entries(devices);
  const rows = named.slice(0, MAX_DEVICES).map(([name, d]) => row(name, d));
  if (named.length !== 1) rows.push(row('all', dma));
  return { title: 'Devices', note: moreNote(named.length), lines: table(heads, rows, palette) };
}

/** What devices count for themselves: packets, drops, interrupts. */
function trafficSection(
  devices: Readonly<Record<string, DeviceFigures>>,
  palette: Palette,
): Section | null {
  const heads = [left('device'), left('counts')];
  const rows = Object.entries(devices)
    .slice(0, MAX_DEVICES)
    .flatMap(([name, { master }]) => {
      const figures = Object.entries(master ?? {}).filter(([, value]) => value !== 0);
      const parts = figures.map(([what, value]) => `${what.replaceAll('_', ' ')} ${count(value)}`);
      return parts.length === 0 ? [] : inLines(parts).map((line, i) => [i === 0 ? name : '', line]);
    });
  if (rows.length === 0) return null;
  return { title: 'Traffic', note: '', lines: table(heads, rows, palette) };
}

const PARTS_WIDTH = 80;

/** Joins parts by dots into lines that fit beside a name. */
function inLines(parts: readonly string[]): string[] {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines[lines.length - 1];
    const joined = last === undefined ? part : `${last} · ${part}`;
    if (last !== undefined && joined.length <= PARTS_WIDTH) lines[lines.length - 1] = joined;
    else lines.push(part);
  }
  return lines;
}

function moreNote(devices: number): string {
  return devices > MAX_DEVICES ? `first ${MAX_DEVICES} of ${count(devices)}` : '';
}

function table(
  heads: Parameters<typeof tableLines>[0],
  rows: Parameters<typeof tableLines>[1],
  palette: Palette,
): string[] {
  return tableLines(heads, rows, palette.head);
}

function latencySection(stats: ReportStats, palette: Palette): Section {
  const heads = [left('latency'), ...['mean', 'p50', 'p90', 'p99', 'p99.9', 'max'].map(right)];
  const row = (name: string, d: DmaFigures): string[] => {
    const { mean_ps, p50_ps, p90_ps, p99_ps, p999_ps, max_ps } = d.latency;
    return [name, ...[mean_ps, p50_ps, p90_ps, p99_ps, p999_ps, max_ps].map(time)];
  };
  const named = Object.entries(stats.devices ?? {});
  const rows = named.slice(0, MAX_DEVICES).map(([name, d]) => row(name, d));
  if (named.length !== 1 && stats.dma !== undefined) rows.push(row('all', stats.dma));
  const note = 'from issue to completion';
  return { title: 'DMA latency', note, lines: table(heads, rows, palette) };
}

/** Mean time of a DMA by wait reason; the reasons tile its whole life. */
function breakdown(dma: DmaFigures, palette: Palette): Section {
  const total = Object.values(dma.waits_ps).reduce((sum, ps) => sum + ps, 0);
  const largest = Math.max(1, ...Object.values(dma.waits_ps));
  const heads = [left('reason'), left(''), right('per DMA'), right('share'), left('')];
  const rows = WAIT_WORDS.filter(([reason]) => (dma.waits_ps[reason] ?? 0) > 0).map(
    ([reason, words]) => {
      const ps = dma.waits_ps[reason] ?? 0;
      return [
        reason,
        { text: words, paint: palette.dim },
        time(ps / dma.count),
        share(ps / total),
        { text: bar(ps / largest, BAR_WIDTH), paint: palette.bar },
      ];
    },
  );
  const note = `${time(total / dma.count)} per DMA`;
  return { title: 'Where every nanosecond went', note, lines: table(heads, rows, palette) };
}
