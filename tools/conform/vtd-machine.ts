/** A VT-d unit under test: the functional unit over test memory. */
import { addressOf, pageOffsetOf, pnHiOf, pnLoOf } from '../../hw/address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../../hw/iommu/access.ts';
import { REQUEST_UNTRANSLATED, type UnitPorts } from '../../hw/iommu/architecture.ts';
import {
  type FunctionalCaches,
  FunctionalIommu,
  OUTCOME_FAULT,
  type Outcome,
} from '../../hw/iommu/functional.ts';
import type { VtdIdentity } from '../../hw/iommu/vtd/spec.ts';
import { VtdUnit } from '../../hw/iommu/vtd/unit.ts';
import type { MemoryPort } from '../../hw/memory/port.ts';

export class VtdMachine implements UnitPorts {
  readonly memory: MemoryPort;
  readonly unit: VtdUnit;
  readonly iommu: FunctionalIommu;

  constructor(identity: VtdIdentity, memory: MemoryPort, caches: FunctionalCaches) {
    this.memory = memory;
    this.unit = new VtdUnit(identity, this);
    this.iommu = new FunctionalIommu(this.unit, memory, caches);
  }

  /** A device's untranslated read or write without PASID. */
  access(deviceId: number, address: bigint, write: boolean): Outcome {
    return this.iommu.translate({
      deviceId,
      pasid: -1,
      kind: REQUEST_UNTRANSLATED,
      access: write ? ACCESS_WRITE : ACCESS_READ,
      hi: pnHiOf(address),
      lo: pnLoOf(address),
      offset: pageOffsetOf(address),
    });
  }

  /** Interrupt messages go to processors, not to memory. */
  storeInterrupt(): void {}

  setInterruptLine(): void {}

  /** Commands run after each step. */
  doorbell(): void {}

  flushAll(): void {
    this.iommu.flushAll();
  }

  deviceMessage(): void {}
}

/** System address of an answer, `null` where it is a fault. */
export function outputOf(outcome: Outcome, address: bigint): bigint | null {
  if (outcome.kind === OUTCOME_FAULT) return null;
  return addressOf(outcome.outHi, outcome.outLo, pageOffsetOf(address));
}
