/**
 * Fault queue (spec "Fault/Event-Queue"): 32-byte records written to memory for software, with
 * overflow and memory-fault bits that stop recording until software clears them.
 */
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import { ACCESS_PRIVILEGED } from '../access.ts';
import { type DeviceRequest, FAULT_LOST, FAULT_RECORDED, FAULT_SILENT } from '../architecture.ts';
import { FCTL_BE } from './capabilities.ts';
import { hasAddress, hiddenByDtf, transactionType } from './causes.ts';
import { type Interrupts, SOURCE_FAULTS } from './interrupts.ts';
import { FCTL, FQB, FQCSR, FQH, FQT, type RiscvRegisters } from './registers.ts';
import { CSR_MEMORY_FAULT, CSR_OVERFLOW, Ring } from './ring.ts';
import { swapDoublewords } from './words.ts';

const RECORD_WORDS = 8;
const ERRORS = CSR_MEMORY_FAULT | CSR_OVERFLOW;

/** Code of a page request message, the `iotval` of its faults. */
export const PAGE_REQUEST_MESSAGE = 4;

export class FaultQueue {
  readonly ring: Ring;
  private readonly registers: RiscvRegisters;
  private readonly memory: MemoryPort;
  private readonly interrupts: Interrupts;
  private readonly record: Int32Array = new Int32Array(RECORD_WORDS);

  constructor(registers: RiscvRegisters, memory: MemoryPort, interrupts: Interrupts) {
    this.registers = registers;
    this.memory = memory;
    this.interrupts = interrupts;
    this.ring = new Ring(registers, {
      base: FQB,
      csr: FQCSR,
      softwareIndex: FQH,
      ownIndex: FQT,
      entryShift: 5,
      clearable: ERRORS,
    });
    interrupts.addSource(SOURCE_FAULTS, this.ring, ERRORS);
    registers.onWrite(FQCSR, (value) => this.ring.writeControl(value));
  }

  /** Records a fault of a request; `quiet` is DC.tc.DTF (0 where no context was found). */
  report(request: DeviceRequest, cause: number, address2: bigint, quiet: boolean): number {
    if (quiet && hiddenByDtf(cause)) return FAULT_SILENT;
    const { record } = this;
    const withPid = request.pasid >= 0;
    const privileged = withPid && (request.access & ACCESS_PRIVILEGED) !== 0;
    record[0] = cause | (withPid ? request.pasid << 12 : 0);
    record[1] =
      (withPid ? 1 : 0) |
      (privileged ? 2 : 0) |
      (transactionType(request.kind, request.access) << 2) |
      (request.deviceId << 8);
    record[2] = 0;
    record[3] = 0;
    if (hasAddress(request.kind)) {
      record[4] = (request.lo << 12) | request.offset;
      record[5] = (request.lo >>> 20) | (request.hi << 7);
    } else {
      record[4] = PAGE_REQUEST_MESSAGE;
      record[5] = 0;
    }
    record[6] = Number(BigInt.asIntN(32, address2));
    record[7] = Number(BigInt.asIntN(32, address2 >> 32n));
    return this.append();
  }

  /** Records a fault that no transaction caused (TTYP 0). */
  reportEvent(cause: number, iotval: bigint): void {
    const { record } = this;
    record.fill(0);
    record[0] = cause;
    record[4] = Number(BigInt.asIntN(32, iotval));
    record[5] = Number(BigInt.asIntN(32, iotval >> 32n));
    this.append();
  }

  private append(): number {
    const { ring } = this;
    if (!ring.active || (ring.csr & ERRORS) !== 0) return FAULT_LOST;
    let outcome = FAULT_LOST;
    if (ring.nextIndex() === ring.softwareIndex) {
      ring.csr |= CSR_OVERFLOW;
    } else {
      ring.locate();
      if (this.memory.checkWrite(ring.hi, ring.lo, ring.offset, RECORD_WORDS * 4) === MEM_OK) {
        const bigEndian = (this.registers.get(FCTL) & FCTL_BE) !== 0;
        storeRecord(this.memory, ring, this.record, RECORD_WORDS, bigEndian);
        ring.advance();
        outcome = FAULT_RECORDED;
      } else {
        ring.csr |= CSR_MEMORY_FAULT;
      }
    }
    this.interrupts.raise(SOURCE_FAULTS);
    return outcome;
  }
}

/** Stores a record at the ring's located place in the byte order of `fctl.BE`. */
export function storeRecord(
  memory: MemoryPort,
  ring: Ring,
  record: Int32Array,
  words: number,
  bigEndian: boolean,
): void {
  if (bigEndian) swapDoublewords(record, words >> 1);
  for (let i = 0; i < words; i++) {
    memory.write32(ring.hi, ring.lo, ring.offset + 4 * i, record[i]);
  }
}
