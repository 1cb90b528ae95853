/** Parameters of the host: cores, the cost of mapping and invalidating, the deferred policy. */
import { count, duration, type Param, type Values } from '../../sim/spec.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { MappingCosts } from './dma-api.ts';
import type { InvalidationCosts } from './invalidation.ts';
import type { DeferredOptions } from './policies/deferred.ts';

export const MAPPING_POLICIES = ['passthrough', 'static', 'strict', 'deferred'] as const;
export type MappingPolicyKind = (typeof MAPPING_POLICIES)[number];

type NumberName =
  | 'cores'
  | 'map'
  | 'map_page'
  | 'unmap'
  | 'unmap_page'
  | 'queue_unmap'
  | 'lookup'
  | 'command'
  | 'doorbell'
  | 'guest_exit'
  | 'poll'
  | 'flush_entries'
  | 'flush_timeout'
  | 'interrupt'
  | 'page_request';

export type HostSpec = Readonly<Record<NumberName, Param<number>>>;

export const hostSpec: HostSpec = {
  cores: count(8, 'CPU cores that run drivers.', { min: 1, max: 1024 }),
  map: duration('120ns', 'A map call: address allocation and the walk to the entry.'),
  map_page: duration('10ns', 'Each 4 KiB page of a map call.'),
  unmap: duration('100ns', 'An unmap call without its invalidation.'),
  unmap_page: duration('5ns', 'Each 4 KiB page of an unmap call.'),
  queue_unmap: duration('30ns', 'Putting an unmapped range on the flush queue (deferred).'),
  lookup: duration('5ns', 'A map or unmap call that changes no table (passthrough, static).'),
  command: duration('25ns', 'Making and writing one command of the IOMMU.'),
  doorbell: duration('80ns', 'A register write to a device, as the core sees it.'),
  guest_exit: duration('5us', "Trap to the hypervisor when a guest's kernel rings the IOMMU."),
  poll: duration('20ns', 'Time between two looks of a waiting core.', { min: 1 }),
  flush_entries: count(250, 'Ranges on a core that make a full flush queue (deferred).', {
    min: 1,
    max: 65_536,
  }),
  flush_timeout: duration('10ms', 'Longest time until a flush (deferred).', { min: 1 }),
  interrupt: duration('2us', 'From the interrupt of the IOMMU until its threaded handler runs.'),
  page_request: duration('300ns', 'Taking a page request from the queue to its fault queue.'),
};

/** The host's parameters in cycles. */
export interface HostOptions {
  readonly cores: number;
  readonly mapping: MappingCosts;
  readonly invalidation: InvalidationCosts;
  readonly deferred: DeferredOptions;
}

export function hostOptions(values: Values<HostSpec>, clock: Clock): HostOptions {
  return {
    cores: values.cores,
    mapping: {
      mapCycles: clock.nearest(values.map),
      mapPageCycles: clock.nearest(values.map_page),
      unmapCycles: clock.nearest(values.unmap),
      unmapPageCycles: clock.nearest(values.unmap_page),
      queueCycles: clock.nearest(values.queue_unmap),
      lookupCycles: clock.nearest(values.lookup),
    },
    invalidation: {
      commandCycles: clock.nearest(values.command),
      doorbellCycles: clock.nearest(values.doorbell),
      guestExitCycles: clock.nearest(values.guest_exit),
      pollCycles: clock.ceil(values.poll),
    },
    deferred: {
      queueEntries: values.flush_entries,
      timeoutCycles: clock.ceil(values.flush_timeout),
    },
  };
}
