/**
 * The device directory of a RISC-V IOMMU in simulated memory, as its driver writes it
 * (specification, "Device-Directory-Table"): up to three levels of pages, device contexts of 32
 * bytes (base format) or 64 bytes (extended format, where the unit has flat MSI page tables).
 */
import { SimError } from '../../../sim/errors.ts';
import { pnHi, pnLo } from '../../address.ts';
import { readDoubleword, writeDoubleword } from './doubleword.ts';
import type { DriverPorts } from './driver.ts';

const ENTRY_V = 1n;
const ENTRY_PPN_SHIFT = 10n;
const ENTRY_PPN_MASK = 0xfffffffffffn;
/** Offsets of the doublewords of a device context. */
const DC_TC = 0;
const DC_IOHGATP = 8;
const DC_TA = 16;
const DC_FSC = 24;
const BITS_PER_LEVEL = 9;

export class DeviceDirectory {
  private readonly ports: DriverPorts;
  private readonly root: number;
  private readonly levels: number;
  private readonly extended: boolean;
  /** The context in hand. */
  private hi = 0;
  private lo = 0;
  private offset = 0;

  constructor(ports: DriverPorts, root: number, levels: number, extended: boolean) {
    this.ports = ports;
    this.root = root;
    this.levels = levels;
    this.extended = extended;
  }

  /** Takes the context of a device in hand, adding directory pages where they lack. */
  seek(deviceId: number): void {
    const leafBits = this.extended ? 6 : 7;
    const width = Math.min(24, leafBits + BITS_PER_LEVEL * (this.levels - 1));
    if (deviceId < 0 || deviceId >= 2 ** width) {
      throw new SimError(
        'driver',
        `device id ${deviceId} needs more than the directory's ${width} bits`,
      );
    }
    const { memory, frames } = this.ports;
    let page = this.root;
    for (let level = this.levels - 1; level > 0; level--) {
      const index = (deviceId >>> (leafBits + BITS_PER_LEVEL * (level - 1))) & 0x1ff;
      const entry = readDoubleword(memory, page, index * 8);
      if ((entry & ENTRY_V) === 0n) {
        const child = frames.alloc();
        for (let offset = 0; offset < 4096; offset += 8) writeDoubleword(memory, child, offset, 0n);
        writeDoubleword(memory, page, index * 8, (BigInt(child) << ENTRY_PPN_SHIFT) | ENTRY_V);
        page = child;
      } else {
        page = Number((entry >> ENTRY_PPN_SHIFT) & ENTRY_PPN_MASK);
      }
    }
    this.hi = pnHi(page);
    this.lo = pnLo(page);
    this.offset = (deviceId & (2 ** leafBits - 1)) * (this.extended ? 64 : 32);
  }

  readTc(): bigint {
    return this.field(DC_TC);
  }

  secondStage(): bigint {
    return this.field(DC_IOHGATP);
  }

  firstStage(): bigint {
    return this.field(DC_FSC);
  }

  pscid(): number {
    return Number((this.field(DC_TA) >> 12n) & 0xfffffn);
  }

  /** Writes all but tc, which comes last because it makes the context valid. */
  write(iohgatp: bigint, ta: bigint, fsc: bigint): void {
    this.setField(DC_IOHGATP, iohgatp);
    this.setField(DC_TA, ta);
    this.setField(DC_FSC, fsc);
    if (!this.extended) return;
    for (let offset = 32; offset < 64; offset += 8) this.setField(offset, 0n);
  }

  writeTc(tc: bigint): void {
    this.setField(DC_TC, tc);
  }

  private field(offset: number): bigint {
    return readDoubleword(this.ports.memory, this.hi * 0x8000000 + this.lo, this.offset + offset);
  }

  private setField(offset: number, value: bigint): void {
    const page = this.hi * 0x8000000 + this.lo;
    writeDoubleword(this.ports.memory, page, this.offset + offset, value);
  }
}
