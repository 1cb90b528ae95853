/**
 * Registers of the RISC-V IOMMU as its driver uses them, and what it does with them before the
 * first translation: queue sizes and directory modes are found by writing and reading back (WARL).
 */
import { SimError } from '../../../sim/errors.ts';
import type { DriverPorts } from './driver.ts';
import { DeviceDirectory } from './riscv-directory.ts';

// Register offsets (specification, "Memory-mapped register interface").
const REG_CAPABILITIES = 0x00;
export const REG_FCTL = 0x08;
const REG_DDTP = 0x10;
export const REG_CQB = 0x18;
export const REG_CQH = 0x20;
export const REG_CQT = 0x24;
export const REG_FQB = 0x28;
export const REG_FQH = 0x30;
export const REG_FQT = 0x34;
export const REG_PQB = 0x38;
export const REG_PQH = 0x40;
export const REG_PQT = 0x44;
export const REG_CQCSR = 0x48;
export const REG_FQCSR = 0x4c;
export const REG_PQCSR = 0x50;
export const REG_IPSR = 0x54;
const REG_ICVEC = 0x2f8;
const REG_MSI_CFG_TBL = 0x300;
const MSI_ENTRY_BYTES = 16;

const CAP_MSI_FLAT = 1n << 22n;
export const CAP_AMO_HWAD: bigint = 1n << 24n;
export const CAP_ATS: bigint = 1n << 25n;
const CAP_END = 1n << 27n;
const CAP_IGS_SHIFT = 28n;
const IGS_MSI_ONLY = 0n;
const FCTL_BE = 1n;
const FCTL_WSI = 2n;
const QUEUE_ENABLE = 1n;
const QUEUE_INTERRUPTS = 2n;
export const QUEUE_MEMORY_FAULT: bigint = 1n << 8n;
export const QUEUE_OVERFLOW: bigint = 1n << 9n;
const QUEUE_ACTIVE = 1n << 16n;
const QUEUE_BUSY = 1n << 17n;
const LOG2SZ_MASK = 0x1fn;
const QUEUE_PPN_MASK = 0x3ffffffffffc00n;
export const IPSR_FIP = 2n;
export const IPSR_PIP = 8n;
const DDTP_BUSY = 1n << 4n;
const DDTP_MODE_MASK = 0xfn;
const DDTP_MODE_BARE = 1n;

/** Vectors 0 to 3 for commands, faults, page requests, performance (Linux, with four of them). */
const VECTORS = 0x2310n;
export const PAGE_REQUEST_VECTOR = 2;

/** A unit that answers at once in simulation needs few reads of a busy bit. */
const BUSY_READS = 1000;

export class RiscvSetup {
  capabilities = 0n;
  private readonly ports: DriverPorts;
  private interrupts = 0n;

  constructor(ports: DriverPorts) {
    this.ports = ports;
  }

  /** Byte order little, interrupts by wire if the unit has them (Linux init_check, platform). */
  initialise(): void {
    this.capabilities = this.read(REG_CAPABILITIES, 8);
    let control = this.read(REG_FCTL, 4);
    if ((control & FCTL_BE) !== 0n) {
      if ((this.capabilities & CAP_END) === 0n) {
        throw new SimError('driver', 'the RISC-V IOMMU is big-endian and cannot be changed');
      }
      control &= ~FCTL_BE;
    }
    const wired = ((this.capabilities >> CAP_IGS_SHIFT) & 3n) !== IGS_MSI_ONLY;
    if (wired) control |= FCTL_WSI;
    this.interrupts = wired ? QUEUE_INTERRUPTS : 0n;
    this.write(REG_FCTL, 4, control);
    this.write(REG_ICVEC, 8, VECTORS);
  }

  /** Discovers the longest queue, allocates one and sets its base register. */
  setUpQueue(
    register: number,
    wanted: number,
    entryBytes: number,
  ): { base: number; entries: number } {
    this.write(register, 8, LOG2SZ_MASK);
    const offered = Number(this.read(register, 8) & LOG2SZ_MASK);
    const log2 = Math.min(Math.floor(Math.log2(wanted)) - 1, offered);
    const entries = 2 ** (log2 + 1);
    const pages = Math.max(1, (entries * entryBytes) / 4096);
    const base = this.ports.frames.allocRun(pages, pages);
    const value = ((BigInt(base) << 10n) & QUEUE_PPN_MASK) | BigInt(log2);
    this.write(register, 8, value);
    if (this.read(register, 8) !== value) {
      throw new SimError('driver', `the RISC-V IOMMU does not take a queue at frame ${base}`);
    }
    return { base, entries };
  }

  /**
   * A unit without wires sends messages: the vector's goes to a frame that stands for the interrupt
   * file of the core, with the vector as data.
   */
  setMessage(vector: number): void {
    if (this.interrupts !== 0n) return;
    const entry = REG_MSI_CFG_TBL + vector * MSI_ENTRY_BYTES;
    this.write(entry, 8, BigInt(this.ports.frames.alloc()) << 12n);
    this.write(entry + 8, 4, BigInt(vector));
    this.write(entry + 12, 4, 0n);
  }

  /** `interrupts`: the queue interrupts also where the others have nobody to listen. */
  enableQueue(register: number, interrupts = false): void {
    const enable = interrupts ? QUEUE_INTERRUPTS : this.interrupts;
    this.write(register, 4, QUEUE_ENABLE | enable | QUEUE_MEMORY_FAULT);
    const csr = this.readWhileBusy(register, 4, QUEUE_BUSY);
    if ((csr & (QUEUE_ACTIVE | QUEUE_MEMORY_FAULT)) !== QUEUE_ACTIVE) {
      throw new SimError('driver', `a queue of the RISC-V IOMMU does not start (csr ${csr})`);
    }
  }

  /** Asks for the wanted number of levels and takes fewer if the mode does not stick. */
  setDirectory(wanted: number): DeviceDirectory {
    const root = this.ports.frames.alloc();
    const ppn = (BigInt(root) << 10n) & QUEUE_PPN_MASK;
    for (let levels = wanted; levels > 0; levels--) {
      const mode = DDTP_MODE_BARE + BigInt(levels);
      this.write(REG_DDTP, 8, ppn | mode);
      const got = this.readWhileBusy(REG_DDTP, 8, DDTP_BUSY) & DDTP_MODE_MASK;
      if (got !== mode) continue;
      const extended = (this.capabilities & CAP_MSI_FLAT) !== 0n;
      return new DeviceDirectory(this.ports, root, levels, extended);
    }
    throw new SimError('driver', 'the RISC-V IOMMU takes no device directory');
  }

  read(register: number, size: number): bigint {
    return this.ports.registers.read(register, size);
  }

  write(register: number, size: number, value: bigint): void {
    this.ports.registers.write(register, size, value);
  }

  private readWhileBusy(register: number, size: number, busy: bigint): bigint {
    for (let i = 0; i < BUSY_READS; i++) {
      const value = this.read(register, size);
      if ((value & busy) === 0n) return value;
    }
    throw new SimError('driver', `register ${register} of the RISC-V IOMMU stays busy`);
  }
}
