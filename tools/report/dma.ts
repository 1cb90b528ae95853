/** Report sections about DMAs: devices, and where the time of a DMA went. */
import type { DeviceFigures, DmaFigures } from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { WAIT_WORDS } from './reasons.ts';
import { type Cell, left, right, tableLines } from './table.ts';
import { bar, count, perSecond, rate, share, size, time } from './text.ts';

/** More devices than this are not listed one by one. */
const MAX_DEVICES = 12;
const LATENCIES = [
  ['mean', 'mean_ps'],
  ['p50', 'p50_ps'],
  ['p90', 'p90_ps'],
  ['p99', 'p99_ps'],
  ['p99.9', 'p999_ps'],
  ['max', 'max_ps'],
] as const;
const BAR_WIDTH = 40;

export function dmaSections(stats: ReportStats, palette: Palette): Section[] {
  const { dma, devices } = stats;
  if (dma === undefined) return [];
  const sections = [
    deviceSection(dma, devices ?? {}, palette),
    latencySection(stats, dma, palette),
  ];
  const traffic = trafficSection(devices ?? {}, palette);
  if (traffic !== null) sections.splice(1, 0, traffic);
  if (dma.count > 0) sections.push(breakdown(dma, palette));
  return sections;
}

/** A column of figures: how to read it from a device and how to write it. */
interface Column {
  readonly title: string;
  readonly of: (dma: DmaFigures) => number;
  readonly text: (value: number) => string | Cell;
}

type Devices = Readonly<Record<string, DeviceFigures>>;

/** A row per device and one of all; of many devices the least, the median and the most instead. */
function deviceRows(
  dma: DmaFigures,
  devices: Devices,
  columns: readonly Column[],
): (string | Cell)[][] {
  const row = (name: string, of: (column: Column) => number): (string | Cell)[] => [
    name,
    ...columns.map((column) => column.text(of(column))),
  ];
  const named = Object.entries(devices);
  const all = row('all', ({ of }) => of(dma));
  if (named.length <= MAX_DEVICES) {
    const rows = named.map(([name, figures]) =>
      figures.count > 0
        ? row(name, ({ of }) => of(figures))
        : [name, ...columns.map(({ title }) => (title === 'DMAs' ? '0' : '-'))],
    );
    return named.length === 1 ? rows : [...rows, all];
  }
  const at = (column: Column, part: number): number => {
    const values = named.map(([, figures]) => column.of(figures)).sort((a, b) => a - b);
    return values[Math.floor((values.length - 1) * part)];
  };
  return [
    row('least', (column) => at(column, 0)),
    row('median', (column) => at(column, 0.5)),
    row('most', (column) => at(column, 1)),
    all,
  ];
}

function deviceSection(dma: DmaFigures, devices: Devices, palette: Palette): Section {
  const columns: Column[] = [
    { title: 'DMAs', of: (d) => d.count, text: count },
    {
      title: 'reads',
      of: (d) => (d.count === 0 ? -1 : d.reads / d.count),
      text: (part) => (part < 0 ? '-' : share(part)),
    },
    { title: 'data', of: (d) => d.bytes, text: size },
    { title: 'throughput', of: (d) => d.throughput_bps, text: rate },
    { title: 'DMA rate', of: (d) => d.rate_per_s, text: (value) => perSecond(value) },
    { title: 'IOTLB hits', of: (d) => d.iotlb_hit_rate, text: share },
    {
      title: 'aborted',
      of: (d) => d.aborted,
      text: (n) => ({ text: count(n), paint: n > 0 ? palette.bad : palette.dim }),
    },
  ];
  const heads = [left('device'), ...columns.map(({ title }) => right(title))];
  const lines = tableLines(heads, deviceRows(dma, devices, columns), palette.head);
  return { title: 'Devices', note: foldNote(devices), lines };
}

/** What devices count for themselves: packets, drops, interrupts; of many devices the sums. */
function trafficSection(devices: Devices, palette: Palette): Section | null {
  const named = Object.entries(devices).map(
    ([name, { master = {} }]): [string, Readonly<Record<string, number>>] => [name, master],
  );
  const counted: typeof named =
    named.length <= MAX_DEVICES ? named : [['all', sums(named.map(([, master]) => master))]];
  const rows = counted.flatMap(([name, master]) => {
    const lines = inLines(trafficParts(master));
    return lines.map((line, i) => [i === 0 ? name : '', line]);
  });
  if (rows.length === 0) return null;
  const heads = [left('device'), left('counts')];
  return { title: 'Traffic', note: '', lines: tableLines(heads, rows, palette.head) };
}

function sums(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const figures of all) {
    for (const [what, value] of Object.entries(figures)) total[what] = (total[what] ?? 0) + value;
  }
  return total;
}

const BYTES = /-bytes$/;

/** `received 6,887 (26.9MiB)` of `received` and `received-bytes`; without zeros. */
function trafficParts(figures: Readonly<Record<string, number>>): string[] {
  return Object.entries(figures)
    .filter(([what, value]) => value !== 0 && !BYTES.test(what))
    .map(([what, value]) => {
      const bytes = figures[`${what}-bytes`];
      const amount = bytes === undefined ? '' : ` (${size(bytes)})`;
      return `${what.replaceAll(/[-_]/g, ' ')} ${count(value)}${amount}`;
    });
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

function foldNote(devices: Devices): string {
  const number = Object.keys(devices).length;
  return number > MAX_DEVICES ? `${count(number)} devices, each column by itself` : '';
}

function latencySection({ devices = {} }: ReportStats, dma: DmaFigures, palette: Palette): Section {
  const columns = LATENCIES.map(
    ([title, key]): Column => ({ title, of: ({ latency }) => latency[key], text: time }),
  );
  const heads = [left('latency'), ...columns.map(({ title }) => right(title))];
  const lines = tableLines(heads, deviceRows(dma, devices, columns), palette.head);
  return { title: 'DMA latency', note: 'from issue to completion', lines };
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
  return {
    title: 'Where every nanosecond went',
    note,
    lines: tableLines(heads, rows, palette.head),
  };
}
