/**
 * Verify-replay: runs again what a trace says it recorded, and compares record by record. The
 * runner is handed in: this room knows records, not simulations.
 */
import { type Comparison, compareTraces } from './compare.ts';
import type { TraceHeader } from './format/message.ts';
import { TraceReader } from './reader.ts';

/** Runs the scenario of a header at its trace level; gives the new trace, or where it is. */
export type ReplayRunner = (header: TraceHeader) => Promise<TraceReader | Uint8Array | string>;

/** In the comparison the recorded trace is left, the new one right. */
export async function verifyReplay(
  recorded: TraceReader | Uint8Array | string,
  run: ReplayRunner,
): Promise<Comparison> {
  const left = asReader(recorded);
  try {
    const right = asReader(await run(left.header));
    try {
      return compareTraces(left, right);
    } finally {
      right.close();
    }
  } finally {
    left.close();
  }
}

function asReader(trace: TraceReader | Uint8Array | string): TraceReader {
  return trace instanceof TraceReader ? trace : TraceReader.open(trace);
}
