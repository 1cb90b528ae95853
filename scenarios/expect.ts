/**
 * `expect:` turns a scenario into a test: figures of the statistics, named by dotted path, with
 * what they must be. Pure: statistics in, verdicts out.
 */
import { didYouMean } from './nearest.ts';
import { type QuantityKind, quantityText } from './schema/quantity.ts';

/** One expected figure, in canonical units. */
export interface Expectation {
  /** Dotted path into the statistics. */
  readonly path: string;
  /** Exact value, or the middle of `tolerance`. */
  readonly value?: number | string | boolean;
  /** Largest allowed deviation from `value`, in parts per million of it. */
  readonly tolerance_ppm?: number;
  readonly min?: number;
  readonly max?: number;
}

export interface ExpectationResult {
  readonly path: string;
  readonly pass: boolean;
  /** Null when the statistics have no such figure. */
  readonly measured: number | string | boolean | null;
  /** In words, with units: `32.5Gb/s +-15%`, `at least 10`. */
  readonly expected: string;
  /** (measured - value) / value, where there is a number to compare with. */
  readonly deviation: number | null;
  /** Why it failed, where the figures alone do not say. */
  readonly note: string;
}

/** Unit of a figure by the ending of its name. */
export function figureUnit(path: string): QuantityKind | null {
  if (path.endsWith('_ps')) return 'duration';
  if (path.endsWith('_bps')) return 'rate';
  if (path.endsWith('_bytes') || path.endsWith('.bytes')) return 'bytes';
  return path.endsWith('_hz') ? 'frequency' : null;
}

/** A figure as text, in the unit that its name says. */
export function figureText(path: string, value: number | string | boolean | null): string {
  if (value === null) return 'nothing';
  const unit = figureUnit(path);
  if (unit === null || typeof value !== 'number') {
    return typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(4) : String(value);
  }
  return quantityText(unit, value, 4);
}

/** The figure at a dotted path; keys may contain dots themselves (`devices.nic.0.dma`). */
export function lookUp(stats: unknown, path: string): unknown {
  if (path === '') return stats;
  if (typeof stats !== 'object' || stats === null) return undefined;
  const steps = path.split('.');
  for (let take = steps.length; take > 0; take--) {
    const key = steps.slice(0, take).join('.');
    if (!Object.hasOwn(stats, key)) continue;
    const found = lookUp((stats as Record<string, unknown>)[key], steps.slice(take).join('.'));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** All paths of single figures, for suggestions. */
export function figurePaths(stats: unknown, prefix = ''): string[] {
  if (typeof stats !== 'object' || stats === null) return [prefix];
  return Object.entries(stats).flatMap(([key, value]) =>
    figurePaths(value, prefix === '' ? key : `${prefix}.${key}`),
  );
}

export function evaluate(
  expectations: readonly Expectation[],
  stats: unknown,
): readonly ExpectationResult[] {
  return expectations.map((expectation) => evaluateOne(expectation, stats));
}

function evaluateOne(expectation: Expectation, stats: unknown): ExpectationResult {
  const { path } = expectation;
  const expected = expectedText(expectation);
  const found = lookUp(stats, path);
  const single =
    typeof found === 'number' || typeof found === 'string' || typeof found === 'boolean';
  if (!single) {
    const note =
      found === undefined
        ? `no such figure${didYouMean(path, figurePaths(stats))}`
        : 'not a single figure';
    return { path, pass: false, measured: null, expected, deviation: null, note };
  }
  const deviation = deviationOf(expectation.value, found);
  return { path, pass: holds(expectation, found), measured: found, expected, deviation, note: '' };
}

function deviationOf(value: unknown, found: unknown): number | null {
  if (typeof value !== 'number' || typeof found !== 'number') return null;
  if (value === 0) return found === 0 ? 0 : null;
  return (found - value) / value;
}

function holds(expectation: Expectation, found: number | string | boolean): boolean {
  const { value, tolerance_ppm, min, max } = expectation;
  if (min !== undefined && !(typeof found === 'number' && found >= min)) return false;
  if (max !== undefined && !(typeof found === 'number' && found <= max)) return false;
  if (value === undefined) return true;
  if (tolerance_ppm === undefined || typeof value !== 'number') return found === value;
  return (
    typeof found === 'number' && Math.abs(found - value) * 1e6 <= Math.abs(value) * tolerance_ppm
  );
}

function expectedText(expectation: Expectation): string {
  const { path, value, tolerance_ppm, min, max } = expectation;
  const parts: string[] = [];
  if (value !== undefined) {
    const tolerance = tolerance_ppm === undefined ? '' : ` ±${tolerance_ppm / 1e4}%`;
    parts.push(`${exactText(path, value)}${tolerance}`);
  }
  if (min !== undefined) parts.push(`at least ${exactText(path, min)}`);
  if (max !== undefined) parts.push(`at most ${exactText(path, max)}`);
  return parts.join(', ');
}

function exactText(path: string, value: number | string | boolean): string {
  const unit = figureUnit(path);
  return unit !== null && typeof value === 'number' ? quantityText(unit, value) : String(value);
}
