/**
 * What a program calls by name exists when it is called: `$names` that an earlier step defines,
 * devices, other programs, cores.
 */
import { fileName } from '../../hw/host/programs/actions.ts';
import type { FieldValue, Step } from '../../hw/host/programs/step.ts';
import { isExpression, isFields, isList, namesIn } from '../../hw/host/programs/values.ts';
import { VERBS } from '../../hw/host/programs/verbs.ts';
import { didYouMean } from '../nearest.ts';
import type { KeyPath } from '../problem.ts';
import type { Report } from './step-ioctl.ts';

export interface Surroundings {
  /** Devices that can be bound, and those with traffic. */
  readonly devices: readonly string[];
  readonly busyDevices: readonly string[];
  /** Those of them whose driver runs in a guest. */
  readonly guestDevices: readonly string[];
  /** Devices that send page requests. */
  readonly askers: readonly string[];
  readonly cores: number;
  /** Programs and their children. */
  readonly programs: readonly string[];
}

/** Names of the children that steps fork. */
export function childNames(steps: readonly Step[]): string[] {
  return steps.flatMap((step) => [
    ...(step.verb === 'fork' ? [String(step.given.name)] : []),
    ...childNames(step.steps),
  ]);
}

/** @param values names that are known from the start */
export function checkSteps(
  steps: readonly Step[],
  values: readonly string[],
  around: Surroundings,
  path: KeyPath,
  report: Report,
): void {
  new NameCheck(around, report).steps(steps, path, new Set(values));
}

class NameCheck {
  private readonly around: Surroundings;
  private readonly report: Report;
  /** Devices whose driver has been set up. */
  private readonly setUp: Set<string> = new Set();

  constructor(around: Surroundings, report: Report) {
    this.around = around;
    this.report = report;
  }

  steps(steps: readonly Step[], path: KeyPath, known: Set<string>): void {
    for (const [i, step] of steps.entries()) this.step(step, [...path, i], known);
  }

  private step(step: Step, path: KeyPath, known: Set<string>): void {
    const key = step.verb === 'ioctl' ? step.ioctl : step.verb;
    const at = [...path, key];
    this.uses(step, at, path, known);
    this.others(step, at);
    if (step.verb === 'ioctl' && step.on === '') this.need('iommu', at, known);
    if (step.verb === 'bind' && step.given.iommu === undefined) this.need('iommu', at, known);
    if (['attach', 'detach', 'unbind'].includes(step.verb)) {
      const device = String(step.given.device);
      if (this.around.devices.includes(device) && !known.has(fileName(device))) {
        this.report(at, `${device} is not bound here: "bind: ${device}" comes before`);
      }
    }
    if (step.steps.length > 0) {
      const { index } = step.given;
      if (typeof index === 'string') known.add(index);
      const inner = step.verb === 'fork' || step.when !== '' ? new Set(known) : known;
      this.steps(step.steps, [...path, 'steps'], inner);
    }
    if (step.verb === 'start') this.start(step, at, known);
    // What a step defines that may be left out is not there for certain.
    if (step.expect.errno === '' && step.when === '') this.define(step, known);
  }

  private define(step: Step, known: Set<string>): void {
    for (const name of Object.keys(step.as)) known.add(name);
    if (step.verb === 'bind') known.add(fileName(String(step.given.device)));
    if (step.verb === 'unbind') known.delete(fileName(String(step.given.device)));
  }

  private uses(step: Step, at: KeyPath, path: KeyPath, known: Set<string>): void {
    const args = VERBS[step.verb]?.args;
    for (const [field, value] of Object.entries(step.given)) {
      const kind = args?.[field]?.kind;
      if (kind === 'comparison') this.comparison(value, at, known);
      else if (kind === undefined || kind === 'value' || kind === 'values' || kind === 'fields')
        this.value(value, [...at, field], known);
    }
    this.value(step.on, [...path, 'on'], known);
    this.value(step.pointer, [...path, 'pointer'], known);
    this.value(step.when, [...path, 'when'], known);
    this.value(step.expect.values, [...path, 'expect'], known);
  }

  private comparison(value: FieldValue, at: KeyPath, known: Set<string>): void {
    if (!isFields(value)) return;
    for (const [name, expected] of Object.entries(value)) {
      this.value(name, [...at, name], known);
      this.value(expected, [...at, name], known);
    }
  }

  private value(value: FieldValue, path: KeyPath, known: Set<string>): void {
    if (typeof value === 'string') {
      if (isExpression(value)) for (const name of namesIn(value)) this.need(name, path, known);
    } else if (isList(value)) {
      for (const [i, element] of value.entries()) this.value(element, [...path, i], known);
    } else if (isFields(value)) {
      for (const [field, element] of Object.entries(value)) {
        if (field.endsWith('written_by')) this.device(String(element), true, [...path, field]);
        else if (field !== 'through') this.value(element, [...path, field], known);
      }
    }
  }

  private need(name: string, path: KeyPath, known: Set<string>): void {
    if (known.has(name)) return;
    const names = [...known];
    const hint = didYouMean(name, names);
    const shown = names.length === 0 ? 'none yet' : names.map((other) => `$${other}`).join(', ');
    this.report(path, `$${name} is not defined by an earlier step${hint}; defined: ${shown}`);
    known.add(name);
  }

  private start({ given }: Step, at: KeyPath, known: Set<string>): void {
    const device = String(given.device);
    const { busyDevices, guestDevices } = this.around;
    if (!busyDevices.includes(device)) return;
    if (!guestDevices.includes(device)) {
      for (const name of ['through', 'guest']) {
        if (given[name] === undefined) continue;
        this.report([...at, name], `${device} is no NIC: no driver in a guest works with it`);
      }
      return;
    }
    const first = !this.setUp.has(device);
    this.setUp.add(device);
    if (given.at !== undefined) this.report([...at, 'at'], `${device} has what its driver maps`);
    if (first === (given.through !== undefined)) {
      if (first) this.need('iommu', at, known);
      return;
    }
    const message = first
      ? `the first start of ${device} needs through: the nested page table or address space`
      : `the driver of ${device} was set up by an earlier start`;
    this.report([...at, 'through'], message);
  }

  private others({ verb, given }: Step, at: KeyPath): void {
    if (typeof given.device === 'string') {
      this.device(given.device, verb === 'start' || verb === 'stop', [...at, 'device']);
      const asks = verb.startsWith('page_') || given.responses !== undefined;
      if (asks && this.around.devices.includes(given.device)) this.asks(given.device, at);
    }
    const { programs, cores } = this.around;
    if (typeof given.program === 'string' && !programs.includes(given.program)) {
      const hint = didYouMean(given.program, programs);
      this.report([...at, 'program'], `no program "${given.program}"${hint}`);
    }
    if (verb === 'fork' && typeof given.core === 'number' && given.core >= cores) {
      this.report([...at, 'core'], `host.cores is ${cores}: the last core is ${cores - 1}`);
    }
  }

  private asks(name: string, at: KeyPath): void {
    if (this.around.askers.includes(name)) return;
    this.report([...at, 'device'], `${name} sends no page requests: give it page_requests: true`);
  }

  private device(name: string, busy: boolean, path: KeyPath): void {
    const devices = busy ? this.around.busyDevices : this.around.devices;
    if (devices.includes(name)) return;
    const shown = devices.length === 0 ? 'none' : devices.join(', ');
    const kind = busy ? 'device with traffic that programs attach' : 'device that programs attach';
    this.report(
      path,
      `no ${kind} is called "${name}"${didYouMean(name, devices)}; there: ${shown} ` +
        '(devices in a domain with translation: user, and iommufd.devices)',
    );
  }
}
