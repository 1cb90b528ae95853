/**
 * What an invalidation covers: tags and aligned ranges of pages. A range is the 2^order pages
 * around page (hi, lo), aligned to their number.
 */

import { clearHi, clearLo } from '../../address.ts';
import { TAG_NONE } from '../architecture.ts';

/** Whether two aligned ranges have a page in common. */
export function overlaps(
  hiA: number,
  loA: number,
  orderA: number,
  hiB: number,
  loB: number,
  orderB: number,
): boolean {
  const order = Math.max(orderA, orderB);
  return clearHi(hiA, order) === clearHi(hiB, order) && clearLo(loA, order) === clearLo(loB, order);
}

/** Whether an operation's tag (-1: any, TAG_NONE: entries without one) covers an entry's. */
export function tagCovers(wanted: number, tag: number): boolean {
  return wanted === -1 || wanted === tag || (wanted === TAG_NONE && tag === -1);
}
