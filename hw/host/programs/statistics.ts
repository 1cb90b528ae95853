/** Books of the system calls of all programs: how many, how long, how many were refused and why. */
import { Histogram } from '../../../sim/stats/histogram.ts';
import type { Answer } from './actions.ts';

export interface CallFigures {
  readonly latency: Histogram;
  errors: number;
  readonly byErrno: Map<string, number>;
}

export class CallBook {
  readonly calls: Map<string, CallFigures> = new Map();

  record(answer: Answer, cycles: number): void {
    let figures = this.calls.get(answer.call);
    if (figures === undefined) {
      figures = { latency: new Histogram(), errors: 0, byErrno: new Map() };
      this.calls.set(answer.call, figures);
    }
    figures.latency.record(cycles);
    if (answer.errno === '') return;
    figures.errors++;
    figures.byErrno.set(answer.errno, (figures.byErrno.get(answer.errno) ?? 0) + 1);
  }

  reset(): void {
    this.calls.clear();
  }
}
