/**
 * A kernel with Linux's mock IOMMU driver, one process with an open /dev/iommu, and what the
 * numbered cases say in a word: make an IOAS, a mock device on it, map, unmap, be refused. Every
 * case ends with the check of the object graph and of leaks after the last close.
 */
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import type { ErrnoName } from '../../kernel/errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from '../../kernel/mmap.ts';
import { Syscalls } from '../../kernel/syscalls.ts';
import { type TestKernel, type TestKernelSpec, testKernel } from '../../kernel/testbench.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import type { CallOptions, CallReport } from '../client/call.ts';
import { KernelProcess } from '../client/kernel-process.ts';
import type { CallFields } from '../client/request.ts';
import { Session } from '../client/session.ts';
import type { Context } from '../context.ts';
import { MOCK_COMMANDS } from '../drivers/mock/test-commands.ts';
import { IommufdFile, openIommufd } from '../iommufd-file.ts';
import { checkInvariants } from '../objects-invariants.ts';

/** PAGE_SIZE, MOCK_PAGE_SIZE, MOCK_APERTURE_START, MOCK_APERTURE_LAST of the reference. */
export const P = 4096n;
export const M = 2048n;
export const A = 0x1000000n;
export const L = 0x7fffffffn;
export const U64_MAX = 0xffff_ffff_ffff_ffffn;
export const HUGE = 2n << 20n;
/** 16 pages of shared memory at a multiple of the huge page size. */
export const BUFFER = 0x4000_0000n;
export const BUFFER_PAGES = 16n;
/** Flags of a mock device. */
export const NO_DIRTY = 1;
export const WITH_PASID = 4;
/** Flags of HWPT_ALLOC. */
export const NEST_PARENT = 1;
export const DIRTY_TRACKING = 2;
export const FAULT_ID_VALID = 4;
export const ALLOC_PASID = 8;
/** Word that nested page tables of the mock start with. */
export const IOTLB = 0xbadbeef;

const ARGUMENT_BYTES = 1 << 16;

/** IOAS without a device, with one, with two; DL: small temporary buffers in the kernel. */
export type Variant = 'N' | 'D' | '2D' | 'DL';

export interface MockDevice {
  readonly stdev: number;
  readonly idev: number;
  readonly hwpt: number;
}

export interface Setup {
  readonly variant: Variant;
  readonly ioas: number;
  readonly devices: readonly MockDevice[];
  /** Lowest IOVA that the cases map at. */
  readonly base: bigint;
}

type Options = CallOptions & { readonly fd?: number };

/** A process that calls on an open /dev/iommu. */
export class Caller {
  readonly calls: Syscalls;
  readonly session: Session;

  constructor(calls: Syscalls, fd: number) {
    this.calls = calls;
    this.session = new Session(new KernelProcess(calls), fd);
  }

  get fd(): number {
    return this.session.fd;
  }

  get context(): Context {
    return (this.calls.process.file(this.fd) as IommufdFile).context;
  }

  /** Touches the memory that arguments of calls will be in, so that no call brings it in. */
  warmUp(): void {
    this.session.begin();
    this.session.place(new Uint8Array(ARGUMENT_BYTES));
    this.session.begin();
  }

  call(name: string, fields: CallFields = {}, options: Options = {}): CallReport {
    return this.session.byName(options.fd ?? this.fd, name, fields, options);
  }

  ok(name: string, fields: CallFields = {}, options: Options = {}): CallReport {
    const report = this.call(name, fields, options);
    assert.is(report.error, '', `${name}: ${report.rule}`);
    return report;
  }

  refuse(
    code: ErrnoName,
    name: string,
    fields: CallFields = {},
    options: Options = {},
  ): CallReport {
    const report = this.call(name, fields, options);
    assert.is(report.error, code, `${name} is to be refused; ${report.rule}`);
    return report;
  }

  /** Operations of IOMMU_TEST_CMD. */
  op(op: string, fields: CallFields = {}): CallReport {
    return this.ok('TEST_CMD', { op, ...fields });
  }

  refuseOp(code: ErrnoName, op: string, fields: CallFields = {}): CallReport {
    return this.refuse(code, 'TEST_CMD', { op, ...fields });
  }

  ioas(): number {
    return number(this.ok('IOAS_ALLOC'), 'out_ioas_id');
  }

  destroy(id: number): void {
    this.ok('DESTROY', { id });
  }

  /** A mock device attached to an IOAS or page table. */
  mock(id: number, flags = 0): MockDevice {
    const made = this.op('MOCK_DOMAIN_FLAGS', { id, dev_flags: flags });
    return {
      stdev: number(made, 'out_stdev_id'),
      idev: number(made, 'out_idev_id'),
      hwpt: number(made, 'out_hwpt_id'),
    };
  }

  /** Moves a mock device; returns the page table that it is on. */
  replace(device: MockDevice, id: number): number {
    return number(this.op('MOCK_DOMAIN_REPLACE', { id: device.stdev, pt_id: id }), 'pt_id');
  }

  hwpt(device: MockDevice, ptId: number, flags = 0, more: CallFields = {}): number {
    const fields = { dev_id: device.idev, pt_id: ptId, flags, ...more };
    return number(this.ok('HWPT_ALLOC', fields), 'out_hwpt_id');
  }

  nested(device: MockDevice, ptId: number, flags = 0, more: CallFields = {}): number {
    return this.hwpt(device, ptId, flags, {
      data_type: 'SELFTEST',
      data: { iotlb: IOTLB },
      ...more,
    });
  }

  refuseHwpt(
    code: ErrnoName,
    device: MockDevice,
    ptId: number,
    flags = 0,
    more: CallFields = {},
  ): void {
    this.refuse(code, 'HWPT_ALLOC', { dev_id: device.idev, pt_id: ptId, flags, ...more });
  }

  /** Maps user memory, readable and writable; returns the IOVA. */
  map(ioas: number, userVa: bigint, length: bigint, iova?: bigint): bigint {
    return this.ok('IOAS_MAP', mapFields(ioas, userVa, length, iova)).out.iova as bigint;
  }

  refuseMap(
    code: ErrnoName,
    ioas: number,
    userVa: bigint,
    length: bigint,
    iova?: bigint,
  ): CallReport {
    return this.refuse(code, 'IOAS_MAP', mapFields(ioas, userVa, length, iova));
  }

  mapFile(ioas: number, fd: number, start: bigint, length: bigint, iova?: bigint): bigint {
    return this.ok('IOAS_MAP_FILE', fileFields(ioas, fd, start, length, iova)).out.iova as bigint;
  }

  refuseMapFile(
    code: ErrnoName,
    ioas: number,
    fd: number,
    start: bigint,
    length: bigint,
    iova?: bigint,
  ): void {
    this.refuse(code, 'IOAS_MAP_FILE', fileFields(ioas, fd, start, length, iova));
  }

  /** Returns the bytes removed. */
  unmap(ioas: number, iova: bigint, length: bigint): bigint {
    return this.ok('IOAS_UNMAP', { ioas_id: ioas, iova, length }).out.length as bigint;
  }

  refuseUnmap(code: ErrnoName, ioas: number, iova: bigint, length: bigint): void {
    this.refuse(code, 'IOAS_UNMAP', { ioas_id: ioas, iova, length });
  }

  /** Every page of an IOVA range in a page table is the one at a user address. */
  checkMap(hwpt: number, iova: bigint, userVa: bigint, length: bigint): void {
    this.op('MD_CHECK_MAP', { id: hwpt, iova, uptr: userVa, length });
  }

  /** Every page is pinned so often. */
  checkPins(userVa: bigint, length: bigint, refs: number): void {
    this.op('MD_CHECK_REFS', { uptr: userVa, length, refs });
  }

  memfd(bytes: bigint): number {
    const fd = this.calls.memfdCreate().value;
    assert.is(this.calls.ftruncate(fd, Number(bytes)).errno, 0);
    return fd;
  }

  poke(address: bigint, bytes: Uint8Array): void {
    this.calls.process.space.copyOut(address, bytes);
  }

  peek(address: bigint, length: number): Uint8Array {
    const bytes = new Uint8Array(length);
    this.calls.process.space.copyIn(address, bytes);
    return bytes;
  }

  /** Bytes in memory of their own, which no later call overwrites. */
  place(bytes: Uint8Array | readonly number[]): bigint {
    const address = this.memory(BigInt(Math.max(1, bytes.length)));
    this.poke(address, Uint8Array.from(bytes));
    return address;
  }

  /** Anonymous memory of its own at an address, or where the kernel likes. */
  memory(bytes: bigint, address = 0n, shared = true): bigint {
    const flags = MAP_ANONYMOUS | (shared ? MAP_SHARED : MAP_PRIVATE);
    const { value, errno } = this.calls.mmap({
      address: Number(address),
      length: Number(bytes),
      prot: PROT_READ | PROT_WRITE,
      flags: address === 0n ? flags : flags | MAP_FIXED,
    });
    assert.is(errno, 0);
    return BigInt(value);
  }
}

/** The first process of a machine of its own. */
export class Bench extends Caller {
  readonly machine: TestKernel;
  private readonly bytesBefore: number;

  constructor(spec: TestKernelSpec) {
    const machine = testKernel(spec);
    const { kernel, calls } = machine;
    const bytesBefore = kernel.memory.bytes;
    kernel.registerNode('/dev/iommu', () => openIommufd(kernel, '/dev/iommu', MOCK_COMMANDS));
    super(calls, calls.open('/dev/iommu').value);
    this.machine = machine;
    this.bytesBefore = bytesBefore;
    this.memory(BUFFER_PAGES * P, BUFFER);
  }

  /** An IOAS as a variant of the cases has it. */
  setup(variant: Variant): Setup {
    const ioas = this.ioas();
    const devices: MockDevice[] = [];
    if (variant === 'DL') this.op('SET_TEMP_MEMORY_LIMIT', { limit: 16 });
    const count = variant === 'N' ? 0 : variant === '2D' ? 2 : 1;
    for (let i = 0; i < count; i++) devices.push(this.mock(ioas));
    return { variant, ioas, devices, base: variant === 'N' ? 0n : A };
  }

  /** A child with a copy of the address space and the same open files. */
  fork(): Caller {
    const { kernel } = this.machine;
    const child = kernel.processes.get(this.calls.fork().value);
    assert.ok(child);
    return new Caller(new Syscalls(kernel, child), this.fd);
  }

  /** Checks the object graph of every context that a process has open. */
  check(): void {
    for (const process of this.machine.kernel.processes.values()) {
      for (const fd of process.openFds()) {
        const file = process.file(fd);
        if (file instanceof IommufdFile) checkInvariants(file.context);
      }
    }
  }

  /** All processes exit; nothing may be left of what they had. */
  end(): void {
    const { kernel, process } = this.machine;
    for (const living of [...kernel.processes.values()]) living.exit();
    assert.is(kernel.memory.bytes, this.bytesBefore, 'kernel memory leaks');
    assert.is(kernel.memory.allocations, 0, 'allocations leak');
    assert.is(kernel.pins.total, 0, 'pins leak');
    assert.is(kernel.pins.inUse, 0, 'frames leak');
    assert.is(process.user.lockedPages, 0, 'locked pages of the user leak');
    assert.is(process.space.pinnedVm, 0, 'pinned_vm leaks');
    assert.is(process.space.lockedVm, 0, 'locked_vm leaks');
  }
}

/** A numbered case: on a machine of its own. */
export function rule(name: string, run: (bench: Bench) => void, spec: TestKernelSpec = {}): void {
  test(name, () => inBench(spec, run));
}

/** A numbered case that holds in several variants of the fixture. */
export function ruleIn(
  variants: readonly Variant[],
  name: string,
  run: (bench: Bench, setup: Setup) => void,
): void {
  for (const variant of variants) {
    test(`${name} [${variant}]`, () => inBench({}, (bench) => run(bench, bench.setup(variant))));
  }
}

export function inBench(spec: TestKernelSpec, run: (bench: Bench) => void): void {
  const bench = new Bench(spec);
  run(bench);
  bench.check();
  bench.end();
}

/** A field of an answer that is an id, a count or a descriptor. */
export function number(report: CallReport, field: string): number {
  return Number(report.out[field]);
}

export function mapFields(ioas: number, userVa: bigint, length: bigint, iova?: bigint): CallFields {
  return { ioas_id: ioas, user_va: userVa, length, iova: iova ?? 0n, flags: flagsFor(iova) };
}

export function fileFields(
  ioas: number,
  fd: number,
  start: bigint,
  length: bigint,
  iova?: bigint,
): CallFields {
  return { ioas_id: ioas, fd, start, length, iova: iova ?? 0n, flags: flagsFor(iova) };
}

function flagsFor(iova: bigint | undefined): string[] {
  return iova === undefined ? ['READABLE', 'WRITEABLE'] : ['FIXED_IOVA', 'READABLE', 'WRITEABLE'];
}
