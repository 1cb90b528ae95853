/**
 * Runs VT-d vectors answered by QEMU's emulated unit (their README, "Comparison rules"): status and
 * landing address of accesses, fault records, stores, and the registers that a step may change.
 */
import type { FunctionalCaches } from '../../hw/iommu/functional.ts';
import {
  FRCD_F,
  FSTS,
  FSTS_PFO,
  GSTS,
  ICS,
  IECTL,
  IQA,
  IQA_DW,
  IQH,
  IQT,
} from '../../hw/iommu/vtd/layout.ts';
import { Difference, expectEqual, type Mismatch } from './mismatch.ts';
import { SparseMemory } from './sparse-memory.ts';
import { forEachDoubleword, hexValue, type Vector, type VectorStep } from './vectors.ts';
import { outputOf, VtdMachine } from './vtd-machine.ts';

/** Registers that vectors name, with their sizes. */
const WATCHED: readonly (readonly [string, number, 4 | 8])[] = [
  ['GSTS', GSTS, 4],
  ['FSTS', FSTS, 4],
  ['IQH', IQH, 8],
  ['IQT', IQT, 8],
  ['ICS', ICS, 4],
  ['IECTL', IECTL, 4],
];

/** Host address width of the machines that answered (README, "Machines"). */
const HOST_ADDRESS_BITS = 48;

interface Config {
  readonly ram: readonly (readonly [string, string])[];
  readonly ver: string;
  readonly cap: string;
  readonly ecap: string;
}

interface Expected {
  readonly status?: string;
  readonly pa?: string;
  readonly data?: string;
  readonly events?: readonly { readonly w: readonly string[] }[];
  readonly mem?: readonly (readonly [string, string])[];
  readonly regs?: Readonly<Record<string, string>>;
  readonly ignore?: readonly string[];
}

/** What a step did besides stores: compared with its expectation. */
interface Answer {
  readonly pa: bigint | null;
  readonly event: readonly [bigint, bigint] | null;
}

/** Why a vector cannot be run yet, or `null`. */
export function vtdVectorSkip(vector: Vector): string | null {
  const { mode } = (vector as unknown as { desc: { mode?: string } }).desc;
  return mode === 'legacy' ? null : `VT-d ${mode ?? 'unknown mode'} is not modelled yet`;
}

export class VtdVectorRun {
  private readonly vector: Vector;
  private readonly machine: VtdMachine;
  private readonly memory = new SparseMemory();
  private readonly registers = new Map<string, bigint>();

  constructor(vector: Vector, caches: FunctionalCaches) {
    this.vector = vector;
    const cfg = vector.cfg as unknown as Config;
    for (const [start, end] of cfg.ram) this.memory.addLegal(hexValue(start), hexValue(end));
    forEachDoubleword(vector.mem, (address, value) => this.memory.store(address, value));
    this.machine = new VtdMachine(
      {
        version: Number(cfg.ver),
        cap: BigInt(cfg.cap),
        ecap: BigInt(cfg.ecap),
        hostAddressBits: HOST_ADDRESS_BITS,
        mergeFaults: true,
      },
      this.memory,
      caches,
    );
  }

  /** The first difference, or `null`. */
  run(): Mismatch | null {
    let step = -1;
    try {
      this.initialise();
      for (step = 0; step < this.vector.steps.length; step++) this.step(this.vector.steps[step]!);
      return null;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      return { step, field: error.field, expected: error.expected, got: error.got };
    }
  }

  private initialise(): void {
    const { registers } = this.machine.unit;
    for (const [offset, size, value] of this.vector.init) {
      registers.write(Number(offset), size, BigInt(value));
    }
    this.machine.iommu.processCommands();
    const { regs0 } = this.vector as unknown as { regs0: Record<string, string> };
    this.compareRegisters(regs0);
  }

  private step(step: VectorStep): void {
    this.memory.startLog();
    const answer = this.perform(step as unknown as Readonly<Record<string, unknown>>);
    this.machine.iommu.processCommands();
    this.compare(step.out as Expected, answer);
  }

  private perform(step: Readonly<Record<string, unknown>>): Answer {
    const { registers } = this.machine.unit;
    switch (step.op) {
      case 'dma': {
        const address = BigInt(step.addr as string);
        const outcome = this.machine.access(Number(step.sid), address, step.rw === 'w');
        return { pa: outputOf(outcome, address), event: this.recorded() };
      }
      case 'cmd':
        this.submit(step.w as readonly (readonly string[])[]);
        break;
      case 'mem_write': {
        const run = { pa: step.pa as string, w: step.w as string[] };
        forEachDoubleword([run], (address, value) => this.memory.store(address, value));
        break;
      }
      case 'reg_write':
        registers.write(Number(step.off), Number(step.size), hexValue(step.val as string));
        break;
      default:
        throw new Difference('op', 'a known operation', step.op);
    }
    return { pa: null, event: this.recorded() };
  }

  /** Software appends descriptors and writes the tail once. */
  private submit(descriptors: readonly (readonly string[])[]): void {
    const { registers } = this.machine.unit;
    const iqa = registers.read(IQA, 8);
    const ring = 4096n << (iqa & 7n);
    const width = (iqa & BigInt(IQA_DW)) !== 0n ? 32n : 16n;
    let tail = registers.read(IQT, 8);
    for (const words of descriptors) {
      words.forEach((word, i) => {
        this.memory.store((iqa & ~0xfffn) + tail + 8n * BigInt(i), hexValue(word));
      });
      tail = (tail + width) % ring;
    }
    registers.write(IQT, 8, tail);
  }

  /** The fault record that is set, if any. */
  private recorded(): readonly [bigint, bigint] | null {
    const { registers, state } = this.machine.unit;
    const low = registers.read(state.features.faultOffset, 8);
    const high = registers.read(state.features.faultOffset + 8, 8);
    return high >> 63n === 1n ? [low, high] : null;
  }

  private compare(expected: Expected, { pa, event }: Answer): void {
    const ignore = new Set(expected.ignore);
    if (expected.status !== undefined) {
      expectEqual('status', expected.status, pa === null ? 'fault' : 'ok');
    }
    if (expected.pa !== undefined) expectEqual('pa', hexValue(expected.pa), pa);
    if (expected.data !== undefined && pa !== null) {
      expectEqual('data', hexValue(expected.data), this.load32(pa));
    }
    if (!ignore.has('events')) this.compareEvent(expected, event);
    if (!ignore.has('mem')) compareStores(expected, this.memory.changes());
    this.compareRegisters(expected.regs ?? {}, ignore);
    if (event !== null) this.clearEvent();
  }

  private compareEvent(expected: Expected, event: readonly [bigint, bigint] | null): void {
    const wanted = expected.events ?? [];
    expectEqual('events.length', wanted.length, event === null ? 0 : 1);
    wanted[0]?.w.forEach((word, i) => {
      expectEqual(`events[0].w[${i}]`, hexValue(word), event?.[i]);
    });
  }

  private compareRegisters(
    changed: Readonly<Record<string, string>>,
    ignore: ReadonlySet<string> = new Set(),
  ): void {
    const { registers } = this.machine.unit;
    for (const [name, offset, size] of WATCHED) {
      const got = registers.read(offset, size);
      const told = changed[name];
      const want = told === undefined ? this.registers.get(name) : hexValue(told);
      if (!ignore.has(`regs.${name}`)) expectEqual(`regs.${name}`, want, got);
      this.registers.set(name, got);
    }
  }

  /** What the harness does after a step with a fault record. */
  private clearEvent(): void {
    const { registers, state } = this.machine.unit;
    registers.write(state.features.faultOffset + 12, 4, BigInt(FRCD_F));
    registers.write(FSTS, 4, BigInt(FSTS_PFO));
    for (const [name, offset, size] of WATCHED) {
      this.registers.set(name, registers.read(offset, size));
    }
  }

  private load32(address: bigint): bigint {
    return (this.memory.load(address & ~7n) >> (8n * (address & 4n))) & 0xffffffffn;
  }
}

function compareStores(expected: Expected, changes: Map<bigint, bigint>): void {
  for (const [address, word] of expected.mem ?? []) {
    const at = hexValue(address);
    expectEqual(`mem[${address}]`, hexValue(word), changes.get(at));
    changes.delete(at);
  }
  for (const [address, value] of changes) {
    throw new Difference(`mem[0x${address.toString(16)}]`, 'unchanged', value);
  }
}
