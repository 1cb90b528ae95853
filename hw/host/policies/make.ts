/** Makes the DMA API's view of a device with a policy of the wanted kind. */
import type { EventQueue } from '../../../sim/time/event-queue.ts';
import type { Host } from '../core.ts';
import type { DmaApi, DmaDevice, MappingPolicy } from '../dma-api.ts';
import type { Domain, Mapper } from '../drivers/driver.ts';
import type { Invalidator } from '../invalidation.ts';
import { IovaAllocator } from '../iova.ts';
import type { MappingObserver } from '../observer.ts';
import type { HostOptions, MappingPolicyKind } from '../spec.ts';
import { DeferredPolicy } from './deferred.ts';
import { PassthroughPolicy } from './passthrough.ts';
import { StaticPolicy } from './static.ts';
import { StrictPolicy } from './strict.ts';

export interface DomainUse {
  readonly domain: Domain;
  readonly driver: Mapper;
  readonly path: Invalidator;
  readonly policy: MappingPolicyKind;
  /** Bits of the input addresses that are handed out: 32 as Linux tries first. */
  readonly addressBits: number;
  /** Told of what is mapped, instead of the API's observer. */
  readonly observer?: MappingObserver;
}

/** What the devices of one domain share; `device` adds one. */
export class DomainMapping {
  readonly policy: MappingPolicy;
  readonly iova: IovaAllocator;
  private readonly use: DomainUse;

  constructor(events: EventQueue, host: Host, api: DmaApi, options: HostOptions, use: DomainUse) {
    this.use = use;
    this.policy = makePolicy(events, host, api, options, use);
    this.iova = new IovaAllocator({
      firstPage: 1,
      endPage: 2 ** (use.addressBits - 12),
      cores: host.cores.length,
      cache: true,
    });
    for (const { first, pages } of use.driver.reserved) this.iova.reserve(first, pages);
  }

  device(index: number): DmaDevice {
    const { domain, driver, path, observer } = this.use;
    const device = { index, domain, driver, path, policy: this.policy, iova: this.iova };
    return observer === undefined ? device : { ...device, observer };
  }
}

function makePolicy(
  events: EventQueue,
  host: Host,
  api: DmaApi,
  options: HostOptions,
  use: DomainUse,
): MappingPolicy {
  const { mapping, deferred } = options;
  switch (use.policy) {
    case 'passthrough':
      return new PassthroughPolicy(host, api, mapping, use.domain);
    case 'static':
      return new StaticPolicy(host, api, mapping);
    case 'strict':
      return new StrictPolicy(host, api, mapping);
    case 'deferred':
      return new DeferredPolicy(events, host, api, mapping, deferred);
  }
}
