/**
 * Memory as an IOMMU with `addressBits` wide physical addresses can reach it: accesses beyond are
 * access faults, whatever lies there.
 */
import { PAGE_SHIFT, PN_LO_BITS } from '../address.ts';
import { MEM_ACCESS_FAULT, type MemoryPort } from '../memory/port.ts';

const HALF_SHIFT = PAGE_SHIFT + PN_LO_BITS;

export class AddressLimit implements MemoryPort {
  private readonly memory: MemoryPort;
  /** First page number halves that are out of reach. */
  private readonly endHi: number;
  private readonly endLo: number;

  constructor(memory: MemoryPort, addressBits: number) {
    this.memory = memory;
    const wide = addressBits >= HALF_SHIFT;
    this.endHi = wide ? 2 ** (addressBits - HALF_SHIFT) : 1;
    this.endLo = wide ? 2 ** PN_LO_BITS : 2 ** (addressBits - PAGE_SHIFT);
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    if (hi >= this.endHi || lo >= this.endLo) return MEM_ACCESS_FAULT;
    return this.memory.checkRead(hi, lo, offset, bytes);
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    if (hi >= this.endHi || lo >= this.endLo) return MEM_ACCESS_FAULT;
    return this.memory.checkWrite(hi, lo, offset, bytes);
  }

  read32(hi: number, lo: number, offset: number): number {
    return this.memory.read32(hi, lo, offset);
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    this.memory.write32(hi, lo, offset, value);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    this.memory.or64(hi, lo, offset, orLo, orHi);
  }
}
