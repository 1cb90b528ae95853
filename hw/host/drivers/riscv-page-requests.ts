/**
 * Software's side of the page-request queue of the RISC-V IOMMU (specification, "Page-Request
 * queue"): records of 16 bytes that the unit appends, one for each page request message.
 */
import { pnHi, pnLo } from '../../address.ts';
import type { MemoryPort } from '../../memory/port.ts';
import {
  IPSR_PIP,
  PAGE_REQUEST_VECTOR,
  QUEUE_MEMORY_FAULT,
  QUEUE_OVERFLOW,
  REG_IPSR,
  REG_PQB,
  REG_PQCSR,
  REG_PQH,
  REG_PQT,
  type RiscvSetup,
} from './riscv-setup.ts';

/** A page request as the unit recorded it. */
export interface HardwarePageRequest {
  readonly deviceId: number;
  /** -1: the message had none. */
  readonly pasid: number;
  readonly privileged: boolean;
  readonly execute: boolean;
  readonly read: boolean;
  readonly write: boolean;
  /** Closes its group. */
  readonly last: boolean;
  readonly group: number;
  /** Address of the page. */
  readonly address: bigint;
}

const ENTRY_SHIFT = 4;
const PV = 1;
const PRIV = 2;
const EXEC = 4;
const READ = 1;
const WRITE = 2;
const LAST = 4;

export class RiscvPageRequests {
  /** How often the unit had found the queue full. */
  overflows = 0;
  private readonly setup: RiscvSetup;
  private readonly memory: MemoryPort;
  private readonly base: number;
  private readonly entries: number;

  /** Makes the queue and switches it on. */
  constructor(setup: RiscvSetup, memory: MemoryPort, wanted: number) {
    this.setup = setup;
    this.memory = memory;
    const { base, entries } = setup.setUpQueue(REG_PQB, wanted, 1 << ENTRY_SHIFT);
    this.base = base;
    this.entries = entries;
    setup.setMessage(PAGE_REQUEST_VECTOR);
    setup.enableQueue(REG_PQCSR, true);
  }

  /** Takes all records off the queue, then the error bits, so that the unit goes on recording. */
  take(taken: (request: HardwarePageRequest) => void): number {
    const { setup } = this;
    setup.write(REG_IPSR, 4, IPSR_PIP);
    const tail = Number(setup.read(REG_PQT, 4));
    let head = Number(setup.read(REG_PQH, 4));
    const requests: HardwarePageRequest[] = [];
    for (; head !== tail; head = (head + 1) & (this.entries - 1)) requests.push(this.record(head));
    setup.write(REG_PQH, 4, BigInt(tail));
    const csr = setup.read(REG_PQCSR, 4);
    this.overflows += (csr & QUEUE_OVERFLOW) !== 0n ? 1 : 0;
    if ((csr & (QUEUE_MEMORY_FAULT | QUEUE_OVERFLOW)) !== 0n) setup.write(REG_PQCSR, 4, csr);
    for (const request of requests) taken(request);
    return requests.length;
  }

  private record(index: number): HardwarePageRequest {
    const at = index << ENTRY_SHIFT;
    const page = this.base + (at >>> 12);
    const word = (i: number): number =>
      this.memory.read32(pnHi(page), pnLo(page), (at & 0xfff) + 4 * i);
    const sender = word(1);
    const low = word(2);
    const payload = (BigInt(word(3) >>> 0) << 32n) | BigInt(low >>> 0);
    return {
      deviceId: sender >>> 8,
      pasid: (sender & PV) !== 0 ? word(0) >>> 12 : -1,
      privileged: (sender & PRIV) !== 0,
      execute: (sender & EXEC) !== 0,
      read: (low & READ) !== 0,
      write: (low & WRITE) !== 0,
      last: (low & LAST) !== 0,
      group: (low >>> 3) & 0x1ff,
      address: payload & ~0xfffn,
    };
  }
}
