/** Numbers as the report writes them: three significant digits and always a unit. */
import { formatBytes, formatCount, formatDuration, formatRate } from '../../sim/units.ts';

const DIGITS = 3;

export function time(ps: number): string {
  return ps === 0 ? '0ns' : formatDuration(ps, DIGITS);
}

export function rate(bitsPerSecond: number): string {
  return formatRate(bitsPerSecond, DIGITS);
}

export function size(bytes: number): string {
  return formatBytes(bytes, DIGITS);
}

export function count(value: number): string {
  return formatCount(value);
}

/** A share of one as percent. */
export function share(value: number): string {
  return `${(value * 100).toFixed(1)}%`;
}

/** Things per second: `12.3 M/s`, or with a name `12.3 M events/s`. */
export function perSecond(value: number, thing = ''): string {
  const name = thing === '' ? '' : ` ${thing}`;
  for (const [unit, factor] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const) {
    if (value >= factor) return `${(value / factor).toPrecision(DIGITS)} ${unit}${name}/s`;
  }
  return `${value.toFixed(0)}${name}/s`;
}

/** A mean or a ratio without unit. */
export function decimal(value: number): string {
  return value.toFixed(2);
}

/** Things for each of others; what is too little to show is not shown as nothing. */
export function ratio(things: number, each: number): string {
  const text = decimal(things / each);
  return things > 0 && text === '0.00' ? '<0.01' : text;
}

/** A bar of `share` of `width` cells, in eighths of a cell. */
export function bar(part: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, part)) * width * 8);
  const rest = eighths % 8;
  const tail = rest === 0 ? '' : ' ▏▎▍▌▋▊▉'[rest];
  return '█'.repeat(Math.floor(eighths / 8)) + tail;
}
