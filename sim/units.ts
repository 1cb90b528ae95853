/**
 * Quantities as people write them and as the simulator holds them: whole picoseconds, bits per
 * second, bytes and hertz. Arithmetic is exact decimal; a quantity that is no whole number of the
 * canonical unit, or does not fit a safe integer, is refused. Unit names are case-sensitive,
 * because Gb/s and GB/s differ by eight.
 */
import { InputError } from './errors.ts';

interface Dimension {
  readonly noun: string;
  readonly example: string;
  /** Canonical unit first, ascending; `shown` names those that formatting uses. */
  readonly units: ReadonlyMap<string, bigint>;
  readonly shown: readonly string[];
}

function decimal(names: readonly string[], factor: bigint): [string, bigint][] {
  return names.map((name, i) => [name, factor * 1000n ** BigInt(i)]);
}

const DURATION: Dimension = {
  noun: 'duration',
  example: '330ns',
  units: new Map(decimal(['ps', 'ns', 'us', 'ms', 's'], 1n)),
  shown: ['ps', 'ns', 'us', 'ms', 's'],
};

const RATE: Dimension = {
  noun: 'data rate',
  example: '200Gb/s',
  units: new Map([
    ...decimal(['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'], 1n),
    ...decimal(['B/s', 'kB/s', 'MB/s', 'GB/s', 'TB/s'], 8n),
  ]),
  shown: ['b/s', 'kb/s', 'Mb/s', 'Gb/s', 'Tb/s'],
};

const BYTES: Dimension = {
  noun: 'size',
  example: '2MiB',
  units: new Map(['B', 'KiB', 'MiB', 'GiB', 'TiB'].map((name, i) => [name, 1024n ** BigInt(i)])),
  shown: ['B', 'KiB', 'MiB', 'GiB', 'TiB'],
};

const FREQUENCY: Dimension = {
  noun: 'frequency',
  example: '1.2GHz',
  units: new Map(decimal(['Hz', 'kHz', 'MHz', 'GHz'], 1n)),
  shown: ['Hz', 'kHz', 'MHz', 'GHz'],
};

/** Picoseconds of a text like `1.5us`. */
export function parseDuration(text: string): number {
  return parse(text, DURATION);
}

/** Bits per second of a text like `200Gb/s` or `25GB/s`. */
export function parseRate(text: string): number {
  return parse(text, RATE);
}

/** Bytes of a text like `2MiB`. */
export function parseBytes(text: string): number {
  return parse(text, BYTES);
}

/** Hertz of a text like `1.2GHz`. */
export function parseFrequency(text: string): number {
  return parse(text, FREQUENCY);
}

/** Text of a number of picoseconds; exact, or rounded to `digits` significant digits. */
export function formatDuration(ps: number, digits?: number): string {
  return format(ps, DURATION, digits);
}

/** Text of a number of bits per second; exact, or rounded to `digits` significant digits. */
export function formatRate(bitsPerSecond: number, digits?: number): string {
  return format(bitsPerSecond, RATE, digits);
}

/** Text of a number of bytes; exact, or rounded to `digits` significant digits. */
export function formatBytes(bytes: number, digits?: number): string {
  return format(bytes, BYTES, digits);
}

/** Text of a number of hertz; exact, or rounded to `digits` significant digits. */
export function formatFrequency(hertz: number, digits?: number): string {
  return format(hertz, FREQUENCY, digits);
}

/** A whole number with its thousands set apart: `1,234,567`. */
export function formatCount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ',');
}

const QUANTITY = /^(\d+)(?:\.(\d+))?\s*(\S*)$/;

function parse(text: string, dimension: Dimension): number {
  const expected = `expected a ${dimension.noun} such as ${dimension.example}`;
  const match = QUANTITY.exec(text.trim());
  if (match === null) throw new InputError('quantity', `"${text}": ${expected}`);
  const [, whole = '', fraction = '', unit = ''] = match;
  const factor = dimension.units.get(unit);
  if (factor === undefined) {
    const problem = unit === '' ? 'no unit' : `unknown unit "${unit}"`;
    throw new InputError('unit', `"${text}": ${problem}; ${expected} (${hint(unit, dimension)})`);
  }
  const scaled = BigInt(whole + fraction) * factor;
  const scale = 10n ** BigInt(fraction.length);
  if (scaled % scale !== 0n) {
    const canonical = dimension.shown[0];
    throw new InputError('quantity', `"${text}" is no whole number of ${canonical}; ${expected}`);
  }
  const value = scaled / scale;
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InputError('quantity', `"${text}" is too large; ${expected}`);
  }
  return Number(value);
}

function hint(unit: string, dimension: Dimension): string {
  const names = [...dimension.units.keys()];
  const same = (name: string): string => name.toLowerCase().replace(/[^a-z]/g, '');
  const near = names.filter((name) => unit !== '' && same(name) === same(unit));
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`;
  return `units: ${names.join(', ')}`;
}

/** Most decimals that an exact text shows before a smaller unit is taken. */
const EXACT_DECIMALS = 3;

function format(value: number, dimension: Dimension, digits?: number): string {
  const sign = value < 0 ? '-' : '';
  const amount = BigInt(Math.abs(Math.round(value)));
  let name = dimension.shown[0] as string;
  for (const candidate of dimension.shown) {
    const factor = dimension.units.get(candidate) as bigint;
    if (amount < factor) break;
    const exact = (amount * 10n ** BigInt(EXACT_DECIMALS)) % factor === 0n;
    if (digits !== undefined || exact) name = candidate;
  }
  const factor = dimension.units.get(name) as bigint;
  const wholeDigits = String(amount / factor).length;
  const decimals = digits === undefined ? EXACT_DECIMALS : Math.max(0, digits - wholeDigits);
  const scale = 10n ** BigInt(decimals);
  const scaled = (amount * scale * 2n + factor) / (factor * 2n);
  const fraction = decimals === 0 ? '' : String(scaled % scale).padStart(decimals, '0');
  const shown = digits === undefined ? fraction.replace(/0+$/, '') : fraction;
  return `${sign}${scaled / scale}${shown === '' ? '' : `.${shown}`}${name}`;
}
