/**
 * Replays one recorded case: performs its operations in order and stops at the first answer that is
 * not as recorded. At the end all processes exit, and nothing may be left: no kernel memory, no
 * pinned page.
 */
import {
  replayClose,
  replayFtruncate,
  replayMemfd,
  replayMemory,
  replayMmap,
  replayMunmap,
  replayOpen,
  replayPhys,
  replayPoll,
  replayRead,
  replayWrite,
} from './calls.ts';
import type { RecordedCase, RecordedOp } from './cases.ts';
import { CallDifference, expectSame } from './difference.ts';
import { replayIoctl } from './ioctl-call.ts';
import type { CallProfile } from './profile.ts';
import type { Program } from './program.ts';
import { happen, type UntoldEvents } from './untold-events.ts';

/** Where and how a case went apart from its recording. */
export interface CaseMismatch {
  /** Index of the operation; the number of operations: after the last one. */
  readonly step: number;
  readonly op: RecordedOp | null;
  readonly field: string;
  readonly expected: string;
  readonly got: string;
  /** Rule that refused the call, or what the simulator says of itself. */
  readonly rule: string;
}

/** The first difference, or `null`. */
export function replayCase(
  of: RecordedCase,
  first: Program,
  profile: CallProfile | null = null,
  untold: UntoldEvents = new Map(),
): CaseMismatch | null {
  const { programs } = first.shared;
  const before = { pins: first.kernel.pins.total, lockedPages: first.process.user.lockedPages };
  let step = 0;
  try {
    for (; step < of.ops.length; step++) {
      const op = of.ops[step] as RecordedOp;
      happen(untold.get(step) ?? [], first);
      if (profile === null) replayOp(of, op, programs);
      else profile.measure(op, () => replayOp(of, op, programs));
    }
    for (const program of [...programs.values()].reverse()) program.syscalls.exit();
    // A context that holds itself stays for ever, on Linux too.
    if (!first.shared.mapsItself) expectNothingLeft(first, before);
    return null;
  } catch (error) {
    return { step, op: of.ops[step] ?? null, ...differenceOf(error) };
  }
}

type Handlers = {
  readonly [Kind in RecordedOp['op']]: (
    program: Program,
    op: Extract<RecordedOp, { readonly op: Kind }>,
  ) => void;
};

const HANDLERS: Handlers = {
  ioctl: replayIoctl,
  open: replayOpen,
  close: replayClose,
  read: replayRead,
  write: replayWrite,
  poll: replayPoll,
  mmap: replayMmap,
  munmap: replayMunmap,
  memfd: replayMemfd,
  ftruncate: replayFtruncate,
  phys: replayPhys,
  mem: replayMemory,
  exit: ({ syscalls }) => void syscalls.exit(),
  // Of processes, not of one.
  fork: () => {},
  truncated: () => {},
};

function replayOp(of: RecordedCase, op: RecordedOp, programs: Map<number, Program>): void {
  if (op.op === 'fork') {
    programs.set(op.proc, programOf(programs, op.parent).fork());
    return;
  }
  const program = programOf(programs, op.proc);
  const handler = HANDLERS[op.op] as ((program: Program, op: RecordedOp) => void) | undefined;
  if (handler === undefined) throw new CallDifference('op', 'a known operation', op.op);
  handler(program, op);
  // The program had the capability when it opened the device, and dropped it then.
  if (op.op === 'open' && of.caps === 'no_ipc_lock') program.process.capabilities.ipcLock = false;
}

function programOf(programs: Map<number, Program>, number = 0): Program {
  const program = programs.get(number);
  if (program === undefined || program.process.exited)
    throw new CallDifference('proc', 'a process', `${number}: none`);
  return program;
}

function expectNothingLeft(
  { kernel, process }: Program,
  before: { readonly pins: number; readonly lockedPages: number },
): void {
  const { memory, pins } = kernel;
  expectSame('pinned pages after exit', before.pins, pins.total);
  expectSame('locked pages of the user after exit', before.lockedPages, process.user.lockedPages);
  expectSame('kernel allocations after exit', 0, memory.allocations);
  expectSame('kernel memory after exit', 0, memory.bytes);
}

/** What was thrown, as a difference: a failure of the simulator itself is one too. */
function differenceOf(error: unknown): Pick<CaseMismatch, 'field' | 'expected' | 'got' | 'rule'> {
  if (error instanceof CallDifference) return error;
  if (!(error instanceof Error)) throw error;
  const [where = ''] = /at .*/.exec(error.stack ?? '') ?? [];
  const got = `${error.name}: ${error.message}`;
  return { field: 'simulator', expected: 'an answer', got, rule: where };
}
