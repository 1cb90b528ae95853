/** 64-bit structures in simulated memory, at the pace of set-up: two words as one BigInt. */
import { pnHi, pnLo } from '../../address.ts';
import type { MemoryPort } from '../../memory/port.ts';

/** Reads the doubleword at an offset of a page. */
export function readDoubleword(memory: MemoryPort, page: number, offset: number): bigint {
  const low = memory.read32(pnHi(page), pnLo(page), offset);
  const high = memory.read32(pnHi(page), pnLo(page), offset + 4);
  return (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
}

/** Writes the doubleword at an offset of a page. */
export function writeDoubleword(
  memory: MemoryPort,
  page: number,
  offset: number,
  value: bigint,
): void {
  memory.write32(pnHi(page), pnLo(page), offset, Number(BigInt.asIntN(32, value)));
  memory.write32(pnHi(page), pnLo(page), offset + 4, Number(BigInt.asIntN(32, value >> 32n)));
}
