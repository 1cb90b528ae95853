/**
 * Random programs of system calls on /dev/iommu, one machine for each. After every call the object
 * graph must be sound and the books must balance; at the end nothing may be left. Every eighth
 * call or so a fallible step inside it fails.
 */
import { InternalError } from '../../../../sim/errors.ts';
import { RandomStream } from '../../../../sim/random/stream.ts';
import { errnoName } from '../../kernel/errno.ts';
import { MAP_PRIVATE, MAP_SHARED } from '../../kernel/mmap.ts';
import type { SyscallResult } from '../../kernel/syscalls.ts';
import { PROT_READ, PROT_WRITE } from '../../kernel/vma.ts';
import { IommufdFile } from '../iommufd-file.ts';
import { checkInvariants } from '../objects-invariants.ts';
import { IOCTLS, PLAIN_IOCTLS, TEST_FORMS } from '../uapi/ioctls.ts';
import { elementBytes, type Layout } from '../uapi/layout.ts';
import * as T from '../uapi/test-constants.ts';
import { checkBooks, checkNothingLeft } from './books.ts';
import { ARGUMENTS, FuzzMachine, SHAKY } from './machine.ts';
import { PRESETS } from './presets.ts';
import { DATA_AT, type Scene, Values } from './values.ts';

export interface FuzzSpec {
  readonly seed: number | string;
  readonly calls: number;
  /** Told now and then how many calls are done. */
  readonly onProgress?: (calls: number) => void;
}

export interface CallCounts {
  done: number;
  refused: number;
}

export interface FuzzResult {
  readonly programs: number;
  readonly calls: number;
  /** By name of the call. */
  readonly counts: ReadonlyMap<string, CallCounts>;
}

/** A kind of call: how often, and what makes it. */
interface Kind {
  readonly name: string;
  readonly weight: number;
  /** Whether all that it needs is there. */
  possible(): boolean;
  run(): SyscallResult;
}

interface Target {
  readonly name: string;
  readonly layout: Layout;
  readonly word: number;
  readonly op: number | null;
}

const PAGE = 4096;
const DATA_WORDS = 512;
const LONGEST_PROGRAM = 1500;
const REMEMBERED = 12;
const BOOKS_EVERY = 16;
const PROGRESS_EVERY = 20_000;
const TEST_WORD = 0x3ba0;
const OPS = T as Readonly<Record<string, unknown>>;

/** Calls that build up more than others, or take ways away. */
const WEIGHTS: Readonly<Record<string, number>> = {
  IOAS_ALLOC: 6,
  IOAS_MAP: 20,
  IOAS_MAP_FILE: 10,
  IOAS_UNMAP: 6,
  IOAS_COPY: 8,
  IOAS_ALLOW_IOVAS: 1,
  IOAS_NOIOMMU_GET_PA: 1,
  HWPT_ALLOC: 24,
  HWPT_SET_DIRTY_TRACKING: 6,
  VIOMMU_ALLOC: 10,
  VDEVICE_ALLOC: 10,
  HW_QUEUE_ALLOC: 8,
  VEVENTQ_ALLOC: 6,
  VFIO_IOAS: 6,
  MOCK_DOMAIN_FLAGS: 10,
  MOCK_DOMAIN_REPLACE: 20,
  ADD_RESERVED: 1,
  ACCESS_PAGES: 10,
  PASID_ATTACH: 10,
  PASID_REPLACE: 8,
  TRIGGER_IOPF: 10,
  TRIGGER_VEVENT: 8,
};
const USUAL_WEIGHT = 3;

export function fuzz({ seed, calls, onProgress }: FuzzSpec): FuzzResult {
  const random = new RandomStream(seed, 'fuzz-ioctl');
  const counts = new Map<string, CallCounts>();
  let done = 0;
  let programs = 0;
  let told = 0;
  while (done < calls) {
    const length = Math.min(calls - done, 1 + random.below(LONGEST_PROGRAM));
    new Program(random, counts, `seed ${seed}, call ${done}`).run(length);
    done += length;
    programs++;
    if (done - told < PROGRESS_EVERY) continue;
    told = done;
    onProgress?.(done);
  }
  return { programs, calls: done, counts };
}

const always = (): boolean => true;

class Program {
  private readonly machine = new FuzzMachine();
  private readonly values: Values;
  private readonly random: RandomStream;
  private readonly counts: Map<string, CallCounts>;
  private readonly start: string;
  private readonly kinds: readonly Kind[];
  private readonly weights: number;
  private readonly regions: { address: number; bytes: number }[] = [];
  private readonly history: string[] = [];

  constructor(random: RandomStream, counts: Map<string, CallCounts>, start: string) {
    this.random = random;
    this.values = new Values(random);
    this.counts = counts;
    this.start = start;
    this.kinds = [...this.ioctls(), ...this.systemCalls()];
    this.weights = this.kinds.reduce((sum, { weight }) => sum + weight, 0);
  }

  run(length: number): void {
    const { kernel, calls } = this.machine.bench;
    let at = 0;
    try {
      calls.open('/dev/iommu');
      for (; at < length; at++) this.step(at);
      this.machine.end();
      checkNothingLeft(kernel, this.machine.bench.process);
    } catch (error) {
      const told = this.history.slice(-REMEMBERED).join('\n  ');
      const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
      throw new InternalError('fuzz-ioctl', `${this.start} + ${at}: ${what}\n  ${told}`);
    }
  }

  private step(at: number): void {
    const { machine, values } = this;
    const { memory } = machine.bench.kernel;
    machine.calls = machine.child !== null && values.oneIn(4) ? machine.child : machine.bench.calls;
    let { name, run, possible } = this.chooseKind();
    for (let tries = 0; tries < 3 && !possible() && !values.oneIn(8); tries++) {
      ({ name, run, possible } = this.chooseKind());
    }
    this.history.push(name);
    memory.arm(values.oneIn(8) ? 1 + this.random.below(12) : 0);
    const { errno, rule } = run();
    memory.arm(0);
    this.history[this.history.length - 1] += ` ${errno === 0 ? 'done' : errnoName(errno)} ${rule}`;
    const count = this.counts.get(name) ?? { done: 0, refused: 0 };
    this.counts.set(name, count);
    if (errno === 0) count.done++;
    else count.refused++;
    for (const context of machine.contexts) checkInvariants(context);
    if (at % BOOKS_EVERY === 0) checkBooks(machine);
  }

  private chooseKind(): Kind {
    let left = this.random.below(this.weights);
    for (const kind of this.kinds) {
      left -= kind.weight;
      if (left < 0) return kind;
    }
    throw new InternalError('fuzz-ioctl', 'no kind of call is chosen');
  }

  // Calls with a structure

  private ioctls(): Kind[] {
    const targets: Target[] = [];
    for (const [name, { layout }] of Object.entries(IOCTLS)) {
      if (name !== 'TEST_CMD') targets.push({ name, layout, word: layout.word, op: null });
    }
    for (const [name, layout] of Object.entries(TEST_FORMS)) {
      const op = OPS[`IOMMU_TEST_OP_${name}`];
      if (typeof op !== 'number') throw new InternalError('fuzz-ioctl', `op ${name} has no number`);
      targets.push({ name, layout, word: TEST_WORD, op });
    }
    const structured = targets.map((target) => ({
      name: target.name,
      weight: WEIGHTS[target.name] ?? USUAL_WEIGHT,
      possible: () => this.values.isPossible(target.layout, this.scene()),
      run: () => this.ioctl(target),
    }));
    const plain = Object.values(PLAIN_IOCTLS).map(({ name, word }) => ({
      name,
      weight: 1,
      possible: always,
      run: () => this.plain(word),
    }));
    return [...structured, ...plain];
  }

  private ioctl({ layout, word, op, name }: Target): SyscallResult {
    const { values } = this;
    const fd = this.fdFor(name);
    const scene = this.scene(fd);
    const presets = PRESETS[name];
    values.begin(scene);
    const preset = presets === undefined || values.oneIn(10) ? {} : values.pick(presets);
    const size = values.size(layout);
    const bytes = new Uint8Array(Math.min(Math.max(size, layout.size), DATA_AT));
    const view = new DataView(bytes.buffer);
    for (const [field, { kind, offset, count }] of layout.list) {
      const width = elementBytes(kind);
      if (count !== 1 || offset + width > bytes.length) continue;
      const value = values.field(layout, field, scene, preset[field]);
      if (width === 8) view.setBigUint64(offset, BigInt.asUintN(64, value), true);
      else if (width === 4) view.setUint32(offset, Number(BigInt.asUintN(32, value)), true);
      else if (width === 2) view.setUint16(offset, Number(BigInt.asUintN(16, value)), true);
      else view.setUint8(offset, Number(BigInt.asUintN(8, value)));
    }
    view.setUint32(0, size, true);
    if (op !== null) view.setUint32(4, op, true);
    if (bytes.length > layout.size && values.oneIn(4)) bytes[layout.size] = 1;
    this.fillData();
    // Random words taken for a MAP_FILE could map a file that holds the context open.
    const misplaced = name === 'IOAS_MAP_FILE' ? 0 : values.pointer();
    const address = values.oneIn(80) ? misplaced : this.place(bytes);
    return this.machine.calls.ioctl(fd, word, BigInt(address));
  }

  private plain(word: number): SyscallResult {
    const fd = this.values.descriptor('iommufd', this.scene());
    return this.machine.calls.ioctl(fd, word, BigInt(this.random.below(12)));
  }

  /** The argument of a call; now and then it ends where its data begins. */
  private place(bytes: Uint8Array): number {
    const { values } = this;
    const end = ARGUMENTS.address + DATA_AT;
    const address = values.oneIn(4) ? end - bytes.length : ARGUMENTS.address;
    this.machine.calls.process.space.copyOut(BigInt(address), bytes);
    return address;
  }

  /** Data of drivers, ranges, entries: small words, and pairs of addresses in ascending order. */
  private fillData(): void {
    const words = new Uint32Array(DATA_WORDS);
    const ranges = this.values.oneIn(4);
    for (let i = 0; i < 64; i++) {
      if (ranges) words[i] = i % 2 === 1 ? 0 : 0x1000000 + i * 0x8000;
      else words[i] = this.values.oneIn(2) ? 0 : this.random.below(8);
    }
    const at = BigInt(ARGUMENTS.address + DATA_AT);
    this.machine.calls.process.space.copyOut(at, new Uint8Array(words.buffer));
  }

  private fdFor(name: string): number {
    const kind = name.startsWith('VFIO_DEVICE') ? 'vfio-device' : 'iommufd';
    return this.values.descriptor(kind, this.scene());
  }

  /** Objects are those of the context that a call is for, where it is for one. */
  private scene(fd = -1): Scene {
    const { machine } = this;
    const descriptors = new Map<string, number[]>();
    const { process } = machine.calls;
    for (const fd of process.openFds()) {
      const kind = process.file(fd)?.kind ?? '';
      const list = descriptors.get(kind);
      if (list === undefined) descriptors.set(kind, [fd]);
      else list.push(fd);
    }
    const file = process.file(fd);
    const { contexts } = machine;
    const context = file instanceof IommufdFile ? file.context : contexts[0];
    return { machine, descriptors, objects: context?.objects.objects() ?? [] };
  }

  // Other system calls

  private systemCalls(): Kind[] {
    const { machine, values, random } = this;
    const queue = (): number =>
      values.descriptor(values.pick(['fault', 'fault', 'veventq']), this.scene());
    const sizes = [0, 8, 8, 16, 40, 40, 40, 80, 80, 400, 12, 39];
    const on = (name: string, weight: number, run: () => SyscallResult): Kind => {
      return { name, weight, run, possible: always };
    };
    return [
      on('open', 2, () => machine.calls.open(this.path())),
      on('close', 3, () => machine.calls.close(this.closable())),
      on('read', 6, () =>
        machine.calls.read(queue(), BigInt(values.pointer()), values.pick(sizes)),
      ),
      on('write', 4, () => {
        this.fillData();
        return machine.calls.write(queue(), BigInt(values.pointer()), values.pick(sizes));
      }),
      on('poll', 1, () => machine.calls.poll([{ fd: queue(), events: 5, revents: 0 }])),
      on('mmap', 3, () => this.mapRegion()),
      on('munmap', 2, () => this.unmapRegion()),
      on('ftruncate', 1, () => {
        const bytes = random.below(17) * PAGE;
        return machine.calls.ftruncate(values.pick(machine.files), bytes);
      }),
      on('shake memory', 1, () => this.shake()),
      on('change limits', 1, () => this.changeLimits()),
      on('fork or exit', 1, () => this.forkOrExit()),
    ];
  }

  private path(): string {
    const { devicePaths } = this.machine;
    const nodes = ['/dev/iommu', '/dev/vfio/vfio', '/dev/nothing'];
    return this.values.oneIn(12) ? this.values.pick(nodes) : this.values.pick(devicePaths);
  }

  /** Mostly queues and accesses; rarely the context itself, never the files that are mapped. */
  private closable(): number {
    const { machine, values } = this;
    const kinds = ['fault', 'veventq', 'access', 'dma-buf', 'vfio-device'];
    if (values.oneIn(40)) kinds.push('iommufd');
    const { descriptors } = this.scene();
    const fds = kinds.flatMap((kind) => descriptors.get(kind) ?? []);
    const closable = fds.filter((fd) => !machine.files.includes(fd));
    return closable.length === 0 ? -1 : values.pick(closable);
  }

  private mapRegion(): SyscallResult {
    const { machine, values, random } = this;
    const length = values.pick([2, 2, 2, 1, 4, 16]) * PAGE;
    const result = machine.calls.mmap({
      length,
      prot: values.oneIn(8) ? PROT_READ : PROT_READ | PROT_WRITE,
      flags: values.oneIn(8) ? MAP_PRIVATE : MAP_SHARED,
      fd: values.descriptor('iommufd', this.scene()),
      offset: (1 + 2 * random.below(3)) * PAGE,
    });
    if (result.errno === 0) this.regions.push({ address: result.value, bytes: length });
    return result;
  }

  private unmapRegion(): SyscallResult {
    const region = this.regions.pop() ?? { address: 0x3000_0000, bytes: PAGE };
    return this.machine.calls.munmap(region.address, region.bytes);
  }

  /** Memory that may be mapped in an IOAS goes, changes, or comes back. */
  private shake(): SyscallResult {
    const { machine, values, random } = this;
    const page = SHAKY.address + random.below(SHAKY.bytes / PAGE) * PAGE;
    if (values.oneIn(3)) return machine.calls.munmap(page, PAGE);
    if (values.oneIn(2)) return machine.calls.mprotect(page, PAGE, values.pick([0, PROT_READ]));
    machine.map(SHAKY, PROT_READ | PROT_WRITE);
    return { value: 0, errno: 0, rule: '' };
  }

  private changeLimits(): SyscallResult {
    const { values, random, machine } = this;
    const { process } = machine.calls;
    process.capabilities.ipcLock = values.oneIn(2);
    process.capabilities.sysResource = !values.oneIn(4);
    process.memlockPages = values.oneIn(2) ? Number.MAX_SAFE_INTEGER : random.below(64);
    return { value: 0, errno: 0, rule: '' };
  }

  private forkOrExit(): SyscallResult {
    const { machine } = this;
    if (machine.child === null) {
      machine.fork();
      return { value: 0, errno: 0, rule: '' };
    }
    const result = machine.child.exit();
    machine.child = null;
    return result;
  }
}
