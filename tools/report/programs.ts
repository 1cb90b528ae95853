/** Report sections about programs: how they ended, and their system calls. */
import type {
  CallFigures,
  IommufdFigures,
  KernelFigures,
  PageRequestFigures,
  ProgramFigures,
} from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { left, right, tableLines } from './table.ts';
import { count, size, time } from './text.ts';

export function programSections(stats: ReportStats, palette: Palette): Section[] {
  const { programs, ioctl, kernel, iommufd } = stats;
  if (programs === undefined) return [];
  const sections = [programSection(programs, kernel, palette)];
  if (ioctl !== undefined && Object.keys(ioctl).length > 0) {
    const note = iommufd == null ? '' : driverNote(iommufd);
    sections.push(callSection(ioctl, note, palette));
  }
  const { page_requests } = stats;
  if (page_requests !== undefined) sections.push(pageRequestSection(page_requests, palette));
  return sections;
}

function pageRequestSection(figures: PageRequestFigures, palette: Palette): Section {
  const { sent, serviced, interrupts, overflows, latency } = figures;
  const heads = ['success', 'invalid', 'failure', 'unanswered', 'mean', 'p50', 'p99', 'max'];
  const counts = [figures.success, figures.invalid, figures.failure, figures.unanswered];
  const times = [latency.mean_ps, latency.p50_ps, latency.p99_ps, latency.max_ps];
  const row = [...counts.map(count), ...times.map(time)];
  const full = overflows > 0 ? `, overflows seen: ${count(overflows)}` : '';
  return {
    title: 'Page requests',
    note: `${count(sent)} sent, ${count(serviced)} serviced, ${count(interrupts)} interrupts${full}`,
    lines: tableLines(heads.map(right), [row], palette.head),
  };
}

function programSection(
  programs: Readonly<Record<string, ProgramFigures>>,
  kernel: KernelFigures | undefined,
  palette: Palette,
): Section {
  const heads = [left('program'), ...['steps', 'calls', 'refused', 'checks', 'failed'].map(right)];
  const rows = Object.entries(programs).map(([name, figures]) => [
    name,
    ...[figures.steps, figures.calls, figures.refused, figures.checks].map(count),
    {
      text: count(figures.failed_checks),
      paint: figures.failed_checks === 0 ? palette.good : palette.bad,
    },
    figures.finished ? `ended after ${time(figures.elapsed_ps)}` : 'did not end',
  ]);
  const lines = tableLines([...heads, left('')], rows, palette.head);
  for (const { failures } of Object.values(programs)) {
    lines.push(...failures.map((failure) => palette.bad(`  ${failure}`)));
  }
  if (kernel !== undefined) lines.push(heldLine(kernel, palette));
  return { title: 'Programs', note: '', lines };
}

function heldLine(kernel: KernelFigures, palette: Palette): string {
  const { pinned_pages, charged_bytes, charged_peak_bytes } = kernel;
  const peak = `(at most ${size(charged_peak_bytes)})`;
  return pinned_pages === 0 && charged_bytes === 0
    ? palette.good(`nothing is left pinned or allocated in the kernel ${peak}`)
    : `the kernel holds ${count(pinned_pages)} pinned pages and ${size(charged_bytes)} ${peak}`;
}

/** What the calls made of the IOMMU's driver. */
function driverNote(figures: IommufdFigures): string {
  const { domains, table_frames, table_peak_bytes, map_calls, invalidations, broadcasts } = figures;
  const shared = broadcasts > 0 ? `, ${count(broadcasts)} of them for further units` : '';
  return (
    `${count(domains)} page tables of ${count(table_frames)} frames (at most ` +
    `${size(table_peak_bytes)}) · ${count(map_calls)} maps · ` +
    `${count(invalidations)} invalidations${shared}`
  );
}

function callSection(
  calls: Readonly<Record<string, CallFigures>>,
  note: string,
  palette: Palette,
): Section {
  const heads = [
    left('call'),
    right('count'),
    right('errors'),
    ...['mean', 'p50', 'p99', 'max'].map(right),
    left(''),
  ];
  const rows = Object.entries(calls).map(([name, figures]) => [
    name,
    count(figures.count),
    count(figures.errors),
    ...[figures.mean_ps, figures.p50_ps, figures.p99_ps, figures.max_ps].map(time),
    Object.entries(figures.by_errno)
      .map(([errno, times]) => (times === 1 ? errno : `${errno} ${count(times)}`))
      .join(' '),
  ]);
  return { title: 'System calls', note, lines: tableLines(heads, rows, palette.head) };
}
