/**
 * Page requests (spec "Page-Request-Queue" and "PCIe ATS Page Request handling"): 16-byte records
 * for software, or a response by the IOMMU itself where a request cannot be queued.
 */
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import type { DeviceMessage, TranslationContext, UnitPorts } from '../architecture.ts';
import { FCTL_BE } from './capabilities.ts';
import { CAUSE_DISALLOWED } from './causes.ts';
import type { RiscvContext } from './device-context.ts';
import { storeRecord } from './fault-queue.ts';
import { type Interrupts, SOURCE_PAGE_REQUESTS } from './interrupts.ts';
import { FCTL, PQB, PQCSR, PQH, PQT, type RiscvRegisters } from './registers.ts';
import { CSR_MEMORY_FAULT, CSR_OVERFLOW, Ring } from './ring.ts';

const RECORD_WORDS = 4;
const ERRORS = CSR_MEMORY_FAULT | CSR_OVERFLOW;

/** Response codes of a page group response (PCIe ATS 10.4.2.1). */
const RESPONSE_SUCCESS = 0;
const RESPONSE_INVALID = 1;
const RESPONSE_FAILURE = 0xf;
/** The request was queued: software answers. */
const QUEUED = -1;

/** A page request message as it arrives. */
export interface PageRequest {
  readonly rid: number;
  /** Segment, -1 where the message has none. */
  readonly segment: number;
  /** PASID, -1 where the message has none. */
  readonly pasid: number;
  readonly privileged: boolean;
  readonly execute: boolean;
  readonly payload: bigint;
}

/** Device id of a message's sender. */
export function senderId(rid: number, segment: number): number {
  return segment < 0 ? rid : rid | (segment << 16);
}

export class PageRequestQueue {
  private readonly ring: Ring;
  private readonly registers: RiscvRegisters;
  private readonly memory: MemoryPort;
  private readonly ports: UnitPorts;
  private readonly interrupts: Interrupts;
  private readonly record: Int32Array = new Int32Array(RECORD_WORDS);

  constructor(
    registers: RiscvRegisters,
    memory: MemoryPort,
    ports: UnitPorts,
    interrupts: Interrupts,
  ) {
    this.registers = registers;
    this.memory = memory;
    this.ports = ports;
    this.interrupts = interrupts;
    this.ring = new Ring(registers, {
      base: PQB,
      csr: PQCSR,
      softwareIndex: PQH,
      ownIndex: PQT,
      entryShift: 4,
      clearable: ERRORS,
    });
    interrupts.addSource(SOURCE_PAGE_REQUESTS, this.ring, ERRORS);
    registers.onWrite(PQCSR, (value) => this.ring.writeControl(value));
  }

  /**
   * Takes a page request whose device context has been looked up.
   * @param context the device's context, `null` where none was found
   * @param cause why the request is refused (already recorded), or 0
   */
  accept(request: PageRequest, context: TranslationContext | null, cause: number): void {
    const response = cause === 0 ? this.enqueue(request) : responseTo(cause);
    if (response === QUEUED || !wantsResponse(request.payload)) return;
    const prpr = context !== null && (context.arch as RiscvContext).device.prpr;
    const withPasid = request.pasid >= 0 && (response === RESPONSE_FAILURE || prpr);
    this.ports.deviceMessage(groupResponse(request, withPasid, response));
  }

  private enqueue(request: PageRequest): number {
    const { ring } = this;
    if (!ring.active || (ring.csr & CSR_MEMORY_FAULT) !== 0) return RESPONSE_FAILURE;
    if ((ring.csr & CSR_OVERFLOW) !== 0) return RESPONSE_SUCCESS;
    let response = QUEUED;
    if (ring.nextIndex() === ring.softwareIndex) {
      ring.csr |= CSR_OVERFLOW;
      response = RESPONSE_SUCCESS;
    } else {
      ring.locate();
      if (this.memory.checkWrite(ring.hi, ring.lo, ring.offset, RECORD_WORDS * 4) === MEM_OK) {
        this.fill(request);
        const bigEndian = (this.registers.get(FCTL) & FCTL_BE) !== 0;
        storeRecord(this.memory, ring, this.record, RECORD_WORDS, bigEndian);
        ring.advance();
      } else {
        ring.csr |= CSR_MEMORY_FAULT;
        response = RESPONSE_FAILURE;
      }
    }
    this.interrupts.raise(SOURCE_PAGE_REQUESTS);
    return response;
  }

  private fill(request: PageRequest): void {
    const { record } = this;
    const withPasid = request.pasid >= 0;
    record[0] = withPasid ? request.pasid << 12 : 0;
    record[1] =
      (withPasid ? 1 : 0) |
      (withPasid && request.privileged ? 2 : 0) |
      (withPasid && request.execute ? 4 : 0) |
      (senderId(request.rid, request.segment) << 8);
    record[2] = Number(BigInt.asIntN(32, request.payload));
    record[3] = Number(BigInt.asIntN(32, request.payload >> 32n));
  }
}

/** Refused by configuration: "invalid request"; no usable context: "response failure". */
function responseTo(cause: number): number {
  return cause === CAUSE_DISALLOWED ? RESPONSE_INVALID : RESPONSE_FAILURE;
}

/** The last request of a group, unless it is a stop marker (L=1, R=W=0). */
function wantsResponse(payload: bigint): boolean {
  const bits = Number(payload & 7n);
  return (bits & 4) !== 0 && (bits & 3) !== 0;
}

function groupResponse(request: PageRequest, withPasid: boolean, code: number): DeviceMessage {
  const group = (request.payload >> 3n) & 0x1ffn;
  return {
    kind: 'page-response',
    deviceId: senderId(request.rid, request.segment),
    pasid: withPasid ? request.pasid : -1,
    tag: 0,
    payload: (BigInt(request.rid) << 48n) | (BigInt(code) << 44n) | (group << 32n),
    arch: { rid: request.rid, segment: request.segment },
  };
}
