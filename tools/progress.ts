/**
 * One line of progress on stderr: simulated time, events per second, time left. Only on a terminal;
 * a pipe stays quiet.
 */
import type { Progress } from '../scenarios/run-api.ts';
import type { Io } from './io.ts';
import { perSecond, share, time } from './report/text.ts';

const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[K';

export class ProgressLine {
  private readonly io: Io;
  private readonly label: string;
  private readonly now: () => number;
  private readonly started: number;
  private drawn = 0;
  private shown = false;

  constructor(io: Io, label: string, now: () => number = () => Date.now()) {
    this.io = io;
    this.label = label;
    this.now = now;
    this.started = now();
  }

  update(progress: Progress): void {
    if (!this.io.errIsTerminal) return;
    const now = this.now();
    if (now - this.drawn < REDRAW_MS) return;
    this.drawn = now;
    this.shown = true;
    this.io.err(`${CLEAR_LINE}${progressText(this.label, progress, (now - this.started) / 1000)}`);
  }

  /** Removes the line. */
  end(): void {
    if (this.shown) this.io.err(CLEAR_LINE);
    this.shown = false;
  }
}

/** `quickstart  1.24ms simulated  41.3%  5.20 M events/s  0:07 left`. */
export function progressText(label: string, progress: Progress, seconds: number): string {
  const { simulated_ps, events, done } = progress;
  const parts = [label, `${time(simulated_ps)} simulated`, share(done)];
  if (seconds > 0) parts.push(perSecond(events / seconds, 'events'));
  if (done > 0.01) parts.push(`${clock((seconds * (1 - done)) / done)} left`);
  return parts.join('  ');
}

function clock(seconds: number): string {
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}
