/** Fields of an ioctl as a program writes them: what is wrong with them, and what it answers. */

import {
  IOCTLS,
  type IoctlSpec,
  PLAIN_IOCTLS,
  TEST_FORMS,
} from '../../hw/host/iommufd/uapi/ioctls.ts';
import { elementBytes, type Layout } from '../../hw/host/iommufd/uapi/layout.ts';
import { IOVA_RANGE } from '../../hw/host/iommufd/uapi/structs.ts';
import { resolve } from '../../hw/host/iommufd/uapi/symbolic.ts';
import { symbolsOf } from '../../hw/host/iommufd/uapi/symbols.ts';
import { LEGACY_CALLS } from '../../hw/host/programs/legacy.ts';
import type { FieldValue, FieldValues } from '../../hw/host/programs/step.ts';
import {
  expressionProblem,
  isExpression,
  isFields,
  isList,
} from '../../hw/host/programs/values.ts';
import { InputError } from '../../sim/errors.ts';
import { didYouMean } from '../nearest.ts';
import type { KeyPath } from '../problem.ts';
import { describe } from './quantity.ts';

export type Report = (path: KeyPath, message: string) => void;

export const IOCTL_NAMES: readonly string[] = [
  ...Object.keys(IOCTLS),
  ...Object.keys(PLAIN_IOCTLS),
];

/** Layout of the argument; for TEST_CMD that of its op. */
function layoutOf(spec: IoctlSpec, given: FieldValues): Layout {
  const form = spec === IOCTLS.TEST_CMD ? TEST_FORMS[String(given.op)] : undefined;
  return form ?? spec.layout;
}

/** Fields that come back. */
export function answersOf(ioctl: string, given: FieldValues): string[] {
  const spec = IOCTLS[ioctl];
  if (spec === undefined) return ['value'];
  const fields = Object.keys(layoutOf(spec, given).fields);
  const out = fields.filter((field) => field.startsWith('out_') || spec.answers.includes(field));
  const data = spec.data !== null && spec.data.form !== 'entries' ? ['data'] : [];
  return [...out, ...data];
}

/** The one answer that `as: name` can mean; null: there are several, or none. */
export function onlyAnswer(ioctl: string, given: FieldValues): string | null {
  const answers = answersOf(ioctl, given).filter((field) => field !== 'data');
  const ids = answers.filter((field) => field.startsWith('out_') && field.endsWith('_id'));
  if (ids.length === 1) return ids[0];
  return answers.length === 1 ? answers[0] : null;
}

/** Reports what an ioctl cannot be given. */
export function checkIoctl(ioctl: string, given: FieldValues, path: KeyPath, report: Report): void {
  const spec = IOCTLS[ioctl];
  if (spec === undefined) {
    for (const field of Object.keys(given)) {
      if (field !== 'arg') report([...path, field], `${ioctl} takes arg only`);
    }
    return;
  }
  if (spec === IOCTLS.TEST_CMD && TEST_FORMS[String(given.op)] === undefined) {
    const ops = Object.keys(TEST_FORMS);
    const hint = didYouMean(String(given.op ?? ''), ops);
    report([...path, 'op'], `expected an operation${hint}; known: ${ops.join(', ')}`);
    return;
  }
  const layout = layoutOf(spec, given);
  for (const [field, value] of Object.entries(given)) {
    const at = [...path, field];
    if (layout.fields[field] !== undefined) checkField(layout, field, value, at, report);
    else if (field === 'data' && spec.data !== null) checkData(spec, given, at, report);
    else unknownField(layout, field, spec.data === null ? [] : ['data'], at, report);
  }
}

function unknownField(
  layout: Layout,
  field: string,
  more: readonly string[],
  path: KeyPath,
  report: Report,
): void {
  const known = [...Object.keys(layout.fields), ...more];
  report(
    path,
    `${layout.name} has no such field${didYouMean(field, known)}; it has ${known.join(', ')}`,
  );
}

function checkField(
  layout: Layout,
  field: string,
  value: FieldValue,
  path: KeyPath,
  report: Report,
): void {
  const { kind, count } = layout.fields[field];
  if (isFields(value)) {
    if (!isBytes(value)) report(path, 'expected a value, or { bytes: [...] } or { zeros: count }');
    else if (elementBytes(kind) * count !== 8) report(path, `${field} is no pointer`);
    return;
  }
  if (!isList(value)) {
    checkValue(layout.name, field, value, path, report);
    return;
  }
  if (count === 1 && symbolsOf(layout.name, field)?.kind !== 'flags') {
    report(path, `${layout.name}.${field} is one value, not a list`);
    return;
  }
  for (const [i, element] of value.entries()) {
    checkValue(layout.name, field, element, [...path, i], report);
  }
}

function isBytes(value: FieldValues): boolean {
  const [key, ...others] = Object.keys(value);
  if (others.length > 0) return false;
  if (key === 'zeros') return Number.isSafeInteger(value.zeros);
  return key === 'bytes' && isList(value.bytes);
}

/** A calculated value, or a name that the field knows. */
function checkValue(
  struct: string,
  field: string,
  value: FieldValue,
  path: KeyPath,
  report: Report,
): void {
  if (typeof value === 'number' || typeof value === 'boolean') return;
  if (typeof value !== 'string') {
    report(path, `expected a value; got ${describe(value)}`);
    return;
  }
  if (isExpression(value)) {
    const problem = expressionProblem(value);
    if (problem !== null) report(path, problem);
    return;
  }
  const names = Object.keys(symbolsOf(struct, field)?.names ?? {});
  for (const name of value.split('|')) {
    try {
      resolve(struct, field, name.trim());
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      const known = names.length === 0 ? 'it takes a number' : `known: ${names.join(', ')}`;
      report(path, `no value is called ${name.trim()}${didYouMean(name.trim(), names)}; ${known}`);
    }
  }
}

/** Fields of a structure of the interface of 2020. */
export function checkLegacy(given: FieldValues, path: KeyPath, report: Report): void {
  const form = LEGACY_CALLS[String(given.call)];
  if (form === undefined) return;
  for (const [field, value] of Object.entries((given.with ?? {}) as FieldValues)) {
    if (form === null) report([...path, field], `${String(given.call)} has no structure`);
    else if (form.fields[field] === undefined)
      unknownField(form, field, [], [...path, field], report);
    else checkField(form, field, value, [...path, field], report);
  }
}

/** Driver-specific structures, by the name of their type. */
function checkData(spec: IoctlSpec, given: FieldValues, path: KeyPath, report: Report): void {
  const { data: form } = spec;
  const { data } = given;
  if (form === null || (isFields(data) && isBytes(data))) return;
  if (form.form === 'ranges' && !form.filled) {
    checkEntries(IOVA_RANGE, data, path, report);
    return;
  }
  if (form.form !== 'struct' && form.form !== 'entries') {
    report(path, 'the kernel fills it; what it must be stands under expect');
    return;
  }
  const type = given[form.type];
  const layout = typeof type === 'string' ? form.layouts[type] : undefined;
  if (!layout) {
    const known = Object.keys(form.layouts).filter((name) => form.layouts[name] !== null);
    report(
      path,
      `expected ${form.type} with a structure of its own, or bytes; known: ${known.join(', ')}`,
    );
    return;
  }
  if (form.form === 'struct') checkStruct(layout, data, path, report);
  else checkEntries(layout, data, path, report);
}

function checkEntries(layout: Layout, data: FieldValue, path: KeyPath, report: Report): void {
  if (!isList(data)) {
    checkStruct(layout, data, path, report);
    return;
  }
  for (const [i, entry] of data.entries()) checkStruct(layout, entry, [...path, i], report);
}

function checkStruct(layout: Layout, data: FieldValue, path: KeyPath, report: Report): void {
  if (!isFields(data)) {
    report(path, `expected the fields of ${layout.name}; got ${describe(data)}`);
    return;
  }
  for (const [field, value] of Object.entries(data)) {
    const at = [...path, field];
    if (layout.fields[field] === undefined) unknownField(layout, field, [], at, report);
    else checkField(layout, field, value, at, report);
  }
}
