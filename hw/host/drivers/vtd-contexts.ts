/**
 * Root and context tables of a VT-d unit in legacy mode, as its driver writes them (VT-d
 * specification, "Legacy Mode Address Translation"): a root entry per bus, a context entry per
 * function.
 */
import { readDoubleword, writeDoubleword } from './doubleword.ts';
import type { DriverPorts } from './driver.ts';

const PRESENT = 1n;
const DOMAIN_SHIFT = 8n;
const ENTRY_BYTES = 16;

export class VtdContexts {
  /** Page of the root table. */
  readonly root: number;
  private readonly ports: DriverPorts;
  /** The entry in hand. */
  private table = 0;
  private offset = 0;

  constructor(ports: DriverPorts) {
    this.ports = ports;
    this.root = ports.frames.alloc();
    clearPage(ports, this.root);
  }

  /** Takes a device's entry in hand, making its bus's table where it lacks. */
  seek(deviceId: number): void {
    const { memory, frames } = this.ports;
    const bus = (deviceId >>> 8) & 0xff;
    const entry = readDoubleword(memory, this.root, bus * ENTRY_BYTES);
    if ((entry & PRESENT) !== 0n) {
      this.table = Number(entry >> 12n);
    } else {
      this.table = frames.alloc();
      clearPage(this.ports, this.table);
      const pointer = (BigInt(this.table) << 12n) | PRESENT;
      writeDoubleword(memory, this.root, bus * ENTRY_BYTES, pointer);
    }
    this.offset = (deviceId & 0xff) * ENTRY_BYTES;
  }

  get present(): boolean {
    return (readDoubleword(this.ports.memory, this.table, this.offset) & PRESENT) !== 0n;
  }

  get domainId(): number {
    const high = readDoubleword(this.ports.memory, this.table, this.offset + 8);
    return Number((high >> DOMAIN_SHIFT) & 0xffffn);
  }

  clear(): void {
    writeDoubleword(this.ports.memory, this.table, this.offset, 0n);
  }

  /** The present bit comes last. `low`: root page and translation type. */
  write(low: bigint, domainId: number, levels: number): void {
    const { memory } = this.ports;
    const high = (BigInt(domainId) << DOMAIN_SHIFT) | BigInt(levels - 2);
    writeDoubleword(memory, this.table, this.offset + 8, high);
    writeDoubleword(memory, this.table, this.offset, low | PRESENT);
  }
}

export function clearPage({ memory }: DriverPorts, page: number): void {
  for (let offset = 0; offset < 4096; offset += 8) writeDoubleword(memory, page, offset, 0n);
}
