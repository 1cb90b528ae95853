/** Report sections about the unit: caches, walks by stage and level, commands, faults. */
import type {
  CacheFigures,
  CommandFigures,
  FaultFigures,
  LatencyFigures,
  OccupancyFigures,
  WalkFigures,
} from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { count, decimal, ratio, share, time } from './text.ts';

const LATENCY_TITLES = ['mean', 'p50', 'p90', 'p99', 'p99.9', 'max'];

export function iommuSections(stats: ReportStats, palette: Palette): Section[] {
  const { iommu } = stats;
  if (iommu === undefined || iommu === null) return [];
  const sections = [cacheSection(iommu, palette)];
  if (iommu.walks.count > 0) sections.push(walkSection(iommu.walks, palette));
  if (iommu.commands.count > 0) sections.push(commandSection(iommu.commands, palette));
  if (iommu.faults.count > 0) sections.push(faultSection(iommu.faults, palette));
  return sections;
}

function cacheSection(iommu: NonNullable<ReportStats['iommu']>, palette: Palette): Section {
  const heads = [
    left('cache'),
    right('lookups'),
    right('hits'),
    right('misses'),
    right('merged'),
    right('hit rate'),
    right('evicted'),
    right('invalidated'),
  ];
  const row = (name: string, cache: CacheFigures): string[] => [
    name,
    count(cache.lookups),
    count(cache.hits),
    count(cache.misses),
    cache.merged === undefined ? '-' : count(cache.merged),
    share(cache.hit_rate),
    cache.evictions === undefined ? '-' : count(cache.evictions),
    cache.invalidated === undefined ? '-' : count(cache.invalidated),
  ];
  const rows = [row('IOTLB', iommu.iotlb), row('context', iommu.contexts)];
  for (const [name, cache] of Object.entries(iommu.walks.caches)) {
    if (cache.lookups > 0) rows.push(row(`walk ${name}`, cache));
  }
  const note = noteOf(
    iommu.arch,
    `${count(iommu.requests)} requests`,
    used(iommu.outstanding, 'request slots'),
  );
  return { title: 'Translation caches', note, lines: tableLines(heads, rows, palette.head) };
}

/** Parts of a note, without those that say nothing. */
function noteOf(...parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(' · ');
}

/** `11.25 of 64 walk slots in use, at most 64`; nothing when it was not measured. */
function used(occupancy: OccupancyFigures, what: string): string {
  const { mean, max, capacity } = occupancy;
  const average = mean === undefined ? '' : `${decimal(mean)} of `;
  return `${average}${count(capacity)} ${what} in use, at most ${count(max)}`;
}

function latencyCells(latency: LatencyFigures): string[] {
  const { mean_ps, p50_ps, p90_ps, p99_ps, p999_ps, max_ps } = latency;
  return [mean_ps, p50_ps, p90_ps, p99_ps, p999_ps, max_ps].map(time);
}

function walkSection(walks: WalkFigures, palette: Palette): Section {
  const heads = [
    left('stage'),
    right('level'),
    left('entry'),
    right('references'),
    right('per walk'),
    right('saved by caches'),
    right('mean'),
  ];
  const rows = walks.levels.map((level) => {
    const wanted = level.references + level.skipped;
    return [
      level.stage,
      String(level.level),
      level.name,
      count(level.references),
      ratio(level.references, walks.count),
      wanted === 0 ? '-' : share(level.skipped / wanted),
      level.references === 0 ? '-' : time(level.mean_ps),
    ];
  });
  const latency = tableLines(
    [left('walk latency'), ...LATENCY_TITLES.map(right)],
    [['all walks', ...latencyCells(walks.latency)]],
    palette.head,
  );
  const note = noteOf(
    `${count(walks.count)} walks`,
    `${decimal(walks.references_per_walk)} references per walk`,
    used(walks.slots, 'walk slots'),
  );
  const lines = [...tableLines(heads, rows, palette.head), '', ...latency];
  return { title: 'Page walks', note, lines };
}

function commandSection(commands: CommandFigures, palette: Palette): Section {
  const heads = [left('latency'), right('count'), ...LATENCY_TITLES.map(right)];
  const rows = [
    ['command', count(commands.latency.count), ...latencyCells(commands.latency)],
    ['invalidation', count(commands.invalidation.count), ...latencyCells(commands.invalidation)],
  ];
  const names = Object.entries(commands.by_name).map(([name, n]) => `${name} ${count(n)}`);
  const note = noteOf(...names);
  const lines = tableLines(heads, rows, palette.head);
  return { title: 'Commands', note, lines };
}

function faultSection(faults: FaultFigures, palette: Palette): Section {
  const heads = [left('cause'), right('faults')];
  const rows = Object.entries(faults.by_cause).map(([cause, n]) => [cause, count(n)]);
  const note = `${count(faults.recorded)} recorded · ${count(faults.overflowed)} lost to overflow`;
  return { title: 'Faults', note, lines: tableLines(heads, rows, palette.head) };
}
