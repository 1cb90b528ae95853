/** Parameters of the pattern generator. */
import { InputError } from '../../sim/errors.ts';
import { bytes, choice, count, duration, type Param, rate, type Values } from '../../sim/spec.ts';
import type { Clock, CyclesPerByte } from '../../sim/time/clock.ts';

export const PATTERNS = ['sequential', 'random', 'strided', 'hot-cold'] as const;
export type PatternKind = (typeof PATTERNS)[number];

type NumberName =
  | 'window'
  | 'size'
  | 'alignment'
  | 'stride'
  | 'hot_window'
  | 'hot_parts'
  | 'cold_parts'
  | 'read_parts'
  | 'write_parts'
  | 'outstanding'
  | 'rate'
  | 'requests'
  | 'start'
  | 'stop';

export type PatternSpec = { readonly pattern: Param<PatternKind> } & Readonly<
  Record<NumberName, Param<number>>
>;

export const patternSpec: PatternSpec = {
  pattern: choice('random', PATTERNS, 'Order of the addresses in the window.'),
  window: bytes('4MiB', 'Size of the address window.', { min: 64, max: 2 ** 42 }),
  size: bytes('64B', 'Size of a request; split at 4 KiB pages.', { min: 1, max: 2 ** 24 }),
  alignment: bytes('0B', 'Random addresses are multiples of it; 0B means the size.'),
  stride: bytes('4KiB', 'Distance between requests of the strided pattern.', { min: 1 }),
  hot_window: bytes('64KiB', 'Part at the start of the window that is hot.'),
  hot_parts: count(9, 'Requests to the hot part, relative to cold_parts.'),
  cold_parts: count(1, 'Requests to the rest of the window, relative to hot_parts.'),
  read_parts: count(1, 'Reads, relative to write_parts.'),
  write_parts: count(0, 'Writes, relative to read_parts.'),
  outstanding: count(64, 'Most DMAs in flight.', { min: 1, max: 65_536 }),
  rate: rate('0b/s', 'Pace of the requests; 0b/s means as fast as they come back.', { min: 0 }),
  requests: count(0, 'Number of requests; 0 means without end.'),
  start: duration('0ns', 'When the first request is issued.'),
  stop: duration('0ns', 'When no further request is issued; 0ns means never.'),
};

/** A pattern generator's parameters in cycles. */
export interface PatternOptions {
  readonly pattern: PatternKind;
  readonly window: number;
  readonly size: number;
  readonly alignment: number;
  readonly stride: number;
  readonly hotWindow: number;
  readonly hotParts: number;
  readonly coldParts: number;
  readonly readParts: number;
  readonly writeParts: number;
  readonly outstanding: number;
  /** Cycles per byte of the pace, null for none. */
  readonly pace: CyclesPerByte | null;
  /** Infinity for no end. */
  readonly requests: number;
  readonly startCycle: number;
  readonly stopCycle: number;
}

const REFUSALS: readonly [(o: PatternOptions) => boolean, string][] = [
  [(o) => o.size > o.window, 'size is larger than window'],
  [(o) => o.readParts + o.writeParts === 0, 'read_parts and write_parts are both 0'],
  [(o) => o.stride > o.window, 'stride is larger than window'],
  [
    (o) => o.pattern === 'hot-cold' && o.hotParts + o.coldParts === 0,
    'hot_parts and cold_parts are both 0',
  ],
  [
    (o) => o.pattern === 'hot-cold' && o.hotParts > 0 && o.hotWindow < o.size,
    'size is larger than hot_window',
  ],
  [
    (o) => o.pattern === 'hot-cold' && o.coldParts > 0 && o.window - o.hotWindow < o.size,
    'size is larger than what hot_window leaves of window',
  ],
  [
    (o) => o.pattern !== 'sequential' && o.window / o.alignment > 2 ** 32,
    'window has more than 2^32 places of this alignment',
  ],
];

export function patternOptions(values: Values<PatternSpec>, clock: Clock): PatternOptions {
  const options: PatternOptions = {
    pattern: values.pattern,
    window: values.window,
    size: values.size,
    alignment: values.alignment === 0 ? values.size : values.alignment,
    stride: values.stride,
    hotWindow: values.hot_window,
    hotParts: values.hot_parts,
    coldParts: values.cold_parts,
    readParts: values.read_parts,
    writeParts: values.write_parts,
    outstanding: values.outstanding,
    pace: values.rate === 0 ? null : clock.cyclesPerByte(values.rate),
    requests: values.requests === 0 ? Number.POSITIVE_INFINITY : values.requests,
    startCycle: clock.ceil(values.start),
    stopCycle: values.stop === 0 ? Number.POSITIVE_INFINITY : clock.ceil(values.stop),
  };
  for (const [refused, reason] of REFUSALS) {
    if (refused(options)) throw new InputError('pattern', `pattern generator: ${reason}`);
  }
  return options;
}
