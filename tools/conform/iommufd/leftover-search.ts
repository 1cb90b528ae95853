/**
 * Replays a case, and looks for leftovers of earlier sequences that explain how it was answered.
 */
import type { RecordedCase, RecordedLayout } from './cases.ts';
import {
  applyLeftovers,
  type Hypothesis,
  hypotheses,
  type Leftovers,
  leftoversAfter,
} from './leftovers.ts';
import { bootCase, type CaseMemory } from './machine.ts';
import type { CallProfile } from './profile.ts';
import type { Program } from './program.ts';
import type { CaseMismatch } from './replay.ts';
import { replayUntold } from './untold.ts';

/** Replays of one case after which nothing is said to explain it. */
const REPLAYS_MAX = 400;

interface Attempt {
  readonly mismatch: CaseMismatch | null;
  /** States to try next. */
  readonly next: readonly Hypothesis[];
}

export class LeftoverSearch {
  /** Whether more than what was known before had to be assumed. */
  assumed = false;
  /** After a case that agrees: what is certain to be left. */
  known: Leftovers;
  private readonly of: RecordedCase;
  private readonly layout: RecordedLayout | null;
  private readonly memory: CaseMemory;
  private readonly profile: CallProfile | null;
  private replays = 0;

  constructor(
    of: RecordedCase,
    layout: RecordedLayout | null,
    memory: CaseMemory,
    profile: CallProfile | null,
  ) {
    this.of = of;
    this.layout = layout;
    this.memory = memory;
    this.profile = profile;
    this.known = { pins: new Map(), lockedPages: 0 };
  }

  /** Null: the case agrees. Otherwise the difference that came latest. */
  run(start: Leftovers): CaseMismatch | null {
    return this.search(start, start);
  }

  /** `certain`: the part of the state that does not rest on a choice between several. */
  private search(state: Leftovers, certain: Leftovers): CaseMismatch | null {
    const { mismatch, next } = this.attempt(state, certain);
    if (mismatch === null) return null;
    let latest = mismatch;
    for (const hypothesis of next) {
      if (this.replays >= REPLAYS_MAX) break;
      this.assumed = true;
      const sure = hypothesis.certain ? withSure(certain, state, hypothesis.leftovers) : certain;
      const found = this.search(hypothesis.leftovers, sure);
      if (found === null) return null;
      if (found.step > latest.step) latest = found;
    }
    return latest;
  }

  private attempt(state: Leftovers, certain: Leftovers): Attempt {
    this.replays++;
    const boot = (): Program => {
      const program = bootCase(this.of, this.layout, this.memory);
      applyLeftovers(program, state);
      return program;
    };
    const { program, mismatch } = replayUntold(this.of, boot, this.profile);
    if (mismatch !== null) {
      return { mismatch, next: hypotheses(this.of, program, mismatch, state) };
    }
    const { layout } = this;
    const leaves = layout !== null && program.shared.mapsItself;
    const after = leaves ? leftoversAfter(program, layout, state) : state;
    this.known = withSure(certain, state, after);
    return { mismatch: null, next: [] };
  }
}

/** What is certain, plus what a state has more than the one before it. */
function withSure(certain: Leftovers, before: Leftovers, after: Leftovers): Leftovers {
  const pins = new Map(certain.pins);
  for (const [frame, count] of after.pins) {
    const more = count - (before.pins.get(frame) ?? 0);
    if (more > 0) pins.set(frame, (pins.get(frame) ?? 0) + more);
  }
  return { pins, lockedPages: certain.lockedPages + after.lockedPages - before.lockedPages };
}
