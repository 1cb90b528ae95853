/** What came of a step, or of a system call that a hypervisor made for its guest. */
import type { CallReport } from '../iommufd/client/call.ts';
import type { Actual } from './comparison.ts';

export interface Answer {
  /** What statistics call it. */
  readonly call: string;
  /** Command word of an ioctl; 0: another call. */
  readonly word: number;
  /** How often the kernel was entered. */
  readonly entries: number;
  /** Besides those of entries and of the kernel's work. */
  readonly cycles: number;
  /** Name of the error number; empty: success. */
  readonly errno: string;
  readonly rule: string;
  readonly out: Readonly<Record<string, Actual>>;
}

export function ofReport(call: string, entries: number, report: CallReport): Answer {
  const { word, error: errno, rule, out } = report;
  return { call, word, entries, cycles: 0, errno, rule, out: { ...out } };
}
