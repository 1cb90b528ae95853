/**
 * Strict (Linux iommu.strict=1): an unmap clears the entries, invalidates them and waits for the
 * fence; only then the buffer and its address may be used again.
 */
import { pageNumber, pnHi, pnLo } from '../../address.ts';
import type { Core, Host } from '../core.ts';
import type { DmaApi, DmaDevice, MappingCosts, MappingPolicy } from '../dma-api.ts';

export class StrictPolicy implements MappingPolicy {
  readonly name = 'strict';
  private readonly host: Host;
  private readonly api: DmaApi;
  private readonly costs: MappingCosts;
  private readonly onMap: number;
  private readonly onMapTold: number;
  private readonly onUnmap: number;
  private readonly onDone: number;

  constructor(host: Host, api: DmaApi, costs: MappingCosts) {
    this.host = host;
    this.api = api;
    this.costs = costs;
    this.onMap = host.register((core) => this.mapped(core));
    this.onMapTold = host.register((core) => api.finishMap(core, api.hi[core], api.lo[core]));
    this.onUnmap = host.register((core) => this.unmapped(core));
    this.onDone = host.register((core) => this.done(core));
  }

  map(_device: DmaDevice, core: Core): void {
    const { costs, api } = this;
    const cycles = costs.mapCycles + api.pages[core.index] * costs.mapPageCycles;
    core.proceed(cycles + api.lead[core.index], this.onMap, core.index, 0);
  }

  unmap(_device: DmaDevice, core: Core): void {
    const { costs, api } = this;
    const cycles = costs.unmapCycles + api.pages[core.index] * costs.unmapPageCycles;
    core.proceed(cycles + api.lead[core.index], this.onUnmap, core.index, 0);
  }

  mapNow(device: DmaDevice, frame: number, pages: number, access: number): number {
    return this.api.installFresh(device, 0, frame, pages, access);
  }

  private mapped(core: number): void {
    const { api } = this;
    const device = api.deviceOf(core);
    const page = api.installFresh(
      device,
      core,
      api.frameOf(core),
      api.pages[core],
      api.access[core],
    );
    if (device.path.mapped === undefined) {
      api.finishMap(core, pnHi(page), pnLo(page));
      return;
    }
    api.hi[core] = pnHi(page);
    api.lo[core] = pnLo(page);
    device.path.mapped(this.host.cores[core], this.onMapTold, core, 0);
  }

  private unmapped(core: number): void {
    const { api } = this;
    const device = api.deviceOf(core);
    const hi = api.hi[core];
    const lo = api.lo[core];
    const pages = api.pages[core];
    api.clear(device, hi, lo, pages);
    device.path.range(this.host.cores[core], device.domain, hi, lo, pages, this.onDone, core, 0);
  }

  private done(core: number): void {
    const { api } = this;
    const device = api.deviceOf(core);
    const hi = api.hi[core];
    const lo = api.lo[core];
    const pages = api.pages[core];
    api.acknowledge(device, hi, lo, pages);
    device.iova.release(core, pageNumber(hi, lo), pages);
    api.finish(core);
  }
}
