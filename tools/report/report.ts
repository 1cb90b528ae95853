/** The text report of a run or of a trace: sections of tables, each left out when it is empty. */
import type { ExpectationResult } from '../../scenarios/expect.ts';
import { figureText } from '../../scenarios/expect.ts';
import { dmaSections } from './dma.ts';
import { iommuSections } from './iommu.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { programSections } from './programs.ts';
import { recordingSections } from './recording.ts';
import { runSections, systemSections } from './system.ts';
import { left, right, tableLines } from './table.ts';
import { count, share, time } from './text.ts';

const END_WORDS: Readonly<Record<string, string>> = {
  time: 'ended at the time limit',
  dmas: 'ended at the DMA limit',
  finished: 'all work done',
  stalled: 'STALLED',
};

export function renderReport(stats: ReportStats, palette: Palette, description = ''): string {
  const lines = headLines(stats, palette, description);
  const sections = [
    ...recordingSections(stats, palette),
    ...programSections(stats, palette),
    ...(hasTraffic(stats) ? hardwareSections(stats, palette) : []),
    ...runSections(stats),
  ];
  for (const section of sections) {
    const note = section.note === '' ? '' : palette.dim(`  ${section.note}`);
    lines.push('', `${palette.title(section.title)}${note}`, ...section.lines);
  }
  return `${lines.join('\n')}\n`;
}

/** Programs alone leave the hardware idle. */
function hasTraffic({ programs, devices }: ReportStats): boolean {
  return programs === undefined || devices === undefined || Object.keys(devices).length > 0;
}

function hardwareSections(stats: ReportStats, palette: Palette): Section[] {
  return [
    ...dmaSections(stats, palette),
    ...iommuSections(stats, palette),
    ...systemSections(stats, palette),
  ];
}

function headLines(stats: ReportStats, palette: Palette, description: string): string[] {
  const { time: span } = stats;
  const name = stats.point ? `${stats.scenario} (${stats.point})` : stats.scenario;
  const facts = [
    `seed ${stats.seed}`,
    `${time(span.simulated_ps)} simulated`,
    span.measured_ps === span.simulated_ps ? '' : `${time(span.measured_ps)} measured`,
    `${count(span.cycles)} cycles`,
    END_WORDS[span.end] ?? span.end,
  ].filter((fact) => fact !== '');
  const lines = [palette.title(name)];
  if (description !== '') lines.push(...wrap(description, 100));
  lines.push(palette.dim(facts.join(' · ')));
  return lines;
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.trim().split(/\s+/)) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return line === '' ? lines : [...lines, line];
}

interface LabelledResult {
  readonly label: string;
  readonly result: ExpectationResult;
}

/** Runs with the same outcome of a figure that are still listed one by one. */
const MAX_ALIKE = 3;

/** A figure that came out exactly as expected, and alike, in every run gets one row. */
function folded(results: readonly LabelledResult[]): LabelledResult[] {
  const rows: LabelledResult[] = [];
  const byPath = new Map<string, LabelledResult[]>();
  for (const entry of results) {
    const { path } = entry.result;
    byPath.set(path, [...(byPath.get(path) ?? []), entry]);
  }
  for (const entry of results) {
    const alike = byPath.get(entry.result.path) ?? [];
    const { expected, measured } = alike[0].result;
    const isOne = alike.every(
      ({ result }) =>
        result.pass &&
        !result.deviation &&
        result.expected === expected &&
        result.measured === measured,
    );
    if (!isOne || alike.length <= MAX_ALIKE) rows.push(entry);
    else if (entry === alike[0]) rows.push({ ...entry, label: `each of ${alike.length}` });
  }
  return rows;
}

/** One row per expected figure; `label` names the sweep point. */
export function renderExpectations(results: readonly LabelledResult[], palette: Palette): string {
  const shown = folded(results);
  const labelled = results.some(({ label }) => label !== '');
  const heads = [left('figure'), right('expected'), right('measured'), right('off by'), left('')];
  const rows = shown.map(({ label, result }) => {
    const verdict = result.pass ? 'ok' : 'FAILED';
    const note = result.note === '' ? '' : `: ${result.note}`;
    const cells = [
      result.path,
      result.expected,
      figureText(result.path, result.measured),
      result.deviation === null ? '' : signed(result.deviation),
      { text: `${verdict}${note}`, paint: result.pass ? palette.good : palette.bad },
    ];
    return labelled ? [label, ...cells] : cells;
  });
  const table = tableLines(labelled ? [left('point'), ...heads] : heads, rows, palette.head);
  const failed = results.filter(({ result }) => !result.pass).length;
  const passed = results.length - failed;
  const summary = `${passed} expectation${passed === 1 ? '' : 's'} met, ${failed} failed`;
  const paint = failed === 0 ? palette.good : palette.bad;
  return `${[palette.title('Expectations'), ...table, paint(summary)].join('\n')}\n`;
}

function signed(deviation: number): string {
  if (deviation === 0) return '';
  return `${deviation < 0 ? '' : '+'}${share(deviation)}`;
}
