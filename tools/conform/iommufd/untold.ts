/**
 * What selftest recordings leave out: when a child exits, and closes of files whose descriptor came
 * back in a structure. A case agrees when such events, each as late as an answer demands it,
 * explain all of its answers.
 */
import type { RecordedCase } from './cases.ts';
import type { CallProfile } from './profile.ts';
import type { Program } from './program.ts';
import { type CaseMismatch, replayCase } from './replay.ts';
import type { UntoldEvent, UntoldEvents } from './untold-events.ts';

export interface Replayed {
  readonly program: Program;
  readonly mismatch: CaseMismatch | null;
}

/** Replays of one case after which nothing is said to explain it. */
const REPLAYS_MAX = 64;

/** Replays a case; `boot`: a kernel that has just started, for each replay. */
export function replayUntold(
  of: RecordedCase,
  boot: () => Program,
  profile: CallProfile | null,
): Replayed {
  const replay = (events: UntoldEvents): Replayed => {
    const program = boot();
    return { program, mismatch: replayCase(of, program, profile, events) };
  };
  let events: UntoldEvents = new Map();
  let best = replay(events);
  for (let replays = 1; best.mismatch !== null && replays < REPLAYS_MAX; ) {
    const { step } = best.mismatch;
    let further: { readonly with: UntoldEvents; readonly replayed: Replayed } | null = null;
    for (const happened of candidates(of, best.program, step)) {
      const more = new Map(events).set(step, [...(events.get(step) ?? []), ...happened]);
      const replayed = replay(more);
      replays++;
      if (replayed.mismatch !== null && replayed.mismatch.step <= step) continue;
      further = { with: more, replayed };
      break;
    }
    if (further === null) break;
    events = further.with;
    best = further.replayed;
  }
  return best;
}

/** What may have happened just before a step, least first: one event, or all up to one. */
function candidates(
  of: RecordedCase,
  { shared }: Program,
  step: number,
): readonly (readonly UntoldEvent[])[] {
  if (of.src !== 'selftest') return [];
  const exits: UntoldEvent[] = [];
  const closes: UntoldEvent[] = [];
  for (const [proc, program] of shared.programs) {
    if (program.process.exited) continue;
    if (proc !== 0 && !of.ops.some((op, i) => i >= step && op.proc === proc)) exits.push({ proc });
    else for (const fd of program.returnedFds()) closes.push({ proc, fd });
  }
  const all = [...exits, ...closes];
  return [...all.map((event) => [event]), ...all.map((_, i) => all.slice(0, i + 1)).slice(1)];
}
