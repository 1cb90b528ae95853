/**
 * Numbers of the page-table formats, as walk contexts carry them: 0 is bare, then the formats of
 * each architecture in the order of their files.
 */
import { InternalError } from '../../../sim/errors.ts';
import { clearHi, clearLo, PAGE_SHIFT, PN_HI_MASK, PN_LO_MASK } from '../../address.ts';
import { RISCV_FORMATS } from '../riscv/formats.ts';
import { VTD_FORMATS } from '../vtd/formats.ts';
import type { PageTableFormat } from './format.ts';

export const FORMAT_BARE = 0;

/** A format's figures in one object shape, whatever class describes it: the walker's hot path. */
export class FormatRecord {
  readonly format: PageTableFormat;
  readonly levels: number;
  readonly entryBytes: number;
  /** log2 of entryBytes. */
  readonly entryShift: number;
  readonly indexBits: number;
  readonly indexMask: number;
  readonly rootIndexMask: number;
  readonly rootShift: number;
  /** Bits of a page number that must be zero, or all equal where the format sign-extends. */
  readonly outsideHi: number;
  readonly outsideLo: number;
  readonly signExtended: boolean;
  readonly frameShift: number;
  readonly frameHiMask: number;
  readonly accessedBit: number;
  readonly dirtyBit: number;

  constructor(format: PageTableFormat) {
    this.format = format;
    this.levels = format.levels;
    this.entryBytes = format.entryBytes;
    this.entryShift = format.entryBytes === 8 ? 3 : 2;
    this.indexBits = format.indexBits;
    this.indexMask = (1 << format.indexBits) - 1;
    this.rootIndexMask = (1 << (format.indexBits + format.rootExtraBits)) - 1;
    this.rootShift = (format.levels - 1) * format.indexBits;
    const inside = format.inputBits - PAGE_SHIFT - (format.signExtended ? 1 : 0);
    this.outsideHi = clearHi(PN_HI_MASK, inside);
    this.outsideLo = clearLo(PN_LO_MASK, inside);
    this.signExtended = format.signExtended;
    this.frameShift = format.frameShift;
    this.frameHiMask = format.frameHiMask;
    this.accessedBit = format.accessedBit;
    this.dirtyBit = format.dirtyBit;
  }
}

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
