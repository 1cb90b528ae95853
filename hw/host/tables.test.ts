import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { RandomStream } from '../../sim/random/stream.ts';
import { pageNumber, pnHi, pnLo } from '../address.ts';
import { ACCESS_READ, ACCESS_WRITE } from '../iommu/access.ts';
import { SV32, SV39, SV39X4, SV48, SV57X4 } from '../iommu/riscv/formats.ts';
import { SS4, VTD_SUPERPAGE_1G, VTD_SUPERPAGE_2M } from '../iommu/vtd/formats.ts';
import type { PageTableFormat } from '../iommu/walk/format.ts';
import { PhysicalMemory } from '../memory/physical-memory.ts';
import { FrameAllocator } from './frames.ts';
import { PageTables, type TableOptions } from './tables.ts';

const RW = ACCESS_READ | ACCESS_WRITE;

function tables(format: PageTableFormat, options: TableOptions = {}): PageTables {
  const memory = PhysicalMemory.create({ bytes: 32 * 2 ** 20 });
  const frames = new FrameAllocator({ base: 0x100000, frames: 0x4000 });
  return new PageTables(format, memory, frames, options);
}

function map(built: PageTables, page: number, frame: number, pages: number): void {
  built.map(pnHi(page), pnLo(page), pnHi(frame), pnLo(frame), pages, RW);
}

function unmap(built: PageTables, page: number, pages: number, remove = false): number {
  return built.unmap(pnHi(page), pnLo(page), pages, remove);
}

/** Frame under a page, -1 for none. */
function frame(built: PageTables, page: number): number {
  if (!built.lookup(pnHi(page), pnLo(page))) return -1;
  return pageNumber(built.foundHi, built.foundLo);
}

test('pages are found where they are mapped, at both ends of the input range', () => {
  for (const [format, last] of [
    [SV32, 2 ** 20 - 1],
    [SV39, 2 ** 27 - 1],
    [SV39X4, 2 ** 29 - 1],
    [SV48, 2 ** 36 - 1],
    [SV57X4, 2 ** 47 - 1],
    [SS4, 2 ** 36 - 1],
  ] as const) {
    const built = tables(format);
    for (const page of [0, 1, 1023, last]) map(built, page, 0x3000 + (page % 77), 1);
    for (const page of [0, 1, 1023, last]) assert.is(frame(built, page), 0x3000 + (page % 77));
    assert.is(frame(built, 2), -1);
    assert.is(frame(built, last - 1), -1);
  }
});

test('frames above 2^32 bytes keep all their bits', () => {
  for (const format of [SV48, SS4]) {
    const built = tables(format);
    map(built, 9, 0xabcdef1234, 1);
    assert.is(frame(built, 9), 0xabcdef1234);
  }
});

test('the largest page that fits both sides is used, up to the level allowed', () => {
  const built = tables(SV48);
  map(built, 2 ** 18 - 1, 2 ** 18 - 1, 1 + 2 ** 18 + 512 + 1);
  const orderAt = (page: number): number => {
    frame(built, page);
    return built.foundOrder;
  };
  assert.is(orderAt(2 ** 18 - 1), 0);
  assert.is(orderAt(2 ** 18 + 5), 18);
  assert.is(orderAt(2 ** 19 + 5), 9);
  assert.is(orderAt(2 ** 19 + 512), 0);
  assert.is(frame(built, 2 ** 19 + 511), 2 ** 19 + 511);
  const small = tables(SV48, { maxLeafLevel: 0 });
  map(small, 512, 512, 512);
  assert.is(small.lookup(0, 600), true);
  assert.is(small.foundOrder, 0);
});

test('a frame that is not aligned keeps superpages out', () => {
  const built = tables(SV48);
  map(built, 512, 513, 512);
  assert.is(frame(built, 512), 513);
  assert.is(built.foundOrder, 0);
});

test('Svnapot serves 16 aligned pages by one leaf, and goes as a whole', () => {
  const built = tables(SV48, { napot: true });
  map(built, 16, 0x3010, 17);
  assert.is(frame(built, 21), 0x3015);
  assert.is(built.foundOrder, 4);
  assert.is(frame(built, 32), 0x3020);
  assert.is(built.foundOrder, 0);
  assert.throws(() => unmap(built, 17, 1), /part of a mapping of 16/);
  assert.is(unmap(built, 16, 16), 16);
  assert.is(frame(built, 16), -1);
  assert.is(frame(built, 31), -1);
});

test('what is unmapped is gone, its neighbours stay, and holes are skipped', () => {
  const built = tables(SV48);
  map(built, 10, 0x3000, 5);
  map(built, 2 ** 30, 0x4000, 1);
  assert.is(unmap(built, 12, 1), 1);
  assert.is(frame(built, 11), 0x3001);
  assert.is(frame(built, 12), -1);
  assert.is(unmap(built, 12, 1), 0);
  assert.is(unmap(built, 0, 2 ** 30 + 1), 5);
  assert.is(frame(built, 14), -1);
});

test('part of a superpage cannot be unmapped', () => {
  const built = tables(SV48);
  map(built, 512, 512, 512);
  assert.throws(() => unmap(built, 512, 511), /part of a mapping of 512/);
  assert.throws(() => unmap(built, 513, 512), /part of a mapping of 512/);
  assert.is(unmap(built, 512, 512), 512);
});

test('mapping a mapped page is an error, over and under a superpage too', () => {
  const built = tables(SV48);
  map(built, 5, 0x3000, 1);
  assert.throws(() => map(built, 5, 0x3001, 1), /mapped already/);
  map(built, 512, 512, 512);
  assert.throws(() => map(built, 600, 0x3001, 1), /mapped already/);
});

test('tables stay for reuse, and then 4 KiB pages are mapped where a superpage would fit', () => {
  const built = tables(SV48);
  map(built, 512, 512, 1);
  const before = built.tableFrames;
  unmap(built, 512, 1);
  assert.is(built.tableFrames, before);
  map(built, 512, 512, 512);
  assert.is(frame(built, 512), 512);
  assert.is(built.foundOrder, 0);
});

test('random maps and unmaps agree with a plain map, whatever the sizes', () => {
  for (const [format, options] of [
    [SV39, { napot: true }],
    [SV48, {}],
    [SS4, { flags: VTD_SUPERPAGE_2M | VTD_SUPERPAGE_1G }],
  ] as const) {
    const built = tables(format, options);
    const random = new RandomStream(1, format.name);
    const plain = new Map<number, number>();
    const spans: [number, number][] = [];
    for (let step = 0; step < 400; step++) {
      // Slots of 2048 pages keep spans apart and let some be aligned to superpages.
      const first = (step % 100) * 2048 + random.below(3) * 256;
      if (step >= 100) {
        const [page, pages] = spans[step - 100] as [number, number];
        assert.is(unmap(built, page, pages, random.chance(1, 2)), pages);
        for (let i = 0; i < pages; i++) plain.delete(page + i);
      }
      const pages = 1 + random.below(1200);
      const to = random.below(64) * 512 + (random.chance(1, 2) ? 0 : random.below(512));
      map(built, first, to, pages);
      for (let i = 0; i < pages; i++) plain.set(first + i, to + i);
      spans.push([first, pages]);
      for (const page of [first - 1, first, first + pages - 1, first + pages]) {
        assert.is(frame(built, page), plain.get(page) ?? -1);
      }
    }
    for (let page = 0; page < 100 * 2048; page += 7) {
      assert.is(frame(built, page), plain.get(page) ?? -1);
    }
  }
});

test('tables are removed on request when their whole span is unmapped', () => {
  const built = tables(SV48);
  map(built, 0, 0x3001, 1024);
  assert.is(built.tableFrames, 1 + 1 + 1 + 2);
  unmap(built, 0, 512, true);
  assert.is(built.removed.length, 1);
  assert.is(built.tableFrames, 1 + 1 + 1 + 1);
  assert.is(frame(built, 512), 0x3001 + 512);
  built.freeRemoved();
  map(built, 0, 0x3001, 1);
  assert.is(frame(built, 0), 0x3001);
  assert.is(frame(built, 1), -1);
});

test.run();
