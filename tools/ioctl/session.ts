/**
 * What lasts from command to command: the machine, descriptors, names for ids and addresses, memory
 * that was asked for, and what happened so far.
 */
import { Scratch } from '../../hw/host/iommufd/client/process.ts';
import type { Context } from '../../hw/host/iommufd/context.ts';
import { IommufdFile } from '../../hw/host/iommufd/iommufd-file.ts';
import type { OpenFile } from '../../hw/host/kernel/api.ts';
import { InputError } from '../../sim/errors.ts';
import type { Palette } from '../report/model.ts';
import type { IoctlMachine } from './machine-parts.ts';

/** What the kernel said to the last system call of a command. */
export interface Answer {
  readonly value: number;
  readonly errno: number;
  /** Name of the error number; empty on success. */
  readonly error: string;
  readonly rule: string;
}

export interface Outcome {
  readonly lines: readonly string[];
  /** The same for programs (`--json`). */
  readonly record: Readonly<Record<string, unknown>>;
  /** Null: no system call was made. */
  readonly answer: Answer | null;
}

export interface UserMemory {
  readonly name: string;
  readonly address: bigint;
  readonly bytes: number;
  readonly what: string;
}

export interface PastCommand {
  readonly line: string;
  readonly result: string;
}

export interface SessionSettings {
  /** One line for each call, without dumps. */
  readonly brief: boolean;
  readonly palette: Palette;
}

export class Session {
  readonly machine: IoctlMachine;
  readonly palette: Palette;
  brief: boolean;
  /** Descriptor that ioctls go to; -1: nothing is open. */
  fd = -1;
  readonly names: Map<string, bigint> = new Map();
  readonly memories: UserMemory[] = [];
  /** Descriptors of VFIO devices by the device's name. */
  readonly deviceFds: Map<string, number> = new Map();
  readonly history: PastCommand[] = [];
  readonly scratch: Scratch;
  /** Calls that were not answered as expected. */
  unexpected = 0;
  ended = false;

  constructor(machine: IoctlMachine, settings: SessionSettings) {
    this.machine = machine;
    this.palette = settings.palette;
    this.brief = settings.brief;
    this.scratch = new Scratch(machine.process);
  }

  file(fd: number): OpenFile | null {
    return this.machine.process.calls.process.file(fd);
  }

  /** The descriptor for ioctls. */
  get openFd(): number {
    if (this.fd < 0) throw new InputError('ioctl-open', 'nothing is open yet: `open` first');
    return this.fd;
  }

  /** The context behind a descriptor, by default the one that ioctls go to. */
  context(fd: number = this.openFd): Context {
    const file = this.file(fd);
    if (file instanceof IommufdFile) return file.context;
    throw new InputError('ioctl-open', `descriptor ${fd} is no open /dev/iommu`);
  }

  /** Memory of the process with a name, for fields and `peek`. */
  allocate(bytes: number, name: string | null): UserMemory {
    const address = this.machine.process.anonymous(bytes);
    return this.remember(name, address, bytes, 'anonymous memory');
  }

  remember(name: string | null, address: bigint, bytes: number, what: string): UserMemory {
    const memory = { name: name ?? this.freeName(), address, bytes, what };
    this.memories.push(memory);
    this.names.set(memory.name, address);
    return memory;
  }

  private freeName(): string {
    let number = this.memories.length + 1;
    while (this.names.has(`m${number}`)) number++;
    return `m${number}`;
  }
}
