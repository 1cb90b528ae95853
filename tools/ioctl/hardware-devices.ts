/**
 * Devices behind a simulated IOMMU unit that works in no time: the unit reads the tables that its
 * driver writes, has caches as the scenario says, and carries out commands when the doorbell rings.
 */
import { addressOf, pageOffsetOf, pnHiOf, pnLoOf } from '../../hw/address.ts';
import { DEFAULT_RISCV_DRIVER, RiscvDriver } from '../../hw/host/drivers/riscv.ts';
import { VtdDriver } from '../../hw/host/drivers/vtd.ts';
import type { HardwareCore } from '../../hw/host/iommufd/drivers/hardware/core.ts';
import type { HardwareDevice } from '../../hw/host/iommufd/drivers/hardware/device.ts';
import { RiscvIommufdDriver } from '../../hw/host/iommufd/drivers/hardware/riscv.ts';
import { VtdIommufdDriver } from '../../hw/host/iommufd/drivers/hardware/vtd.ts';
import { ImmediateSync } from '../../hw/host/iommufd/hardware-sync.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import {
  type DeviceMessage,
  type IommuUnit,
  REQUEST_UNTRANSLATED,
} from '../../hw/iommu/architecture.ts';
import { ContextCache } from '../../hw/iommu/caches/context-cache.ts';
import { FunctionalIommu, OUTCOME_FAULT } from '../../hw/iommu/functional.ts';
import {
  createIotlb,
  createUnit,
  createWalkCaches,
  faultName,
  walkCacheGeometries,
} from '../../scenarios/machine/iommu.ts';
import { firstRequester } from '../../scenarios/schema/requesters.ts';
import type { ResolvedScenario } from '../../scenarios/schema/resolved.ts';
import { hexNumber } from './dump.ts';
import type { AccessResult, Devices, Ground, MadeDevice } from './machine-parts.ts';

const PAGE_REQUEST_ENTRIES = 256;

export function hardwareDevices(ground: Ground, scenario: ResolvedScenario): Devices {
  const unit = new FunctionalUnit(ground, scenario);
  const user = new Set(
    scenario.domains.filter(({ translation }) => translation === 'user').map(({ name }) => name),
  );
  const numbered = scenario.devices.map((device, index) => ({ ...device, index }));
  const bindable = numbered.filter(({ domain }) => user.has(domain));
  // A scenario without programs: all its devices can be had.
  const listed = bindable.length > 0 ? bindable : numbered;
  const first = firstRequester(scenario.iommu);
  const devices = listed.map(({ name, index }): MadeDevice => {
    const iommu = unit.add(name, first + index);
    return {
      name,
      iommu,
      group: iommu.group,
      unit: iommu.unit.name,
      access: (iova, write) => unit.access(first + index, iova, write),
    };
  });
  return {
    devices,
    takeRecords: () => unit.messages.splice(0).map(messageText),
    counters: () => {
      const { tables, entriesWritten, invalidations } = unit.core.figures;
      return {
        'frames of tables taken': tables,
        'table entries written': entriesWritten,
        'invalidations asked for': invalidations,
      };
    },
  };
}

class FunctionalUnit {
  readonly core: HardwareCore;
  readonly messages: DeviceMessage[] = [];
  readonly add: (name: string, id: number) => HardwareDevice;
  private readonly iommu: FunctionalIommu;
  private readonly arch: ResolvedScenario['iommu']['arch'];
  private domains = 0;

  constructor({ kernel, memory, tables }: Ground, scenario: ResolvedScenario) {
    const { iommu, iommufd } = scenario;
    this.arch = iommu.arch;
    let made: FunctionalIommu | null = null;
    const unit: IommuUnit = createUnit(scenario, {
      memory,
      storeInterrupt: () => {},
      setInterruptLine: () => {},
      doorbell: () => made?.processCommands(),
      flushAll: () => made?.flushAll(),
      deviceMessage: (message) => this.messages.push(message),
    });
    this.iommu = new FunctionalIommu(unit, memory, {
      iotlb: createIotlb(iommu),
      contexts: new ContextCache(iommu.caches.context),
      walks: createWalkCaches(walkCacheGeometries(iommu)),
    });
    made = this.iommu;
    const nextDomain = (): number => this.domains++;
    const { registers } = unit;
    const ports = { registers, memory, frames: tables, nextDomain };
    const sync = new ImmediateSync();
    const own = { services: kernel, memory, frames: tables, sync, nextDomain };
    if (iommu.arch === 'vtd') {
      const driver = new VtdDriver(ports);
      driver.initialise();
      const vtd = new VtdIommufdDriver(own);
      const added = vtd.addUnit(driver);
      this.core = vtd.core;
      this.add = (name, id) => vtd.addDevice(added, name, id);
      return;
    }
    const driver = new RiscvDriver(ports, {
      ...DEFAULT_RISCV_DRIVER,
      directoryLevels: iommu.riscv.directory_levels,
      pageRequestEntries: PAGE_REQUEST_ENTRIES,
    });
    driver.initialise();
    const riscv = new RiscvIommufdDriver(own, { iommufd: iommufd.riscv_iommufd });
    const added = riscv.addUnit(driver);
    this.core = riscv.core;
    this.add = (name, id) => riscv.addDevice(added, name, id, { pageRequests: true });
  }

  /** What the unit makes of an access of one byte. */
  access(deviceId: number, iova: bigint, write: boolean): AccessResult {
    const outcome = this.iommu.translate({
      deviceId,
      pasid: -1,
      kind: REQUEST_UNTRANSLATED,
      access: write ? ACCESS_WRITE : ACCESS_READ,
      hi: pnHiOf(iova),
      lo: pnLoOf(iova),
      offset: pageOffsetOf(iova),
    });
    if (outcome.kind === OUTCOME_FAULT) {
      return { address: null, fault: `${outcome.code}, ${faultName(this.arch, outcome.code)}` };
    }
    return { address: addressOf(outcome.outHi, outcome.outLo, pageOffsetOf(iova)), fault: null };
  }
}

function messageText({ kind, deviceId, payload }: DeviceMessage): string {
  const what = kind === 'page-response' ? 'is answered' : 'is told to drop translations';
  return `device ${hexNumber(deviceId)} ${what} (${hexNumber(payload)})`;
}
