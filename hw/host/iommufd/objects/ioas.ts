/** An I/O address space (IOMMUFD_OBJ_IOAS): one I/O page table, carried by any number of HWPTs. */
import type { Context } from '../context.ts';
import type { IoasHwpt } from '../graph.ts';
import { IoPageTable } from '../iopt/io-pagetable.ts';
import { IommufdObject } from '../object.ts';

const IOAS_BYTES = 512;

export class Ioas extends IommufdObject {
  readonly type = 'ioas';
  readonly table: IoPageTable;
  /** In order of creation. */
  readonly hwpts: IoasHwpt[] = [];
  private readonly context: Context;

  /** The caller gives it its id (`reserve`, `publish`). */
  constructor(context: Context) {
    super(IOAS_BYTES);
    this.context = context;
    this.table = new IoPageTable(context.services);
  }

  override destroy(): void {
    if (this.context.vfioIoas === this) this.context.vfioIoas = null;
    this.table.unmapAll();
    this.table.destroy();
  }
}
