/** Packets that a NIC has in progress: columns by slot, with a free list. */
import type { MemoryPort } from '../memory/port.ts';
import { COMPLETION_ERROR, COMPLETION_OK } from './nic-layout.ts';

export class NicPackets {
  /** Side of the NIC's queues, size, and number of the descriptor it came with. */
  readonly side: Int32Array;
  readonly bytes: Int32Array;
  readonly descriptor: Int32Array;
  /** DMA jobs not yet done, and whether one was refused. */
  readonly parts: Int32Array;
  readonly failed: Uint8Array;
  /** Pass of the completion entry, and where in memory the entry goes. */
  readonly pass: Int32Array;
  readonly outHi: Int32Array;
  readonly outLo: Int32Array;
  readonly outOffset: Int32Array;
  /** Packets in progress. */
  inUse = 0;
  /** A side wanted a slot when there was none. */
  starved = false;
  private readonly nextFree: Int32Array;
  private firstFree = 0;

  constructor(capacity: number) {
    const column = (): Int32Array => new Int32Array(capacity);
    this.side = column();
    this.bytes = column();
    this.descriptor = column();
    this.parts = column();
    this.failed = new Uint8Array(capacity);
    this.pass = column();
    this.outHi = column();
    this.outLo = column();
    this.outOffset = column();
    this.nextFree = column();
    for (let i = 0; i < capacity; i++) this.nextFree[i] = i + 1;
    this.nextFree[capacity - 1] = -1;
  }

  /** Whether there is a free slot; notes that one was wanted. */
  available(): boolean {
    if (this.firstFree >= 0) return true;
    this.starved = true;
    return false;
  }

  take(side: number, bytes: number, descriptor: number, parts: number): number {
    const slot = this.firstFree;
    this.firstFree = this.nextFree[slot];
    this.inUse++;
    this.side[slot] = side;
    this.bytes[slot] = bytes;
    this.descriptor[slot] = descriptor;
    this.parts[slot] = parts;
    this.failed[slot] = 0;
    return slot;
  }

  /** Writes the completion entry of a packet. */
  storeCompletion(memory: MemoryPort, slot: number): void {
    const hi = this.outHi[slot];
    const lo = this.outLo[slot];
    const offset = this.outOffset[slot];
    memory.write32(hi, lo, offset, this.bytes[slot]);
    memory.write32(hi, lo, offset + 4, this.descriptor[slot]);
    memory.write32(hi, lo, offset + 8, this.failed[slot] !== 0 ? COMPLETION_ERROR : COMPLETION_OK);
    memory.write32(hi, lo, offset + 12, this.pass[slot]);
  }

  give(slot: number): void {
    this.nextFree[slot] = this.firstFree;
    this.firstFree = slot;
    this.inUse--;
  }
}
