/** An analysis as text: what the trace holds, then one table per recipe. */
import { formatDuration } from '../sim/units.ts';
import type { DurationFigures, GroupTable, TraceAnalysis } from './analyze.ts';
import type { TraceSummary } from './reader.ts';
import { renderTable, type TableColumn } from './table.ts';

/** Groups of a table that a person will look at. */
const GROUPS_SHOWN = 48;

export function renderAnalysis(analysis: TraceAnalysis): string {
  const { trace } = analysis;
  const span = formatDuration(analysis.span_ps, 4);
  const parts = [
    `${analysis.program}, seed ${analysis.seed}: ${trace.rows} records over ${span}`,
    ...(trace.reason === null ? [] : [`not complete: ${trace.reason}`]),
    renderKinds(trace),
  ];
  for (const table of analysis.tables) {
    if (table.groups.length > 0) parts.push(`${table.title}\n${renderGroups(table)}`);
  }
  return parts.join('\n\n');
}

function renderKinds(trace: TraceSummary): string {
  const right = ['rows', 'bytes', 'bytes/row'];
  const columns: TableColumn[] = [
    { title: 'record', align: 'left' },
    ...right.map((title): TableColumn => ({ title, align: 'right' })),
  ];
  const line = (name: string, rows: number, bytes: number, perRow: number): string[] => [
    name,
    String(rows),
    String(bytes),
    perRow.toFixed(2),
  ];
  const kinds = trace.kinds.map((kind) => line(kind.name, kind.rows, kind.bytes, kind.bytesPerRow));
  return renderTable(columns, [...kinds, line('file', trace.rows, trace.bytes, trace.bytesPerRow)]);
}

function renderGroups(table: GroupTable): string {
  const sample = table.groups[0];
  const right = (titles: readonly string[]): TableColumn[] =>
    titles.map((title) => ({ title, align: 'right' }));
  const columns: TableColumn[] = [
    ...Object.keys(sample.key).map((title): TableColumn => ({ title, align: 'left' })),
    ...right(table.is_summary ? [] : ['count', 'per s']),
    ...right(Object.keys(sample.sums).map(heading)),
    ...right(Object.keys(sample.ratios).map(heading)),
    ...right(sample.share === null ? [] : ['share']),
    ...right(sample.throughput_bps === null ? [] : ['Gb/s']),
    ...right(sample.duration === null ? [] : ['mean', 'p50', 'p99', 'p99.9', 'max']),
  ];
  const rows = table.groups
    .slice(0, GROUPS_SHOWN)
    .map((group) => [
      ...Object.values(group.key).map(String),
      ...(table.is_summary ? [] : [String(group.count), String(group.rate_per_s)]),
      ...Object.entries(group.sums).map(([name, value]) => amount(name, value)),
      ...Object.entries(group.ratios).map(([name, value]) => amount(name, value)),
      ...(group.share === null ? [] : [percent(group.share)]),
      ...(group.throughput_bps === null ? [] : [(group.throughput_bps / 1e9).toFixed(3)]),
      ...(group.duration === null ? [] : times(group.duration)),
    ]);
  const hidden = table.groups.length - rows.length;
  const text = renderTable(columns, rows);
  return hidden === 0 ? text : `${text}\n... and ${hidden} more (all of them with --json)`;
}

function times(figures: DurationFigures): string[] {
  const { mean_ps, p50_ps, p99_ps, p999_ps, max_ps } = figures;
  return [mean_ps, p50_ps, p99_ps, p999_ps, max_ps].map((ps) => formatDuration(ps, 4));
}

function heading(name: string): string {
  return name.replace(/_ps$/, '').replaceAll('_', ' ');
}

function amount(name: string, value: number | null): string {
  if (value === null) return '-';
  if (name.endsWith('_ps')) return formatDuration(value, 4);
  return name.endsWith('_rate') ? percent(value) : String(value);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)}%`;
}
