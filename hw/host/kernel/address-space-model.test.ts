/**
 * Random programs of several processes against a model in which a page is one cell: shared cells
 * are one object, private ones are copied by fork. In the end no frame and no pin is left.
 */
import fc from 'fast-check';
import { test } from 'uvu';
import { PAGE_SIZE } from './api.ts';
import { isErrno } from './errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED } from './mmap.ts';
import type { UserProcess } from './process.ts';
import { Syscalls } from './syscalls.ts';
import { testKernel } from './testbench.ts';

const BASE = 0x40000000;
const PAGES = 8;
const FILE_PAGES = 4;

interface Cell {
  value: number;
}
interface Mapped {
  cell: Cell;
  prot: number;
  shared: boolean;
  /** A private page of a file shows the file's cell until it is written or pinned. */
  borrowed: boolean;
}
interface Model {
  readonly process: UserProcess;
  readonly calls: Syscalls;
  readonly pages: (Mapped | null)[];
}
interface Pin {
  readonly frame: number;
  readonly cell: Cell;
}

const step = fc.record({
  who: fc.nat(3),
  op: fc
    .constantFrom('shared', 'private', 'file', 'private-file', 'unmap', 'protect', 'read')
    .map((op) => op as string),
  page: fc.nat(PAGES - 1),
  count: fc.integer({ min: 1, max: 4 }),
  value: fc.integer({ min: 1, max: 255 }),
});
const access = fc.record({
  who: fc.nat(3),
  op: fc
    .constantFrom('read', 'write', 'pin-read', 'pin-write', 'unpin', 'fork', 'exit')
    .map((op) => op as string),
  page: fc.nat(PAGES - 1),
  count: fc.constant(1),
  value: fc.integer({ min: 1, max: 255 }),
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class World {
  private readonly bench = testKernel({ bytes: 1 << 20 });
  private readonly file: Cell[] = Array.from({ length: FILE_PAGES }, () => ({ value: 0 }));
  private readonly pins: Pin[] = [];
  private readonly models: Model[] = [];

  constructor() {
    const { calls, process } = this.bench;
    calls.memfdCreate();
    calls.ftruncate(0, FILE_PAGES * PAGE_SIZE);
    this.models.push({ process, calls, pages: new Array<Mapped | null>(PAGES).fill(null) });
  }

  run(steps: readonly Step[]): boolean {
    for (const each of steps) {
      const model = this.models[each.who % this.models.length];
      if (model === undefined) break;
      if (!this.step(model, each)) return false;
      if (!this.pinsShowTheirCells()) return false;
    }
    for (const { process } of this.models) process.exit();
    for (const { frame } of this.pins) this.bench.kernel.pins.unpin(frame);
    return this.bench.kernel.pins.inUse === 0 && this.bench.kernel.pins.total === 0;
  }

  private step(model: Model, { op, page, count, value }: Step): boolean {
    const last = Math.min(PAGES, page + count);
    const address = BASE + page * PAGE_SIZE;
    const length = (last - page) * PAGE_SIZE;
    switch (op) {
      case 'unmap':
        model.pages.fill(null, page, last);
        return model.calls.munmap(address, length).errno === 0;
      case 'protect': {
        const prot = [0, 1, 3][value % 3];
        const holes = model.pages.slice(page, last).includes(null);
        for (let i = page; i < last && model.pages[i] !== null; i++) model.pages[i]!.prot = prot;
        return (model.calls.mprotect(address, length, prot).errno !== 0) === holes;
      }
      case 'fork':
        return this.models.length >= 4 || this.fork(model);
      case 'exit':
        if (this.models.length > 1) {
          model.process.exit();
          this.models.splice(this.models.indexOf(model), 1);
        }
        return true;
      case 'unpin': {
        const pin = this.pins.pop();
        if (pin !== undefined) this.bench.kernel.pins.unpin(pin.frame);
        return true;
      }
      case 'read':
      case 'write':
      case 'pin-read':
      case 'pin-write':
        return this.access(model, op, page, value);
      default:
        return this.map(model, op, page, last);
    }
  }

  private map(model: Model, op: string, page: number, last: number): boolean {
    const shared = op === 'shared' || op === 'file';
    const ofFile = op === 'file' || op === 'private-file';
    const flags = (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED | (ofFile ? 0 : MAP_ANONYMOUS);
    for (let i = page; i < last; i++) {
      const cell = ofFile ? this.file[i - page] : { value: 0 };
      model.pages[i] = { cell, prot: 3, shared, borrowed: op === 'private-file' };
    }
    const place = { address: BASE + page * PAGE_SIZE, length: (last - page) * PAGE_SIZE };
    return model.calls.mmap({ ...place, prot: 3, flags, fd: 0 }).errno === 0;
  }

  private fork(model: Model): boolean {
    const { kernel } = this.bench;
    const process = kernel.processes.get(model.calls.fork().value) as UserProcess;
    const pages = model.pages.map((page) => {
      if (page === null) return null;
      const cell = page.shared || page.borrowed ? page.cell : { value: page.cell.value };
      return { ...page, cell };
    });
    this.models.push({ process, calls: new Syscalls(kernel, process), pages });
    return true;
  }

  private access(model: Model, op: string, page: number, value: number): boolean {
    const at = BigInt(BASE + page * PAGE_SIZE);
    const mapped = model.pages[page];
    const writes = op === 'write' || op === 'pin-write';
    const allowed = mapped !== null && mapped.prot >= (writes ? 3 : 1);
    const bytes = Uint8Array.of(value);
    try {
      if (op === 'read') model.process.space.copyIn(at, bytes);
      else if (op === 'write') model.process.space.copyOut(at, bytes);
      else {
        const frame = model.process.space.pin(at, writes);
        if (mapped !== null) this.pins.push({ frame, cell: ownCell(mapped) });
      }
    } catch (error) {
      return !allowed && isErrno(error, 'EFAULT');
    }
    if (!allowed) return false;
    if (op === 'write') ownCell(mapped).value = value;
    return op !== 'read' || bytes[0] === mapped.cell.value;
  }

  /** Whoever pinned a page sees what its process writes, whatever others did since. */
  private pinsShowTheirCells(): boolean {
    const byte = new Uint8Array(1);
    return this.pins.every(({ frame, cell }) => {
      this.bench.kernel.frames.read(frame, 0, byte);
      return byte[0] === cell.value;
    });
  }
}

function ownCell(page: Mapped): Cell {
  if (page.borrowed) page.cell = { value: page.cell.value };
  page.borrowed = false;
  return page.cell;
}

test('random programs of processes see what the model sees, and nothing leaks', () => {
  const steps = fc.array(fc.oneof(step, access, access), { minLength: 20, maxLength: 120 });
  fc.assert(
    fc.property(steps, (program) => new World().run(program)),
    { numRuns: 300, seed: 20 },
  );
});

test.run();
