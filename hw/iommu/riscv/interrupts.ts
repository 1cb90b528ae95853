/**
 * Interrupts of the IOMMU (spec: `ipsr`, `icvec`, `msi_cfg_tbl`): a pending bit per source, sent as
 * a message when it becomes 1, or driving a wire while it is 1.
 */

import { pageOffsetOf, pnHiOf, pnLoOf } from '../../address.ts';
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import type { UnitPorts } from '../architecture.ts';
import { FCTL_BE, FCTL_WSI } from './capabilities.ts';
import {
  FCTL,
  ICVEC,
  IPSR,
  MSI_CFG_TBL,
  MSI_DATA,
  MSI_ENTRY_BYTES,
  MSI_VECTOR_CONTROL,
  type RiscvRegisters,
} from './registers.ts';
import { CSR_INTERRUPT_ENABLE, type Ring } from './ring.ts';
import { doubleword, swap32 } from './words.ts';

/** Bit numbers in `ipsr`, and positions of the vector fields in `icvec`. */
export const SOURCE_COMMANDS = 0;
export const SOURCE_FAULTS = 1;
export const SOURCE_PAGE_REQUESTS = 3;

const VECTORS = 16;

/** A queue that interrupts: its csr, and the bits of it that keep the interrupt pending. */
interface Source {
  readonly bit: number;
  readonly ring: Ring;
  readonly causes: number;
}

export class Interrupts {
  private readonly registers: RiscvRegisters;
  private readonly memory: MemoryPort;
  private readonly ports: UnitPorts;
  private readonly sources: Source[] = [];
  /** Vectors whose message waits for the mask bit to be cleared. */
  private pendingVectors = 0;
  /** Levels of the wires as last told. */
  private wires = 0;
  /** Records "IOMMU MSI write access fault" (cause 273) for the message address. */
  reportWriteFault: (address: bigint) => void = () => {};

  constructor(registers: RiscvRegisters, memory: MemoryPort, ports: UnitPorts) {
    this.registers = registers;
    this.memory = memory;
    this.ports = ports;
    registers.onWrite(IPSR, (value) => this.acknowledge(value));
    registers.onWrite(ICVEC, (low, high) => {
      registers.store(ICVEC, low, high);
      this.driveWires();
    });
    for (let vector = 0; vector < VECTORS; vector++) {
      const offset = MSI_CFG_TBL + vector * MSI_ENTRY_BYTES + MSI_VECTOR_CONTROL;
      registers.onWrite(offset, (value) => this.writeMask(vector, offset, value));
    }
  }

  addSource(bit: number, ring: Ring, causes: number): void {
    this.sources.push({ bit, ring, causes });
  }

  /** Something to interrupt for happened in the source's queue. */
  raise(bit: number): void {
    const source = this.sources.find((candidate) => candidate.bit === bit);
    if (source === undefined || (source.ring.csr & CSR_INTERRUPT_ENABLE) === 0) return;
    const pending = this.registers.get(IPSR);
    if ((pending & (1 << bit)) !== 0) return;
    this.registers.set(IPSR, pending | (1 << bit));
    if ((this.registers.get(FCTL) & FCTL_WSI) !== 0) this.driveWires();
    else this.message(this.vectorOf(bit));
  }

  /** Bits written as 1 are cleared, and set again at once while their condition lasts. */
  private acknowledge(value: number): void {
    this.registers.set(IPSR, this.registers.get(IPSR) & ~value);
    for (const { bit, ring, causes } of this.sources) {
      if ((value & (1 << bit)) !== 0 && (ring.csr & causes) !== 0) this.raise(bit);
    }
    this.driveWires();
  }

  private vectorOf(bit: number): number {
    return (this.registers.get(ICVEC) >>> (4 * bit)) & 0xf;
  }

  private writeMask(vector: number, offset: number, value: number): void {
    const wasMasked = this.registers.get(offset) !== 0;
    this.registers.store(offset, value, 0);
    if (!wasMasked || this.registers.get(offset) !== 0) return;
    if ((this.pendingVectors & (1 << vector)) === 0) return;
    this.pendingVectors &= ~(1 << vector);
    this.send(vector);
  }

  private message(vector: number): void {
    const entry = MSI_CFG_TBL + vector * MSI_ENTRY_BYTES;
    if (this.registers.get(entry + MSI_VECTOR_CONTROL) !== 0) this.pendingVectors |= 1 << vector;
    else this.send(vector);
  }

  private send(vector: number): void {
    const entry = MSI_CFG_TBL + vector * MSI_ENTRY_BYTES;
    const address = doubleword(this.registers.get(entry), this.registers.get(entry + 4));
    const hi = pnHiOf(address);
    const lo = pnLoOf(address);
    const offset = pageOffsetOf(address);
    if (this.memory.checkWrite(hi, lo, offset, 4) !== MEM_OK) {
      this.reportWriteFault(address);
      return;
    }
    const data = this.registers.get(entry + MSI_DATA);
    const bigEndian = (this.registers.get(FCTL) & FCTL_BE) !== 0;
    this.ports.storeInterrupt(hi, lo, offset, bigEndian ? swap32(data) : data);
  }

  /** With wired interrupts a wire is high while a source mapped to it is pending. */
  private driveWires(): void {
    if ((this.registers.get(FCTL) & FCTL_WSI) === 0) return;
    let wires = 0;
    const pending = this.registers.get(IPSR);
    for (const { bit } of this.sources) {
      if ((pending & (1 << bit)) !== 0) wires |= 1 << this.vectorOf(bit);
    }
    const changed = wires ^ this.wires;
    this.wires = wires;
    for (let vector = 0; vector < VECTORS; vector++) {
      if ((changed & (1 << vector)) === 0) continue;
      this.ports.setInterruptLine(vector, (wires & (1 << vector)) !== 0);
    }
  }
}
