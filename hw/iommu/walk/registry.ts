/**
 * Numbers of the page-table formats, as walk contexts carry them: 0 is bare, then the formats of
 * each architecture in the order of their files.
 */
import { InternalError } from '../../../sim/errors.ts';
import { RISCV_FORMATS } from '../riscv/formats.ts';
import { VTD_FORMATS } from '../vtd/formats.ts';
import type { PageTableFormat } from './format.ts';
import { FormatRecord } from './format-record.ts';

export const FORMAT_BARE = 0;

const FORMATS: readonly PageTableFormat[] = [...RISCV_FORMATS, ...VTD_FORMATS];

/** By number; the record of number 0 (bare) only holds the place. */
export const FORMAT_RECORDS: readonly FormatRecord[] = [FORMATS[0], ...FORMATS].map(
  (format) => new FormatRecord(format),
);
export const BARE_RECORD: FormatRecord = FORMAT_RECORDS[FORMAT_BARE];

const NUMBERS: ReadonlyMap<PageTableFormat, number> = new Map(
  FORMATS.map((format, index) => [format, index + 1]),
);

/** Number of a format. */
export function formatNumber(format: PageTableFormat): number {
  const number = NUMBERS.get(format);
  if (number === undefined) {
    throw new InternalError('format', `page-table format ${format.name} is not registered`);
  }
  return number;
}

/** The format with a number, `null` for bare. */
export function formatOf(number: number): PageTableFormat | null {
  return number === FORMAT_BARE ? null : FORMATS[number - 1];
}

/** The format with a name, like `Sv48x4`. */
export function formatByName(name: string): PageTableFormat {
  const format = FORMATS.find((candidate) => candidate.name === name);
  if (format === undefined) {
    const names = FORMATS.map((candidate) => candidate.name).join(', ');
    throw new InternalError('format', `no page-table format ${name}; there are ${names}`);
  }
  return format;
}
