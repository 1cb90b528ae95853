/**
 * What the runner offers to the tools: options, progress and outcome of one run. The tools know
 * this file only; runner.ts implements it.
 */
import type { TraceLevel } from '../sim/probe.ts';
import type { DmaStream } from '../traces/stream.ts';
import type { ExpectationResult } from './expect.ts';
import type { ResolvedScenario } from './schema/resolved.ts';
import type { RunStats } from './stats.ts';

export interface Progress {
  readonly simulated_ps: number;
  readonly events: number;
  readonly dmas: number;
  /** Share of the run that is done, by whichever limit is nearest; 0..1. */
  readonly done: number;
}

export interface RunOptions {
  /** Threads beside none: 0 and 1 run everything on the main thread, N uses N - 1 workers. */
  readonly threads: number;
  readonly traceLevel: TraceLevel;
  /** Where `trace.msgpack` goes; without it no trace is written. */
  readonly tracePath?: string;
  /** Name of the sweep point, for the statistics. */
  readonly point?: string;
  /** Recorded DMAs that the devices issue instead of their own traffic ("what if"). */
  readonly stream?: DmaStream;
  /** Names of the stream's devices, by number: each goes to its namesake in the scenario. */
  readonly streamDevices?: readonly string[];
  /** Called now and then on the main thread; never affects the run. */
  readonly onProgress?: (progress: Progress) => void;
}

export interface RunOutcome {
  readonly stats: RunStats;
  readonly expectations: readonly ExpectationResult[];
  readonly tracePath: string | null;
  /** SHA-256 of the trace, for comparing runs; null without a trace. */
  readonly traceHash: string | null;
}

export type RunScenario = (scenario: ResolvedScenario, options: RunOptions) => Promise<RunOutcome>;

/** One step of an explained walk. */
export interface ExplainedReference {
  readonly stage: string;
  readonly level: number;
  readonly name: string;
  readonly address: bigint;
  readonly bytes: number;
  /** The entry read, as a number. */
  readonly value: bigint;
  /** `memory`, `update` (the entry is changed), or the cache that made the read unnecessary. */
  readonly source: string;
  readonly cost_ps: number;
  /** What the entry says, in words: `table`, `leaf 4KiB rw`, `not present`. */
  readonly meaning: string;
}

/** Input pages that software has mapped. */
export interface MappedRange {
  readonly iova: bigint;
  readonly pages: number;
}

export interface Explanation {
  readonly scenario: string;
  readonly device: string;
  readonly iova: bigint;
  readonly access: string;
  readonly references: readonly ExplainedReference[];
  /** What the translation takes besides its references. */
  readonly other?: readonly { readonly name: string; readonly cost_ps: number }[];
  /** What is mapped for the device at set-up: the lowest few ranges. */
  readonly mapped?: readonly MappedRange[];
  /** Output address, or null with `fault` set. */
  readonly output: bigint | null;
  readonly fault: string | null;
  readonly total_ps: number;
}

export interface ExplainRequest {
  readonly device: string;
  readonly iova: bigint;
  readonly write: boolean;
}

export type ExplainWalk = (scenario: ResolvedScenario, request: ExplainRequest) => Explanation;
