/** Books and records of system calls: how many, how long, how many were refused and why. */
import type { RecordKind } from '../../../sim/probe.ts';
import { Histogram } from '../../../sim/stats/histogram.ts';
import type { Answer } from './answer.ts';

/** One system call; its cycle is that of the answer. */
export const SYSCALL_RECORD: RecordKind = {
  name: 'syscall',
  level: 'requests',
  columns: [
    { name: 'program', type: 'u32', doc: 'Index of the program, children after their parents.' },
    { name: 'word', type: 'u32', doc: 'Command word of an ioctl; 0: another call.' },
    { name: 'errno', type: 'u32', doc: 'Error number; 0: success.' },
    { name: 'cycles', type: 'u32', doc: 'Cycles from the entry to the answer.' },
    { name: 'invalidations', type: 'u32', doc: 'Invalidations that it waited for.' },
  ],
};

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
