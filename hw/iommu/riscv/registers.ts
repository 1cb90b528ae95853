/**
 * The memory-mapped registers of the RISC-V IOMMU (spec chapter "Memory-mapped register
 * interface"): one table of registers, one array of 32-bit words that holds them all. A register
 * with effects has a handler; any other write stores the writable bits (WARL).
 */
import type { RegisterFile } from '../architecture.ts';
import type { RiscvIommuSpec } from './capabilities.ts';
import {
  type Capabilities,
  FCTL_BE,
  FCTL_GXL,
  FCTL_WSI,
  IGS_BOTH,
  IGS_WSI,
} from './capabilities.ts';

export const CAPABILITIES = 0;
export const FCTL = 8;
export const DDTP = 16;
export const CQB = 24;
export const CQH = 32;
export const CQT = 36;
export const FQB = 40;
export const FQH = 48;
export const FQT = 52;
export const PQB = 56;
export const PQH = 64;
export const PQT = 68;
export const CQCSR = 72;
export const FQCSR = 76;
export const PQCSR = 80;
export const IPSR = 84;
export const TR_REQ_IOVA = 600;
export const TR_REQ_CTL = 608;
export const TR_RESPONSE = 616;
export const IOMMU_QOSID = 624;
export const ICVEC = 760;
export const MSI_CFG_TBL = 768;
export const MSI_ENTRY_BYTES = 16;
export const MSI_DATA = 8;
export const MSI_VECTOR_CONTROL = 12;

const REGISTER_BYTES = 1024;

/** `ddtp.iommu_mode`. */
export const MODE_OFF = 0;
export const MODE_BARE = 1;
export const MODE_1LVL = 2;

interface Register {
  readonly offset: number;
  readonly bytes: 4 | 8;
  /** Writable bits where no handler decides. */
  readonly mask: bigint;
}

/** Called with the words of the whole register as written (unwritten half: as it was). */
export type WriteHandler = (low: number, high: number, offset: number) => void;

/** PPN bits 53:10 of a base register, cut to the physical address width. */
export function ppnMask(pas: number): bigint {
  return ((1n << BigInt(pas - 12)) - 1n) << 10n;
}

function registerTable(spec: RiscvIommuSpec, caps: Capabilities): Register[] {
  const base = ppnMask(caps.pas) | 0x1fn;
  const vector = (1n << BigInt(spec.vectorBits)) - 1n;
  const vectors = vector | (vector << 4n) | (caps.ats ? vector << 12n : 0n);
  const fctl =
    (caps.end ? BigInt(FCTL_BE) : 0n) |
    (caps.igs === IGS_BOTH ? BigInt(FCTL_WSI) : 0n) |
    (spec.gxlWritable ? BigInt(FCTL_GXL) : 0n);
  const table: Register[] = [
    { offset: CAPABILITIES, bytes: 8, mask: 0n },
    { offset: FCTL, bytes: 4, mask: fctl },
    { offset: DDTP, bytes: 8, mask: ppnMask(caps.pas) | 0xfn },
    { offset: CQB, bytes: 8, mask: base },
    { offset: CQH, bytes: 4, mask: 0n },
    { offset: CQT, bytes: 4, mask: 0xffffffffn },
    { offset: FQB, bytes: 8, mask: base },
    { offset: FQH, bytes: 4, mask: 0xffffffffn },
    { offset: FQT, bytes: 4, mask: 0n },
    { offset: CQCSR, bytes: 4, mask: 0n },
    { offset: FQCSR, bytes: 4, mask: 0n },
    { offset: IPSR, bytes: 4, mask: 0n },
    { offset: ICVEC, bytes: 8, mask: vectors },
  ];
  if (caps.ats) {
    table.push(
      { offset: PQB, bytes: 8, mask: base },
      { offset: PQH, bytes: 4, mask: 0xffffffffn },
      { offset: PQT, bytes: 4, mask: 0n },
      { offset: PQCSR, bytes: 4, mask: 0n },
    );
  }
  if (caps.dbg) {
    table.push(
      { offset: TR_REQ_IOVA, bytes: 8, mask: 0xfffffffffffff000n },
      { offset: TR_REQ_CTL, bytes: 8, mask: 0xffffff01fffff00fn },
      { offset: TR_RESPONSE, bytes: 8, mask: 0n },
    );
  }
  if (caps.qosid) table.push({ offset: IOMMU_QOSID, bytes: 4, mask: 0x0fff0fffn });
  if (caps.igs !== IGS_WSI) {
    const address = (1n << BigInt(caps.pas)) - 4n;
    for (let vector = 0; vector < 1 << spec.vectorBits; vector++) {
      const entry = MSI_CFG_TBL + vector * MSI_ENTRY_BYTES;
      table.push(
        { offset: entry, bytes: 8, mask: address },
        { offset: entry + MSI_DATA, bytes: 4, mask: 0xffffffffn },
        { offset: entry + MSI_VECTOR_CONTROL, bytes: 4, mask: 1n },
      );
    }
  }
  return table;
}

export class RiscvRegisters implements RegisterFile {
  /** All registers as 32-bit words; the state of the register file. */
  readonly words: Int32Array = new Int32Array(REGISTER_BYTES / 4);
  private readonly table = new Map<number, Register>();
  private readonly handlers = new Map<number, WriteHandler>();

  constructor(spec: RiscvIommuSpec, caps: Capabilities) {
    for (const register of registerTable(spec, caps)) this.table.set(register.offset, register);
    this.words[CAPABILITIES >> 2] = Number(spec.capabilities & 0xffffffffn);
    this.words[(CAPABILITIES >> 2) + 1] = Number(spec.capabilities >> 32n);
    this.words[FCTL >> 2] = spec.fctl;
  }

  /** Hands writes of a register to its owner, if the register is present. */
  onWrite(offset: number, handler: WriteHandler): void {
    if (this.table.has(offset)) this.handlers.set(offset, handler);
  }

  get(offset: number): number {
    return this.words[offset >> 2];
  }

  set(offset: number, value: number): void {
    this.words[offset >> 2] = value;
  }

  /** Stores the writable bits of both words of a register. */
  store(offset: number, low: number, high: number): void {
    const register = this.table.get(offset);
    if (register === undefined) return;
    const lowMask = Number(BigInt.asIntN(32, register.mask));
    this.words[offset >> 2] = (this.words[offset >> 2] & ~lowMask) | (low & lowMask);
    if (register.bytes === 4) return;
    const highMask = Number(BigInt.asIntN(32, register.mask >> 32n));
    const at = (offset >> 2) + 1;
    this.words[at] = (this.words[at] & ~highMask) | (high & highMask);
  }

  /** Unaligned, oversized and absent accesses read 0 (5, "behavior is UNSPECIFIED"). */
  read(offset: number, size: number): bigint {
    const register = this.find(offset, size);
    if (register === undefined) return 0n;
    const low = BigInt(this.words[offset >> 2] >>> 0);
    if (size === 4) return low;
    return (BigInt(this.words[(offset >> 2) + 1] >>> 0) << 32n) | low;
  }

  write(offset: number, size: number, value: bigint): void {
    const register = this.find(offset, size);
    if (register === undefined) return;
    const first = register.offset >> 2;
    let low = this.words[first];
    let high = register.bytes === 8 ? this.words[first + 1] : 0;
    const written = Number(BigInt.asIntN(32, value));
    if (size === 8) {
      low = written;
      high = Number(BigInt.asIntN(32, value >> 32n));
    } else if (offset === register.offset) {
      low = written;
    } else {
      high = written;
    }
    const handler = this.handlers.get(register.offset);
    if (handler === undefined) this.store(register.offset, low, high);
    else handler(low, high, register.offset);
  }

  /** The register that an aligned access of 4 or 8 bytes lies in. */
  private find(offset: number, size: number): Register | undefined {
    if ((size !== 4 && size !== 8) || offset % size !== 0) return undefined;
    const whole = this.table.get(offset);
    if (whole !== undefined) return size <= whole.bytes ? whole : undefined;
    const enclosing = this.table.get(offset - 4);
    return size === 4 && enclosing?.bytes === 8 ? enclosing : undefined;
  }
}
