/**
 * A RISC-V IOMMU on a bench, for the tests of this folder: memory, the functional driver, software's
 * hands (registers, tables, commands) and a record of what goes out.
 */
import { addressOf, pageOffsetOf, pnHiOf, pnLoOf } from '../../address.ts';
import type { FaultRange } from '../../memory/guard.ts';
import { PhysicalMemory } from '../../memory/physical-memory.ts';
import { ACCESS_READ } from '../access.ts';
import {
  type DeviceMessage,
  type DeviceRequest,
  REQUEST_UNTRANSLATED,
  type UnitPorts,
} from '../architecture.ts';
import { type FunctionalCaches, FunctionalIommu, NO_CACHES, OUTCOME_FAULT } from '../functional.ts';
import { DEFAULT_RISCV_SPEC, type RiscvIommuSpec } from './capabilities.ts';
import { CQB, CQCSR, CQT, DDTP, FQB, FQCSR, FQT, PQB, PQCSR, PQT } from './registers.ts';
import { RiscvIommu } from './unit.ts';

/** Pages that the bench uses for its queues and directories. */
export const COMMAND_PAGE = 0x100n;
export const FAULT_PAGE = 0x101n;
export const PAGE_REQUEST_PAGE = 0x102n;
export const DEVICE_PAGE = 0x110n;

/** Doubleword 0 of a device context: valid. */
export const TC_V = 1n;
export const MODE_SHIFT = 60n;

export interface BenchOptions {
  readonly spec?: Partial<RiscvIommuSpec>;
  readonly faults?: readonly FaultRange[];
  readonly caches?: FunctionalCaches;
  /** Entries of each queue, log2. */
  readonly queueOrder?: number;
  /** `fctl` written before the queues are switched on. */
  readonly fctl?: number;
  /** Leave queues and directory off. */
  readonly off?: boolean;
}

export class TestBench implements UnitPorts {
  readonly memory: PhysicalMemory;
  readonly unit: RiscvIommu;
  readonly iommu: FunctionalIommu;
  readonly messages: DeviceMessage[] = [];
  readonly interrupts: { readonly address: bigint; readonly data: number }[] = [];
  readonly wires: string[] = [];
  readonly drains: string[] = [];
  flushes = 0;

  constructor(options: BenchOptions = {}) {
    const { faults = [], caches = NO_CACHES, queueOrder = 3 } = options;
    this.memory = PhysicalMemory.create({ bytes: 1 << 22, faults });
    this.unit = new RiscvIommu({ ...DEFAULT_RISCV_SPEC, ...options.spec }, this);
    this.iommu = new FunctionalIommu(this.unit, this.memory, caches);
    this.iommu.observer = {
      drain: (reads, writes) => this.drains.push(`${reads ? 'r' : ''}${writes ? 'w' : ''}`),
    };
    if (options.fctl !== undefined) this.write(8, 4, BigInt(options.fctl));
    if (options.off === true) return;
    const size = BigInt(queueOrder - 1);
    this.write(CQB, 8, (COMMAND_PAGE << 10n) | size);
    this.write(FQB, 8, (FAULT_PAGE << 10n) | size);
    this.write(PQB, 8, (PAGE_REQUEST_PAGE << 10n) | size);
    for (const csr of [CQCSR, FQCSR, PQCSR]) this.write(csr, 4, 1n);
    this.write(DDTP, 8, (DEVICE_PAGE << 10n) | 2n);
  }

  write(offset: number, size: number, value: bigint): void {
    this.unit.registers.write(offset, size, value);
  }

  read(offset: number, size = 4): bigint {
    return this.unit.registers.read(offset, size);
  }

  store(address: bigint, ...values: readonly bigint[]): void {
    values.forEach((value, index) => {
      const at = address + 8n * BigInt(index);
      const hi = pnHiOf(at);
      const lo = pnLoOf(at);
      this.memory.write32(hi, lo, pageOffsetOf(at), Number(BigInt.asIntN(32, value)));
      this.memory.write32(hi, lo, pageOffsetOf(at) + 4, Number(BigInt.asIntN(32, value >> 32n)));
    });
  }

  load(address: bigint): bigint {
    const read = (at: bigint): bigint => {
      return BigInt(this.memory.read32(pnHiOf(at), pnLoOf(at), pageOffsetOf(at)) >>> 0);
    };
    return (read(address + 4n) << 32n) | read(address);
  }

  /** Writes the (extended) context of a device in a one-level directory. */
  device(id: number, tc: bigint, iohgatp = 0n, ta = 0n, fsc = 0n, ...msi: bigint[]): void {
    this.store((DEVICE_PAGE << 12n) + 64n * BigInt(id), tc, iohgatp, ta, fsc, ...msi);
  }

  /** Pages for tables, from 0x400 on. */
  readonly allocate: (pages: number) => number = (pages) => {
    const first = this.nextPage;
    this.nextPage += pages;
    return first;
  };

  private nextPage = 0x400;

  /** Appends commands and lets the queue run. */
  command(...words: readonly (readonly [bigint, bigint])[]): void {
    const mask = (2n << (this.read(CQB, 8) & 0x1fn)) - 1n;
    let tail = this.read(CQT);
    for (const [low, high] of words) {
      this.store((COMMAND_PAGE << 12n) + 16n * tail, low, high);
      tail = (tail + 1n) & mask;
    }
    this.write(CQT, 4, tail);
    this.iommu.processCommands();
  }

  request(address: bigint, changes: Partial<DeviceRequest> = {}): DeviceRequest {
    return {
      deviceId: 1,
      pasid: -1,
      kind: REQUEST_UNTRANSLATED,
      access: ACCESS_READ,
      hi: pnHiOf(address),
      lo: pnLoOf(address),
      offset: pageOffsetOf(address),
      ...changes,
    };
  }

  /** The translated address, or the cause of the fault as a negative number. */
  translate(address: bigint, changes: Partial<DeviceRequest> = {}): bigint {
    const request = this.request(address, changes);
    const outcome = this.iommu.translate(request);
    if (outcome.kind === OUTCOME_FAULT) return BigInt(-outcome.code);
    return addressOf(outcome.outHi, outcome.outLo, request.offset);
  }

  /** Doublewords of the fault record at an index, and the number of records. */
  fault(index: number): bigint[] {
    const address = (FAULT_PAGE << 12n) + 32n * BigInt(index);
    return [0n, 8n, 16n, 24n].map((offset) => this.load(address + offset));
  }

  get faultCount(): number {
    return Number(this.read(FQT));
  }

  get pageRequestCount(): number {
    return Number(this.read(PQT));
  }

  storeInterrupt(hi: number, lo: number, offset: number, value: number): void {
    this.interrupts.push({ address: addressOf(hi, lo, offset), data: value });
  }

  setInterruptLine(vector: number, level: boolean): void {
    this.wires.push(`${vector}${level ? '+' : '-'}`);
  }

  doorbell(): void {}

  flushAll(): void {
    this.flushes++;
    this.iommu?.flushAll();
  }

  deviceMessage(message: DeviceMessage): void {
    this.messages.push(message);
  }

  debugRequest(request: DeviceRequest): void {
    const outcome = this.iommu.translate(request);
    const failed = outcome.kind === OUTCOME_FAULT;
    this.unit.debugAnswer(request, outcome.context, failed ? null : outcome);
  }
}
