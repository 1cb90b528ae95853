/** All programs of a machine: their processes, the handlers that they share, forks. */
import { PHASE_UNIT } from '../../../sim/time/event-queue.ts';
import { PAGE_SIZE } from '../kernel/api.ts';
import type { ProcessSpec, UserProcess } from '../kernel/process.ts';
import type { Environment } from './environment.ts';
import { Program, type ProgramHandlers, type ProgramPeers } from './program.ts';
import { CallBook } from './statistics.ts';
import type { ProgramSpec, Step } from './step.ts';
import { evaluate, type Names } from './values.ts';

export class Programs implements ProgramPeers {
  readonly list: Program[] = [];
  readonly book: CallBook = new CallBook();
  readonly handlers: ProgramHandlers;
  private readonly environment: Environment;
  private readonly onWake: number;

  constructor(environment: Environment, specs: readonly ProgramSpec[]) {
    const { host, events, kernel } = environment;
    this.environment = environment;
    this.handlers = {
      next: host.register((index) => this.list[index].next()),
      returned: host.register((index) => this.list[index].returned()),
    };
    this.onWake = events.register(PHASE_UNIT, 'program', (index) => this.list[index].start());
    for (const spec of specs) {
      const process = kernel.createProcess(processSpec(spec));
      const names: Names = new Map();
      for (const [name, value] of Object.entries(spec.values))
        names.set(name, evaluate(value, names));
      this.add(spec.name, spec.core, process, spec.steps, names);
    }
  }

  start(): void {
    for (const program of this.list) program.start();
  }

  get done(): boolean {
    return this.list.every((program) => program.finished);
  }

  finished(name: string): boolean {
    return this.list.every((program) => program.name !== name || program.finished);
  }

  wakeAfter(cycles: number, index: number): void {
    this.environment.events.after(cycles, this.onWake, index, 0);
  }

  fork(parent: Program, step: Step, process: UserProcess): void {
    const core = (step.given.core ?? parent.core.index) as number;
    const name = String(step.given.name);
    this.add(name, core, process, step.steps, new Map(parent.names)).start();
  }

  private add(
    name: string,
    core: number,
    process: UserProcess,
    steps: readonly Step[],
    names: Names,
  ): Program {
    const { environment } = this;
    const index = this.list.length;
    const on = environment.host.cores[core];
    const program = new Program(environment, this, index, name, on, process, steps, names);
    this.list.push(program);
    return program;
  }
}

function processSpec(spec: ProgramSpec): ProcessSpec {
  return {
    uid: spec.uid,
    capabilities: {
      ipcLock: spec.ipc_lock,
      sysResource: spec.sys_resource,
      sysRawio: spec.sys_rawio,
    },
    ...(spec.memlock > 0 && { memlockPages: Math.floor(spec.memlock / PAGE_SIZE) }),
  };
}
