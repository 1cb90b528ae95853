/**
 * Reference 11: every fallible step of long programs fails once. The failed call answers the error
 * of that step and leaves everything as it was; the program then goes on as if nothing had been,
 * and nothing is left behind at its end.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { ERRNO, type ErrnoName, errnoName } from '../../kernel/errno.ts';
import type { KernelMemory } from '../../kernel/kernel-memory.ts';
import {
  buildAccessPins,
  buildAccessRw,
  buildChangeProcess,
  buildDevice,
  buildDevices,
  buildEverything,
  buildFaults,
  buildIoas,
  buildVfio,
} from './fail-nth-programs.ts';
import { Bench } from './fixture.ts';
import { type Answer, Program, type Step } from './programs.ts';
import { firstDifference, snapshot } from './snapshot.ts';

type Build = (b: Bench, program: Program) => void;

interface Recorded {
  /** Fallible points of the steps before this one. */
  readonly before: number;
  readonly points: number;
  readonly state: readonly string[];
  readonly answer: Answer;
}

const LIMIT = 1000;

interface Machine {
  readonly bench: Bench;
  readonly memory: KernelMemory;
  readonly steps: readonly Step[];
  /** Error number of the last fallible point. */
  failing(): ErrnoName | null;
}

function machine(build: Build): Machine {
  const bench = new Bench({});
  bench.warmUp();
  const program = new Program(bench);
  build(bench, program);
  const { memory } = bench.machine.kernel;
  let last: ErrnoName | null = null;
  const point = memory.point.bind(memory);
  memory.point = (code, what) => {
    last = code;
    point(code, what);
  };
  return { bench, memory, steps: program.steps, failing: () => last };
}

function succeeds({ name, refused }: Step, { errno, rule }: Answer): void {
  const expected = refused === undefined ? 0 : ERRNO[refused];
  assert.is(errno, expected, `${name}: ${errnoName(errno)} ${rule}`);
}

/** The program when nothing fails. */
function record(build: Build): Recorded[] {
  const { bench, memory, steps } = machine(build);
  let before = 0;
  const recorded = steps.map((step) => {
    const state = snapshot(bench.machine.kernel);
    memory.arm(0);
    const answer = step.run();
    succeeds(step, answer);
    const { points } = memory;
    before += points;
    return { before: before - points, points, state, answer };
  });
  bench.check();
  bench.end();
  return recorded;
}

/** The program with one failing point; false: it is absorbed, and the program ends early. */
function failAt(build: Build, recorded: readonly Recorded[], at: number, nth: number): void {
  const { bench, memory, steps, failing } = machine(build);
  for (let i = 0; i < at; i++) steps[i].run();
  const step = steps[at];
  memory.arm(nth);
  const { errno, rule } = step.run();
  const where = `${step.name}, point ${nth} (${memory.failedAt})`;
  assert.is.not(memory.failedAt, '', `${where} is reached`);
  const code = failing() as ErrnoName;
  memory.arm(0);
  bench.check();
  if (step.mayAbsorb !== undefined && !rule.startsWith('injected failure')) {
    bench.end();
    return;
  }
  const expected = code === 'ENOENT' ? [code, step.lookupFails ?? code] : [code];
  assert.ok(expected.includes(errnoName(errno) as ErrnoName), `${where}: ${errnoName(errno)}`);
  if (step.leavesDone === undefined) {
    const state = snapshot(bench.machine.kernel);
    assert.is(firstDifference(recorded[at].state, state), '', where);
  }
  for (let i = at; i < steps.length; i++) {
    const again = steps[i].run();
    const { answer } = recorded[i];
    assert.equal(again, answer, `${steps[i].name} after ${where}`);
  }
  bench.check();
  bench.end();
}

function sweep(name: string, build: Build, atLeast: number): void {
  test(name, () => {
    const recorded = record(build);
    const last = recorded[recorded.length - 1];
    const total = last.before + last.points;
    assert.ok(total >= atLeast && total < LIMIT, `${total} fallible points`);
    for (const [at, { points }] of recorded.entries()) {
      for (let nth = 1; nth <= points; nth++) failAt(build, recorded, at, nth);
    }
  });
}

sweep('a: an IOAS, its ranges, maps and copies', buildIoas, 15);
sweep('b: a device comes, goes and comes again, user memory', buildDevice('user'), 15);
sweep('b: a device comes, goes and comes again, memfd', buildDevice('memfd'), 15);
sweep('c: two devices come and go', buildDevices, 20);
sweep('d: an access reads and writes', buildAccessRw, 15);
sweep('e: an access pins without a domain', buildAccessPins(false), 15);
sweep('f: an access pins with a domain', buildAccessPins(true), 20);
sweep('g: everything that a device can have', buildEverything, 100);
sweep('h: a fault queue with requests in flight', buildFaults, 40);
sweep('i: a VFIO container', buildVfio, 20);
sweep('j: files, and a change of process', buildChangeProcess, 20);

test.run();
