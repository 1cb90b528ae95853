/**
 * A RISC-V IOMMU under test: the functional unit over test memory, with everything it does outside
 * collected per step (messages, records, ordering requests, stores).
 */
import { addressOf, pageOffsetOf, pnHiOf, pnLoOf } from '../../hw/address.ts';
import {
  ACCESS_EXECUTE,
  ACCESS_PRIVILEGED,
  ACCESS_READ,
  ACCESS_REPORT,
  ACCESS_WRITE,
} from '../../hw/iommu/access.ts';
import {
  type DeviceMessage,
  type DeviceRequest,
  REQUEST_ATS,
  REQUEST_TRANSLATED,
  REQUEST_UNTRANSLATED,
  type UnitPorts,
} from '../../hw/iommu/architecture.ts';
import {
  type FunctionalCaches,
  FunctionalIommu,
  OUTCOME_FAULT,
} from '../../hw/iommu/functional.ts';
import type { RiscvIommuSpec } from '../../hw/iommu/riscv/capabilities.ts';
import type { PageRequest } from '../../hw/iommu/riscv/page-request-queue.ts';
import { RiscvIommu } from '../../hw/iommu/riscv/unit.ts';
import { IMPLICIT_READ, REF_STAGE2, type Walk } from '../../hw/iommu/walk/walk.ts';
import type { SparseMemory } from './sparse-memory.ts';

/** A device's access as vectors give it. */
export interface AccessOperands {
  readonly did: number;
  readonly pv: number;
  readonly pid: number;
  readonly priv: number;
  readonly exec: number;
  readonly nw: number;
  readonly at: 'u' | 't' | 'ats';
  readonly rw: 'r' | 'w' | 'amo';
  readonly iova: string;
}

const KINDS = { u: REQUEST_UNTRANSLATED, t: REQUEST_TRANSLATED, ats: REQUEST_ATS } as const;

/** The request that an access makes: an ATS request reads, and may write unless NW is set. */
export function requestOf(step: AccessOperands): DeviceRequest {
  const iova = BigInt(step.iova);
  const withPid = step.pv !== 0;
  let access = 0;
  if (step.at === 'ats') {
    access = ACCESS_REPORT | ACCESS_READ | (step.nw === 0 ? ACCESS_WRITE : 0);
    if (step.exec !== 0 && withPid) access |= ACCESS_EXECUTE;
  } else if (step.rw !== 'r') {
    access = ACCESS_WRITE;
  } else {
    const execute = step.exec !== 0 && (step.at === 'u' || withPid);
    access = execute ? ACCESS_EXECUTE : ACCESS_READ;
  }
  if (withPid && step.priv !== 0) access |= ACCESS_PRIVILEGED;
  return {
    deviceId: step.did,
    pasid: withPid ? step.pid : -1,
    kind: KINDS[step.at],
    access,
    hi: pnHiOf(iova),
    lo: pnLoOf(iova),
    offset: pageOffsetOf(iova),
  };
}

export class RiscvMachine implements UnitPorts {
  readonly memory: SparseMemory;
  readonly unit: RiscvIommu;
  readonly iommu: FunctionalIommu;
  /** Collected since the last `startStep`. */
  messages: DeviceMessage[] = [];
  drains: { readonly reads: boolean; readonly writes: boolean }[] = [];

  /**
   * Second-stage entries whose A was set because a first-stage entry was read, with the position
   * of their D in the doubleword. D may be set with it (Privileged specification, two-stage
   * address translation: "may be performed by an implicit access to a VS-stage PTE").
   */
  optionalDirty: Map<bigint, bigint> = new Map();

  constructor(spec: RiscvIommuSpec, memory: SparseMemory, caches: FunctionalCaches) {
    this.memory = memory;
    this.unit = new RiscvIommu(spec, this);
    this.iommu = new FunctionalIommu(this.unit, memory, caches);
    this.iommu.observer = {
      drain: (reads, writes) => this.drains.push({ reads, writes }),
      walk: { read: () => {}, update: (walk) => this.noteUpdate(walk) },
    };
  }

  startStep(): void {
    this.messages = [];
    this.drains = [];
    this.optionalDirty.clear();
    this.memory.startLog();
  }

  pageRequest(message: PageRequest): void {
    const { iommu, unit } = this;
    const lookup = unit.pageRequestLookup(message);
    const found = iommu.findContext(lookup);
    if (!found) iommu.report(lookup);
    unit.pageRequest(message, iommu.outcome.context, found ? 0 : iommu.outcome.code);
  }

  storeInterrupt(hi: number, lo: number, offset: number, value: number): void {
    this.memory.write32(hi, lo, offset, value);
  }

  setInterruptLine(): void {}

  /** Commands run after each step. */
  doorbell(): void {}

  flushAll(): void {
    // Registers are written before the machine is complete, too.
    this.iommu?.flushAll();
  }

  deviceMessage(message: DeviceMessage): void {
    this.messages.push(message);
  }

  debugRequest(request: DeviceRequest): void {
    const outcome = this.iommu.translate(request);
    const fault = outcome.kind === OUTCOME_FAULT;
    this.unit.debugAnswer(request, outcome.context, fault ? null : outcome);
  }

  private noteUpdate(walk: Walk): void {
    if (walk.refKind !== REF_STAGE2 || walk.implicit !== IMPLICIT_READ) return;
    const address = addressOf(walk.readHi, walk.readLo, walk.readOffset);
    const accessed = (BigInt(walk.orHi >>> 0) << 32n) | BigInt(walk.orLo >>> 0);
    // D is the bit above A, in either byte order.
    this.optionalDirty.set(address & ~7n, (accessed << 1n) << (8n * (address & 7n)));
  }
}
