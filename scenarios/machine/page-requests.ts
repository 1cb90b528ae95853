/**
 * The way of page requests in a machine with a RISC-V unit: device, link, the unit's queue in
 * memory, its interrupt, the driver's handler on a core (the last one), fault routing; and the way
 * of the answers: the driver's command, the unit's message, link, device.
 */
import type { HardwarePageRequest } from '../../hw/host/drivers/riscv-page-requests.ts';
import { PAGE_REQUEST_VECTOR } from '../../hw/host/drivers/riscv-setup.ts';
import type {
  RiscvHardwareUnit,
  RiscvIommufdDriver,
} from '../../hw/host/iommufd/drivers/hardware/riscv.ts';
import { PageRequestService } from '../../hw/host/page-request-service.ts';
import type { DeviceMessage } from '../../hw/iommu/architecture.ts';
import { RiscvIommu } from '../../hw/iommu/riscv/unit.ts';
import type { PageRequestUnit } from '../../hw/iommu/timed/page-requests.ts';
import type { TimedIommu } from '../../hw/iommu/timed/unit.ts';
import { PageRequester, type PageRequestMessage } from '../../hw/pcie/page-requester.ts';
import { linkOptions } from '../../hw/pcie/spec.ts';
import { InternalError } from '../../sim/errors.ts';
import type { Clock } from '../../sim/time/clock.ts';
import type { EventQueue } from '../../sim/time/event-queue.ts';
import type { ResolvedScenario } from '../schema/resolved.ts';
import type { Software } from './software.ts';

export interface PageRequestSurroundings {
  readonly scenario: ResolvedScenario;
  readonly clock: Clock;
  readonly events: EventQueue;
  readonly iommu: TimedIommu;
  readonly software: Software;
  readonly deviceIds: Int32Array;
}

export class PageRequestPath {
  /** By the index of the device; null: it asks for no pages. */
  readonly requesters: readonly (PageRequester | null)[];
  readonly service: PageRequestService<HardwarePageRequest>;
  readonly input: PageRequestUnit<PageRequestMessage>;
  private readonly unit: RiscvHardwareUnit;

  constructor(
    around: PageRequestSurroundings,
    driver: RiscvIommufdDriver,
    unit: RiscvHardwareUnit,
  ) {
    const { scenario, clock, events, iommu, software, deviceIds } = around;
    this.unit = unit;
    const target = iommu.unit;
    if (!(target instanceof RiscvIommu)) {
      throw new InternalError('page-requests', 'only a RISC-V unit takes page requests');
    }
    const recordCycles = clock.nearest(scenario.iommu.riscv.page_request_write);
    this.input = iommu.takePageRequests<PageRequestMessage>(target, recordCycles);
    this.requesters = scenario.devices.map(({ page_requests, link }, index) => {
      if (!page_requests) return null;
      const arrived = (message: PageRequestMessage): void => this.input.accept(message, index);
      return new PageRequester(events, linkOptions(link, clock), deviceIds[index], arrived);
    });
    const { host } = software;
    this.service = new PageRequestService(
      {
        events,
        host,
        core: host.cores[host.cores.length - 1],
        take: () => {
          const taken: HardwarePageRequest[] = [];
          unit.driver.takePageRequests((request) => taken.push(request));
          return taken;
        },
        report: (request) => driver.reportQueued(unit, request),
      },
      clock.nearest(scenario.host.interrupt),
      clock.nearest(scenario.host.page_request),
    );
    iommu.onInterrupt = (vector) => {
      if (vector === PAGE_REQUEST_VECTOR) this.service.interrupt();
    };
    const byId = new Map(this.requesters.map((requester, i) => [deviceIds[i], requester]));
    iommu.onDeviceMessage = ({ kind, deviceId, payload, pasid }: DeviceMessage) => {
      if (kind === 'page-response') byId.get(deviceId)?.respond(payload, pasid);
    };
  }

  /** How often the driver found that the queue had been full. */
  get overflows(): number {
    return this.unit.driver.pageRequestOverflows;
  }

  /** Messages on links, and requests in the driver's hands. */
  get open(): number {
    let open = this.service.open;
    for (const requester of this.requesters) open += requester?.open ?? 0;
    return open;
  }

  resetFigures(): void {
    for (const requester of this.requesters) requester?.resetFigures();
    this.service.resetFigures();
  }
}
