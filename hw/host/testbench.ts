/**
 * For tests: a functional IOMMU with its driver on a small memory. A doorbell runs the command
 * queue at once, or not before `process` is called when `held`.
 */

import { defaults } from '../../sim/spec.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import type { IommuUnit, UnitPorts } from '../iommu/architecture.ts';
import { REQUEST_UNTRANSLATED } from '../iommu/architecture.ts';
import { FunctionalIommu, NO_CACHES, OUTCOME_FAULT, type Outcome } from '../iommu/functional.ts';
import { DEFAULT_RISCV_SPEC, type RiscvIommuSpec } from '../iommu/riscv/capabilities.ts';
import { RiscvIommu } from '../iommu/riscv/unit.ts';
import { vtdIdentity, vtdSpec } from '../iommu/vtd/spec.ts';
import { VtdUnit } from '../iommu/vtd/unit.ts';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import type { DriverPorts, IommuDriver } from './drivers/driver.ts';
import { DEFAULT_RISCV_DRIVER, RiscvDriver, type RiscvDriverOptions } from './drivers/riscv.ts';
import { VtdDriver } from './drivers/vtd.ts';
import { FrameAllocator } from './frames.ts';

export interface UnitBench {
  readonly memory: PhysicalMemory;
  readonly frames: FrameAllocator;
  readonly driver: IommuDriver;
  readonly iommu: FunctionalIommu;
  /** While true, doorbells are not answered. */
  held: boolean;
  /** Runs the command queue, then `afterCommands`. */
  process(): void;
  afterCommands: () => void;
  /** Page number that a device's access arrives at, -1 for a fault. */
  translate(deviceId: number, page: number, access: number): number;
}

type MakeUnit = (ports: UnitPorts) => IommuUnit;
type MakeDriver = (ports: DriverPorts) => IommuDriver;

function bench(makeUnit: MakeUnit, makeDriver: MakeDriver): UnitBench {
  const memory = PhysicalMemory.create({ bytes: 64 * 2 ** 20 });
  const frames = new FrameAllocator({ base: 0x80000, frames: 0x8000 });
  const request = {
    deviceId: 0,
    pasid: -1,
    kind: REQUEST_UNTRANSLATED,
    access: 0,
    hi: 0,
    lo: 0,
    offset: 0,
  };
  const unit = makeUnit({
    memory,
    storeInterrupt: () => {},
    setInterruptLine: () => {},
    doorbell: () => {
      if (!self.held && started) self.process();
    },
    flushAll: () => {},
    deviceMessage: () => {},
  });
  let started = false;
  let domains = 0;
  const iommu = new FunctionalIommu(unit, memory, NO_CACHES);
  const nextDomain = (): number => domains++;
  const driver = makeDriver({ registers: unit.registers, memory, frames, nextDomain });
  const self: UnitBench = {
    memory,
    frames,
    driver,
    iommu,
    held: false,
    process: () => {
      iommu.processCommands();
      self.afterCommands();
    },
    afterCommands: () => {},
    translate: (deviceId, page, access) => {
      request.deviceId = deviceId;
      request.access = access;
      request.hi = pnHi(page);
      request.lo = pnLo(page);
      const outcome: Outcome = iommu.translate(request);
      return outcome.kind === OUTCOME_FAULT ? -1 : pageNumber(outcome.outHi, outcome.outLo);
    },
  };
  started = true;
  driver.initialise();
  return self;
}

export function riscvBench(
  options: RiscvDriverOptions = DEFAULT_RISCV_DRIVER,
  spec: RiscvIommuSpec = DEFAULT_RISCV_SPEC,
): UnitBench {
  return bench(
    (ports) => new RiscvIommu(spec, ports),
    (ports) => new RiscvDriver(ports, options),
  );
}

export function vtdBench(): UnitBench {
  return bench(
    (ports) => new VtdUnit(vtdIdentity(defaults(vtdSpec)), ports),
    (ports) => new VtdDriver(ports),
  );
}
