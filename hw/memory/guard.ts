/**
 * What the memory fabric refuses: addresses outside the legal ranges (PMA/PMP, bus abort), ranges
 * that refuse writes, and ranges whose content is corrupt. Most systems configure none of it; then
 * no guard exists and an access costs one test.
 */

import { pageNumber, pageOffsetOf, pnHiOf, pnLoOf } from '../address.ts';
import { MEM_ACCESS_FAULT, MEM_OK, MEM_POISON } from './port.ts';

/** Bytes `start` to `end` (exclusive). */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

/**
 * `access`: any access that touches the range is refused; `ro`: writes are refused; `poison`: reads
 * find corrupt data, writes succeed.
 */
export interface FaultRange extends AddressRange {
  readonly kind: 'access' | 'ro' | 'poison';
}

export interface GuardSpec {
  /** The only addresses that exist; absent: all. */
  readonly legal?: readonly AddressRange[];
  readonly faults?: readonly FaultRange[];
}

/** A row: first page, first offset, last page, last offset (inclusive), kind. */
const ROW = 5;
const KIND_ACCESS = 0;
const KIND_RO = 1;
const KIND_POISON = 2;
const KINDS = { access: KIND_ACCESS, ro: KIND_RO, poison: KIND_POISON };

export class MemoryGuard {
  private readonly legal: Float64Array | null;
  private readonly faults: Float64Array;

  constructor(spec: GuardSpec) {
    this.legal = spec.legal === undefined ? null : packRanges(spec.legal);
    this.faults = packRanges(spec.faults ?? []);
  }

  read(hi: number, lo: number, offset: number, bytes: number): number {
    const page = pageNumber(hi, lo);
    if (!this.isLegal(page, offset, bytes)) return MEM_ACCESS_FAULT;
    let status: number = MEM_OK;
    const rows = this.faults;
    for (let row = 0; row < rows.length; row += ROW) {
      const kind = rows[row + 4];
      if (kind === KIND_RO || !touches(rows, row, page, offset, bytes)) continue;
      if (kind === KIND_ACCESS) return MEM_ACCESS_FAULT;
      status = MEM_POISON;
    }
    return status;
  }

  write(hi: number, lo: number, offset: number, bytes: number): number {
    const page = pageNumber(hi, lo);
    if (!this.isLegal(page, offset, bytes)) return MEM_ACCESS_FAULT;
    const rows = this.faults;
    for (let row = 0; row < rows.length; row += ROW) {
      if (rows[row + 4] === KIND_POISON || !touches(rows, row, page, offset, bytes)) continue;
      return MEM_ACCESS_FAULT;
    }
    return MEM_OK;
  }

  private isLegal(page: number, offset: number, bytes: number): boolean {
    const rows = this.legal;
    if (rows === null) return true;
    for (let row = 0; row < rows.length; row += ROW) {
      if (contains(rows, row, page, offset) && contains(rows, row, page, offset + bytes - 1)) {
        return true;
      }
    }
    return false;
  }
}

function packRanges(ranges: readonly (AddressRange | FaultRange)[]): Float64Array {
  const filled = ranges.filter((range) => range.end > range.start);
  const rows = new Float64Array(filled.length * ROW);
  filled.forEach((range, index) => {
    const last = range.end - 1n;
    rows.set(
      [
        pageNumber(pnHiOf(range.start), pnLoOf(range.start)),
        pageOffsetOf(range.start),
        pageNumber(pnHiOf(last), pnLoOf(last)),
        pageOffsetOf(last),
        'kind' in range ? KINDS[range.kind] : 0,
      ],
      index * ROW,
    );
  });
  return rows;
}

function contains(rows: Float64Array, row: number, page: number, offset: number): boolean {
  const notBelow = page > rows[row] || (page === rows[row] && offset >= rows[row + 1]);
  const notAbove = page < rows[row + 2] || (page === rows[row + 2] && offset <= rows[row + 3]);
  return notBelow && notAbove;
}

/** Whether an access, which never crosses a page, shares a byte with the range. */
function touches(
  rows: Float64Array,
  row: number,
  page: number,
  offset: number,
  bytes: number,
): boolean {
  const last = offset + bytes - 1;
  const endsNotBelow = page > rows[row] || (page === rows[row] && last >= rows[row + 1]);
  const startsNotAbove =
    page < rows[row + 2] || (page === rows[row + 2] && offset <= rows[row + 3]);
  return endsNotBelow && startsNotAbove;
}
