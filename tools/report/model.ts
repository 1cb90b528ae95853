/** What the parts of the report share: colours, the statistics they read, what a section is. */
import type { RunStats } from '../../scenarios/stats.ts';
import type { Paint } from './table.ts';

/** Colours of the report; identities when the output takes none. */
export interface Palette {
  readonly title: Paint;
  readonly head: Paint;
  readonly good: Paint;
  readonly bad: Paint;
  readonly dim: Paint;
  readonly bar: Paint;
}

export const PLAIN: Palette = {
  title: (text) => text,
  head: (text) => text,
  good: (text) => text,
  bad: (text) => text,
  dim: (text) => text,
  bar: (text) => text,
};

/** Statistics of which sections may be missing, as a trace of a low level gives them. */
export type ReportStats = Partial<RunStats> & Pick<RunStats, 'scenario' | 'seed' | 'time'>;

export interface Section {
  readonly title: string;
  /** Said beside the title. */
  readonly note: string;
  readonly lines: readonly string[];
}
