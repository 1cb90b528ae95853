/** Records that the IOMMU appends to its queues in memory: which are new, and their fields. */
import type { RegisterFile } from '../../hw/iommu/architecture.ts';
import { FQB, FQT, PQB, PQT } from '../../hw/iommu/riscv/registers.ts';
import type { SparseMemory } from './sparse-memory.ts';

export interface QueueRecord {
  readonly address: bigint;
  /** Doublewords, little-endian view. */
  readonly words: readonly bigint[];
}

interface QueueLayout {
  readonly base: number;
  readonly tail: number;
  readonly doublewords: bigint;
}

const QUEUES: Readonly<Record<'faults' | 'pq', QueueLayout>> = {
  faults: { base: FQB, tail: FQT, doublewords: 4n },
  pq: { base: PQB, tail: PQT, doublewords: 2n },
};

export class RecordQueue {
  private readonly memory: SparseMemory;
  private readonly registers: RegisterFile;
  private readonly queue: QueueLayout;
  private tail = 0n;

  constructor(memory: SparseMemory, registers: RegisterFile, which: keyof typeof QUEUES) {
    this.memory = memory;
    this.registers = registers;
    this.queue = QUEUES[which];
  }

  /** Records appended from now on are new. */
  mark(): void {
    this.tail = this.registers.read(this.queue.tail, 4);
  }

  /** The new records; their doublewords are removed from `changes`. */
  take(changes: Map<bigint, bigint>): QueueRecord[] {
    const base = this.registers.read(this.queue.base, 8);
    const mask = (2n << (base & 0x1fn)) - 1n;
    const end = this.registers.read(this.queue.tail, 4);
    const records: QueueRecord[] = [];
    // A queue that was switched on again starts at 0 without new records.
    const first =
      end < this.tail && end === 0n && !this.wrapped(changes, base, mask) ? end : this.tail;
    for (let index = first; index !== end; index = (index + 1n) & mask) {
      const address = ((base >> 10n) << 12n) + index * this.queue.doublewords * 8n;
      const words: bigint[] = [];
      for (let word = 0n; word < this.queue.doublewords; word++) {
        words.push(this.memory.load(address + 8n * word));
        changes.delete(address + 8n * word);
      }
      records.push({ address, words });
    }
    return records;
  }

  /** The entry before index 0 was written: the tail wrapped around. */
  private wrapped(changes: Map<bigint, bigint>, base: bigint, mask: bigint): boolean {
    const last = ((base >> 10n) << 12n) + mask * this.queue.doublewords * 8n;
    return changes.has(last) || changes.has(last + 8n);
  }
}

export interface FaultFields {
  readonly cause: number;
  readonly pid: number;
  readonly pv: number;
  readonly priv: number;
  readonly ttyp: number;
  readonly did: number;
  readonly iotval: bigint;
  readonly iotval2: bigint;
}

export function decodeFault(words: readonly bigint[], bigEndian: boolean): FaultFields {
  const [first, , iotval, iotval2] = bigEndian ? words.map(swap64) : words;
  const field = (shift: bigint, bits: bigint): number => {
    return Number((first >> shift) & ((1n << bits) - 1n));
  };
  return {
    cause: field(0n, 12n),
    pid: field(12n, 20n),
    pv: field(32n, 1n),
    priv: field(33n, 1n),
    ttyp: field(34n, 6n),
    did: field(40n, 24n),
    iotval,
    iotval2,
  };
}

/** Reverses the bytes of a doubleword. */
export function swap64(value: bigint): bigint {
  let swapped = 0n;
  for (let byte = 0n; byte < 8n; byte++) {
    swapped |= ((value >> (8n * byte)) & 0xffn) << (56n - 8n * byte);
  }
  return swapped;
}
