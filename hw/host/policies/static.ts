/**
 * Map once: a frame run is mapped for good when it is first used (or by `mapNow` before the run),
 * for reading and writing, and unmap does nothing. What kernels do that keep a pool of mapped
 * buffers.
 */

import { pnHi, pnLo } from '../../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../iommu/access.ts';
import type { Core, Host } from '../core.ts';
import type { DmaApi, DmaDevice, MappingCosts, MappingPolicy } from '../dma-api.ts';

export class StaticPolicy implements MappingPolicy {
  readonly name = 'static';
  private readonly host: Host;
  private readonly api: DmaApi;
  private readonly costs: MappingCosts;
  private readonly onLookup: number;
  private readonly onMap: number;
  private readonly onUnmap: number;
  /** Input page of each frame that is mapped. */
  private readonly inputs = new Map<number, number>();

  constructor(host: Host, api: DmaApi, costs: MappingCosts) {
    this.host = host;
    this.api = api;
    this.costs = costs;
    this.onLookup = host.register((core) => this.lookup(core));
    this.onMap = host.register((core) => this.mapped(core));
    this.onUnmap = host.register((core) => api.finish(core));
  }

  map(_device: DmaDevice, core: Core): void {
    core.proceed(this.costs.lookupCycles + this.api.lead[core.index], this.onLookup, core.index, 0);
  }

  unmap(_device: DmaDevice, core: Core): void {
    core.proceed(this.costs.lookupCycles + this.api.lead[core.index], this.onUnmap, core.index, 0);
  }

  mapNow(device: DmaDevice, frame: number, pages: number): number {
    return this.known(frame, pages) ?? this.install(device, 0, frame, pages);
  }

  private lookup(core: number): void {
    const { api, costs } = this;
    const pages = api.pages[core];
    const page = this.known(api.frameOf(core), pages);
    if (page !== undefined) {
      api.finishMap(core, pnHi(page), pnLo(page));
      return;
    }
    const cycles = costs.mapCycles + pages * costs.mapPageCycles;
    this.host.cores[core].proceed(cycles, this.onMap, core, 0);
  }

  private mapped(core: number): void {
    const { api } = this;
    const page = this.install(api.deviceOf(core), core, api.frameOf(core), api.pages[core]);
    api.finishMap(core, pnHi(page), pnLo(page));
  }

  /** Input page of a run whose frames are all mapped one after the other. */
  private known(frame: number, pages: number): number | undefined {
    const page = this.inputs.get(frame);
    if (page === undefined || this.inputs.get(frame + pages - 1) !== page + pages - 1) {
      return undefined;
    }
    return page;
  }

  private install(device: DmaDevice, core: number, frame: number, pages: number): number {
    const access = ACCESS_READ | ACCESS_WRITE;
    const page = this.api.installFresh(device, core, frame, pages, access);
    for (let i = 0; i < pages; i++) this.inputs.set(frame + i, page + i);
    return page;
  }
}
