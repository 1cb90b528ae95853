/**
 * No translation by the kernel: the device uses frame numbers as they are. For devices without
 * IOMMU translation, and for guests without an IOMMU of their own.
 */
import { InputError } from '../../../sim/errors.ts';
import type { Core, Host } from '../core.ts';
import type { DmaApi, DmaDevice, MappingCosts, MappingPolicy } from '../dma-api.ts';
import type { Domain } from '../drivers/driver.ts';

export class PassthroughPolicy implements MappingPolicy {
  readonly name = 'passthrough';
  private readonly api: DmaApi;
  private readonly costs: MappingCosts;
  private readonly onMap: number;
  private readonly onUnmap: number;

  constructor(host: Host, api: DmaApi, costs: MappingCosts, domain: Domain) {
    const identity = domain.kind === 'passthrough';
    if (!identity && (domain.kind !== 'stage2' || domain.guest === null)) {
      throw new InputError('policy', `a ${domain.kind} domain cannot be passed through`);
    }
    this.api = api;
    this.costs = costs;
    this.onMap = host.register((core) => this.mapped(core));
    this.onUnmap = host.register((core) => api.finish(core));
    api.declareLinear(domain);
  }

  map(_device: DmaDevice, core: Core): void {
    core.proceed(this.costs.lookupCycles + this.api.lead[core.index], this.onMap, core.index, 0);
  }

  unmap(_device: DmaDevice, core: Core): void {
    core.proceed(this.costs.lookupCycles + this.api.lead[core.index], this.onUnmap, core.index, 0);
  }

  mapNow(_device: DmaDevice, frame: number): number {
    return frame;
  }

  private mapped(core: number): void {
    this.api.finishMap(core, this.api.frameHi[core], this.api.frameLo[core]);
  }
}
