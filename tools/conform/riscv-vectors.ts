/**
 * Runs vectors of the RISC-V reference model (their README, "Comparison rules"): each step's
 * effects are collected from the machine and compared field by field.
 */
import type { FunctionalCaches } from '../../hw/iommu/functional.ts';
import { FCTL_BE } from '../../hw/iommu/riscv/capabilities.ts';
import {
  CQB,
  CQCSR,
  CQH,
  CQT,
  FCTL,
  FQCSR,
  FQH,
  FQT,
  IPSR,
  PQCSR,
  PQH,
  PQT,
  TR_RESPONSE,
} from '../../hw/iommu/riscv/registers.ts';
import { compareMemory } from './memory-changes.ts';
import { Difference, expectEqual, type Mismatch } from './mismatch.ts';
import { compareAccess } from './riscv-access.ts';
import {
  compareDebugResponse,
  compareDrains,
  compareMessages,
  comparePageRequests,
} from './riscv-effects.ts';
import { type AccessOperands, RiscvMachine } from './riscv-machine.ts';
import { decodeFault, RecordQueue, swap64 } from './riscv-records.ts';
import { type FaultKind, SparseMemory } from './sparse-memory.ts';
import { forEachDoubleword, hexValue, type Vector, type VectorStep } from './vectors.ts';

/** Registers that a step may change, as vectors name them. */
const WATCHED: readonly (readonly [string, number])[] = [
  ['cqh', CQH],
  ['cqt', CQT],
  ['fqh', FQH],
  ['fqt', FQT],
  ['pqh', PQH],
  ['pqt', PQT],
  ['cqcsr', CQCSR],
  ['fqcsr', FQCSR],
  ['pqcsr', PQCSR],
  ['ipsr', IPSR],
];
/** Those that count fault records: not comparable once another legal answer was taken. */
const FAULT_REGISTERS: ReadonlySet<string> = new Set(['fqt', 'fqcsr', 'ipsr']);

interface Config {
  readonly caps: string;
  readonly fctl: number;
  readonly gxl_writable: number;
  readonly be_writable: number;
  readonly num_vec_bits: number;
  readonly max_mode: number;
}

/** Guest page faults: page offsets in iotval2 are optional (mask ~0xffc). */
const GUEST_FAULTS: ReadonlySet<number> = new Set([20, 21, 23]);
const GUEST_FAULT_MASK = ~0xffcn & 0xffffffffffffffffn;

type Values = Readonly<Record<string, unknown>>;

export class RiscvVectorRun {
  private readonly vector: Vector;
  private readonly machine: RiscvMachine;
  private readonly memory = new SparseMemory();
  private readonly faults: RecordQueue;
  private readonly pageRequests: RecordQueue;
  /** Values that the watched registers should have. */
  private readonly registers = new Map<string, number>();
  /** Another legal answer was taken: the model's fault queue is not ours any more. */
  private diverged = false;

  constructor(vector: Vector, caches: FunctionalCaches) {
    this.vector = vector;
    const cfg = vector.cfg as unknown as Config;
    forEachDoubleword(vector.mem, (address, value) => this.memory.store(address, value));
    const faulty = (vector as { faulty?: { pa: string; len: number; kind: FaultKind }[] }).faulty;
    for (const { pa, len, kind } of faulty ?? []) this.memory.addFault(hexValue(pa), len, kind);
    this.machine = new RiscvMachine(
      {
        capabilities: BigInt(cfg.caps),
        fctl: cfg.fctl,
        gxlWritable: cfg.gxl_writable !== 0,
        beWritable: cfg.be_writable !== 0,
        vectorBits: cfg.num_vec_bits,
        maxMode: cfg.max_mode,
      },
      this.memory,
      caches,
    );
    const { registers } = this.machine.unit;
    this.faults = new RecordQueue(this.memory, registers, 'faults');
    this.pageRequests = new RecordQueue(this.memory, registers, 'pq');
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
      registers.write(Number(offset), size, BigInt(value));
    }
    this.machine.iommu.processCommands();
    const regs0 = (this.vector as unknown as { regs0: { regs: Values } }).regs0.regs;
    for (const [name, offset] of WATCHED) {
      const value = Number(regs0[name]);
      this.registers.set(name, value);
      expectEqual(`regs.${name}`, value, registers.get(offset) >>> 0);
    }
  }

  private step(step: VectorStep): void {
    const { machine } = this;
    const flushEach = (this.vector as unknown as { flush_each: number }).flush_each !== 0;
    if (flushEach && (step.op === 'trans' || step.op === 'page_req')) machine.iommu.flushAll();
    this.faults.mark();
    this.pageRequests.mark();
    machine.startStep();
    const compare = this.perform(step);
    machine.iommu.processCommands();
    compare();
    this.compareEffects(step);
  }

  /** Does the step; returns the comparison of its own answer. */
  private perform(step: VectorStep): () => void {
    const operands = step as unknown as Values;
    const { machine } = this;
    const { unit } = machine;
    const nothing = (): void => {};
    switch (step.op) {
      case 'trans':
        return this.access(step);
      case 'page_req':
        machine.pageRequest({
          rid: Number(operands.rid),
          segment: operands.dsv ? Number(operands.dseg) : -1,
          pasid: operands.pv ? Number(operands.pid) : -1,
          privileged: operands.priv !== 0,
          execute: operands.exec !== 0,
          payload: hexValue(operands.payload as string),
        });
        return nothing;
      case 'cmd':
        this.command(operands.w as string[]);
        return nothing;
      case 'reg_write':
        unit.registers.write(
          Number(operands.off),
          Number(operands.size),
          hexValue(operands.val as string),
        );
        return nothing;
      case 'reg_read': {
        const got = unit.registers.read(Number(operands.off), Number(operands.size));
        const expected = hexValue(step.out.val as string);
        const openSize = operands.off === TR_RESPONSE && this.vector.tags.includes('dbg_size_impl');
        return () => {
          if (openSize) compareDebugResponse(expected, got);
          else expectEqual('val', expected, got);
        };
      }
      case 'mem_write':
        forEachDoubleword([{ pa: operands.pa as string, w: operands.w as string[] }], (a, v) => {
          this.memory.store(a, v);
        });
        return nothing;
      case 'flush':
        machine.iommu.flushAll();
        return nothing;
      case 'inval_completion': {
        const expected = unit.invalidationCompleted(
          Number(operands.rid),
          operands.dsv ? Number(operands.dseg) : -1,
          Number(operands.itag_vector),
          Number(operands.cc),
        );
        return () => expectEqual('unexpected', step.out.unexpected, expected ? 0 : 1);
      }
      case 'ats_timeout':
        unit.invalidationTimedOut(Number(operands.itag_vector));
        return nothing;
      default:
        throw new Difference('op', 'a known operation', step.op);
    }
  }

  private access(step: VectorStep): () => void {
    const operands = step as unknown as AccessOperands & { cxl: number };
    const answer = compareAccess(this.machine, operands);
    const alternative = (step as { out_alt?: Values }).out_alt;
    return () => {
      try {
        answer(step.out, step.ignore ?? []);
      } catch (error) {
        if (alternative === undefined || !(error instanceof Difference)) throw error;
        answer(alternative, step.ignore ?? []);
        this.diverged = true;
      }
    };
  }

  /** Software appends a command and moves the tail. */
  private command(words: string[]): void {
    const { registers } = this.machine.unit;
    const base = registers.read(CQB, 8);
    const mask = (2n << (base & 0x1fn)) - 1n;
    const tail = registers.read(CQT, 4);
    const address = ((base >> 10n) << 12n) + 16n * tail;
    const bigEndian = (registers.get(FCTL) & FCTL_BE) !== 0;
    words.forEach((word, index) => {
      const value = hexValue(word);
      this.memory.store(address + 8n * BigInt(index), bigEndian ? swap64(value) : value);
    });
    registers.write(CQT, 4, (tail + 1n) & mask);
  }

  private compareEffects(step: VectorStep): void {
    const out = step.out as Values & { regs?: Record<string, number> };
    const ignore = step.ignore ?? [];
    const changes = this.memory.changes();
    const faults = this.faults.take(changes);
    const pageRequests = this.pageRequests.take(changes);
    if (!this.diverged) this.compareFaults(out.faults, faults);
    comparePageRequests(out.pq, pageRequests);
    compareMessages(out.msgs, this.machine.messages);
    compareDrains(out.go, this.machine.drains);
    if (!ignore.includes('mem')) {
      compareMemory(out.mem, changes, (...values) => this.tolerateDirty(...values));
    }
    this.compareRegisters(out.regs ?? {});
  }

  private compareFaults(expected: unknown, got: ReturnType<RecordQueue['take']>): void {
    const wanted = (expected ?? []) as (Values & { pa: string; w: string[] })[];
    const bigEndian = this.bigEndian;
    expectEqual('faults.length', wanted.length, got.length);
    wanted.forEach((want, index) => {
      const record = got[index];
      const decoded = decodeFault(record.words, bigEndian);
      const at = `faults[${index}]`;
      for (const name of ['cause', 'ttyp', 'did', 'pv', 'pid', 'priv'] as const) {
        expectEqual(`${at}.${name}`, want[name], decoded[name]);
      }
      const mask = GUEST_FAULTS.has(decoded.cause) ? GUEST_FAULT_MASK : -1n;
      expectEqual(`${at}.iotval`, hexValue(want.iotval as string), decoded.iotval);
      const iotval2 = hexValue(want.iotval2 as string);
      expectEqual(`${at}.iotval2`, iotval2 & mask, decoded.iotval2 & mask);
      expectEqual(`${at}.pa`, hexValue(want.pa), record.address);
      for (let word = 0; word < 3; word++) {
        expectEqual(`${at}.w[${word}]`, hexValue(want.w[word]), record.words[word]);
      }
    });
  }

  private get bigEndian(): boolean {
    return (this.machine.unit.registers.get(FCTL) & FCTL_BE) !== 0;
  }

  /** D set together with A is legal, too: then go on with memory as the model left it. */
  private tolerateDirty(address: bigint, want: bigint, got: bigint): boolean {
    const dirty = this.machine.optionalDirty.get(address) ?? 0n;
    if ((got | dirty) !== want) return false;
    this.memory.store(address, want);
    return true;
  }

  private compareRegisters(changed: Record<string, number>): void {
    const { registers } = this.machine.unit;
    for (const [name, offset] of WATCHED) {
      if (name in changed) this.registers.set(name, changed[name]);
      if (this.diverged && FAULT_REGISTERS.has(name)) continue;
      expectEqual(`regs.${name}`, this.registers.get(name), registers.get(offset) >>> 0);
    }
  }
}
