/**
 * What a NIC and its driver agree on: rings in memory with 16-byte entries. A descriptor is
 * [address low, address high, bytes, 0]; a completion is [bytes, descriptor index, status, pass],
 * where the pass counts how often its ring has been gone through, so that old entries are known.
 */

export const RING_ENTRY_BYTES = 16;
export const RING_ENTRY_SHIFT = 4;
/** Entries of a ring in one 4 KiB page. */
export const RING_PAGE_ENTRIES = 256;

export const COMPLETION_OK = 1;
/** A DMA of the packet was refused. */
export const COMPLETION_ERROR = 2;

/** Each queue has a receive and a transmit side. */
export const SIDE_RECEIVE = 0;
export const SIDE_TRANSMIT = 1;

/** Pages of a ring. */
export function ringPages(entries: number): number {
  return Math.max(1, Math.ceil(entries / RING_PAGE_ENTRIES));
}
