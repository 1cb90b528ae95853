/** Fault recording registers of a VT-d unit as its driver reads them. */
import type { RegisterFile } from '../../iommu/architecture.ts';

const REG_FSTS = 0x34;
const FSTS_CLEARABLE = 0x7dn;
const FAULT_RECORD_BYTES = 16;
const FAULT_RECORD_F = 1n << 63n;

/** Clears all recorded faults; returns how many there were. CAP tells where the records are. */
export function takeFaults(registers: RegisterFile, capabilities: bigint): number {
  const base = Number((capabilities >> 24n) & 0x3ffn) * FAULT_RECORD_BYTES;
  const records = Number((capabilities >> 40n) & 0xffn) + 1;
  let taken = 0;
  for (let i = 0; i < records; i++) {
    const high = base + i * FAULT_RECORD_BYTES + 8;
    if ((registers.read(high, 8) & FAULT_RECORD_F) === 0n) continue;
    registers.write(high, 8, FAULT_RECORD_F);
    taken++;
  }
  registers.write(REG_FSTS, 4, FSTS_CLEARABLE);
  return taken;
}
