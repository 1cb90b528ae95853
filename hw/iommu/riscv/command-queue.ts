/**
 * Command queue (spec "Command-Queue"): fetching in order, completion of fences and messages, and
 * the error bits that stop the queue.
 */
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import {
  type CommandQueue,
  OP_DEVICE_MESSAGE,
  OP_FENCE,
  OP_ILLEGAL,
  OP_WAIT,
  type Operation,
  type UnitPorts,
} from '../architecture.ts';
import { InvalidationTags } from './ats-invalidation.ts';
import { type Capabilities, FCTL_BE, FCTL_WSI } from './capabilities.ts';
import {
  ATS_DSV,
  ATS_INVAL,
  ATS_PV,
  AV,
  CODE_MASK,
  type CommandRules,
  commandLegal,
  commandName,
  decodeDirectoryInvalidation,
  decodeTranslationInvalidation,
  FENCE_PR,
  FENCE_PW,
  FENCE_WSI,
  IODIR_INVAL_DDT,
  IODIR_INVAL_PDT,
  IOFENCE_C,
  IOTINVAL_GVMA,
  IOTINVAL_VMA,
} from './command-format.ts';
import { deviceIdBits } from './device-context.ts';
import { type Interrupts, SOURCE_COMMANDS } from './interrupts.ts';
import { senderId } from './page-request-queue.ts';
import { CQB, CQCSR, CQH, CQT, DDTP, FCTL, type RiscvRegisters } from './registers.ts';
import { CSR_BUSY, CSR_MEMORY_FAULT, Ring } from './ring.ts';
import { doubleword, swap32, swapDoublewords } from './words.ts';

const COMMAND_BYTES = 16;

const CSR_COMMAND_TIMEOUT = 1 << 9;
const CSR_COMMAND_ILLEGAL = 1 << 10;
const CSR_FENCE_WIRED = 1 << 11;
const STOPPING = CSR_MEMORY_FAULT | CSR_COMMAND_TIMEOUT | CSR_COMMAND_ILLEGAL;
const CLEARABLE = STOPPING | CSR_FENCE_WIRED;

export class RiscvCommandQueue implements CommandQueue {
  hi = 0;
  lo = 0;
  offset = 0;
  readonly bytes: number = COMMAND_BYTES;
  readonly tags: InvalidationTags = new InvalidationTags();
  private readonly ring: Ring;
  private readonly registers: RiscvRegisters;
  private readonly rules: CommandRules;
  private readonly memory: MemoryPort;
  private readonly ports: UnitPorts;
  private readonly interrupts: Interrupts;
  /** The command at the head was fetched, and must wait for answers of devices. */
  private held = false;
  /** Those answers have not come yet. */
  private waiting = false;

  constructor(
    registers: RiscvRegisters,
    caps: Capabilities,
    memory: MemoryPort,
    ports: UnitPorts,
    interrupts: Interrupts,
  ) {
    this.registers = registers;
    this.rules = { caps, wired: false, deviceIdBits: 0 };
    this.memory = memory;
    this.ports = ports;
    this.interrupts = interrupts;
    this.ring = new Ring(registers, {
      base: CQB,
      csr: CQCSR,
      softwareIndex: CQT,
      ownIndex: CQH,
      entryShift: 4,
      clearable: CLEARABLE,
    });
    interrupts.addSource(SOURCE_COMMANDS, this.ring, CLEARABLE);
    registers.onWrite(CQCSR, (value) => this.writeControl(value));
    registers.onWrite(CQT, (value) => {
      this.ring.writeSoftwareIndex(value);
      this.ports.doorbell();
    });
  }

  pending(): boolean {
    const { ring } = this;
    const on = ring.active || (this.held && (ring.csr & CSR_BUSY) !== 0);
    if (!on || this.waiting || (ring.csr & STOPPING) !== 0) return false;
    if (ring.ownIndex === ring.softwareIndex) return false;
    ring.locate();
    this.hi = ring.hi;
    this.lo = ring.lo;
    this.offset = ring.offset;
    return true;
  }

  failFetch(_status: number): void {
    this.stop(CSR_MEMORY_FAULT);
  }

  decode(words: Int32Array, operation: Operation): void {
    const copy = operation.words;
    for (let i = 0; i < 4; i++) copy[i] = words[i];
    if (this.bigEndian) swapDoublewords(copy, 2);
    operation.code = copy[0] & CODE_MASK;
    operation.name = commandName(operation.code) ?? 'illegal';
    operation.kind = OP_ILLEGAL;
    operation.drainReads = 0;
    operation.drainWrites = 0;
    if (!commandLegal(copy, this.currentRules())) return;
    switch (operation.code) {
      case IOTINVAL_VMA:
      case IOTINVAL_GVMA:
        decodeTranslationInvalidation(copy, operation);
        break;
      case IODIR_INVAL_DDT:
      case IODIR_INVAL_PDT:
        decodeDirectoryInvalidation(copy, operation);
        break;
      case IOFENCE_C:
        this.decodeFence(copy, operation);
        break;
      default:
        this.decodeMessage(operation);
    }
  }

  complete(operation: Operation): void {
    if (operation.kind === OP_WAIT) {
      this.held = true;
      this.waiting = true;
      return;
    }
    this.held = false;
    if (this.carryOut(operation)) this.ring.advance();
    this.ring.settle();
  }

  /** A device's invalidation completion message. Returns false if it was unexpected. */
  invalidationCompleted(rid: number, segment: number, vector: number, expected: number): boolean {
    const known = this.tags.complete(rid, segment, vector, expected);
    this.resume();
    return known;
  }

  /** No completion came in time for the requests of `vector` (bit per tag). */
  invalidationTimedOut(vector: number): void {
    this.tags.timeout(vector);
    this.resume();
  }

  /** @returns false if the head stays at the command */
  private carryOut(operation: Operation): boolean {
    switch (operation.kind) {
      case OP_ILLEGAL:
        this.stop(CSR_COMMAND_ILLEGAL);
        return false;
      case OP_FENCE:
        return this.completeFence(operation.words);
      case OP_DEVICE_MESSAGE:
        this.sendMessage(operation);
        return true;
      default:
        return true;
    }
  }

  private get bigEndian(): boolean {
    return (this.registers.get(FCTL) & FCTL_BE) !== 0;
  }

  /** The rules as registers have them now; the object is reused. */
  private currentRules(): CommandRules {
    const { rules, registers } = this;
    rules.wired = (registers.get(FCTL) & FCTL_WSI) !== 0;
    rules.deviceIdBits = deviceIdBits(registers.get(DDTP) & 0xf, this.rules.caps.msiFlat);
    return rules;
  }

  private resume(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.ports.doorbell();
  }

  private writeControl(value: number): void {
    this.ring.writeControl(value, this.held);
    this.ports.doorbell();
  }

  private stop(error: number): void {
    this.ring.csr |= error;
    this.interrupts.raise(SOURCE_COMMANDS);
  }

  private decodeFence(words: Int32Array, operation: Operation): void {
    if (this.tags.outstanding > 0) {
      operation.kind = OP_WAIT;
      return;
    }
    operation.kind = OP_FENCE;
    const order = !this.tags.timedOut;
    operation.drainReads = order && (words[0] & FENCE_PR) !== 0 ? 1 : 0;
    operation.drainWrites = order && (words[0] & FENCE_PW) !== 0 ? 1 : 0;
  }

  private decodeMessage(operation: Operation): void {
    operation.kind = OP_DEVICE_MESSAGE;
    if (operation.code === ATS_INVAL && this.tags.full) {
      operation.kind = OP_WAIT;
    }
  }

  /** @returns false if the head stays at the fence */
  private completeFence(words: Int32Array): boolean {
    if (this.tags.timedOut) {
      this.tags.timedOut = false;
      this.stop(CSR_COMMAND_TIMEOUT);
      return false;
    }
    if ((words[0] & AV) !== 0 && !this.storeFenceData(words)) {
      this.stop(CSR_MEMORY_FAULT);
      return false;
    }
    if ((words[0] & FENCE_WSI) !== 0) this.stop(CSR_FENCE_WIRED);
    return true;
  }

  private storeFenceData(words: Int32Array): boolean {
    // ADDR[63:2] starts at bit 0 of the second doubleword.
    const hi = (words[3] >>> 5) & 0x1ffffff;
    const lo = (words[2] >>> 10) | ((words[3] & 0x1f) << 22);
    const offset = (words[2] << 2) & 0xffc;
    if (this.memory.checkWrite(hi, lo, offset, 4) !== MEM_OK) return false;
    this.memory.write32(hi, lo, offset, this.bigEndian ? swap32(words[1]) : words[1]);
    return true;
  }

  private sendMessage(operation: Operation): void {
    const { words } = operation;
    const rid = (words[1] >>> 8) & 0xffff;
    const segment = (words[1] & ATS_DSV) !== 0 ? words[1] >>> 24 : -1;
    const invalidation = operation.code === ATS_INVAL;
    this.ports.deviceMessage({
      kind: invalidation ? 'ats-invalidate' : 'page-response',
      deviceId: senderId(rid, segment),
      pasid: (words[1] & ATS_PV) !== 0 ? words[0] >>> 12 : -1,
      tag: invalidation ? this.tags.allocate(rid, segment) : 0,
      payload: doubleword(words[2], words[3]),
      arch: { rid, segment },
    });
  }
}
