/**
 * Pages that were taken out of a table and may still be cached (struct iommu_iotlb_gather);
 * neighbouring ranges become one.
 */

const RANGES = 16;

export class PageRanges {
  /** Ranges kept: `first[i]` and `pages[i]` are one. */
  count = 0;
  first: Float64Array = new Float64Array(RANGES);
  pages: Float64Array = new Float64Array(RANGES);

  add(first: number, pages: number): void {
    const last = this.count - 1;
    if (last >= 0 && this.first[last] + this.pages[last] === first) {
      this.pages[last] += pages;
      return;
    }
    if (last >= 0 && first + pages === this.first[last]) {
      this.first[last] = first;
      this.pages[last] += pages;
      return;
    }
    if (this.count === this.first.length) this.grow();
    this.first[this.count] = first;
    this.pages[this.count++] = pages;
  }

  clear(): void {
    this.count = 0;
  }

  private grow(): void {
    const { first, pages } = this;
    this.first = new Float64Array(2 * first.length);
    this.pages = new Float64Array(2 * first.length);
    this.first.set(first);
    this.pages.set(pages);
  }
}
