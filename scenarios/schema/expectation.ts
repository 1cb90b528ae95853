/**
 * How `expect:` is written: `path: value`, or `path: {value, tolerance}`, `{min, max}` or
 * `{within: [min, max]}`. The unit of a value follows from the ending of the path.
 */
import { z } from 'zod';
import { type Expectation, figureUnit } from '../expect.ts';
import { didYouMean } from '../nearest.ts';
import { describe, readQuantity } from './quantity.ts';

type Report = (path: readonly (string | number)[], message: string) => void;
type Single = number | string | boolean;

const FIGURES = ['value', 'min', 'max', 'within'];
const KEYS = [...FIGURES, 'tolerance'];

/** The mapping of expected figures; comes out as a list. */
export const expectType: z.ZodType = z
  .any()
  .transform((input, context): Expectation[] => {
    if (typeof input !== 'object' || input === null || Array.isArray(input)) {
      const message = `expected a mapping of figures to what they must be; got ${describe(input)}`;
      context.issues.push({ code: 'custom', message, input });
      return [];
    }
    const report: Report = (path, message) =>
      context.issues.push({ code: 'custom', message, input, path: [...path] });
    return Object.entries(input)
      .map(([path, wanted]) => readExpectation(path, wanted, report))
      .filter((expectation) => expectation !== null);
  })
  .default([])
  .meta({
    type: 'object',
    default: {},
    description:
      'Figures of stats.json by dotted path, and what they must be: a value, or a mapping with value and tolerance, min, max, or within.',
    additionalProperties: {
      anyOf: [
        { type: ['number', 'string', 'boolean'] },
        {
          type: 'object',
          additionalProperties: false,
          properties: {
            value: { type: ['number', 'string', 'boolean'], description: 'The figure.' },
            tolerance: { type: 'string', description: 'Allowed deviation, like "15%".' },
            min: { type: ['number', 'string'], description: 'Smallest allowed figure.' },
            max: { type: ['number', 'string'], description: 'Largest allowed figure.' },
            within: { type: 'array', description: 'Smallest and largest allowed figure.' },
          },
        },
      ],
    },
  });

function readExpectation(path: string, wanted: unknown, report: Report): Expectation | null {
  if (Array.isArray(wanted) || wanted === null) {
    report([path], `expected a value or a mapping (${KEYS.join(', ')}); got ${describe(wanted)}`);
    return null;
  }
  if (typeof wanted !== 'object') {
    const value = readFigure(path, wanted, [path], report);
    return value === null ? null : { path, value };
  }
  return readBounds(path, wanted as Record<string, unknown>, report);
}

function readBounds(
  path: string,
  wanted: Record<string, unknown>,
  report: Report,
): Expectation | null {
  const unknown = Object.keys(wanted).filter((key) => !KEYS.includes(key));
  for (const key of unknown) {
    report([path, key], `unknown key${didYouMean(key, KEYS)}; valid keys: ${KEYS.join(', ')}`);
  }
  if (unknown.length > 0) return null;
  const result: { -readonly [K in keyof Expectation]: Expectation[K] } = { path };
  if (wanted.value !== undefined) {
    const value = readFigure(path, wanted.value, [path, 'value'], report);
    if (value !== null) result.value = value;
  }
  for (const key of ['min', 'max'] as const) {
    if (wanted[key] !== undefined) setBound(result, key, wanted[key], [path, key], report);
  }
  if (wanted.within !== undefined) {
    const pair = wanted.within;
    if (Array.isArray(pair) && pair.length === 2) {
      setBound(result, 'min', pair[0], [path, 'within', 0], report);
      setBound(result, 'max', pair[1], [path, 'within', 1], report);
    } else {
      report([path, 'within'], 'expected a list of two figures: [min, max]');
    }
  }
  if (wanted.tolerance !== undefined) setTolerance(result, wanted.tolerance, report);
  if (FIGURES.every((key) => wanted[key] === undefined)) {
    report([path], `expected at least one of ${FIGURES.join(', ')}`);
  }
  return result;
}

function setBound(
  result: { min?: number; max?: number; readonly path: string },
  key: 'min' | 'max',
  input: unknown,
  at: readonly (string | number)[],
  report: Report,
): void {
  const value = readFigure(result.path, input, at, report);
  if (value === null) return;
  if (typeof value === 'number') result[key] = value;
  else report(at, `expected a number; got ${describe(input)}`);
}

function setTolerance(
  result: { tolerance_ppm?: number; readonly path: string; readonly value?: Single },
  input: unknown,
  report: Report,
): void {
  const share = typeof input === 'string' ? readPercent(input) : null;
  if (share === null) {
    report([result.path, 'tolerance'], `expected a share like "15%"; got ${describe(input)}`);
  } else if (typeof result.value !== 'number') {
    report([result.path, 'tolerance'], 'a tolerance needs a value that is a number');
  } else {
    result.tolerance_ppm = Math.round(share * 1e6);
  }
}

function readPercent(text: string): number | null {
  const match = /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(text);
  return match === null ? null : Number(match[1]) / 100;
}

function readFigure(
  path: string,
  input: unknown,
  at: readonly (string | number)[],
  report: Report,
): Single | null {
  const unit = figureUnit(path);
  if (unit !== null) {
    const read = readQuantity(unit, input);
    if ('value' in read) return read.value;
    report(at, read.message);
    return null;
  }
  if (typeof input === 'string') return readPercent(input) ?? input;
  if (typeof input === 'number' || typeof input === 'boolean') return input;
  report(at, `expected a single value; got ${describe(input)}`);
  return null;
}
