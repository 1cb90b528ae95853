/** A guest's view of its memory, which is memory of the process that runs it. */
import { PAGE_SIZE, pageNumber } from '../address.ts';
import { MEM_OK, type MemoryPort } from '../memory/port.ts';
import type { AddressSpace } from './kernel/api.ts';

/** Guest page 0 is at a user address. */
export class UserMemoryPort implements MemoryPort {
  /** The process has ended: there is no memory, and nobody who looks. */
  gone = false;
  private readonly space: AddressSpace;
  private readonly base: bigint;
  private readonly bytes = new Uint8Array(4);
  private readonly view = new DataView(this.bytes.buffer);

  constructor(space: AddressSpace, base: bigint) {
    this.space = space;
    this.base = base;
  }

  checkRead(): number {
    return MEM_OK;
  }

  checkWrite(): number {
    return MEM_OK;
  }

  read32(hi: number, lo: number, offset: number): number {
    if (this.gone) return 0;
    this.space.copyIn(this.address(hi, lo, offset), this.bytes);
    return this.view.getInt32(0, true);
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    if (this.gone) return;
    this.view.setInt32(0, value, true);
    this.space.copyOut(this.address(hi, lo, offset), this.bytes);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    this.write32(hi, lo, offset, this.read32(hi, lo, offset) | orLo);
    this.write32(hi, lo, offset + 4, this.read32(hi, lo, offset + 4) | orHi);
  }

  private address(hi: number, lo: number, offset: number): bigint {
    return this.base + BigInt(pageNumber(hi, lo)) * BigInt(PAGE_SIZE) + BigInt(offset);
  }
}
