/**
 * Runs vectors answered by QEMU's RISC-V IOMMU (their README, "Comparison rules"): plain DMA reads
 * and writes, commands, fault records without PV, PID, TTYP and iotval2.
 */
import { addressOf } from '../../hw/address.ts';
import { type FunctionalCaches, OUTCOME_FAULT } from '../../hw/iommu/functional.ts';
import { CQB, CQCSR, CQH, CQT, FQCSR, FQH, FQT, IPSR } from '../../hw/iommu/riscv/registers.ts';
import { compareMemory } from './memory-changes.ts';
import { Difference, expectEqual, type Mismatch } from './mismatch.ts';
import { type AccessOperands, RiscvMachine, requestOf } from './riscv-machine.ts';
import { decodeFault, type QueueRecord, RecordQueue } from './riscv-records.ts';
import { SparseMemory } from './sparse-memory.ts';
import { forEachDoubleword, hexValue, type Vector, type VectorStep } from './vectors.ts';

const WATCHED: readonly (readonly [string, number])[] = [
  ['cqh', CQH],
  ['cqt', CQT],
  ['fqh', FQH],
  ['fqt', FQT],
  ['cqcsr', CQCSR],
  ['fqcsr', FQCSR],
  ['ipsr', IPSR],
];

interface Config {
  readonly caps: string;
  readonly fctl: string;
  readonly ram: readonly (readonly [string, string])[];
}

interface Dma {
  readonly sid: number;
  readonly rw: 'r' | 'w';
  readonly addr: string;
}

type Values = Readonly<Record<string, unknown>>;

export class QemuRiscvRun {
  private readonly vector: Vector;
  private readonly memory = new SparseMemory();
  private readonly machine: RiscvMachine;
  private readonly faults: RecordQueue;
  private readonly registers = new Map<string, bigint>();

  constructor(vector: Vector, caches: FunctionalCaches) {
    this.vector = vector;
    const cfg = vector.cfg as unknown as Config;
    for (const [start, end] of cfg.ram) this.memory.addLegal(hexValue(start), hexValue(end));
    forEachDoubleword(vector.mem, (address, value) => this.memory.store(address, value));
    this.machine = new RiscvMachine(
      {
        capabilities: hexValue(cfg.caps),
        fctl: Number(cfg.fctl),
        gxlWritable: false,
        beWritable: false,
        vectorBits: 4,
        maxMode: 4,
      },
      this.memory,
      caches,
    );
    this.faults = new RecordQueue(this.memory, this.machine.unit.registers, 'faults');
  }

  /** The first difference, or `null`. */
  run(): Mismatch | null {
    let step = -1;
    try {
      this.initialise();
      for (step = 0; step < this.vector.steps.length; step++) this.step(this.vector.steps[step]);
      return null;
    } catch (error) {
      if (!(error instanceof Difference)) throw error;
      return { step, field: error.field, expected: error.expected, got: error.got };
    }
  }

  private initialise(): void {
    const { registers } = this.machine.unit;
    for (const [offset, size, value] of this.vector.init) {
      registers.write(Number(offset), size, hexValue(value));
    }
    this.compareRegisters((this.vector as unknown as { regs0: Values }).regs0);
  }

  private step(step: VectorStep): void {
    const { machine } = this;
    const operands = step as unknown as Values;
    this.faults.mark();
    machine.startStep();
    let compare = (): void => {};
    switch (step.op) {
      case 'dma':
        compare = this.access(step, step as unknown as Dma);
        break;
      case 'cmd':
        this.commands(operands.w as string[][]);
        break;
      case 'mem_write':
        forEachDoubleword([{ pa: operands.pa as string, w: operands.w as string[] }], (a, v) => {
          this.memory.store(a, v);
        });
        break;
      case 'reg_write':
        machine.unit.registers.write(
          Number(operands.off),
          Number(operands.size),
          hexValue(operands.val as string),
        );
        break;
      default:
        throw new Difference('op', 'a known operation', step.op);
    }
    machine.iommu.processCommands();
    compare();
    const changes = this.memory.changes();
    const ignore = (step.out.ignore ?? step.ignore ?? []) as string[];
    compareEvents(step.out.events, this.faults.take(changes));
    if (!ignore.includes('mem')) compareMemory(step.out.mem, changes);
    this.compareRegisters((step.out.regs ?? {}) as Values);
  }

  private access(step: VectorStep, dma: Dma): () => void {
    const operands: AccessOperands = {
      did: dma.sid,
      pv: 0,
      pid: 0,
      priv: 0,
      exec: 0,
      nw: 0,
      at: 'u',
      rw: dma.rw,
      iova: dma.addr,
    };
    const request = requestOf(operands);
    const { kind, outHi, outLo } = this.machine.iommu.translate(request);
    const { out } = step;
    return () => {
      expectEqual('status', out.status, kind === OUTCOME_FAULT ? 'fault' : 'ok');
      if (kind === OUTCOME_FAULT) return;
      const address = addressOf(outHi, outLo, request.offset);
      if (out.pa !== undefined) expectEqual('pa', hexValue(out.pa as string), address);
      if (out.data === undefined) return;
      const data = this.memory.read32(outHi, outLo, request.offset & ~3) >>> 0;
      expectEqual('data', hexValue(out.data as string), BigInt(data));
    };
  }

  /** Software appends commands and moves the tail once. */
  private commands(list: readonly (readonly string[])[]): void {
    const { registers } = this.machine.unit;
    const base = registers.read(CQB, 8);
    const mask = (2n << (base & 0x1fn)) - 1n;
    let tail = registers.read(CQT, 4);
    for (const words of list) {
      const address = ((base >> 10n) << 12n) + 16n * tail;
      words.forEach((word, index) => {
        this.memory.store(address + 8n * BigInt(index), hexValue(word));
      });
      tail = (tail + 1n) & mask;
    }
    registers.write(CQT, 4, tail);
  }

  private compareRegisters(changed: Values): void {
    const { registers } = this.machine.unit;
    for (const [name, offset] of WATCHED) {
      if (name in changed) this.registers.set(name, hexValue(changed[name] as string));
      expectEqual(`regs.${name}`, this.registers.get(name) ?? 0n, registers.read(offset, 4));
    }
  }
}

function compareEvents(expected: unknown, got: readonly QueueRecord[]): void {
  const wanted = (expected ?? []) as { cause: number; did: number; iotval: string }[];
  expectEqual('events.length', wanted.length, got.length);
  wanted.forEach((want, index) => {
    const fields = decodeFault(got[index].words, false);
    expectEqual(`events[${index}].cause`, want.cause, fields.cause);
    expectEqual(`events[${index}].did`, want.did, fields.did);
    expectEqual(`events[${index}].iotval`, hexValue(want.iotval), fields.iotval);
  });
}
