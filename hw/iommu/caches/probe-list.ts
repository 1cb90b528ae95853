/**
 * Which page sizes an IOTLB holds at the moment, in which of its arrays: the list of probes that
 * one lookup makes, smaller pages first.
 */

/** Orders run from 0 to 52: a page number has 52 bits. */
export const ORDER_MAX = 52;
const ORDER_BITS = 6;

export class ProbeList {
  /** Number of probes; probe i looks for pages of 2^orders[i] in array arrays[i]. */
  length = 0;
  readonly arrays: Int32Array;
  readonly orders: Int32Array;
  /** Entries of each array and order. */
  private readonly counts: Int32Array;
  private readonly arrayCount: number;

  constructor(arrayCount: number) {
    this.arrayCount = arrayCount;
    this.arrays = new Int32Array(arrayCount << ORDER_BITS);
    this.orders = new Int32Array(arrayCount << ORDER_BITS);
    this.counts = new Int32Array(arrayCount << ORDER_BITS);
  }

  /** An entry of a page of 2^order came into an array. */
  add(array: number, order: number): void {
    if (this.counts[(array << ORDER_BITS) | order]++ === 0) this.list();
  }

  /** One went. */
  remove(array: number, order: number): void {
    if (--this.counts[(array << ORDER_BITS) | order] === 0) this.list();
  }

  clear(): void {
    this.counts.fill(0);
    this.length = 0;
  }

  private list(): void {
    let length = 0;
    for (let order = 0; order <= ORDER_MAX; order++) {
      for (let array = 0; array < this.arrayCount; array++) {
        if (this.counts[(array << ORDER_BITS) | order] === 0) continue;
        this.arrays[length] = array;
        this.orders[length++] = order;
      }
    }
    this.length = length;
  }
}
