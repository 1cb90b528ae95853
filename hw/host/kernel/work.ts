/**
 * What a system call did, counted while it runs: the kernel itself knows no time; whoever made the
 * call turns these figures into cycles (hw/host/programs).
 */
export class CallWork {
  /** Objects made or destroyed, table entries of them included. */
  objects = 0;
  /** Bytes copied from and to user memory. */
  bytesCopied = 0;
  /** User pages pinned and unpinned. */
  pagesPinned = 0;
  pagesUnpinned = 0;
  /** Pages entered into and cleared from I/O page tables, over all domains. */
  pagesMapped = 0;
  pagesUnmapped = 0;
  /** Calls of a driver's map and unmap. */
  mapCalls = 0;
  unmapCalls = 0;
  /** Driver-specific structures taken in. */
  entries = 0;
  /** Invalidations of units without simulated hardware, which take their own time. */
  invalidations = 0;

  reset(): void {
    this.objects = 0;
    this.bytesCopied = 0;
    this.pagesPinned = 0;
    this.pagesUnpinned = 0;
    this.pagesMapped = 0;
    this.pagesUnmapped = 0;
    this.mapCalls = 0;
    this.unmapCalls = 0;
    this.entries = 0;
    this.invalidations = 0;
  }
}

/**
 * What became of attachments to an address space, over the whole run. The convention says that a
 * domain made for the device is never EINVAL; nothing enforces it.
 */
export interface AttachBook {
  /** Page tables that were there and did not fit (EINVAL): the next was tried. */
  misfits: number;
  /** Fresh ones that were EINVAL all the same. */
  freshMisfits: number;
}
