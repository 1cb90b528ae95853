/**
 * Translation-request interface for debug (spec "Debug support"): software writes an IOVA and the
 * identifiers, the IOMMU translates as for an untranslated request and puts the result into
 * `tr_response`.
 */
import { PAGE_SHIFT } from '../../address.ts';
import { ACCESS_EXECUTE, ACCESS_PRIVILEGED, ACCESS_READ, ACCESS_WRITE } from '../access.ts';
import { type DeviceRequest, REQUEST_UNTRANSLATED, type UnitPorts } from '../architecture.ts';
import { memoryType, napotPage, type Translated } from './ats.ts';
import { type RiscvRegisters, TR_REQ_CTL, TR_REQ_IOVA, TR_RESPONSE } from './registers.ts';

const GO = 1 << 0;
const PRIV = 1 << 1;
const EXE = 1 << 2;
const NW = 1 << 3;
// High word.
const PV = 1 << 0;

const RESPONSE_FAULT = 1n;
const RESPONSE_PBMT_SHIFT = 7n;
const RESPONSE_S = 1n << 9n;
const RESPONSE_PPN_SHIFT = 10n;
const PPN_MASK = (1n << 44n) - 1n;
/** A range larger than the PPN can code is told as the largest that it can. */
const ORDER_MAX = 44;

export class DebugInterface {
  private readonly registers: RiscvRegisters;

  constructor(registers: RiscvRegisters, ports: UnitPorts) {
    this.registers = registers;
    registers.onWrite(TR_REQ_IOVA, (low, high) => {
      if (!this.busy) registers.store(TR_REQ_IOVA, low, high);
    });
    registers.onWrite(TR_REQ_CTL, (low, high) => {
      if (this.busy) return;
      registers.store(TR_REQ_CTL, low, high);
      if ((low & GO) === 0) return;
      registers.set(TR_REQ_CTL, registers.get(TR_REQ_CTL) | GO);
      ports.debugRequest?.(this.request());
    });
  }

  /** The answer to the request handed out; `null` if it ended in a fault. */
  answer(result: Translated | null): void {
    const { registers } = this;
    registers.set(TR_REQ_CTL, registers.get(TR_REQ_CTL) & ~GO);
    const response = result === null ? RESPONSE_FAULT : encode(result);
    registers.set(TR_RESPONSE, Number(BigInt.asIntN(32, response)));
    registers.set(TR_RESPONSE + 4, Number(BigInt.asIntN(32, response >> 32n)));
  }

  private get busy(): boolean {
    return (this.registers.get(TR_REQ_CTL) & GO) !== 0;
  }

  private request(): DeviceRequest {
    const { registers } = this;
    const low = registers.get(TR_REQ_CTL);
    const high = registers.get(TR_REQ_CTL + 4);
    const iovaLow = registers.get(TR_REQ_IOVA);
    const iovaHigh = registers.get(TR_REQ_IOVA + 4);
    const withPid = (high & PV) !== 0;
    const direction =
      (low & EXE) !== 0 ? ACCESS_EXECUTE : (low & NW) !== 0 ? ACCESS_READ : ACCESS_WRITE;
    return {
      deviceId: high >>> 8,
      pasid: withPid ? low >>> PAGE_SHIFT : -1,
      kind: REQUEST_UNTRANSLATED,
      // An entry that permits writing permits reading (R=0, W=1 is reserved): NW = 0 asks for W.
      access: direction | (withPid && (low & PRIV) !== 0 ? ACCESS_PRIVILEGED : 0),
      hi: iovaHigh >>> 7,
      lo: (iovaLow >>> PAGE_SHIFT) | ((iovaHigh & 0x7f) << 20),
      offset: 0,
    };
  }
}

function encode(result: Translated): bigint {
  const order = Math.min(result.order, ORDER_MAX);
  const page = napotPage(result.outHi, result.outLo, order) & PPN_MASK;
  const size = order > 0 ? RESPONSE_S : 0n;
  const type = BigInt(memoryType(result)) << RESPONSE_PBMT_SHIFT;
  return (page << RESPONSE_PPN_SHIFT) | size | type;
}
