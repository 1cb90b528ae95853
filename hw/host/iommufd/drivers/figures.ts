/**
 * What a driver of /dev/iommu counts over all its units: what it costs that each unit has a domain
 * of its own, and what it costs that units share one.
 */
export interface DriverFigures {
  domains: number;
  /** Frames of I/O page tables: taken so far, in use, and in use at most. */
  tables: number;
  tablesInUse: number;
  tablesPeak: number;
  /** Calls of map and unmap, over all domains: an address space calls each of its domains. */
  mapCalls: number;
  unmapCalls: number;
  /** Table entries set and cleared. */
  entriesWritten: number;
  /** Invalidations asked of units, and those of them that a second or later unit needed. */
  invalidations: number;
  broadcasts: number;
  /** Attachments to a domain that another unit has devices in too. */
  sharedAttachments: number;
}

export function noFigures(): DriverFigures {
  return {
    domains: 0,
    tables: 0,
    tablesInUse: 0,
    tablesPeak: 0,
    mapCalls: 0,
    unmapCalls: 0,
    entriesWritten: 0,
    invalidations: 0,
    broadcasts: 0,
    sharedAttachments: 0,
  };
}

/** Frames of tables were taken; a negative number: given back. */
export function countTables(figures: DriverFigures, frames: number): void {
  if (frames > 0) figures.tables += frames;
  figures.tablesInUse += frames;
  figures.tablesPeak = Math.max(figures.tablesPeak, figures.tablesInUse);
}
