/** What the panels of the sheet share: their measure, headings, numbers with a space and a unit. */
import * as numbers from '../text.ts';
import { phrase, type Tone } from './svg.ts';

export const SHEET_WIDTH = 960;
export const MARGIN = 32;
export const INNER = SHEET_WIDTH - 2 * MARGIN;

export interface Panel {
  readonly shapes: readonly string[];
  readonly height: number;
}

/** A headline figure. */
export interface Tile {
  readonly title: string;
  readonly figure: string;
  readonly note: string;
  readonly tone?: Tone;
}

/** Title of a panel and, beside it, what its numbers are. The baseline is at 14. */
export function heading(title: string, note: string): string[] {
  return [phrase(0, 14, title, note, [16, 12])];
}

/** `84.2Gb/s` as `84.2 Gb/s`, `us` as `µs`. */
function spaced(words: string): string {
  return words.replace(/(\d)us$/, '$1µs').replace(/(\d)([^\d.,\s])/, '$1 $2');
}

export function time(ps: number): string {
  return spaced(numbers.time(ps));
}

export function rate(bitsPerSecond: number): string {
  return spaced(numbers.rate(bitsPerSecond));
}

export function size(bytes: number): string {
  return bytes === 0 ? '0' : spaced(numbers.size(bytes));
}

export function share(part: number): string {
  return spaced(numbers.share(part));
}

/** A round time, as on an axis: `0 ns`, `1 µs`. */
export function roundTime(ps: number): string {
  return time(ps).replace(/\.0+(?= )|(?<=\.\d+)0+(?= )/, '');
}
