/** Time per kind of call over all cases of a file. */
import { performance } from 'node:perf_hooks';
import type { RecordedOp } from './cases.ts';

export class CallProfile {
  private readonly kinds = new Map<string, { calls: number; milliseconds: number }>();

  measure(op: RecordedOp, run: () => void): void {
    const start = performance.now();
    try {
      run();
    } finally {
      this.add(op.op === 'ioctl' ? op.name : op.op, performance.now() - start);
    }
  }

  add(kind: string, milliseconds: number): void {
    const entry = this.kinds.get(kind) ?? { calls: 0, milliseconds: 0 };
    entry.calls++;
    entry.milliseconds += milliseconds;
    this.kinds.set(kind, entry);
  }

  /** Most expensive first. */
  lines(): string[] {
    const sorted = [...this.kinds].sort(([, a], [, b]) => b.milliseconds - a.milliseconds);
    return sorted.map(([kind, { calls, milliseconds }]) => {
      const each = ((1000 * milliseconds) / calls).toFixed(1);
      return `${milliseconds.toFixed(0).padStart(7)} ms ${String(calls).padStart(7)} x ${each.padStart(8)} us  ${kind}`;
    });
  }
}
