/** Things that happened between two recorded calls, and are not recorded. */
import type { Program } from './program.ts';

export interface UntoldEvent {
  readonly proc: number;
  /** The file that is closed; absent: the process exits. */
  readonly fd?: number;
}

/** By the step that they happen before. */
export type UntoldEvents = ReadonlyMap<number, readonly UntoldEvent[]>;

/** Lets happen what is said to happen before a step. */
export function happen(events: readonly UntoldEvent[], { shared }: Program): void {
  for (const { proc, fd } of events) {
    const program = shared.programs.get(proc);
    if (fd === undefined) program?.syscalls.exit();
    else program?.syscalls.close(fd);
  }
}
