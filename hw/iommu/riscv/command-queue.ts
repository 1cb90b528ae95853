/**
 * Command queue (spec "Command-Queue"): legality and decoding of the 16-byte commands, completion
 * of fences, and the error bits that stop the queue. Commands complete in order.
 */
import { MEM_OK, type MemoryPort } from '../../memory/port.ts';
import {
  type CommandQueue,
  OP_DEVICE_MESSAGE,
  OP_FENCE,
  OP_ILLEGAL,
  OP_INVALIDATE_CONTEXT,
  OP_INVALIDATE_TRANSLATIONS,
  OP_WAIT,
  type Operation,
  TAG_NONE,
  type UnitPorts,
} from '../architecture.ts';
import { InvalidationTags } from './ats-invalidation.ts';
import { type Capabilities, FCTL_BE, FCTL_WSI } from './capabilities.ts';
import { type Interrupts, SOURCE_COMMANDS } from './interrupts.ts';
import { senderId } from './page-request-queue.ts';
import { CQB, CQCSR, CQH, CQT, DDTP, FCTL, type RiscvRegisters } from './registers.ts';
import { deviceIdBits } from './device-context.ts';
import { CSR_MEMORY_FAULT, Ring } from './ring.ts';
import { doubleword, swap32, swapDoublewords } from './words.ts';

const COMMAND_BYTES = 16;

const CSR_COMMAND_TIMEOUT = 1 << 9;
const CSR_COMMAND_ILLEGAL = 1 << 10;
const CSR_FENCE_WIRED = 1 << 11;
const STOPPING = CSR_MEMORY_FAULT | CSR_COMMAND_TIMEOUT | CSR_COMMAND_ILLEGAL;
const CLEARABLE = STOPPING | CSR_FENCE_WIRED;

// Opcode (bits 6:0) and function (bits 9:7) together.
const command = (opcode: number, func3: number): number => opcode | (func3 << 7);
const IOTINVAL_VMA = command(1, 0);
const IOTINVAL_GVMA = command(1, 1);
const IOFENCE_C = command(2, 0);
const IODIR_INVAL_DDT = command(3, 0);
const IODIR_INVAL_PDT = command(3, 1);
const ATS_INVAL = command(4, 0);
const ATS_PRGR = command(4, 1);

/** Name, and reserved bits of the four words (low to high), of each defined command. */
interface CommandLayout {
  readonly name: string;
  readonly reserved: readonly [number, number, number, number];
}

/** IOTINVAL: bit 11, 43:35, 63:60, 72:64, 127:126; NL (34) and S (73) depend on extensions. */
const IOTINVAL_RESERVED = [1 << 11, 0xf0000ff8, 0x1ff, 0xc0000000] as const;
const ATS_RESERVED = [0xc00, 0xfc, 0, 0] as const;

const COMMANDS: ReadonlyMap<number, CommandLayout> = new Map([
  [IOTINVAL_VMA, { name: 'IOTINVAL.VMA', reserved: IOTINVAL_RESERVED }],
  // PSCV (bit 32) must be 0.
  [IOTINVAL_GVMA, { name: 'IOTINVAL.GVMA', reserved: [1 << 11, 0xf0000ff9, 0x1ff, 0xc0000000] }],
  [IOFENCE_C, { name: 'IOFENCE.C', reserved: [0xffffc000, 0, 0, 0xc0000000] }],
  // PID is reserved too.
  [IODIR_INVAL_DDT, { name: 'IODIR.INVAL_DDT', reserved: [0xfffffc00, 0xfd, -1, -1] }],
  [IODIR_INVAL_PDT, { name: 'IODIR.INVAL_PDT', reserved: [0xc00, 0xfd, -1, -1] }],
  [ATS_INVAL, { name: 'ATS.INVAL', reserved: ATS_RESERVED }],
  [ATS_PRGR, { name: 'ATS.PRGR', reserved: ATS_RESERVED }],
]);

const AV = 1 << 10;
const FENCE_WSI = 1 << 11;
const FENCE_PR = 1 << 12;
const FENCE_PW = 1 << 13;
// High word of the first doubleword.
const PSCV = 1 << 0;
const GV = 1 << 1;
const NL = 1 << 2;
const DV = 1 << 1;
const ATS_PV = 1 << 0;
const ATS_DSV = 1 << 1;
// Low word of the second doubleword.
const RANGE = 1 << 9;

export class RiscvCommandQueue implements CommandQueue {
  hi = 0;
  lo = 0;
  offset = 0;
  readonly bytes: number = COMMAND_BYTES;
  readonly tags: InvalidationTags = new InvalidationTags();
  private readonly ring: Ring;
  private readonly registers: RiscvRegisters;
  private readonly caps: Capabilities;
  private readonly memory: MemoryPort;
  private readonly ports: UnitPorts;
  private readonly interrupts: Interrupts;
  /** The command at the head waits for answers of devices. */
  private waiting = false;

  constructor(
    registers: RiscvRegisters,
    caps: Capabilities,
    memory: MemoryPort,
    ports: UnitPorts,
    interrupts: Interrupts,
  ) {
    this.registers = registers;
    this.caps = caps;
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
    if (!ring.active || this.waiting || (ring.csr & STOPPING) !== 0) return false;
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
    operation.code = copy[0] & 0x3ff;
    const layout = COMMANDS.get(operation.code);
    operation.name = layout?.name ?? 'illegal';
    operation.kind = OP_ILLEGAL;
    if (layout === undefined || !this.legal(copy, layout.reserved)) return;
    switch (operation.code) {
      case IOTINVAL_VMA:
      case IOTINVAL_GVMA:
        decodeTranslationInvalidation(copy, operation);
        break;
      case IODIR_INVAL_DDT:
      case IODIR_INVAL_PDT:
        this.decodeDirectoryInvalidation(copy, operation);
        break;
      case IOFENCE_C:
        this.decodeFence(copy, operation);
        break;
      default:
        this.decodeMessage(operation);
    }
  }

  complete(operation: Operation): void {
    switch (operation.kind) {
      case OP_ILLEGAL:
        this.stop(CSR_COMMAND_ILLEGAL);
        return;
      case OP_WAIT:
        return;
      case OP_FENCE:
        if (!this.completeFence(operation.words)) return;
        break;
      case OP_DEVICE_MESSAGE:
        this.sendMessage(operation);
        break;
    }
    this.ring.advance();
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

  private get bigEndian(): boolean {
    return (this.registers.get(FCTL) & FCTL_BE) !== 0;
  }

  private resume(): void {
    if (!this.waiting) return;
    this.waiting = false;
    this.ports.doorbell();
  }

  private writeControl(value: number): void {
    this.ring.writeControl(value);
    if (!this.ring.active) this.waiting = false;
    this.ports.doorbell();
  }

  private stop(error: number): void {
    this.ring.csr |= error;
    this.interrupts.raise(SOURCE_COMMANDS);
  }

  /** No reserved bit is set and the command is implemented. */
  private legal(words: Int32Array, reserved: CommandLayout['reserved']): boolean {
    for (let i = 0; i < 4; i++) if ((words[i] & reserved[i]) !== 0) return false;
    switch (words[0] & 0x7f) {
      case 1:
        if (!this.caps.nl && (words[1] & NL) !== 0) return false;
        return this.caps.s || (words[2] & RANGE) === 0;
      case 2: {
        // WSI is reserved unless wired interrupts are enabled.
        const wired = (this.registers.get(FCTL) & FCTL_WSI) !== 0;
        return wired || (words[0] & FENCE_WSI) === 0;
      }
      case 3:
        return this.legalDirectoryIds(words);
      default:
        return this.caps.ats;
    }
  }

  /** DID no wider than the mode's directory; PID no wider than the IOMMU supports. */
  private legalDirectoryIds(words: Int32Array): boolean {
    const withDevice = (words[1] & DV) !== 0;
    if (withDevice && words[1] >>> 8 >= 2 ** this.widestDeviceId()) return false;
    if ((words[0] & 0x3ff) === IODIR_INVAL_DDT) return true;
    const bits = this.caps.pd20 ? 20 : this.caps.pd17 ? 17 : 8;
    return withDevice && words[0] >>> 12 < 2 ** bits;
  }

  private widestDeviceId(): number {
    return deviceIdBits(this.registers.get(DDTP) & 0xf, this.caps.msiFlat);
  }

  private decodeDirectoryInvalidation(words: Int32Array, operation: Operation): void {
    operation.kind = OP_INVALIDATE_CONTEXT;
    operation.deviceMask = 0;
    operation.domain = -1;
    operation.deviceId = (words[1] & DV) !== 0 ? words[1] >>> 8 : -1;
    const pid = operation.code === IODIR_INVAL_PDT ? words[0] >>> 12 : -1;
    // With DC.tc.DPE process 0 also serves requests without a process id: drop all of the device.
    operation.pasid = pid === 0 ? -1 : pid;
  }

  private decodeFence(words: Int32Array, operation: Operation): void {
    if (this.tags.outstanding > 0) {
      operation.kind = OP_WAIT;
      this.waiting = true;
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
      this.waiting = true;
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

/** IOTINVAL: which tags and which addresses, with the NL and S extensions. */
function decodeTranslationInvalidation(words: Int32Array, operation: Operation): void {
  const guest = operation.code === IOTINVAL_GVMA;
  const gv = (words[1] & GV) !== 0;
  const pscv = (words[1] & PSCV) !== 0;
  const gscid = (words[1] >>> 12) & 0xffff;
  operation.kind = OP_INVALIDATE_TRANSLATIONS;
  operation.stage = guest ? 0 : 1;
  operation.guestAddress = guest ? 1 : 0;
  // VMA without GV is about the host's own translations, GVMA without GV about all guests.
  operation.tag2 = gv ? gscid : guest ? -1 : TAG_NONE;
  operation.tag1 = pscv ? words[0] >>> 12 : -1;
  operation.includeGlobal = pscv ? 0 : 1;
  const address = (words[0] & AV) !== 0 && (gv || !guest);
  operation.hasAddress = address ? 1 : 0;
  operation.leafOnly = address && (words[1] & NL) === 0 ? 1 : 0;
  operation.hi = 0;
  operation.lo = 0;
  operation.order = 0;
  if (address) decodeRange(words, operation);
}

/** ADDR (bits 125:74), a NAPOT range where S is 1: trailing ones, then a zero, give its size. */
function decodeRange(words: Int32Array, operation: Operation): void {
  let lo = (words[2] >>> 10) | ((words[3] & 0x1f) << 22);
  let hi = (words[3] >>> 5) & 0x1ffffff;
  if ((words[2] & RANGE) !== 0) {
    let order = 0;
    while (order < 52 && bitOf(hi, lo, order) === 1) order++;
    operation.order = Math.min(order + 1, 52);
    if (operation.order >= 27) {
      lo = 0;
      hi = clearLow(hi, operation.order - 27);
    } else {
      lo = clearLow(lo, operation.order);
    }
  }
  operation.hi = hi;
  operation.lo = lo;
}

function bitOf(hi: number, lo: number, bit: number): number {
  return bit < 27 ? (lo >>> bit) & 1 : (hi >>> (bit - 27)) & 1;
}

function clearLow(value: number, bits: number): number {
  return (value >>> bits) << bits;
}
