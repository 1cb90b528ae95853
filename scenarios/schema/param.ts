/**
 * From parameter declarations (sim/spec.ts) to zod: one declaration gives the check, its error
 * text, the JSON Schema and the default. Values come out in canonical units.
 */
import { z } from 'zod';
import type { Param, Spec } from '../../sim/spec.ts';
import { didYouMean } from '../nearest.ts';
import { describe, isQuantity, paramText, quantityDoc, readQuantity } from './quantity.ts';

type Check = { readonly value: unknown } | { readonly message: string };

/** Range in words: `from 1 to 64`, `of at least 1ns`. */
function rangeText(param: Param<unknown>): string {
  const { min, max } = param;
  if (min !== undefined && max !== undefined) {
    return ` from ${paramText(param, min)} to ${paramText(param, max)}`;
  }
  if (min !== undefined && min > 0) return ` of at least ${paramText(param, min)}`;
  return max === undefined ? '' : ` of at most ${paramText(param, max)}`;
}

function inRange(param: Param<unknown>, value: number): boolean {
  return value >= (param.min ?? -Infinity) && value <= (param.max ?? Infinity);
}

function checkNumber(param: Param<unknown>, input: unknown): Check {
  let value = input;
  if (isQuantity(param.kind)) {
    const read = readQuantity(param.kind, input);
    if ('message' in read) return read;
    value = read.value;
    if (!inRange(param, read.value)) {
      return { message: `expected a value${rangeText(param)}; got "${String(input)}"` };
    }
  } else if (!Number.isSafeInteger(input) || !inRange(param, input as number)) {
    return { message: `expected a whole number${rangeText(param)}; got ${describe(input)}` };
  }
  return { value };
}

function checkChoice(param: Param<unknown>, input: unknown): Check {
  const choices = param.choices ?? [];
  if (typeof input === 'string' && choices.includes(input)) return { value: input };
  const hint = typeof input === 'string' ? didYouMean(input, choices) : '';
  return { message: `expected one of ${choices.join(', ')}; got ${describe(input)}${hint}` };
}

function checkFlag(input: unknown): Check {
  if (typeof input === 'boolean') return { value: input };
  const wrong: Readonly<Record<string, string>> = {
    on: 'true',
    yes: 'true',
    off: 'false',
    no: 'false',
  };
  const meant = wrong[String(input).toLowerCase()];
  const hint = meant === undefined ? '' : ` (did you mean ${meant}?)`;
  return { message: `expected true or false; got ${describe(input)}${hint}` };
}

/** Checks what a scenario says for a parameter. */
export function checkParam(param: Param<unknown>, input: unknown): Check {
  switch (param.kind) {
    case 'choice':
      return checkChoice(param, input);
    case 'flag':
      return checkFlag(input);
    case 'text':
      return typeof input === 'string'
        ? { value: input }
        : { message: `expected text; got ${describe(input)}` };
    default:
      return checkNumber(param, input);
  }
}

/** JSON Schema of what may be written for a parameter. */
function writtenAs(param: Param<unknown>): Record<string, unknown> {
  switch (param.kind) {
    case 'choice':
      return { type: 'string', enum: [...(param.choices ?? [])] };
    case 'flag':
      return { type: 'boolean' };
    case 'text':
      return { type: 'string' };
    case 'count': {
      const range: Record<string, unknown> = { type: 'integer' };
      if (param.min !== undefined) range.minimum = param.min;
      if (param.max !== undefined) range.maximum = param.max;
      return range;
    }
    default:
      return { type: 'string', pattern: '^\\s*[0-9][0-9_.]*\\s*[A-Za-z/]+\\s*$' };
  }
}

/** One sentence for editors and help: what it is, its range and how it is written. */
export function paramDoc(param: Param<unknown>): string {
  const kind = param.kind;
  if (isQuantity(kind)) return `${param.doc} Written as ${quantityDoc(kind)}${rangeText(param)}.`;
  return kind === 'count' && rangeText(param) !== ''
    ? `${param.doc} Range:${rangeText(param)}.`
    : param.doc;
}

/** The zod type of a parameter; absent values become the default. */
export function paramType(param: Param<unknown>): z.ZodType {
  return checkedType(param)
    .default(param.default)
    .meta({
      ...writtenAs(param),
      description: paramDoc(param),
      // JSON Schema drops the default of a transformed value; json.ts puts this one back.
      written: isQuantity(param.kind) ? paramText(param, param.default) : param.default,
    });
}

/** The zod type of a parameter that may be left out and then stays absent. */
export function optionalType(param: Param<unknown>): z.ZodType {
  return checkedType(param)
    .optional()
    .meta({ ...writtenAs(param), description: paramDoc(param) });
}

/** The zod type of a parameter that must be given. */
export function requiredType(param: Param<unknown>): z.ZodType {
  return checkedType(param).meta({ ...writtenAs(param), description: paramDoc(param) });
}

function checkedType(param: Param<unknown>): z.ZodType {
  return z.any().transform((input, context) => {
    const check = checkParam(param, input);
    if ('value' in check) return check.value;
    context.issues.push({ code: 'custom', message: check.message, input });
    return z.NEVER;
  });
}

export type Shape = Record<string, z.ZodType>;

/** The zod types of all parameters of a spec. */
export function specShape(spec: Spec): Shape {
  const shape: Shape = {};
  for (const [name, param] of Object.entries(spec)) shape[name] = paramType(param);
  return shape;
}

/** The same with every parameter optional: what is absent stays absent. */
export function partialShape(spec: Spec): Shape {
  const shape: Shape = {};
  for (const [name, param] of Object.entries(spec)) shape[name] = optionalType(param);
  return shape;
}

/**
 * A mapping with exactly these keys. An unknown key is an issue at its own path which carries the
 * valid keys in `params.validKeys`.
 */
export function section(shape: Shape, doc: string): z.ZodObject {
  const validKeys = Object.keys(shape);
  const unknownKey = z.any().superRefine((_value, context) => {
    context.addIssue({ code: 'custom', message: 'unknown key', params: { validKeys } });
  });
  return z
    .object(shape, {
      error: (issue) =>
        `expected a mapping (${validKeys.join(', ')}); got ${describe(issue.input)}`,
    })
    .catchall(unknownKey)
    .meta({ description: doc });
}

/** A list of mappings. */
export function listOf(type: z.ZodType, doc: string): z.ZodType {
  return z
    .array(type, { error: ({ input }) => `expected a list; got ${describe(input)}` })
    .meta({ description: doc });
}

/** A section that may be left out: then every parameter has its default. */
export function optionalSection(shape: Shape, doc: string): z.ZodType {
  return section(shape, doc).prefault({});
}
