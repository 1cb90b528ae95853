/**
 * A suite is a kind of vector file. It opens a file's run, which judges one line (a vector, a
 * recorded case) after the other.
 */

export interface ConformOptions {
  /** Ids of the only cases to run; all of them if there is none. */
  readonly only?: ReadonlySet<string>;
  /** Failures of a file that are told in full; the rest is only counted. No figure: all. */
  readonly shown?: number;
  /** Tell where the time of a run went. */
  readonly profile?: boolean;
}

/** How one line of a file ended. */
export type Verdict =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly text: string }
  /** What it tests is not modelled: neither passed nor failed. */
  | { readonly kind: 'skipped'; readonly reason: string }
  /** A peculiarity of the model that answered: need not agree, only told. */
  | { readonly kind: 'optional'; readonly agrees: boolean };

export const PASSED: Verdict = { kind: 'passed' };

/** One file under way. */
export interface SuiteRun {
  judge(line: unknown): Verdict;
  /** Lines to print after the last one. */
  summary?(): readonly string[];
}

export interface Suite {
  readonly name: string;
  /** Whether a file whose first line is this belongs to the suite. */
  recognises(line: unknown): boolean;
  open(path: string, options: ConformOptions): SuiteRun;
}
