/** Report section about a recording that was played: what of it, its order, how it came out. */
import type { RecordingFigures } from '../../scenarios/stats.ts';
import type { Palette, ReportStats, Section } from './model.ts';
import { count } from './text.ts';

export function recordingSections({ recording }: ReportStats, palette: Palette): Section[] {
  if (recording === undefined || recording === null) return [];
  const lines = [
    playedLine(recording),
    verdictLine(recording, palette),
    ...recording.first_mismatches.map(
      ({ event, requester, iova, expected, got }) =>
        `  event ${event}: ${requester} ${iova}: recorded ${expected}, got ${got ?? 'a fault'}`,
    ),
    orderLine(recording),
  ];
  return [{ title: 'Recording', note: recording.folder, lines }];
}

function playedLine(recording: RecordingFigures): string {
  const { attaches, maps, unmaps, commands, not_played } = recording;
  const left = not_played === 0 ? '' : ` · ${count(not_played)} events not played`;
  return (
    `${count(attaches)} attaches · ${count(maps)} maps · ${count(unmaps)} unmaps · ` +
    `${count(commands)} commands${left}`
  );
}

function verdictLine({ translations, mismatches }: RecordingFigures, palette: Palette): string {
  return mismatches === 0
    ? palette.good(`${count(translations)} translations, every one as recorded`)
    : palette.bad(`${count(mismatches)} of ${count(translations)} translations not as recorded`);
}

/** What was done to the recorded order, whose two sources were merged by time. */
function orderLine({ order }: RecordingFigures): string {
  const { moved_max_us: farthest = 0, ...rules } = order;
  const applied = Object.entries(rules)
    .filter(([, times]) => times > 0)
    .map(([rule, times]) => `${rule.replaceAll('_', ' ')} ${count(times)}`);
  if (applied.length === 0) return 'recorded order kept';
  return `recorded order: ${applied.join(' · ')} (by at most ${count(farthest)} us)`;
}
