/**
 * What the three in-memory queues have in common (spec "In-memory queue interface"): a base
 * register, an index moved by software, an index moved by the IOMMU, and a control and status
 * register with enable, interrupt enable, error bits (write 1 to clear) and the `on` bit.
 */
import type { RiscvRegisters } from './registers.ts';
import { entryHi, entryLo } from './words.ts';

export const CSR_ENABLE: number = 1 << 0;
export const CSR_INTERRUPT_ENABLE: number = 1 << 1;
/** Memory fault: the same bit in all three queues. */
export const CSR_MEMORY_FAULT: number = 1 << 8;
/** Overflow of the fault queue or page-request queue. */
export const CSR_OVERFLOW: number = 1 << 9;
export const CSR_ON: number = 1 << 16;
/** The queue is being turned off but still works on what it fetched. */
export const CSR_BUSY: number = 1 << 17;

export interface RingLayout {
  readonly base: number;
  readonly csr: number;
  /** Index register written by software: tail of commands, head of records. */
  readonly softwareIndex: number;
  /** Index register moved by the IOMMU. */
  readonly ownIndex: number;
  /** log2 of the bytes of one entry. */
  readonly entryShift: number;
  /** Bits of the csr that software clears by writing 1, and that enabling clears. */
  readonly clearable: number;
}

export class Ring {
  readonly layout: RingLayout;
  readonly registers: RiscvRegisters;
  /** Place of the entry computed last. */
  hi = 0;
  lo = 0;
  offset = 0;

  constructor(registers: RiscvRegisters, layout: RingLayout) {
    this.registers = registers;
    this.layout = layout;
    registers.onWrite(layout.base, (low, high) => this.writeBase(low, high));
    registers.onWrite(layout.softwareIndex, (value) => this.writeSoftwareIndex(value));
  }

  /** Only the bits that number entries are writable. */
  writeSoftwareIndex(value: number): void {
    this.registers.set(this.layout.softwareIndex, value & this.indexMask());
  }

  get csr(): number {
    return this.registers.get(this.layout.csr);
  }

  set csr(value: number) {
    this.registers.set(this.layout.csr, value);
  }

  /** Enabled and on: entries may be read or written. */
  get active(): boolean {
    const both = CSR_ENABLE | CSR_ON;
    return (this.csr & both) === both;
  }

  get ownIndex(): number {
    return this.registers.get(this.layout.ownIndex);
  }

  get softwareIndex(): number {
    return this.registers.get(this.layout.softwareIndex);
  }

  /** The next own index (wraps around). */
  nextIndex(): number {
    return (this.ownIndex + 1) & this.indexMask();
  }

  advance(): void {
    this.registers.set(this.layout.ownIndex, this.nextIndex());
  }

  /** Computes the place of the entry at the own index into hi, lo, offset. */
  locate(): void {
    const { base, entryShift } = this.layout;
    const low = this.registers.get(base);
    const high = this.registers.get(base + 4);
    const index = this.ownIndex >>> 0;
    const pages = index >>> (12 - entryShift);
    this.hi = entryHi(low, high);
    this.lo = entryLo(low, high) | pages;
    this.offset = (index << entryShift) & 0xfff;
  }

  /**
   * Software's write of the csr, apart from what a queue adds. Writes while busy are dropped
   * (UNSPECIFIED).
   * @param working the queue cannot turn off yet
   */
  writeControl(value: number, working = false): void {
    let csr = this.csr;
    if ((csr & CSR_BUSY) !== 0) return;
    if ((value & CSR_ENABLE) !== 0 && (csr & CSR_ENABLE) === 0) {
      this.registers.set(this.layout.ownIndex, 0);
      csr = (csr & ~this.layout.clearable) | CSR_ENABLE | CSR_ON;
    } else if ((value & CSR_ENABLE) === 0) {
      csr &= ~CSR_ENABLE;
      if ((csr & CSR_ON) !== 0) csr = working ? csr | CSR_BUSY : csr & ~CSR_ON;
    }
    csr = (csr & ~CSR_INTERRUPT_ENABLE) | (value & CSR_INTERRUPT_ENABLE);
    this.csr = csr & ~(value & this.layout.clearable);
  }

  /** The work that kept the queue from turning off is done. */
  settle(): void {
    if ((this.csr & CSR_BUSY) !== 0) this.csr &= ~(CSR_BUSY | CSR_ON);
  }

  /** LOG2SZ-1 ones: which bits of an index count. */
  private indexMask(): number {
    const log2 = (this.registers.get(this.layout.base) & 0x1f) + 1;
    return log2 === 32 ? -1 : (1 << log2) - 1;
  }

  /** The base cannot change while the queue is on (UNSPECIFIED: the write is dropped). */
  private writeBase(low: number, high: number): void {
    if ((this.csr & CSR_ON) !== 0) return;
    this.registers.store(this.layout.base, low, high);
    this.registers.set(this.layout.softwareIndex, 0);
  }
}
