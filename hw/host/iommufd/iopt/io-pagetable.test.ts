import fc from 'fast-check';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { Errno } from '../../kernel/errno.ts';
import { testKernel } from '../../kernel/testbench.ts';
import type { IoPageTable } from './io-pagetable.ts';
import { giveSlices, mapSlices, takeSlices } from './slices.ts';
import { READ_ONLY, RecordingDomain, RW, type TableBench, tableBench } from './testbench.ts';
import { U64_MAX } from './units.ts';

const P = 4096n;
const HUGE = 2n << 20n;

function refused(code: string, action: () => unknown): void {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof Errno, String(error));
    assert.is((error as Errno).code, code, (error as Errno).rule);
    return;
  }
  assert.unreachable(`${code} expected`);
}

function copy(table: IoPageTable, from: bigint, length: bigint, to?: bigint, prot = RW): bigint {
  const slices = takeSlices(table, from, length);
  try {
    return mapSlices(table, slices, length, to ?? 0n, to !== undefined, prot);
  } finally {
    giveSlices(slices);
  }
}

/** Everything is gone, and nothing is left behind. */
function endsClean({ table, test: { kernel, process } }: TableBench, allocations: number): void {
  table.unmapAll();
  table.destroy();
  assert.is(kernel.pins.total, 0, 'pins');
  assert.is(process.space.pinnedVm, 0, 'pinned_vm');
  assert.is(process.user.lockedPages, 0, 'locked pages');
  assert.is(process.space.lockedVm, 0, 'locked_vm');
  assert.is(kernel.memory.allocations, allocations, 'kernel allocations');
}

/** The naive model: a flat list of mappings, and a linear search for places. */
interface Mapped {
  readonly iova: bigint;
  readonly last: bigint;
  readonly address: bigint;
}

function naiveChoice(mapped: readonly Mapped[], address: bigint, length: bigint): bigint {
  let align = 1n;
  while (align < length) align *= 2n;
  while (address % align !== 0n) align /= 2n;
  if (align > HUGE) align = HUGE;
  let at = P;
  for (;;) {
    at = at + align - 1n - ((at + align - 1n) % align);
    const end = at + length - 1n;
    const hit = mapped.find(({ iova, last }) => iova <= end && last >= at);
    if (hit === undefined) return at;
    at = hit.last + 1n;
  }
}

const step = fc.record({
  kind: fc.constantFrom('map', 'auto', 'unmap', 'copy', 'copy-auto'),
  iova: fc.nat({ max: 120 }),
  page: fc.nat({ max: 40 }),
  pages: fc.integer({ min: 1, max: 24 }),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function apply({ table, map }: TableBench, mapped: Mapped[], buffer: bigint, of: Step): void {
  const length = BigInt(of.pages) * P;
  const iova = BigInt(of.iova) * P;
  const last = iova + length - 1n;
  const address = buffer + BigInt(of.page) * P;
  const hit = mapped.filter((at) => at.iova <= last && at.last >= iova);
  const add = (at: bigint, from: bigint, bytes: bigint): void => {
    mapped.push({ iova: at, last: at + bytes - 1n, address: from });
    mapped.sort((a, b) => (a.iova < b.iova ? -1 : 1));
  };
  if (of.kind === 'map') {
    if (hit.length > 0) refused('EEXIST', () => map(address, length, iova));
    else add(map(address, length, iova), address, length);
  } else if (of.kind === 'auto') {
    const expected = naiveChoice(mapped, address, length);
    assert.is(map(address, length), expected);
    add(expected, address, length);
  } else if (of.kind === 'unmap') {
    // Up to the first area that is not wholly inside all are removed.
    const cut = hit.findIndex((at) => at.iova < iova || at.last > last);
    const gone = cut < 0 ? hit : hit.slice(0, cut);
    if (cut >= 0) refused('ENOENT', () => table.unmap(iova, length));
    else table.unmap(iova, length);
    const bytes = gone.reduce((sum, at) => sum + at.last - at.iova + 1n, 0n);
    assert.is(table.unmappedBytes, bytes);
    for (const at of gone) mapped.splice(mapped.indexOf(at), 1);
  } else {
    applyCopy(table, mapped, of, add);
  }
}

function applyCopy(
  table: IoPageTable,
  mapped: Mapped[],
  of: Step,
  add: (at: bigint, from: bigint, bytes: bigint) => void,
): void {
  const from = BigInt(of.iova) * P;
  const bytes = BigInt(of.pages) * P;
  const parts: { address: bigint; bytes: bigint }[] = [];
  for (let at = from; at < from + bytes; ) {
    const here = mapped.find(({ iova, last }) => iova <= at && last >= at);
    if (here === undefined) {
      refused('ENOENT', () => copy(table, from, bytes));
      return;
    }
    const end = here.last + 1n < from + bytes ? here.last + 1n : from + bytes;
    parts.push({ address: here.address + at - here.iova, bytes: end - at });
    at = end;
  }
  const fixed = of.kind === 'copy' ? BigInt(of.page + 200) * P : undefined;
  const there = mapped.some(
    ({ iova, last }) => fixed !== undefined && iova < fixed + bytes && last >= fixed,
  );
  if (there) {
    refused('EEXIST', () => copy(table, from, bytes, fixed));
    return;
  }
  const expected = fixed ?? naiveChoice(mapped, parts[0].address, bytes);
  let at = copy(table, from, bytes, fixed);
  assert.is(at, expected);
  for (const part of parts) {
    add(at, part.address, part.bytes);
    at += part.bytes;
  }
}

for (const domains of [0, 1, 2]) {
  test(`random calls leave what a naive model says (${domains} domains)`, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 40, maxLength: 150 }), (program) => {
        const bench = tableBench();
        const { kernel, process, alloc } = bench.test;
        const allocations = kernel.memory.allocations;
        const buffer = (alloc(8 * 1024 * 1024) + HUGE) & ~(HUGE - 1n);
        const all = Array.from({ length: domains }, () => new RecordingDomain());
        for (const domain of all) bench.table.addDomain(domain);
        const mapped: Mapped[] = [];
        for (const of of program) apply(bench, mapped, buffer, of);
        const pages = new Set<bigint>();
        for (const domain of all) {
          let granules = 0;
          for (const { iova, last, address } of mapped) {
            for (let at = iova; at <= last; at += P) {
              const frame = process.space.frameAt(address + at - iova);
              assert.is(domain.iovaToPhys(at), BigInt(frame) * P);
              pages.add(address + at - iova);
              granules += 2;
            }
          }
          assert.is(domain.granules.size, granules);
        }
        // Domains that leave take their mappings along; the pins go with the last.
        if (domains > 1) {
          bench.table.removeDomain(all[0]);
          assert.is(all[0].granules.size, 0);
        }
        for (const page of pages) assert.ok(kernel.pins.count(process.space.frameAt(page)) > 0);
        if (domains > 0) bench.table.removeDomain(all[domains - 1]);
        assert.is(kernel.pins.total, 0);
        endsClean(bench, allocations);
      }),
      { numRuns: 12, seed: 11 },
    );
  });
}

test('an automatic IOVA keeps the alignment of the address and its offset in the page', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = (kernel.alloc(8 * 1024 * 1024) + HUGE) & ~(HUGE - 1n);
  assert.is(map(buffer, P), P);
  assert.is(map(buffer, 3n * P), 4n * P);
  assert.is(map(buffer + 0x800n, 0x800n), 2n * P + 0x800n);
  assert.is(map(buffer, HUGE), HUGE);
  assert.is(map(buffer, HUGE + P), 2n * HUGE);
  assert.is(table.areas.size, 5);
});

test('a hole that only the last addresses could fill ends in ENOSPC without wrapping', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = (kernel.alloc(8 * 1024 * 1024) + HUGE) & ~(HUGE - 1n);
  table.reserve(6n, 6n + 0xffff_ffff_ffff_8001n - 1n, null);
  refused('ENOSPC', () => map(buffer, 0x5000n));
});

test('the frames that follow each other are mapped in one call, page by page without large pages', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = kernel.alloc(16 * 4096);
  kernel.poke(buffer, new Uint8Array(16 * 4096));
  const domain = new RecordingDomain({ pageSizes: 0x1ff000n });
  table.addDomain(domain);
  map(buffer, 8n * P, 0x10_0000n);
  let runs = 1;
  for (let i = 1n; i < 8n; i++) {
    const { space } = kernel.process;
    if (space.frameAt(buffer + i * P) !== space.frameAt(buffer + (i - 1n) * P) + 1) runs++;
  }
  assert.is(domain.calls.length, runs);
  table.unmapAll();
  table.disableLargePages();
  domain.calls.length = 0;
  map(buffer, 8n * P, 0x10_0000n);
  assert.equal(domain.calls, new Array(8).fill(P));
});

test('bad memory half-way leaves every domain, pin and charge as it was', () => {
  const bench = tableBench();
  const { table, map, test: kernel } = bench;
  const allocations = kernel.kernel.memory.allocations;
  const buffer = kernel.alloc(16 * 4096);
  kernel.calls.munmap(Number(buffer) + 8 * 4096, 8 * 4096);
  const domains = [new RecordingDomain(), new RecordingDomain()];
  for (const domain of domains) table.addDomain(domain);
  const before = kernel.kernel.memory.allocations;
  refused('EFAULT', () => map(buffer, 16n * P, 0x10_0000n));
  assert.is(domains[0].granules.size + domains[1].granules.size, 0);
  assert.is(kernel.kernel.pins.total, 0);
  assert.is(kernel.kernel.memory.allocations, before);
  map(buffer, 8n * P, 0x10_0000n);
  domains[1].refuseIn = 1;
  refused('ERANGE', () => map(buffer, 8n * P, 0x20_0000n));
  assert.is(domains[0].granules.size, 16);
  for (const domain of domains) table.removeDomain(domain);
  endsClean(bench, allocations);
});

test('a domain that cannot take everything joins not at all', () => {
  const bench = tableBench();
  const { table, map, test: kernel } = bench;
  const buffer = kernel.alloc(8 * 4096);
  map(buffer, P, 0x10_0000n);
  map(buffer + P, P, 0x20_0000n);
  const late = new RecordingDomain();
  late.refuseIn = 2;
  refused('ERANGE', () => table.addDomain(late));
  assert.is(late.granules.size, 0);
  assert.is(kernel.kernel.pins.total, 0);
  assert.is(table.alignment, 1n);
  refused('EADDRINUSE', () => table.addDomain(new RecordingDomain({ start: 0x18_0000n })));
  assert.is(table.reserved.length, 0);
  refused('EINVAL', () => table.addDomain(new RecordingDomain({ pageSizes: 0x2000n })));
});

test('pages beyond RLIMIT_MEMLOCK are pinned, charged in vain and let go', () => {
  const limited = testKernel({
    memlockPages: 10,
    capabilities: { ipcLock: false, sysResource: false, sysRawio: false },
  });
  const bench = tableBench(limited);
  const { table, map } = bench;
  const { kernel, process, alloc } = limited;
  const allocations = kernel.memory.allocations;
  const buffer = alloc(16 * 4096);
  const domain = new RecordingDomain();
  table.addDomain(domain);
  map(buffer, 10n * P, 0n);
  assert.is(process.user.lockedPages, 10);
  refused('ENOMEM', () => map(buffer, P, 0x10_0000n));
  assert.is(process.user.lockedPages, 10);
  // Shared pages are charged once.
  copy(table, 0n, 10n * P, 0x20_0000n);
  assert.is(process.user.lockedPages, 10);
  assert.is(process.space.pinnedVm, 10);
  table.unmap(0n, 10n * P);
  assert.is(process.user.lockedPages, 10);
  table.removeDomain(domain);
  assert.is(process.user.lockedPages, 0);
  endsClean(bench, allocations);
});

test('memory mapped for reading only is copied for reading only', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = kernel.alloc(4096);
  map(buffer, P, 0n, READ_ONLY);
  refused('EPERM', () => copy(table, 0n, P, P));
  assert.is(copy(table, 0n, P, P, READ_ONLY), P);
});

test('an area is cut where alignment allows, and its parts go one by one', () => {
  const bench = tableBench();
  const { table, map, test: kernel } = bench;
  const allocations = kernel.kernel.memory.allocations;
  const buffer = kernel.alloc(16 * 4096);
  table.disableLargePages();
  const domain = new RecordingDomain();
  table.addDomain(domain);
  map(buffer, 16n * P, 0x10_0000n);
  refused('EINVAL', () => table.cut([0x10_0000n + 0x7ffn]));
  table.cut([0x10_0000n + 4n * P - 1n, 0x10_0000n + 12n * P - 1n]);
  assert.is(table.areas.size, 3);
  assert.is(table.unmap(0x10_0000n + 4n * P, 8n * P), 8n * P);
  assert.is(domain.granules.size, 16);
  assert.is(kernel.kernel.pins.total, 8);
  table.removeDomain(domain);
  endsClean(bench, allocations);
});

test('alignment follows who is there, and is refused where areas do not keep it', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = kernel.alloc(4 * 4096);
  map(buffer + 0x800n, 0x800n, 0x800n);
  const fine = new RecordingDomain();
  table.addDomain(fine);
  assert.is(table.alignment, 0x800n);
  refused('EADDRINUSE', () => table.addDomain(new RecordingDomain({ pageSizes: 0x1000n })));
  refused('EINVAL', () => table.disableLargePages());
  refused('EINVAL', () => map(buffer, 0x400n, 0n));
  refused('EINVAL', () => map(buffer + 0x400n, 0x800n, 0n));
  table.removeDomain(fine);
  assert.is(table.alignment, 1n);
  refused('EADDRINUSE', () => table.disableLargePages());
  assert.ok(table.largePages);
});

test('whatever step fails, nothing of the call stays', () => {
  const bench = tableBench();
  const { table, map, test: kernel } = bench;
  const { memory, pins } = kernel.kernel;
  const allocations = memory.allocations;
  const buffer = kernel.alloc(16 * 4096);
  const domains = [new RecordingDomain(), new RecordingDomain()];
  map(buffer, 4n * P, 0n);
  const calls: (() => void)[] = [
    () => table.addDomain(domains[0]),
    () => table.addDomain(domains[1]),
    () => map(buffer + 4n * P, 4n * P, 0x10_0000n),
    () => copy(table, 0n, 4n * P, 0x20_0000n),
    () => map(buffer, 16n * P),
  ];
  const state = (): string =>
    `${table.areas.size} ${table.alignment} ${table.domains.length} ${table.reserved.length} ` +
    `${domains.map(({ granules }) => granules.size)} ${pins.total} ${memory.allocations} ` +
    `${memory.bytes} ${kernel.process.space.pinnedVm}`;
  for (const call of calls) {
    const before = state();
    for (let n = 1; ; n++) {
      memory.arm(n);
      try {
        call();
        if (memory.failedAt === '') break;
      } catch (error) {
        assert.ok(error instanceof Errno, String(error));
      }
      assert.not.equal(memory.failedAt, '');
      assert.is(state(), before, `${memory.failedAt} (${n})`);
    }
    memory.arm(0);
  }
  for (const domain of domains) table.removeDomain(domain);
  endsClean(bench, allocations);
});

test('areas may end with the address space', () => {
  const { table, map, test: kernel } = tableBench();
  const buffer = kernel.alloc(4096);
  map(buffer, P, U64_MAX - P + 1n);
  refused('EOVERFLOW', () => map(buffer, 2n * P, U64_MAX - P + 1n));
  assert.is(table.unmapAll(), P);
});

test.run();
