/**
 * Descriptors of the VT-d invalidation queue in legacy mode (VT-d specification, "Queued
 * Invalidation Interface"; Linux drivers/iommu/intel/iommu.h QI_*): 16 bytes as four words.
 */

const TYPE_CONTEXT = 0x1;
const TYPE_IOTLB = 0x2;
const TYPE_WAIT = 0x5;
const GRANULARITY_SHIFT = 4;
export const GRANULARITY_GLOBAL = 1;
export const GRANULARITY_DOMAIN = 2;
/** Device of a context-cache invalidation, page of an IOTLB invalidation. */
export const GRANULARITY_SELECTIVE = 3;
const IOTLB_DRAIN_WRITES = 1 << 6;
const IOTLB_DRAIN_READS = 1 << 7;
const DOMAIN_SHIFT = 16;
/** Only leaf entries changed: caches of upper levels may stay. */
const IOTLB_INVALIDATION_HINT = 1 << 6;
const WAIT_STATUS_WRITE = 1 << 5;

/** Context-cache invalidation: global, of a domain, or of a source id (function mask 0). */
export function encodeContextInvalidate(
  out: Int32Array,
  granularity: number,
  domainId: number,
  sourceId: number,
): void {
  out[0] = TYPE_CONTEXT | (granularity << GRANULARITY_SHIFT) | (domainId << DOMAIN_SHIFT);
  out[1] = sourceId;
  out[2] = 0;
  out[3] = 0;
}

/** IOTLB invalidation, global or of a domain, draining reads and writes as `drain` says. */
export function encodeIotlbInvalidate(
  out: Int32Array,
  granularity: number,
  domainId: number,
  drain: number,
): void {
  out[0] = TYPE_IOTLB | (granularity << GRANULARITY_SHIFT) | drain | (domainId << DOMAIN_SHIFT);
  out[1] = 0;
  out[2] = 0;
  out[3] = 0;
}

/** IOTLB invalidation of the aligned 2^order pages around a page. */
export function encodePageInvalidate(
  out: Int32Array,
  domainId: number,
  drain: number,
  hi: number,
  lo: number,
  order: number,
  leavesOnly: boolean,
): void {
  encodeIotlbInvalidate(out, GRANULARITY_SELECTIVE, domainId, drain);
  const aligned = order >= 27 ? 0 : lo & ~((1 << order) - 1);
  const high = order > 27 ? hi & ~((1 << (order - 27)) - 1) : hi;
  out[2] = (aligned << 12) | (leavesOnly ? IOTLB_INVALIDATION_HINT : 0) | order;
  out[3] = (aligned >>> 20) | (high << 7);
}

/** Wait descriptor that stores `data` at (hi, lo, offset) when all before it is done. */
export function encodeWait(
  out: Int32Array,
  data: number,
  hi: number,
  lo: number,
  offset: number,
): void {
  out[0] = TYPE_WAIT | WAIT_STATUS_WRITE;
  out[1] = data;
  out[2] = (lo << 12) | offset;
  out[3] = (lo >>> 20) | (hi << 7);
}

/** Drain bits by CAP.DWD (bit 54) and CAP.DRD (bit 55). */
export function drainBits(capabilities: bigint): number {
  const writes = (capabilities >> 54n) & 1n ? IOTLB_DRAIN_WRITES : 0;
  const reads = (capabilities >> 55n) & 1n ? IOTLB_DRAIN_READS : 0;
  return writes | reads;
}

/** Levels above the last that may hold leaves, by CAP.SLLPS (bits 37:34: 2 MiB, 1 GiB). */
export function leafLevels(capabilities: bigint): number {
  const sizes = Number((capabilities >> 34n) & 0xfn);
  return (sizes & 1) === 0 ? 0 : (sizes & 2) === 0 ? 1 : 2;
}

/** Levels of the widest tables, by CAP.SAGAW (bits 12:8: bit 1 is 3 levels). */
export function widestLevels(capabilities: bigint): number {
  const sagaw = Number((capabilities >> 8n) & 0x1fn);
  return 31 - Math.clz32(sagaw) + 2;
}

/** log2 of the aligned block of pages that covers a range (calculate_psi_aligned_address). */
export function coveringOrder(page: number, pages: number): number {
  let order = 0;
  const last = page + pages - 1;
  while (Math.floor(page / 2 ** order) !== Math.floor(last / 2 ** order)) order++;
  return order;
}
