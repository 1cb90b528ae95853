/** Which walk shard serves a request: a fixed hash of its address space and address region. */

/**
 * @param count number of shards
 * @param order regions are of 2^order pages
 */
export function shardIndex(
  tag1: number,
  tag2: number,
  hi: number,
  lo: number,
  order: number,
  count: number,
): number {
  const region = order >= 27 ? hi >>> (order - 27) : (lo >>> order) ^ Math.imul(hi, 0x5bd1e995);
  const mixed =
    Math.imul(region ^ 0x7f4a7c15, 0x9e3779b1) ^
    Math.imul(tag2 + 1, 0x85ebca6b) ^
    Math.imul(tag1 + 1, 0xc2b2ae35);
  return ((mixed ^ (mixed >>> 16)) >>> 0) % count;
}
