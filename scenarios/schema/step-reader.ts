/**
 * Steps of a program from what stands in a scenario: one key says what is done (an ioctl by its
 * name, or a verb), the others what it is called (`as`), where it goes and what must come of it.
 */

import { ERRNO } from '../../hw/host/kernel/errno.ts';
import type { FieldValue, FieldValues, Step } from '../../hw/host/programs/step.ts';
import {
  expressionProblem,
  isExpression,
  isFields,
  namesIn,
} from '../../hw/host/programs/values.ts';
import {
  type Argument,
  KERNEL_FIGURES,
  VERBS,
  type VerbSpec,
} from '../../hw/host/programs/verbs.ts';
import { didYouMean } from '../nearest.ts';
import type { KeyPath } from '../problem.ts';
import { describe, readQuantity } from './quantity.ts';
import {
  answersOf,
  checkIoctl,
  checkLegacy,
  IOCTL_NAMES,
  onlyAnswer,
  type Report,
} from './step-ioctl.ts';

/** Keys of a step besides the one that says what is done. */
export const MODIFIERS = ['as', 'expect', 'on', 'tail', 'pointer', 'steps', 'when'] as const;
const ERRNO_NAMES = Object.keys(ERRNO);
const NAME = /^[A-Za-z_][\w.-]*$/;
const SUCCESS = 'success';

export function readSteps(input: unknown, path: KeyPath, report: Report): Step[] {
  if (!Array.isArray(input)) {
    report(path, `expected a list of steps; got ${describe(input)}`);
    return [];
  }
  return input.flatMap((step, i) => readStep(step, [...path, i], report) ?? []);
}

function readStep(input: unknown, path: KeyPath, report: Report): Step | null {
  if (!isFields(input as FieldValue)) {
    report(path, `expected a step like "bind: nic0"; got ${describe(input)}`);
    return null;
  }
  const written = input as Record<string, unknown>;
  const doing = Object.keys(written).filter(
    (key) => !(MODIFIERS as readonly string[]).includes(key),
  );
  const known = [...IOCTL_NAMES, ...Object.keys(VERBS)];
  const unknown = doing.filter((key) => !known.includes(key));
  for (const key of unknown) {
    const all = [...known, ...MODIFIERS];
    const upper = IOCTL_NAMES.find((name) => name === key.replace(/^IOMMU_/, '').toUpperCase());
    const hint = upper === undefined ? didYouMean(key, all) : ` (did you mean "${upper}"?)`;
    report(
      [...path, key],
      `no ioctl and no kind of step${hint}; kinds: ${Object.keys(VERBS).join(', ')}`,
    );
  }
  if (unknown.length > 0) return null;
  if (doing.length !== 1) {
    const got = doing.length === 0 ? 'none' : doing.join(' and ');
    report(path, `a step does one thing; got ${got}`);
    return null;
  }
  const key = doing[0];
  const verb = VERBS[key];
  const given =
    verb === undefined
      ? readFields(key, written[key], [...path, key], report)
      : readArguments(key, verb, written[key], [...path, key], report);
  return finishStep(key, given, written, path, report);
}

function finishStep(
  key: string,
  given: FieldValues,
  written: Record<string, unknown>,
  path: KeyPath,
  report: Report,
): Step {
  const verb = VERBS[key];
  const isIoctl = verb === undefined;
  const answers = isIoctl ? [...answersOf(key, given), 'value'] : verb.gives;
  const main = isIoctl ? onlyAnswer(key, given) : (verb.gives[0] ?? null);
  const { as, expect, on, tail, pointer, steps, when } = written;
  for (const modifier of ['on', 'tail', 'pointer'] as const) {
    if (written[modifier] !== undefined && !isIoctl) {
      report([...path, modifier], 'only an ioctl takes it');
    }
  }
  if ((steps !== undefined) !== (verb?.steps === true)) {
    report(path, steps === undefined ? `${key} needs steps:` : `${key} has no steps of its own`);
  }
  return {
    verb: isIoctl ? 'ioctl' : key,
    ioctl: isIoctl ? key : '',
    given,
    on: readExpression(on, [...path, 'on'], report),
    tail: readBytes(tail, [...path, 'tail'], report),
    pointer: readExpression(pointer, [...path, 'pointer'], report),
    as: readNames(as, key, given, answers, main, [...path, 'as'], report),
    expect: readExpected(expect, answers, verb, [...path, 'expect'], report),
    steps: steps === undefined ? [] : readSteps(steps, [...path, 'steps'], report),
    when: readExpression(when, [...path, 'when'], report),
    at: '',
  };
}

function readFields(ioctl: string, input: unknown, path: KeyPath, report: Report): FieldValues {
  if (input === null || input === undefined) return {};
  if (!isFields(input as FieldValue)) {
    report(path, `expected the fields of ${ioctl}, or {}; got ${describe(input)}`);
    return {};
  }
  const fields = input as FieldValues;
  checkIoctl(ioctl, fields, path, report);
  return fields;
}

function readArguments(
  key: string,
  verb: VerbSpec,
  input: unknown,
  path: KeyPath,
  report: Report,
): FieldValues {
  const alone = !isFields(input as FieldValue) || verb.args[verb.main].kind === 'comparison';
  const written = (alone ? { [verb.main]: input } : input) as Record<string, unknown>;
  const given: Record<string, FieldValue> = {};
  for (const [name, value] of Object.entries(written)) {
    const at = alone ? path : [...path, name];
    const argument = verb.args[name];
    if (argument === undefined) {
      const known = Object.keys(verb.args);
      report(at, `${key} takes no ${name}${didYouMean(name, known)}; it takes ${known.join(', ')}`);
      continue;
    }
    const read = readArgument(argument, value, at, report);
    if (read !== undefined) given[name] = read;
  }
  if (key === 'legacy') checkLegacy(given, [...path, 'with'], report);
  for (const [name, { needed, doc }] of Object.entries(verb.args)) {
    if (needed === true && written[name] === undefined) {
      report(path, `${key} needs ${name}: ${doc}`);
    }
  }
  return given;
}

function readArgument(
  argument: Argument,
  input: unknown,
  path: KeyPath,
  report: Report,
): FieldValue | undefined {
  switch (argument.kind) {
    case 'duration':
    case 'bytes': {
      const read = readQuantity(argument.kind, input);
      if ('value' in read) return read.value;
      report(path, read.message);
      return undefined;
    }
    case 'count':
      if (Number.isSafeInteger(input) && (input as number) >= 0) return input as number;
      report(path, `expected a whole number; got ${describe(input)}`);
      return undefined;
    case 'flag':
      if (typeof input === 'boolean') return input;
      report(path, `expected true or false; got ${describe(input)}`);
      return undefined;
    case 'value':
      return typeof input === 'number' ? input : readExpression(input, path, report, true);
    case 'values':
      return readValueList(input, path, report);
    case 'names':
      return readFlagNames(argument, input, path, report);
    case 'choice': {
      const { choices = [] } = argument;
      if (typeof input === 'string' && choices.includes(input)) return input;
      const hint = didYouMean(String(input), choices);
      report(path, `expected one of ${choices.join(', ')}; got ${describe(input)}${hint}`);
      return undefined;
    }
    case 'fields':
      if (isFields(input as FieldValue)) return input as FieldValue;
      report(path, `expected fields; got ${describe(input)}`);
      return undefined;
    case 'comparison':
      return readComparison(input, path, report);
    default:
      if (typeof input === 'string' && input !== '') return input;
      report(path, `expected a name; got ${describe(input)}`);
      return undefined;
  }
}

function readValueList(input: unknown, path: KeyPath, report: Report): FieldValue | undefined {
  if (Array.isArray(input)) {
    return input.map((value, i) => readExpression(value, [...path, i], report, true));
  }
  report(path, `expected a list of values; got ${describe(input)}`);
  return undefined;
}

function readFlagNames(
  { names = {} }: Argument,
  input: unknown,
  path: KeyPath,
  report: Report,
): FieldValue | undefined {
  if (typeof input === 'number') return input;
  const list = Array.isArray(input) ? input.map(String) : String(input).split('|');
  const known = Object.keys(names);
  const wrong = list.map((name) => name.trim()).find((name) => !known.includes(name));
  if (wrong === undefined) return list;
  report(
    path,
    `no value is called ${wrong}${didYouMean(wrong, known)}; known: ${known.join(', ')}`,
  );
  return undefined;
}

function readComparison(input: unknown, path: KeyPath, report: Report): FieldValue | undefined {
  if (!isFields(input as FieldValue)) {
    report(path, `expected values by name, like { $a: 5 }; got ${describe(input)}`);
    return undefined;
  }
  const figures: readonly string[] = KERNEL_FIGURES;
  for (const name of Object.keys(input as object)) {
    const isKnown = name.startsWith('$') || figures.includes(name);
    if (isKnown) continue;
    const hint = didYouMean(name, figures);
    report([...path, name], `expected a $name or one of ${figures.join(', ')}${hint}`);
  }
  return input as FieldValue;
}

function readExpression(input: unknown, path: KeyPath, report: Report, needed = false): string {
  if (input === undefined && !needed) return '';
  if (typeof input === 'number') return String(input);
  if (typeof input !== 'string') {
    report(path, `expected a value; got ${describe(input)}`);
    return '';
  }
  const problem = expressionProblem(input);
  if (problem !== null) {
    const hint = NAME.test(input) ? ` (did you mean "$${input}"?)` : '';
    report(path, `${problem}${hint}`);
  }
  return input;
}

/** Values by name that a program has from the start. */
export function readValues(input: unknown, report: Report): Record<string, number | string> {
  if (!isFields(input as FieldValue)) {
    report([], `expected values by name, like { rounds: 5 }; got ${describe(input)}`);
    return {};
  }
  const values: Record<string, number | string> = {};
  for (const [name, value] of Object.entries(input as object)) {
    if (!NAME.test(name)) report([name], `expected a name of letters and digits; got "${name}"`);
    const read = readExpression(value, [name], report, true);
    const [other] = namesIn(read);
    if (other === undefined) values[name] = read;
    else report([name], `expected a value without names; got $${other}`);
  }
  return values;
}

function readBytes(input: unknown, path: KeyPath, report: Report): number[] {
  if (input === undefined) return [];
  const isByte = (value: unknown): boolean =>
    Number.isInteger(value) && (value as number) >= 0 && (value as number) < 256;
  if (Array.isArray(input) && input.every(isByte)) return input as number[];
  report(path, `expected a list of bytes; got ${describe(input)}`);
  return [];
}

function readNames(
  input: unknown,
  key: string,
  given: FieldValues,
  answers: readonly string[],
  main: string | null,
  path: KeyPath,
  report: Report,
): Record<string, string> {
  if (input === undefined) return defaultNames(key, given);
  if (typeof input === 'string') {
    if (!NAME.test(input)) report(path, `expected a name of letters and digits; got "${input}"`);
    if (main !== null) return { [input]: main };
    const found = answers.length === 0 ? 'nothing' : answers.join(', ');
    report(path, `${key} answers ${found}: write as: { ${input}: <field> }`);
    return {};
  }
  if (!isFields(input as FieldValue)) {
    report(path, `expected a name, or { name: field }; got ${describe(input)}`);
    return {};
  }
  const names: Record<string, string> = {};
  for (const [name, field] of Object.entries(input as object)) {
    if (typeof field === 'string' && answers.includes(field)) names[name] = field;
    else {
      const hint = didYouMean(String(field), answers);
      report(
        [...path, name],
        `${key} answers no ${String(field)}${hint}; it answers ${answers.join(', ')}`,
      );
    }
  }
  return names;
}

function defaultNames(key: string, given: FieldValues): Record<string, string> {
  const { names } = VERBS[key] ?? {};
  if (names === 'device') return { [String(given.device)]: 'out_devid' };
  return names === 'iommu' && given.path === '/dev/iommu' ? { iommu: 'fd' } : {};
}

function readExpected(
  input: unknown,
  answers: readonly string[],
  verb: VerbSpec | undefined,
  path: KeyPath,
  report: Report,
): Step['expect'] {
  if (input === undefined) return { errno: '', values: {} };
  if (verb !== undefined && verb.call !== true) {
    report(path, 'the step is no system call: nothing is answered');
  }
  if (!isFields(input as FieldValue)) return { errno: readErrno(input, path, report), values: {} };
  const { errno, ...values } = input as { errno?: unknown; readonly [field: string]: unknown };
  for (const [field, value] of Object.entries(values)) {
    if (!answers.includes(field)) {
      const known = ['errno', ...answers];
      report(
        [...path, field],
        `no such answer${didYouMean(field, known)}; known: ${known.join(', ')}`,
      );
    } else if (typeof value === 'string' && isExpression(value)) {
      const problem = expressionProblem(value);
      if (problem !== null) report([...path, field], problem);
    }
  }
  return {
    errno: errno === undefined ? '' : readErrno(errno, [...path, 'errno'], report),
    values: values as FieldValues,
  };
}

function readErrno(input: unknown, path: KeyPath, report: Report): string {
  if (input === SUCCESS) return '';
  if (typeof input === 'string' && ERRNO_NAMES.includes(input)) return input;
  const hint = didYouMean(String(input), ERRNO_NAMES);
  report(path, `expected the name of an error number or success; got ${describe(input)}${hint}`);
  return '';
}
