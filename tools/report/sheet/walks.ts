/** Panels about translation: references of a walk by stage and level, hit rates of the caches. */
import type { CacheFigures, IommuFigures, WalkFigures } from '../../../scenarios/stats.ts';
import { count, decimal, ratio } from '../text.ts';
import { heading, type Panel, share, time } from './panel.ts';
import { blend, box, fitted, inkOn, type TextStyle, text } from './svg.ts';

const FEW = '#f3eef1';
const MANY = '#882255';
const STAGES = [
  ['stage1', 'stage 1'],
  ['stage2', 'stage 2'],
  ['redirect', 'MSI'],
] as const;
const NAMES = 56;
const CELL_HIGH = 66;
const CELL_WIDEST = 118;
const TOP = 46;

/** References that a walk makes when nothing is cached and no page is large. */
export function mostReferences({ levels }: WalkFigures): number {
  const depth = (stage: string): number =>
    Math.max(0, ...levels.filter((at) => at.stage === stage).map(({ level }) => level + 1));
  return (depth('stage1') + 1) * (depth('stage2') + 1) - 1;
}

export function walkPanel(walks: WalkFigures, wide: number): Panel {
  if (walks.count === 0) {
    const shapes = heading('Page walks', 'none: every translation was cached');
    return { shapes, height: TOP };
  }
  const note = `${decimal(walks.references_per_walk)} of up to ${mostReferences(walks)} references`;
  const shapes = heading('A page walk', note);
  const deepest = Math.max(...walks.levels.map(({ level }) => level));
  const cell = Math.min(CELL_WIDEST, (wide - NAMES) / (deepest + 1));
  const largest = Math.max(1, ...walks.levels.map((at) => at.references / walks.count));
  let y = TOP;
  for (let level = deepest; level >= 0; level--) {
    const x = NAMES + (deepest - level) * cell + cell / 2;
    shapes.push(text(x, y - 8, `level ${level}`, { size: 11, anchor: 'middle', tone: 'soft' }));
  }
  for (const [stage, title] of STAGES) {
    const levels = walks.levels.filter((at) => at.stage === stage);
    if (levels.length === 0) continue;
    shapes.push(text(0, y + CELL_HIGH / 2 + 4, title, { bold: true }));
    for (const at of levels) {
      const x = NAMES + (deepest - at.level) * cell;
      shapes.push(...cellOf(walks, at, x, y, cell - 4, largest));
    }
    y += CELL_HIGH + 4;
  }
  shapes.push(text(0, y + 14, LEGEND, { size: 11, tone: 'soft' }));
  return { shapes, height: y + 18 };
}

const LEGEND = 'memory references per walk · share that caches saved · mean time of one';

function cellOf(
  walks: WalkFigures,
  at: WalkFigures['levels'][number],
  x: number,
  y: number,
  wide: number,
  largest: number,
): string[] {
  const perWalk = at.references / walks.count;
  const wanted = at.references + at.skipped;
  const fill = blend(FEW, MANY, Math.sqrt(perWalk / largest));
  const isRead = at.references > 0;
  const ink: TextStyle = isRead ? { fill: inkOn(fill) } : {};
  const middle = x + wide / 2;
  const tip = `${at.stage} level ${at.level}: ${count(at.references)} references, ${count(at.skipped)} saved`;
  const line = (down: number, words: string, size: number, bold = false): string =>
    text(middle, y + down, words, { size, bold, anchor: 'middle', ...ink });
  return [
    box(x, y, wide, CELL_HIGH, { ...(isRead ? { fill } : { kind: 'tile' }), radius: 4, tip }),
    line(26, ratio(at.references, walks.count), 18, true),
    line(42, `${share(wanted === 0 ? 0 : at.skipped / wanted)} saved`, 11),
    line(57, isRead ? time(at.mean_ps) : 'not read', 11),
  ];
}

const CACHE_NAMES = 112;
const CACHE_FIGURES = 136;
const CACHE_ROW = 20;
const CACHES_TOP = 32;
const HIT = '#44aa99';

export function cachePanel(iommu: IommuFigures, wide: number): Panel {
  const named: [string, CacheFigures][] = [
    ['IOTLB', iommu.iotlb],
    ['context', iommu.contexts],
    ...Object.entries(iommu.walks.caches),
  ];
  const caches = named.filter(([, { hits, misses }]) => hits + misses > 0);
  const track = wide - CACHE_NAMES - CACHE_FIGURES - 8;
  const shapes = heading('Hit rates', 'share of lookups');
  for (const [i, [name, { hits, misses, hit_rate }]] of caches.entries()) {
    const y = CACHES_TOP + i * CACHE_ROW;
    const words = name
      .replace(/^stage(\d)\.l(\d)$/, 'stage $1 level $2')
      .replace(/^nested$/, 'nested TLB');
    shapes.push(
      text(0, y + 10, fitted(words, CACHE_NAMES, 12)),
      box(CACHE_NAMES, y, track, 12, { kind: 'track', radius: 2 }),
      text(wide - CACHE_FIGURES + 56, y + 10, share(hit_rate), { anchor: 'end', bold: true }),
      text(wide, y + 10, `of ${count(hits + misses)}`, { size: 11, anchor: 'end', tone: 'soft' }),
    );
    if (hit_rate > 0) {
      shapes.push(box(CACHE_NAMES, y, track * hit_rate, 12, { fill: HIT, radius: 2 }));
    }
  }
  return { shapes, height: CACHES_TOP + caches.length * CACHE_ROW };
}
