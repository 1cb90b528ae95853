/**
 * A memory port that can be turned from set-up (stores go straight to memory) to the run (stores go
 * through the partition's view). Software that builds tables holds one port for its whole life.
 */
import type { MemoryPort } from './port.ts';

export class SwitchedPort implements MemoryPort {
  target: MemoryPort;

  constructor(target: MemoryPort) {
    this.target = target;
  }

  checkRead(hi: number, lo: number, offset: number, bytes: number): number {
    return this.target.checkRead(hi, lo, offset, bytes);
  }

  checkWrite(hi: number, lo: number, offset: number, bytes: number): number {
    return this.target.checkWrite(hi, lo, offset, bytes);
  }

  read32(hi: number, lo: number, offset: number): number {
    return this.target.read32(hi, lo, offset);
  }

  write32(hi: number, lo: number, offset: number, value: number): void {
    this.target.write32(hi, lo, offset, value);
  }

  or64(hi: number, lo: number, offset: number, orLo: number, orHi: number): void {
    this.target.or64(hi, lo, offset, orLo, orHi);
  }
}
