/**
 * The result of a run as one picture: headline figures, where the time of a DMA went, the page walk
 * level by level, latency by percentile. Nothing of the machine that ran it is on it: the same run
 * gives the same bytes.
 */
import type { RunStats } from '../../../scenarios/stats.ts';
import { count, decimal, perSecond } from '../text.ts';
import { callPanel, programTiles } from './calls.ts';
import { latencyPanel } from './latency.ts';
import { INNER, MARGIN, type Panel, rate, SHEET_WIDTH, share, type Tile, time } from './panel.ts';
import { box, drawing, fitted, group, text } from './svg.ts';
import { waitPanel } from './waits.ts';
import { cachePanel, mostReferences, walkPanel } from './walks.ts';

const UNITS: Readonly<Record<string, string>> = { riscv: 'RISC-V IOMMU', vtd: 'Intel VT-d' };
const GAP = 30;
const WALK_WIDTH = 540;
const TILE_GAP = 10;
const TILE_HIGH = 76;

/** The sheet of a run as SVG; `description` is the scenario's. */
export function renderSheet(stats: RunStats, description = ''): string {
  const { iommu } = stats;
  const rows = [headPanel(stats, description), tilePanel(stats), waitPanel(stats)];
  if (iommu !== null && iommu.requests > 0) {
    rows.push(
      beside(
        walkPanel(iommu.walks, WALK_WIDTH),
        cachePanel(iommu, INNER - WALK_WIDTH - GAP),
        WALK_WIDTH + GAP,
      ),
    );
  }
  rows.push(latencyPanel(stats), callPanel(stats));
  const shapes: string[] = [];
  let y = MARGIN - 4;
  for (const panel of rows) {
    if (panel === null) continue;
    shapes.push(group(MARGIN, y, panel.shapes));
    y += panel.height + GAP;
  }
  const high = y - GAP + MARGIN - 8;
  const paper = box(0.5, 0.5, SHEET_WIDTH - 1, high - 1, { kind: 'sheet', radius: 10 });
  return drawing(SHEET_WIDTH, high, `iommusim: ${nameOf(stats)}`, [paper, ...shapes]);
}

function nameOf({ scenario, point }: RunStats): string {
  return point === null ? scenario : `${scenario} (${point})`;
}

function unitOf(iommu: RunStats['iommu']): string {
  return iommu === null ? 'no IOMMU' : (UNITS[iommu.arch] ?? iommu.arch);
}

function headPanel(stats: RunStats, description: string): Panel {
  const { time: span, iommu } = stats;
  const facts = [
    hasOnlyCalls(stats) ? '/dev/iommu' : unitOf(iommu),
    `seed ${stats.seed}`,
    `${time(span.measured_ps)} measured`,
  ].join(' · ');
  const lines = wrap(description, 124);
  return {
    shapes: [
      text(0, 20, fitted(nameOf(stats), INNER - 320, 24), { size: 24, bold: true }),
      text(INNER, 20, facts, { anchor: 'end', tone: 'soft' }),
      ...lines.map((line, i) => text(0, 44 + i * 18, line, { size: 13, tone: 'soft' })),
    ],
    height: 26 + lines.length * 18 - 8,
  };
}

function wrap(words: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of words.split(/\s+/).filter((part) => part !== '')) {
    const joined = `${lines[lines.length - 1] ?? ''} ${word}`;
    if (lines.length === 0 || joined.length > width) lines.push(word);
    else lines[lines.length - 1] = joined;
  }
  return lines;
}

/** Whether programs made system calls and no device did a DMA. */
function hasOnlyCalls({ dma, programs }: RunStats): boolean {
  return dma.count === 0 && programs !== undefined;
}

function dmaTiles({ dma, iommu, safety }: RunStats): Tile[] {
  const walks = iommu?.walks;
  const lookups = iommu === null ? 0 : iommu.iotlb.hits + iommu.iotlb.misses;
  return [
    { title: 'Throughput', figure: rate(dma.throughput_bps), note: 'payload of all DMAs' },
    { title: 'DMA rate', figure: perSecond(dma.rate_per_s), note: `${count(dma.count)} DMAs` },
    {
      title: 'Latency, mean',
      figure: time(dma.latency.mean_ps),
      note: `p99 ${time(dma.latency.p99_ps)}`,
    },
    {
      title: 'IOTLB hits',
      figure: iommu === null ? '-' : share(dma.iotlb_hit_rate),
      note: iommu === null ? 'switched off' : `of ${count(lookups)} lookups`,
    },
    {
      title: 'References per walk',
      figure: walks === undefined || walks.count === 0 ? '-' : decimal(walks.references_per_walk),
      note:
        walks === undefined || walks.count === 0
          ? 'no walks'
          : `of ${mostReferences(walks)} without caches`,
    },
    {
      title: 'Stale uses',
      figure: count(safety.stale_uses),
      note: 'after unmapping',
      tone: safety.stale_uses === 0 ? 'good' : 'bad',
    },
  ];
}

function tilePanel(stats: RunStats): Panel {
  const tiles = hasOnlyCalls(stats) ? programTiles(stats) : dmaTiles(stats);
  const wide = (INNER - (tiles.length - 1) * TILE_GAP) / tiles.length;
  const shapes = tiles.flatMap(({ title, figure, note, tone = 'ink' }, i) => {
    const x = i * (wide + TILE_GAP);
    return [
      box(x, 0, wide, TILE_HIGH, { kind: 'tile', radius: 6 }),
      text(x + 12, 20, title, { size: 11, tone: 'soft' }),
      text(x + 12, 46, figure, { size: 22, bold: true, tone }),
      text(x + 12, 65, note, { size: 10.5, tone: 'soft' }),
    ];
  });
  return { shapes, height: TILE_HIGH };
}

function beside(left: Panel, right: Panel, x: number): Panel {
  return {
    shapes: [...left.shapes, group(x, 0, right.shapes)],
    height: Math.max(left.height, right.height),
  };
}
